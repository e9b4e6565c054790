"""Recipes as text: `r1(10)|gradient_penalty(weight=linear(1, 10, 5000))`."""

import ast
import difflib
import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jaxgan.arguments import check
from jaxgan.errors import UsageError, short_repr

Table = Mapping[str, Callable[..., Any]]


LONGEST = 4_000
"""Characters of a recipe. Python's parser may crash on much longer ones."""

DEEPEST = 5
"""Calls inside one another: `every(16, consistency(by=noise(0.1)))` has three.

On a CPU each `every` traces twice what it wraps, so that depth costs exponentially.
"""


class Call(NamedTuple):
    """A name with its arguments, not yet called."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def parse(text: str) -> list[Call]:
    """Splits a recipe into calls; arguments are Python literals or calls.

    >>> parse("r1(10)|l1(weight=100)|noise")  # doctest: +NORMALIZE_WHITESPACE
    [Call(name='r1', args=(10,), kwargs={}),
     Call(name='l1', args=(), kwargs={'weight': 100}),
     Call(name='noise', args=(), kwargs={})]
    """
    if len(text) > LONGEST:
        raise UsageError(
            f"cannot read {short_repr(text)}: it has {len(text)} characters, and "
            f"{LONGEST} at most are read"
        )
    if not text.strip():
        return []
    try:
        return [_call(node) for node in _parts(_tree(text))]
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        reason = f": {error}" if isinstance(error, _Refused) else ""
        raise UsageError(
            f"cannot read {short_repr(text)}{reason}: write calls joined by |, such as "
            "'r1(10)|r2(10)'"
        ) from error


def build(text: str, table: Table, nested: Table | None = None, **given: Any) -> dict:
    """Calls the factory in `table` behind every name in `text`; a dict by name.

    A wrapper has the name of what it wraps: `every(16, r1(10))` is `r1`.

    Args:
      text: a recipe, such as `r1(10)|r2(10)`.
      table: factories by name.
      nested: factories that may stand as arguments, such as schedules.
      **given: keywords for every factory that takes them, beside those in the text.

    Raises:
      UsageError: for an unknown name, wrong arguments, or a name that comes twice.

    >>> build("rate(2)", {"rate": lambda x, scale: x * scale}, scale=10)
    {'rate': 20}
    """
    built = {}
    for call in parse(text):
        name = _label(call, table)
        if name in built:
            twice = f"{short_repr(name)} comes twice in {short_repr(text)}"
            raise UsageError(f"{twice}: say it once")
        built[name] = _make(call, table, nested or {}, given)
    return built


def build_one(text: str, table: Table, nested: Table | None = None, **given) -> Any:
    """As `build`, for a text that is exactly one call."""
    built = build(text, table, nested, **given)
    if len(built) != 1:
        names = ", ".join(sorted(table))
        shown = short_repr(text)
        raise UsageError(f"wants one of: {names}; {shown} names {len(built)}")
    return next(iter(built.values()))


def unknown(name: str, names: Any, what: str = "name") -> UsageError:
    """The error for a name that is not in a table: the nearest, and what there is.

    >>> str(unknown("hing", ["hinge", "minimax"], "loss"))
    "no loss 'hing': did you mean 'hinge'? There is: hinge, minimax"
    """
    near = difflib.get_close_matches(name, names, 1, cutoff=0.5)
    hint = f" did you mean {near[0]!r}?" if near else ""
    there_is = ", ".join(sorted(names))
    return UsageError(f"no {what} {short_repr(name)}:{hint} There is: {there_is}")


class _Refused(ValueError):
    """Python that a recipe does not use; the message says why."""


def _tree(text: str) -> ast.expr:
    if "#" in text:
        raise _Refused("there are no comments")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a warning of Python's parser is no recipe
        return ast.parse(text.strip(), mode="eval").body


def _parts(node: ast.expr) -> list[ast.expr]:
    """The operands of `a | b | c`, of which there may be more than calls can nest."""
    parts, todo = [], [node]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            todo += [node.right, node.left]
        else:
            parts.append(node)
    return parts


def _call(node: ast.expr, depth: int = 1) -> Call:
    if depth > DEEPEST:
        raise _Refused(f"more than {DEEPEST} calls are inside one another")
    if isinstance(node, ast.Name):
        return Call(node.id, (), {})
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise ValueError("not a call")
    kwargs = {}
    for keyword in node.keywords:
        if keyword.arg is None:
            raise ValueError("no ** here")
        if keyword.arg in kwargs:
            raise _Refused(f"{short_repr(keyword.arg)} is given twice")
        kwargs[keyword.arg] = _value(keyword.value, depth)
    args = tuple(_value(arg, depth) for arg in node.args)
    return Call(node.func.id, args, kwargs)


def _value(node: ast.expr, depth: int) -> Any:
    if isinstance(node, ast.Call | ast.Name):
        return _call(node, depth + 1)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return [_call(part, depth + 1) for part in _parts(node)]
    return ast.literal_eval(node)


def _make(call: Call, table: Table, nested: Table, given: dict[str, Any]) -> Any:
    if call.name not in table:
        raise unknown(call.name, table)
    factory = table[call.name]
    signature = inspect.signature(factory)
    given = {k: v for k, v in given.items() if k in signature.parameters}
    args = [_resolve(a, nested) for a in call.args]
    kwargs = {k: _resolve(v, nested) for k, v in call.kwargs.items()}
    try:
        check(signature, args, kwargs, given)
    except TypeError as error:
        shown = [
            name if p.default is p.empty else f"{name}={p.default!r}"
            for name, p in signature.parameters.items()
            if name not in given
        ]
        raise UsageError(f"{call.name}({', '.join(shown)}): {error}") from error
    return factory(*args, **kwargs, **given)


def _resolve(value: Any, nested: Table) -> Any:
    if isinstance(value, list) and value and isinstance(value[0], Call):
        return [_make(part, nested, nested, {}) for part in value]
    return _make(value, nested, nested, {}) if isinstance(value, Call) else value


def _label(call: Call, table: Table) -> str:
    """The name of what a wrapper wraps, of the call itself if it wraps nothing."""
    inner = [a for a in (*call.args, *call.kwargs.values()) if isinstance(a, Call)]
    named = [part for part in inner if part.name in table]
    return _label(named[0], table) if named else call.name

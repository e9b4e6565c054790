"""Recipes as text: `r1(10)|gradient_penalty(weight=linear(1, 10, 5000))`."""

import ast
import difflib
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jaxgan.errors import UsageError

Table = Mapping[str, Callable[..., Any]]


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
    if not text.strip():
        return []
    try:
        return [_call(node) for node in _parts(ast.parse(text, mode="eval").body)]
    except (SyntaxError, ValueError) as error:
        raise UsageError(
            f"cannot read {text!r}: write calls joined by |, such as 'r1(10)|r2(10)'"
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
            raise UsageError(f"{name!r} comes twice in {text!r}: say it once")
        built[name] = _make(call, table, nested or {}, given)
    return built


def build_one(text: str, table: Table, nested: Table | None = None, **given) -> Any:
    """As `build`, for a text that is exactly one call."""
    built = build(text, table, nested, **given)
    if len(built) != 1:
        names = ", ".join(sorted(table))
        raise UsageError(f"wants one of: {names}; {text!r} names {len(built)}")
    return next(iter(built.values()))


def unknown(name: str, names: Any, what: str = "name") -> UsageError:
    """The error for a name that is not in a table: the nearest, and what there is.

    >>> str(unknown("hing", ["hinge", "minimax"], "loss"))
    "no loss 'hing': did you mean 'hinge'? There is: hinge, minimax"
    """
    near = difflib.get_close_matches(name, names, 1, cutoff=0.5)
    hint = f" did you mean {near[0]!r}?" if near else ""
    return UsageError(f"no {what} {name!r}:{hint} There is: {', '.join(sorted(names))}")


def _parts(node: ast.expr) -> list[ast.expr]:
    """The operands of `a | b | c`."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return [*_parts(node.left), *_parts(node.right)]
    return [node]


def _call(node: ast.expr) -> Call:
    if isinstance(node, ast.Name):
        return Call(node.id, (), {})
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise ValueError("not a call")
    if any(k.arg is None for k in node.keywords):
        raise ValueError("no ** here")
    kwargs = {str(k.arg): _value(k.value) for k in node.keywords}
    return Call(node.func.id, tuple(map(_value, node.args)), kwargs)


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call | ast.Name):
        return _call(node)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return [_call(part) for part in _parts(node)]
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
        bound = signature.bind(*args, **kwargs, **given)
        said = {k: v for k, v in bound.arguments.items() if k not in given}
        _check_kinds(signature, said)
    except TypeError as error:
        shown = [
            name if p.default is p.empty else f"{name}={p.default!r}"
            for name, p in signature.parameters.items()
            if name not in given
        ]
        raise UsageError(f"{call.name}({', '.join(shown)}): {error}") from error
    return factory(*args, **kwargs, **given)


def _check_kinds(signature: inspect.Signature, arguments: Mapping[str, Any]) -> None:
    """Numbers where numbers stand, and text where text does; raises TypeError."""
    for name, value in arguments.items():
        wanted = signature.parameters[name].annotation
        if not _fits(value, wanted):
            kind = getattr(wanted, "__name__", None) or "a number or a schedule"
            shown = f"a {type(value).__name__}" if _is_built(value) else repr(value)
            raise TypeError(f"{name} is {kind}, not {shown}")


def _fits(value: Any, wanted: Any) -> bool:
    """Whether a value is of an annotation, as far as annotations tell."""
    if wanted is inspect.Parameter.empty:
        return not isinstance(value, str)
    kinds = typing.get_args(wanted) if _is_union(wanted) else (wanted,)
    return any(_is_a(value, kind) for kind in kinds)


def _is_a(value: Any, kind: Any) -> bool:
    if kind is float:
        return isinstance(value, int | float)
    if inspect.isclass(kind) and not typing.get_origin(kind):
        return isinstance(value, kind)
    if typing.get_origin(kind) is Callable:
        return callable(value)
    return not (isinstance(value, str) or _is_built(value))


def _is_union(wanted: Any) -> bool:
    return typing.get_origin(wanted) in (typing.Union, types.UnionType)


def _is_built(value: Any) -> bool:
    """Whether it came out of a factory, such as a term."""
    return isinstance(value, tuple) and hasattr(value, "_fields")


def _resolve(value: Any, nested: Table) -> Any:
    if isinstance(value, list) and value and isinstance(value[0], Call):
        return [_make(part, nested, nested, {}) for part in value]
    return _make(value, nested, nested, {}) if isinstance(value, Call) else value


def _label(call: Call, table: Table) -> str:
    """The name of what a wrapper wraps, of the call itself if it wraps nothing."""
    inner = [a for a in (*call.args, *call.kwargs.values()) if isinstance(a, Call)]
    named = [part for part in inner if part.name in table]
    return _label(named[0], table) if named else call.name

"""Recipes as text: `r1(10)|gradient_penalty(weight=linear(1, 10, 5000))`."""

import ast
import difflib
import inspect
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

    Args:
      text: a recipe, such as `r1(10)|r2(10)`.
      table: factories by name.
      nested: factories that may stand as arguments, such as schedules.
      **given: keywords that every factory takes beside those in the text.

    Raises:
      UsageError: for an unknown name, wrong arguments, or a name that comes twice.

    >>> build("rate(2)", {"rate": lambda x, scale: x * scale}, scale=10)
    {'rate': 20}
    """
    built = {}
    for call in parse(text):
        if call.name in built:
            raise UsageError(f"{call.name!r} comes twice in {text!r}: say it once")
        built[call.name] = _make(call, table, nested or {}, given)
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
    args = [_resolve(a, nested) for a in call.args]
    kwargs = {k: _resolve(v, nested) for k, v in call.kwargs.items()}
    signature = inspect.signature(factory)
    try:
        bound = signature.bind(*args, **kwargs, **given)
        said = {k: v for k, v in bound.arguments.items() if k not in given}
        _check_kinds(signature, said)
    except TypeError as error:
        shown = [str(p) for p in signature.parameters.values() if p.name not in given]
        raise UsageError(f"{call.name}({', '.join(shown)}): {error}") from error
    return factory(*args, **kwargs, **given)


def _check_kinds(signature: inspect.Signature, arguments: Mapping[str, Any]) -> None:
    """Numbers where numbers stand, and text where text does; raises TypeError."""
    kinds = {int: int, float: (int, float), str: str}
    for name, value in arguments.items():
        wanted = signature.parameters[name].annotation
        wrong = isinstance(value, str) and wanted is not str
        if wrong or (wanted in kinds and not isinstance(value, kinds[wanted])):
            kind = getattr(wanted, "__name__", "a number")
            raise TypeError(f"{name} is {kind}, not {value!r}")


def _resolve(value: Any, nested: Table) -> Any:
    return _make(value, nested, nested, {}) if isinstance(value, Call) else value

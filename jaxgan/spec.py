"""Parsing of recipes: `r1(10)|gradient_penalty(weight=linear(1, 10, 5000))`."""

import ast
import difflib
import inspect
import typing
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jaxgan.arguments import check
from jaxgan.errors import UsageError, short_repr

Table = Mapping[str, Callable[..., Any]]
"""Factories by name."""

LONGEST = 4_000
"""Maximum number of characters; Python's parser may crash on much longer recipes."""

DEEPEST = 5
"""Maximum depth of nested calls: `every(16, consistency(by=noise(0.1)))` has three.

On a CPU each `every` traces its term twice, so the cost is exponential in the depth.
"""


class Call(NamedTuple):
    """A name with its arguments, before the call."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def parse(text: str) -> list[Call]:
    """Splits a recipe into calls; arguments are Python literals or calls.

    Raises:
      UsageError: if the text is no recipe, or too long.

    >>> parse("r1(10)|l1(weight=100)|noise")  # doctest: +NORMALIZE_WHITESPACE
    [Call(name='r1', args=(10,), kwargs={}),
     Call(name='l1', args=(), kwargs={'weight': 100}),
     Call(name='noise', args=(), kwargs={})]
    """
    if len(text) > LONGEST:
        raise UsageError(
            f"cannot read {short_repr(text)}: it has {len(text)} characters, and the "
            f"limit is {LONGEST}"
        )
    if not text.strip():
        return []
    try:
        return [_call(node) for node in _operands(_syntax_tree(text))]
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        # Python's own messages speak of its grammar, not of recipes.
        reason = f": {error}" if isinstance(error, _NotARecipe) else ""
        raise UsageError(
            f"cannot read {short_repr(text)}{reason}: write calls joined by |, such as "
            "'r1(10)|r2(10)'"
        ) from error


def build(text: str, table: Table, nested: Table | None = None, **given: Any) -> dict:
    """Calls the factory of every name in a recipe, and returns the results by name.

    A wrapper takes the name of what it wraps: `every(16, r1(10))` is `r1`.

    Args:
      text: a recipe, such as `r1(10)|r2(10)`.
      table: factories by name.
      nested: factories that may be called in arguments, such as schedules.
      **given: keyword arguments for every factory that has such a parameter, added to
        those in the text.

    Raises:
      UsageError: for an unknown name, wrong arguments, or a name that appears twice.

    >>> build("rate(2)", {"rate": lambda x, scale: x * scale}, scale=10)
    {'rate': 20}
    """
    built = {}
    for call in parse(text):
        name = _label(call, table)
        if name in built:
            raise UsageError(
                f"{short_repr(name)} appears twice in {short_repr(text)}: use it once"
            )
        built[name] = _make(call, table, nested or {}, given)
    return built


def build_list(
    text: str, table: Table, nested: Table | None = None, **given: Any
) -> list[Any]:
    """Calls the factories of a recipe, and returns the results in their order.

    Unlike in `build`, a name may appear several times: `fd(classifier)|fd(random)`.

    Args:
      text: a recipe.
      table: factories by name.
      nested: factories that may be called in arguments.
      **given: keyword arguments, as in `build`.

    Raises:
      UsageError: for an unknown name or wrong arguments.

    >>> build_list("rate(2)|rate(3)", {"rate": lambda x: 10 * x})
    [20, 30]
    """
    return [_make(call, table, nested or {}, given) for call in parse(text)]


def build_one(text: str, table: Table, nested: Table | None = None, **given) -> Any:
    """Builds a recipe of exactly one call, and returns its result.

    Args:
      text: a recipe, such as `r1(10)`.
      table: factories by name.
      nested: factories that may be called in arguments.
      **given: keyword arguments, as in `build`.

    Raises:
      UsageError: as in `build`, and if there is not exactly one call.
    """
    built = build(text, table, nested, **given)
    if len(built) != 1:
        names = ", ".join(sorted(table))
        shown = short_repr(text)
        raise UsageError(f"choose one of {names}; {shown} names {len(built)}")
    return next(iter(built.values()))


def unknown(name: str, names: Any, what: str = "name") -> UsageError:
    """Returns the error for a name that is not in a table.

    The message has the most similar name, if there is one, and all names.

    >>> str(unknown("hing", ["hinge", "minimax"], "loss"))
    "no loss 'hing': did you mean 'hinge'? Choose from hinge, minimax"
    """
    near = difflib.get_close_matches(name, names, 1, cutoff=0.5)
    choose = f"did you mean {near[0]!r}? Choose from" if near else "choose from"
    names = ", ".join(sorted(names))
    return UsageError(f"no {what} {short_repr(name)}: {choose} {names}")


class _NotARecipe(ValueError):
    """Raised for Python that is not allowed in a recipe; the message has the reason."""


def _syntax_tree(text: str) -> ast.expr:
    """Returns Python's syntax tree of a recipe."""
    # Python would drop a comment, and with it the rest of the recipe.
    if "#" in text:
        raise _NotARecipe("comments are not allowed")
    with warnings.catch_warnings():
        # Text that makes Python's parser warn is no recipe.
        warnings.simplefilter("error")
        # A leading space would be an indentation error.
        return ast.parse(text.strip(), mode="eval").body


def _operands(node: ast.expr) -> list[ast.expr]:
    """Returns the operands of `a | b | c`.

    A stack instead of recursion, as there may be more operands than Python's recursion
    limit.
    """
    operands, stack = [], [node]
    while stack:
        node = stack.pop()
        # `a | b | c` is `(a | b) | c`; the left operand is popped next.
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            stack += [node.right, node.left]
        else:
            operands.append(node)
    return operands


def _call(node: ast.expr, depth: int = 1) -> Call:
    """Converts a name or a call of the syntax tree."""
    if depth > DEEPEST:
        raise _NotARecipe(f"calls are nested more than {DEEPEST} deep")
    # A name is a call without arguments.
    if isinstance(node, ast.Name):
        return Call(node.id, (), {})
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise ValueError("not a call")
    kwargs = {}
    for keyword in node.keywords:
        # `**kwargs` has no name.
        if keyword.arg is None:
            raise ValueError("** is not allowed")
        # `ast.parse` accepts this; only the compiler rejects it.
        if keyword.arg in kwargs:
            raise _NotARecipe(f"{short_repr(keyword.arg)} is given twice")
        kwargs[keyword.arg] = _value(keyword.value, depth)
    args = tuple(_value(arg, depth) for arg in node.args)
    return Call(node.func.id, args, kwargs)


def _value(node: ast.expr, depth: int) -> Any:
    """Converts an argument: a call, a list of calls, or a literal."""
    if isinstance(node, ast.Call | ast.Name):
        # A call in an argument is one level deeper.
        return _call(node, depth + 1)
    # Calls joined by |, such as `by=flip|noise(0.1)`.
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return [_call(operand, depth + 1) for operand in _operands(node)]
    return ast.literal_eval(node)


def _make(call: Call, table: Table, nested: Table, given: dict[str, Any]) -> Any:
    """Calls a factory; its arguments are built first."""
    if call.name not in table:
        raise unknown(call.name, table)
    factory = table[call.name]
    signature = inspect.signature(factory)
    # The caller's arguments, as far as the factory has parameters for them.
    given = {k: v for k, v in given.items() if k in signature.parameters}
    _check_quotes(call, signature, nested)
    # Calls in arguments have their own table.
    args = [_resolve(a, nested) for a in call.args]
    kwargs = {k: _resolve(v, nested) for k, v in call.kwargs.items()}
    try:
        check(signature, args, kwargs, given)
    except TypeError as error:
        # The message shows the parameters that a recipe can set.
        shown = [
            name if p.default is p.empty else f"{name}={p.default!r}"
            for name, p in signature.parameters.items()
            if name not in given
        ]
        # Metrics of features are the only factories with this parameter.
        lacks = str(error) == "missing a required argument: 'extractor'"
        example = f"; write {call.name}(classifier)" if lacks else ""
        text = f"{call.name}({', '.join(shown)}): {error}{example}"
        raise UsageError(text) from error
    return factory(*args, **kwargs, **given)


def _check_quotes(call: Call, signature: inspect.Signature, nested: Table) -> None:
    """Raises UsageError for a name as an argument that is a text, or takes no names."""
    named = [*zip(signature.parameters, call.args, strict=False), *call.kwargs.items()]
    for name, value in named:
        if not isinstance(value, Call) or value.name in nested:
            continue
        parameter = signature.parameters.get(name)
        kind = parameter and parameter.annotation
        if kind is str or str in typing.get_args(kind):
            inside = [*map(repr, value.args)]
            inside += [f"{k}={v!r}" for k, v in value.kwargs.items()]
            text = value.name + f"({', '.join(inside)})" * bool(inside)
            raise UsageError(
                f"{call.name}: {name} is a text: write it in quotes, as in "
                f"{call.name}({name}={short_repr(text)})"
            )
        if not nested:
            raise UsageError(
                f"{call.name} takes no names, such as {short_repr(value.name)}, as "
                "arguments: use a number"
            )


def _resolve(value: Any, nested: Table) -> Any:
    """Builds an argument that is a call or a list of calls."""
    if isinstance(value, list) and value and isinstance(value[0], Call):
        return [_make(part, nested, nested, {}) for part in value]
    return _make(value, nested, nested, {}) if isinstance(value, Call) else value


def _label(call: Call, table: Table) -> str:
    """Returns the name of the innermost call of a wrapper, or of the call itself."""
    calls = [a for a in (*call.args, *call.kwargs.values()) if isinstance(a, Call)]
    # Calls that are not in the table are plain arguments, such as schedules.
    wrapped = [inner for inner in calls if inner.name in table]
    return _label(wrapped[0], table) if wrapped else call.name

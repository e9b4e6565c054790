"""Checks of arguments against the annotations of a factory: kinds and ranges."""

import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxgan.errors import short_repr
from jaxgan.ranges import Range, range_of


def check(
    signature: inspect.Signature,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    given: Mapping[str, Any],
) -> None:
    """Checks the arguments of a call against the annotations of a factory.

    Args:
      signature: of the factory.
      args: by position.
      kwargs: by name.
      given: by name, from elsewhere: not checked, and not to be passed again.

    Raises:
      TypeError: for too many or too few, an unknown name, or one of the wrong kind or
        outside its range.
    """
    for name in kwargs:
        if name in given or name not in signature.parameters:
            shown = short_repr(name)
            raise TypeError(f"got an unexpected keyword argument {shown}")
    for name, value in signature.bind(*args, **kwargs, **given).arguments.items():
        if name in given:
            continue
        parameter = signature.parameters[name]
        kind, within = range_of(parameter.annotation)
        if not _fits(value, kind):
            raise TypeError(f"{name} is {_kind_name(kind)}, not {_shown(value)}")
        if within and not within.holds(value):
            raise TypeError(out_of_range(name, value, within, parameter.default))


def out_of_range(name: str, value: Any, within: Range, usual: Any = None) -> str:
    """The message for a number outside its range.

    >>> out_of_range("gamma", -1, Range(0), 10.0)
    'gamma is at least 0, not -1: take 10.0'
    """
    if not isinstance(usual, int | float | tuple):
        usual = within.example
    take = "" if usual is None else f": take {usual}"
    return f"{name} is {within}, not {_shown(value)}{take}"


def _shown(value: Any) -> str:
    """An argument as errors name it."""
    if _is_built(value):
        return f"a {type(value).__name__}"
    ends = getattr(value, "ends", None)
    if ends is not None:
        return f"a schedule from {ends[0]} to {ends[1]}"
    return "a function" if callable(value) else short_repr(value)


def _kind_name(kind: Any) -> str:
    if inspect.isclass(kind) and not typing.get_origin(kind):
        return kind.__name__
    if typing.get_origin(kind) is Sequence:
        return f"several {_kind_name(typing.get_args(kind)[0])}, such as (64, 32)"
    numbers = float in typing.get_args(kind)
    return "a number or a schedule" if numbers else "a call, or calls joined by |"


def _fits(value: Any, wanted: Any) -> bool:
    """Returns whether a value is of an annotation, as far as annotations tell."""
    if wanted is inspect.Parameter.empty:
        return not isinstance(value, str)
    kinds = typing.get_args(wanted) if _is_union(wanted) else (wanted,)
    return any(_is_a(value, kind) for kind in kinds)


def _is_a(value: Any, kind: Any) -> bool:
    if isinstance(value, bool):
        return kind is bool
    if kind is float:
        return isinstance(value, int | float)
    if inspect.isclass(kind) and not typing.get_origin(kind):
        return isinstance(value, kind)
    if typing.get_origin(kind) is Callable:
        return callable(value) and _takes(value, typing.get_args(kind)[0])
    if typing.get_origin(kind) is Sequence:
        each = typing.get_args(kind)[0]
        many = isinstance(value, list | tuple) and not _is_built(value)
        return many and all(_fits(x, each) for x in value)
    return not (isinstance(value, str) or _is_built(value))


def _takes(function: Callable, kinds: Any) -> bool:
    """Returns whether a function can be called with as many arguments as `kinds`.

    A schedule takes the step, an augmentation a key, an image and a probability.
    """
    if kinds is ...:
        return True
    try:
        inspect.signature(function).bind(*kinds)
    except TypeError:
        return False
    except ValueError:  # some builtins have no signature
        return True
    return True


def _is_union(wanted: Any) -> bool:
    return typing.get_origin(wanted) in (typing.Union, types.UnionType)


def _is_built(value: Any) -> bool:
    """Returns whether it came out of a factory, such as a term."""
    return isinstance(value, tuple) and hasattr(value, "_fields")

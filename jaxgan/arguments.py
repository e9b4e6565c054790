"""Checks of arguments against the annotations of a factory: types and ranges."""

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
      signature: signature of the factory.
      args: positional arguments.
      kwargs: keyword arguments.
      given: keyword arguments that the caller adds. They are not checked, and `kwargs`
        must not repeat them.

    Raises:
      TypeError: for too many or too few arguments, an unknown name, or an argument of
        the wrong type or outside its range.
    """
    # Unknown and repeated names first, as the messages of `bind` are less clear.
    for name in kwargs:
        if name in given or name not in signature.parameters:
            shown = short_repr(name)
            raise TypeError(f"got an unexpected keyword argument {shown}")
    # `bind` raises TypeError for too many or too few arguments.
    for name, value in signature.bind(*args, **kwargs, **given).arguments.items():
        if name in given:
            continue
        parameter = signature.parameters[name]
        kind, within = range_of(parameter.annotation)
        if not _fits(value, kind):
            raise TypeError(
                f"{name} must be {_kind_name(kind)}, not {_describe(value)}"
            )
        if within and not within.holds(value):
            raise TypeError(out_of_range(name, value, within, parameter.default))


def out_of_range(name: str, value: Any, within: Range, usual: Any = None) -> str:
    """Returns the message for a number outside its range.

    >>> out_of_range("gamma", -1, Range(0), 10.0)
    'gamma must be at least 0, not -1: use 10.0'
    """
    # A default may also be None, text, or missing.
    if not isinstance(usual, int | float | tuple):
        usual = within.example
    use = "" if usual is None else f": use {usual}"
    return f"{name} must be {within}, not {_describe(value)}{use}"


def _describe(value: Any) -> str:
    """Returns an argument as errors show it."""
    if _is_namedtuple(value):
        return f"a {type(value).__name__}"
    # Schedules are functions too, so they come first.
    ends = getattr(value, "ends", None)
    if ends is not None:
        return f"a schedule from {ends[0]} to {ends[1]}"
    return "a function" if callable(value) else short_repr(value)


def _kind_name(kind: Any) -> str:
    """Returns a type as errors name it."""
    if inspect.isclass(kind) and not typing.get_origin(kind):
        return kind.__name__
    if typing.get_origin(kind) is Sequence:
        entry = _kind_name(typing.get_args(kind)[0])
        return f"a sequence of {entry}, such as (64, 32)"
    has_numbers = float in typing.get_args(kind)
    return "a number or a schedule" if has_numbers else "a call, or calls joined by |"


def _fits(value: Any, annotation: Any) -> bool:
    """Returns True if a value has an annotated type, as far as it can be checked."""
    # Text needs an annotation that allows it.
    if annotation is inspect.Parameter.empty:
        return not isinstance(value, str)
    kinds = typing.get_args(annotation) if _is_union(annotation) else (annotation,)
    return any(_is_a(value, kind) for kind in kinds)


def _is_a(value: Any, kind: Any) -> bool:
    """Returns True if a value has a type that is not a union."""
    # bool is a subclass of int, but True is no number here.
    if isinstance(value, bool):
        return kind is bool
    # An integer is accepted where a float is expected.
    if kind is float:
        return isinstance(value, int | float)
    if inspect.isclass(kind) and not typing.get_origin(kind):
        return isinstance(value, kind)
    if typing.get_origin(kind) is Callable:
        return callable(value) and _accepts(value, typing.get_args(kind)[0])
    if typing.get_origin(kind) is Sequence:
        entry = typing.get_args(kind)[0]
        # A term is a tuple too, but no sequence of arguments.
        is_sequence = isinstance(value, list | tuple) and not _is_namedtuple(value)
        return is_sequence and all(_fits(x, entry) for x in value)
    # Any other annotation is not checked further.
    return not (isinstance(value, str) or _is_namedtuple(value))


def _accepts(function: Callable, kinds: Any) -> bool:
    """Returns True if a function can be called with as many arguments as `kinds`.

    The number distinguishes a schedule, which is a function of the step, from an
    augmentation, which is a function of a key, an image and a probability.
    """
    if kinds is ...:
        return True
    try:
        # Only the number of arguments counts here, not their types.
        inspect.signature(function).bind(*kinds)
    except TypeError:
        return False
    except ValueError:  # some builtins have no signature
        return True
    return True


def _is_union(annotation: Any) -> bool:
    """Returns True for `X | Y` and `Union[X, Y]`."""
    return typing.get_origin(annotation) in (typing.Union, types.UnionType)


def _is_namedtuple(value: Any) -> bool:
    """Returns True for a value that a factory returned, such as a term."""
    return isinstance(value, tuple) and hasattr(value, "_fields")

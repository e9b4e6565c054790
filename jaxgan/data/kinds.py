"""The kinds of fields: their dtypes, their axes, and the values that networks see."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxgan.errors import UsageError
from jaxgan.types import ExampleSpec, Field


def scale_integers(x: Any) -> Any:
    """Scales uint8, uint16 and int16 to float32 in [-1, 1]; floats are unchanged.

    uint8 becomes `(x - 127.5) / 127.5` and uint16 `(x - 32767.5) / 32767.5`, which
    reaches both ends exactly. int16 becomes `x / 32768`.
    """
    if str(x.dtype) == "int16":
        return x.astype(np.float32) / 32768
    # Half of the largest value of each unsigned dtype.
    half = {"uint8": 127.5, "uint16": 32767.5}.get(str(x.dtype))
    # 0 becomes -1, and the largest value, 2 * half, becomes 1.
    return x if half is None else (x.astype(np.float32) - half) / half


def scale_masks(x: Any) -> Any:
    """Scales uint8 from 0 to 255, and booleans, to float32 in [0, 1]."""
    if str(x.dtype) == "uint8":
        return x.astype(np.float32) / 255
    return x.astype(np.float32)


def as_8_bit(images: np.ndarray) -> np.ndarray:
    """Returns images as uint8, the inverse of `scale_integers` for uint8.

    Args:
      images: integers over the range of their dtype, or floats in [-1, 1], of which
        others are clipped and NaN becomes 0.

    >>> as_8_bit(np.array([-1.0, 0.0, 1.0, 1.5, np.nan])).tolist()
    [0, 128, 255, 255, 0]
    """
    if images.dtype == np.uint8:
        return images
    if np.issubdtype(images.dtype, np.integer):
        return np.round(images * (255 / np.iinfo(images.dtype).max)).astype(np.uint8)
    values = np.nan_to_num(images.astype(np.float32), nan=-1.0)
    return np.round((values.clip(-1, 1) + 1) * 127.5).astype(np.uint8)


class Kind(NamedTuple):
    """The axes, dtypes and normalization of a kind of fields."""

    axes: tuple[str, ...]
    """Axes of one example."""
    dtypes: tuple[str, ...]
    """Dtypes of raw data."""
    normalize: Callable[[Any], Any]
    """Raw data to the values that networks see; may run inside `jit`."""

    @property
    def is_integer(self) -> bool:
        """True if networks see int32, False if they see floats."""
        return self.dtypes == ("int32",)


def _unchanged(x: Any) -> Any:
    return x


KINDS: dict[str, Kind] = {
    "image": Kind(("H", "W", "C"), ("uint8", "uint16", "float32"), scale_integers),
    "mask": Kind(("H", "W", "C"), ("bool", "uint8", "float32"), scale_masks),
    "vector": Kind(("d",), ("float32", "uint8", "uint16"), scale_integers),
    "waveform": Kind(("T", "C"), ("int16", "float32"), scale_integers),
    "label": Kind((), ("int32",), _unchanged),
    "attributes": Kind(
        ("A",), ("bool", "uint8", "float32"), lambda x: x.astype(np.float32)
    ),
    "tokens": Kind(("T",), ("int32",), _unchanged),
}
"""Kinds of fields by name.

Networks see images and waveforms in [-1, 1], masks in [0, 1], attributes as 0.0 and
1.0, and vectors, labels and tokens unchanged.
"""


def check_fields(name: str, spec: ExampleSpec, arrays: Mapping[str, Any]) -> None:
    """Checks that arrays of examples are as their fields promise.

    Args:
      name: the name of the data set, for messages.
      spec: the fields.
      arrays: `[n, *shape]` for each field.

    Raises:
      UsageError: for missing or superfluous fields, an unknown kind, a dtype or axes
        that the kind does not have, arrays of other shapes, dtypes or lengths, or
        labels and tokens that have no name.
    """
    if set(spec) != set(arrays):
        raise UsageError(
            f"{name}: the fields are {', '.join(spec)}, but the arrays are "
            f"{', '.join(arrays)}: give each field its array"
        )
    count = len(arrays[spec.generated])
    for field, facts in spec.items():
        _check_field(f"{name}: {field}", facts)
        array = arrays[field]
        if (array.shape[1:], array.dtype) != (facts.shape, facts.dtype):
            raise UsageError(
                f"{name}: {field} is promised as {list(facts.shape)} {facts.dtype}, "
                f"but is {list(array.shape[1:])} {array.dtype}"
            )
        if len(array) != count:
            raise UsageError(
                f"{name}: {field} has {len(array)} examples and {spec.generated} has "
                f"{count}: use equally many"
            )
        if KINDS[facts.kind].is_integer and count:
            _check_numbers(f"{name}: {field}", array, len(facts.names))


def _check_numbers(where: str, array: np.ndarray, count: int) -> None:
    """Raises UsageError unless labels or tokens are numbers of names."""
    low, high = array.min(), array.max()
    if low < 0 or high >= count:
        raise UsageError(
            f"{where} has values from {low} to {high}, and {count} names: use values "
            f"from 0 to {count - 1}"
        )


def _check_field(where: str, facts: Field) -> None:
    """Raises UsageError unless a field is as its kind requires."""
    if facts.kind not in KINDS:
        raise UsageError(
            f"{where} has the kind {facts.kind!r}: choose from {', '.join(KINDS)}"
        )
    kind = KINDS[facts.kind]
    if len(facts.shape) != len(kind.axes):
        axes = ", ".join(kind.axes)
        raise UsageError(
            f"{where} has the shape {list(facts.shape)}, and a field of kind "
            f"{facts.kind} has the axes [{axes}]"
        )
    if str(facts.dtype) not in kind.dtypes:
        raise UsageError(
            f"{where} is {facts.dtype}, and a field of kind {facts.kind} is "
            f"{' or '.join(kind.dtypes)}"
        )


def normalize(batch: dict[str, Any], spec: ExampleSpec | None = None) -> dict[str, Any]:
    """Converts raw examples to the values that networks see; may run inside `jit`.

    Args:
      batch: arrays by field, raw or normalized already.
      spec: the fields. Without it, `image` holds images, and other fields stay.

    Returns:
      The same fields: uint8, uint16 and int16 scaled to float32 in [-1, 1], masks to
      [0, 1], see `KINDS`. Fields that are not in `spec` are unchanged.
    """
    kinds = {"image": "image"} if spec is None else {k: f.kind for k, f in spec.items()}
    return {
        name: KINDS[kinds[name]].normalize(x) if name in kinds else x
        for name, x in batch.items()
    }

"""A feature of a TFDS set that is a dictionary of attributes, as that of `celeb_a`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgan.types import Field

USUAL = "attributes"
"""The name of the feature that is chosen if several could be meant."""
MOST_CLASSES = 64
"""Largest number of classes of an entry."""


class Part(NamedTuple):
    """An entry of the dictionary."""

    key: str
    classes: tuple[str, ...] = ()
    """Names of its classes; () if it is a boolean."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its attributes: one per class, or its own."""
        return tuple(f"{self.key}={x}" for x in self.classes) or (self.key,)


class Attributes(NamedTuple):
    """The feature, and its entries by name."""

    key: str
    parts: tuple[Part, ...]

    @property
    def field(self) -> Field:
        """The attributes as a field of an example."""
        names = tuple(name for part in self.parts for name in part.names)
        return Field((len(names),), np.dtype(bool), "attributes", names)

    def read(self, examples: list[dict[str, Any]]) -> np.ndarray:
        """Returns the attributes of encoded examples, `[n, k]` bool."""
        columns = []
        for part in self.parts:
            values = np.array([example[self.key][part.key] for example in examples])
            # A class of -1, which stands for none, has no attribute.
            numbers = np.arange(len(part.classes)) if part.classes else True
            columns.append(values[:, None] == numbers)
        return np.concatenate(columns, 1)

    def reader(
        self, encoded: Callable[[Sequence[int]], list[dict[str, Any]]]
    ) -> Callable[[np.ndarray], np.ndarray]:
        """Returns a function from numbers `[n]` to attributes, with one that reads."""
        return lambda numbers: self.read(encoded(np.asarray(numbers).tolist()))


def find_attributes(features: Mapping[str, Any]) -> Attributes | None:
    """Returns the dictionary of booleans and class labels among features.

    None if there is none, or if there are several of which none is named `attributes`.

    Args:
      features: those of the data set, by name.
    """
    found = {key: parts for key, x in features.items() if (parts := _parts(x))}
    key = USUAL if USUAL in found else next(iter(found), "")
    if key != USUAL and len(found) != 1:
        return None
    return Attributes(key, found[key])


def _parts(feature: Any) -> tuple[Part, ...]:
    """Returns the entries of a feature, () unless it is a dictionary of attributes."""
    from tensorflow_datasets.core import features as kinds

    if not isinstance(feature, kinds.FeaturesDict):
        return ()
    parts = []
    for key, entry in sorted(feature.items()):  # TFDS's order varies
        if isinstance(entry, kinds.ClassLabel):
            if not 2 <= (entry.num_classes or 0) <= MOST_CLASSES:
                return ()
            parts.append(Part(key, tuple(entry.names)))
        elif isinstance(entry, kinds.Tensor) and _is_boolean(entry):
            parts.append(Part(key))
        else:
            return ()
    return tuple(parts)


def _is_boolean(feature: Any) -> bool:
    return tuple(feature.shape) == () and feature.np_dtype == np.bool_

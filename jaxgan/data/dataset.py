"""The `Dataset` type: numbered examples that are read on request."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

Examples = dict[str, np.ndarray]
"""Arrays by field: `image` `[n, *shape]`, and `label` `[n]` int32, if any."""


class Modes(NamedTuple):
    """The Gaussian mixture that a toy set is sampled from."""

    centers: np.ndarray
    """Means of the Gaussians, `[m, d]` float32."""
    sigma: float
    """Standard deviation of every Gaussian, in every direction."""


class Range(NamedTuple):
    """Consecutive examples of one file or other storage."""

    source: str
    """A file, or another name that is unique to its storage."""
    start: int
    """Number of the first example."""
    stop: int
    """Number of the last example, plus one."""


class Dataset(NamedTuple):
    """Numbered examples of one shape, and a function that reads them."""

    name: str
    """The name that the user gave: `mnist`, `folder:pictures`."""
    size: int
    """Number of examples."""
    shape: tuple[int, ...]
    """Shape of one example: `(H, W, C)`, or `(d,)` for vectors."""
    dtype: np.dtype
    """uint8 or uint16 (images), float32 (vectors, and images in [-1, 1])."""
    classes: tuple[str, ...]
    """Class names, indexed by label; `()` if the examples have no labels."""
    read: Callable[[np.ndarray], Examples]
    """Maps example numbers `[n]` to examples; safe to call from several threads."""
    origin: str
    """The source of the data, in one line."""
    arrays: Examples | None = None
    """All examples, if they are in memory."""
    cache: Path | None = None
    """Path prefix under which `read_all` caches the decoded set; None for no cache."""
    modes: Modes | None = None
    """The mixture of a toy set, for metrics that count modes."""
    ranges: tuple[Range, ...] = ()
    """Storage locations, by which splits are compared; `()` if they are unknown."""
    encoded: Callable[[np.ndarray], list[bytes]] | None = None
    """Maps example numbers to stored bytes, which no decoder's version changes."""

    @property
    def resident(self) -> bool:
        """True if the whole data set is in memory."""
        return self.arrays is not None

    @property
    def nbytes(self) -> int:
        """Bytes of all decoded images."""
        return self.size * int(np.prod(self.shape)) * self.dtype.itemsize


def from_arrays(
    name: str,
    arrays: Examples,
    *,
    classes: tuple[str, ...] = (),
    origin: str,
    modes: Modes | None = None,
) -> Dataset:
    """Returns the data set whose examples are the rows of `arrays`.

    Args:
      name: the name of the data set.
      arrays: `image` `[n, *shape]`, and `label` `[n]` int32 if there are classes.
      classes: class names, indexed by label.
      origin: the source of the data, in one line.
      modes: the mixture that a toy set was sampled from.
    """
    images = arrays["image"]
    return Dataset(
        name=name,
        size=len(images),
        shape=images.shape[1:],
        dtype=images.dtype,
        classes=classes,
        read=lambda numbers: {k: a[numbers] for k, a in arrays.items()},
        origin=origin,
        arrays=arrays,
        modes=modes,
    )


def normalize(batch: dict[str, Any]) -> dict[str, Any]:
    """Scales integer images to float32 in [-1, 1]; may run inside `jit`.

    uint8 becomes `(x - 127.5) / 127.5` and uint16 `(x - 32767.5) / 32767.5`, which
    reaches both ends exactly. Float images and labels are returned unchanged.
    """
    image = batch["image"]
    # Half of the largest value of each integer dtype.
    half = {"uint8": 127.5, "uint16": 32767.5}.get(str(image.dtype))
    # Floats are in [-1, 1] already.
    if half is None:
        return batch
    # 0 becomes -1, and the largest value, 2 * half, becomes 1.
    return {**batch, "image": (image.astype(np.float32) - half) / half}

"""What a data set is to the rest of the library: numbered examples, read on request."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

Examples = dict[str, np.ndarray]
"""By field: `image` `[n, *shape]`, and `label` `[n]` int32 if there are classes."""


class Modes(NamedTuple):
    """The Gaussians that a toy set is drawn from."""

    centers: np.ndarray
    """`[m, d]` float32."""
    sigma: float
    """Standard deviation of each, the same in every direction."""


class Range(NamedTuple):
    """Consecutive examples of a place where examples are stored."""

    source: str
    """A file, or another name that no two places share."""
    start: int
    stop: int


class Dataset(NamedTuple):
    """Numbered examples of one shape, and how to read them."""

    name: str
    """As the user wrote it: `mnist`, `folder:pictures`."""
    size: int
    shape: tuple[int, ...]
    """Of one example: `(H, W, C)`, or `(d,)` for vectors."""
    dtype: np.dtype
    """uint8 or uint16 (images), float32 (vectors, and images in [-1, 1])."""
    classes: tuple[str, ...]
    """Names of the labels, `()` where there are none."""
    read: Callable[[np.ndarray], Examples]
    """Example numbers `[n]` to their examples; safe to call from several threads."""
    origin: str
    """One line on where the data came from."""
    arrays: Examples | None = None
    """The whole set, where it is in memory anyway."""
    cache: Path | None = None
    """Where `read_all` may keep the decoded set, None for nowhere."""
    modes: Modes | None = None
    """What toys were drawn from, for metrics that count modes."""
    ranges: tuple[Range, ...] = ()
    """The places of the examples, `()` if unknown: splits are compared by them."""
    encoded: Callable[[np.ndarray], list[bytes]] | None = None
    """Example numbers to what is stored of them, which no decoder's version changes."""

    @property
    def resident(self) -> bool:
        """Whether reading is a look-up in memory."""
        return self.arrays is not None

    @property
    def nbytes(self) -> int:
        """What all images take in memory once decoded."""
        return self.size * int(np.prod(self.shape)) * self.dtype.itemsize


def from_arrays(
    name: str,
    arrays: Examples,
    *,
    classes: tuple[str, ...] = (),
    origin: str,
    modes: Modes | None = None,
) -> Dataset:
    """The data set whose examples are the rows of `arrays`, already in memory."""
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
    """Images as float32 in [-1, 1], as the networks want them; may run inside `jit`.

    uint8 becomes `(x - 127.5) / 127.5` and uint16 `(x - 32767.5) / 32767.5`, so that
    both ends are met exactly; floats are left as they are, and so are labels.
    """
    image = batch["image"]
    half = {"uint8": 127.5, "uint16": 32767.5}.get(str(image.dtype))
    if half is None:
        return batch
    return {**batch, "image": (image.astype(np.float32) - half) / half}

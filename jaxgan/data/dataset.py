"""The `Dataset` type: numbered examples that are read on request."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgan.data.kinds import check_fields
from jaxgan.data.picture_reader import PictureDecoder, Place
from jaxgan.types import ExampleSpec, image_example

Examples = dict[str, np.ndarray]
"""Arrays by field, such as `image` `[n, *shape]` and `label` `[n]` int32."""


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


class Decoding(NamedTuple):
    """The reading of examples with one image, in parts that processes can share.

    `read` is the same as `decoder(locate(numbers))` beside `others(numbers)`.
    """

    locate: Callable[[np.ndarray], list[Place]]
    """Maps numbers `[n]` to the places of encoded images; fast."""
    decoder: PictureDecoder
    """Maps places to images `[n, H, W, C]`; can be pickled."""
    others: Callable[[np.ndarray], Examples]
    """Maps numbers to all fields but `image`; fast."""


class Dataset(NamedTuple):
    """Numbered examples with the same fields, and a function that reads them."""

    name: str
    """The name that the user gave: `mnist`, `folder:pictures`."""
    size: int
    """Number of examples."""
    example: ExampleSpec
    """The fields of an example."""
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
    aligned: bool = True
    """False if the image fields of an example do not belong together."""
    domains: "tuple[Dataset, ...]" = ()
    """The sets that provide `image` and `source`, if examples combine them at will.

    Held-out examples are split off from each of them, so that no image is in both."""
    channel: "Callable[[str], Dataset] | None" = None
    """Loads a split of the set whose images are the channels of the images, as of
    stacked_mnist; None for other sets."""
    labels: Callable[[np.ndarray], np.ndarray] | None = None
    """Maps example numbers to labels without decoding images, if there are labels."""
    attributes: Callable[[np.ndarray], np.ndarray] | None = None
    """Maps example numbers to attributes `[n, k]` without decoding images, if there are
    some beside the images of a set on disk, which earlier versions did not read."""
    decoding: Decoding | None = None
    """The way in which other processes can decode the images; None if they cannot."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the first field: `(H, W, C)` of images, `(d,)` of vectors."""
        return self.example.shape

    @property
    def dtype(self) -> np.dtype:
        """The first field's: uint8 or uint16 (images), float32 (vectors, images)."""
        return self.example.dtype

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, indexed by label; `()` if the examples have no labels."""
        return self.example.classes

    @property
    def resident(self) -> bool:
        """True if the whole data set is in memory."""
        return self.arrays is not None

    @property
    def nbytes(self) -> int:
        """Bytes of all decoded examples, without their labels."""
        fields = [field for field in self.example.values() if field.shape]
        each = sum(math.prod(x.shape) * x.dtype.itemsize for x in fields)
        return self.size * each


def from_fields(
    name: str,
    arrays: Examples,
    *,
    example: ExampleSpec | None = None,
    classes: tuple[str, ...] = (),
    origin: str,
    modes: Modes | None = None,
) -> Dataset:
    """Returns the data set whose examples are the rows of `arrays`.

    Args:
      name: the name of the data set.
      arrays: `[n, *shape]` for each field, such as `image` and `label`.
      example: the fields. Without it, `image` holds images or vectors, and `label`
        `[n]` int32 is there if there are classes.
      classes: class names, indexed by label, if `example` is not given.
      origin: the source of the data, in one line.
      modes: the mixture that a toy set was sampled from.

    Raises:
      UsageError: if the arrays are not as `example` promises.

    >>> from jaxgan.types import Field
    >>> spec = ExampleSpec(a=Field((2,), np.dtype("float32"), "vector"))
    >>> from_fields("points", {"a": np.zeros((5, 2), "float32")}, example=spec,
    ...     origin="zeros").size
    5
    """
    if example is None:
        images = arrays["image"]
        example = image_example(images.shape[1:], images.dtype, classes)
    else:
        check_fields(name, example, arrays)
    return Dataset(
        name=name,
        size=len(arrays[example.generated]),
        example=example,
        read=lambda numbers: {k: a[numbers] for k, a in arrays.items()},
        origin=origin,
        arrays=arrays,
        modes=modes,
    )

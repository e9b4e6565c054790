"""The type of a feature extractor, and what all extractors share.

An extractor compiles one batch size. It pads the last batch, and splits batches over
the devices of this process.
"""

import hashlib
from collections.abc import Callable
from typing import Annotated, NamedTuple, Protocol

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxgan.errors import UsageError
from jaxgan.ranges import Range, ceil_div
from jaxgan.types import ExampleSpec, Tree

BATCH = 256
"""Images of a batch, unless the number of devices does not divide it."""

FLOAT32 = np.dtype(np.float32)

INSTEAD = {
    "tokens": "use fd(minilm)",
    "vector": "use fd(values)",
    "waveform": "use fd(mel), or fd(classifier) where there are labels",
}
"""Metrics of examples that are not images, as a remedy."""

Seed = Annotated[int, Range(0, 2**31 - 1)]
"""The seed of an extractor's weights."""


class Images(Protocol):
    """Images that are read by number: an array, or `StoredImages`."""

    def __len__(self) -> int:
        """Returns the number of images."""
        ...

    def __getitem__(self, index: np.ndarray, /) -> np.ndarray:
        """Returns `[k, H, W, C]` float32 in [-1, 1] for an index `[k]`."""
        ...


class StoredImages:
    """Images that are not in memory, but are read each time that they are indexed.

    Args:
      read: maps numbers `[k]` to images `[k, H, W, C]` float32 in [-1, 1], such as
        those of a data set, or arrays of bytes that it scales.
      numbers: the numbers of the images of this set, `[n]` int.

    >>> squares = StoredImages(
    ...     lambda numbers: np.square(numbers)[:, None, None, None], np.arange(3, 6)
    ... )
    >>> len(squares), squares[np.array([2, 0])].ravel().tolist()
    (3, [25, 9])
    """

    def __init__(
        self, read: Callable[[np.ndarray], np.ndarray], numbers: np.ndarray
    ) -> None:
        self._read, self._numbers = read, np.asarray(numbers)

    def __len__(self) -> int:
        """Returns the number of images."""
        return len(self._numbers)

    def __getitem__(self, index: np.ndarray, /) -> np.ndarray:
        """Reads images by their places in this set."""
        return self._read(self._numbers[index])


class Features(NamedTuple):
    """The features of images, and the probabilities of their classes."""

    features: np.ndarray
    """`[n, d]` float32."""
    probabilities: np.ndarray | None = None
    """`[n, k]` float32, those of k classes; None if there are none."""
    labels: np.ndarray | None = None
    """`[n]` int32, the class that each image has or was generated for.

    None unless the data have labels and the generator was conditional on them.
    """
    images: Images | None = None
    """`[n, H, W, C]` float32 in [-1, 1]; None unless a metric needs them."""
    attributes: np.ndarray | None = None
    """`[n, k]` bool, those that each image has or was generated for; None as labels."""


class Extractor(NamedTuple):
    """A fixed function of images, in whose feature space sets of images are compared.

    >>> mean = Extractor(
    ...     "mean", "0" * 16, {}, lambda images: Features(images.mean((1, 2)))
    ... )
    >>> mean.extract(np.ones((5, 8, 8, 3), np.float32)).features.shape
    (5, 3)
    """

    name: str
    """Such as `classifier`. Only Inception's distance is called FID."""
    digest: str
    """The first 16 hexadecimal digits of a sha256 over the weights."""
    protocol: dict[str, str | int | float]
    """Other facts to report with a value, such as the layer and the resizing."""
    extract: Callable[[np.ndarray], Features]
    """Maps images `[n, H, W, C]` float32 in [-1, 1] to features, for any n."""
    has_unit_length: bool = False
    """True if all features have length 1, which the kernel of `kid` then scales."""


def image_shape(example: ExampleSpec, name: str) -> tuple[int, int, int]:
    """Returns the `(H, W, C)` of the images that an extractor gets.

    Args:
      example: the fields of an example.
      name: of the extractor, for messages.

    Raises:
      UsageError: if the first field is not an image.
    """
    field = example[example.generated]
    if field.kind != "image" or len(field.shape) != 3:
        raise UsageError(
            f"{name} needs images [H, W, C], not {field.kind} of shape "
            f"{list(field.shape)}: {INSTEAD.get(field.kind, 'use a set of images')}"
        )
    return field.shape


def digest(weights: Tree) -> str:
    """Returns the first 16 hexadecimal digits of a sha256 over names and weights.

    >>> digest({"a": np.zeros(2)}) != digest({"b": np.zeros(2)})
    True
    """
    whole = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(weights):
        array = np.asarray(leaf)
        # The form is hashed too, as equal bytes may have several shapes.
        form = (jax.tree_util.keystr(path), array.shape, str(array.dtype))
        whole.update(repr(form).encode())
        whole.update(np.ascontiguousarray(array).tobytes())
    return whole.hexdigest()[:16]


def in_batches(
    forward: Callable[[Tree, jax.Array], tuple[jax.Array, jax.Array | None]],
    weights: Tree,
    shape: tuple[int, ...],
    *,
    batch: int = BATCH,
) -> Callable[[np.ndarray], Features]:
    """Returns a function that extracts features of any number of images.

    Batches are padded to one size and split over the local devices. Products are
    computed in float32 on all devices, so that values do not depend on the device.

    Args:
      forward: maps (weights, images `[B, H, W, C]` float32) to features `[B, d]` and
        probabilities `[B, k]` or None, example by example. It is compiled.
      weights: a pytree of arrays.
      shape: `(H, W, C)`.
      batch: number of images of a batch, rounded up to a multiple of the devices.

    Returns:
      (images `[n, H, W, C]` float32 in [-1, 1]) to features. Raises UsageError for
      images of another shape or dtype.
    """
    rows = rows_in_batches(forward, weights, shape, batch=batch)

    def extract(images: np.ndarray) -> Features:
        check_images(images, shape)
        return rows(images)

    return extract


def rows_in_batches(
    forward: Callable[[Tree, jax.Array], tuple[jax.Array, jax.Array | None]],
    weights: Tree,
    shape: tuple[int, ...],
    *,
    dtype: np.dtype = FLOAT32,
    batch: int = BATCH,
) -> Callable[[np.ndarray], Features]:
    """Returns the function of `in_batches` for rows of any kind, without checks.

    Args:
      forward: maps (weights, rows `[B, *shape]`) to features and probabilities.
      weights: a pytree of arrays.
      shape: of a row.
      dtype: of the rows.
      batch: number of rows of a batch, rounded up to a multiple of the devices.
    """
    mesh = Mesh(np.array(jax.local_devices()), ("batch",))
    size = ceil_div(batch, mesh.size) * mesh.size
    split = NamedSharding(mesh, PartitionSpec("batch"))
    weights = jax.device_put(weights, NamedSharding(mesh, PartitionSpec()))

    @jax.jit
    def compiled(weights, rows):
        # Accelerators would otherwise round the factors to bfloat16 or TF32.
        with jax.default_matmul_precision("highest"):
            return forward(weights, rows)

    def one_batch(part: np.ndarray) -> Features:
        padded = np.zeros((size, *shape), dtype)
        padded[: len(part)] = part
        out = Features(*compiled(weights, jax.device_put(padded, split)))
        return jax.tree.map(lambda x: np.asarray(x)[: len(part)], out)

    def extract(rows: np.ndarray) -> Features:
        # A set without rows has one empty batch, so that d and k are known.
        starts = range(0, max(len(rows), 1), size)
        parts = [one_batch(rows[i : i + size]) for i in starts]
        return jax.tree.map(lambda *x: np.concatenate(x), *parts)

    return extract


def check_features(found: Features, name: str, count: int) -> np.ndarray:
    """Returns the features that an extractor, maybe of a user, made of some images.

    Args:
      found: what it returned.
      name: of the extractor, for messages.
      count: number of images.

    Raises:
      UsageError: unless they are `Features` with one row for each image.
    """
    if not isinstance(found, Features):
        raise UsageError(
            f"{name} returned {type(found).__name__} in place of features: return "
            "jaxgan.metrics.features.Features(array)"
        )
    features = np.asarray(found.features)
    if features.ndim != 2 or len(features) != count:
        raise UsageError(
            f"{name} returned features {list(features.shape)} of {count} images: "
            "return one row for each image"
        )
    return features


def check_images(images: np.ndarray, shape: tuple[int, ...]) -> None:
    """Raises UsageError unless images are `[n, *shape]` of floats."""
    if images.shape[1:] != tuple(shape):
        raise UsageError(
            f"the images are {list(images.shape)}, and the features are those of "
            f"[n, {', '.join(map(str, shape))}]: resize them first"
        )
    if images.dtype.kind != "f":
        raise UsageError(
            f"the images are {images.dtype}: scale them to floats in [-1, 1]"
        )

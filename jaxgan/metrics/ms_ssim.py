"""Multi-scale structural similarity of images, and their diversity by it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.errors import UsageError
from jaxgan.metrics.arrays import as_float, subset

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the scales, from the finest, of the paper."""

WINDOW, SIGMA = 11, 1.5
"""Side of the Gaussian window and its standard deviation, in pixels."""

LUMINANCE, CONTRAST = 0.01**2, 0.03**2
"""Constants C1 and C2 for images in [0, 1]."""

BATCH = 64
"""Number of pairs that are compared at a time."""


class PairSimilarity(NamedTuple):
    """MS-SSIM over pairs of images of one set."""

    mean: float
    """Mean over pairs, in [0, 1]: 1 if all images are equal, less if they vary."""
    std: float
    """Standard deviation over pairs."""
    scales: int
    """Number of scales; five for images of at least 176 pixels."""


@jax.jit
def ms_ssim(a: jax.Array | np.ndarray, b: jax.Array | np.ndarray) -> jax.Array:
    """Returns the multi-scale structural similarity of image pairs, `[n]` float32.

    By Wang, Simoncelli and Bovik, "Multiscale structural similarity for image quality
    assessment" (2003), with their weights, a Gaussian window of 11 pixels and valid
    positions only. Scales are halved by means of 2x2 pixels; an odd last row or column
    is left out. Each channel has a value, and the result is their mean.

    Images have as many of five scales as the window fits into: two for 28 pixels, three
    for 64. The weights of these are scaled to a sum of 1. Images with a side below 11
    pixels have one scale and a window of that side, whose deviation shrinks with it.
    Values of different numbers of scales cannot be compared. Negative structures, as
    those of an image and its negative, count as 0.

    Args:
      a: `[n, H, W, C]` in [-1, 1].
      b: the same shape.
    """
    # The range is 1; black is -1/2 here, since variances are then more precise.
    a, b = (jnp.asarray(x, jnp.float32) / 2 for x in (a, b))
    count = scales_of(a.shape)
    weights = np.array(WEIGHTS[:count]) / sum(WEIGHTS[:count])
    result = jnp.ones((a.shape[0], a.shape[-1]))
    for i, weight in enumerate(weights):
        luminance, structure = similarities(a, b)
        # Luminance counts at the coarsest scale only.
        value = structure if i < count - 1 else luminance * structure
        means = jnp.maximum(jnp.mean(value, (1, 2)), 0)
        result = result * means**weight
        a, b = halved(a), halved(b)
    return jnp.mean(result, -1)


def scales_of(shape: tuple[int, ...]) -> int:
    """Returns the number of scales for images `[n, H, W, C]`, from 1 to 5.

    >>> [scales_of((1, side, 300, 3)) for side in (8, 21, 28, 64, 175, 176, 999)]
    [1, 1, 2, 3, 4, 5, 5]
    """
    side = min(shape[1:3])
    fitting = [i for i in range(len(WEIGHTS)) if side >> i >= WINDOW]
    return max(len(fitting), 1)


def similarities(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns luminance, and contrast times structure, of windows of two images.

    Args:
      a: `[n, H, W, C]` in [-1/2, 1/2].
      b: the same shape.

    Returns:
      Two arrays `[n, h, w, C]`, for the valid positions of the window.
    """
    side = min(WINDOW, *a.shape[1:3])
    # 2 cov(a, b) = var(a) + var(b) - var(a - b), and likewise for the luminance, so
    # that both are exactly 1 for equal images.
    moments = blurred(jnp.stack([a, b, a * a, b * b, (a - b) ** 2]), side)
    mean_a, mean_b, square_a, square_b, square_difference = moments
    shift = (mean_a - mean_b) ** 2
    variances = square_a - mean_a**2 + square_b - mean_b**2
    structure = 1 - (square_difference - shift) / (variances + CONTRAST)
    # Luminance is that of images in [0, 1].
    squares = (mean_a + 0.5) ** 2 + (mean_b + 0.5) ** 2
    return 1 - shift / (squares + LUMINANCE), structure


def blurred(images: jax.Array, side: int) -> jax.Array:
    """Returns Gaussian means of `[..., H, W, C]` at valid positions of the window."""
    x = np.arange(side) - (side - 1) / 2
    window = np.exp(-0.5 * (x / (SIGMA * side / WINDOW)) ** 2)
    window = window / window.sum()
    rows, columns = (band(window, size) for size in images.shape[-3:-1])
    # Without it, products have bfloat16 precision on a TPU.
    exact = jax.lax.Precision.HIGHEST
    images = jnp.einsum("yh,...hwc->...ywc", rows, images, precision=exact)
    return jnp.einsum("xw,...ywc->...yxc", columns, images, precision=exact)


def band(window: np.ndarray, size: int) -> np.ndarray:
    """Returns the matrix whose rows hold the window at each valid position.

    >>> band(np.array([1, 2]), 4).tolist()
    [[1.0, 2.0, 0.0, 0.0], [0.0, 1.0, 2.0, 0.0], [0.0, 0.0, 1.0, 2.0]]
    """
    rows = [np.roll(np.pad(window, (0, size - len(window))), i) for i in range(size)]
    return np.array(rows[: size - len(window) + 1], np.float32)


def halved(images: jax.Array) -> jax.Array:
    """Returns means of 2x2 pixels of `[n, H, W, C]`, `[n, H // 2, W // 2, C]`."""
    n, height, width, channels = images.shape
    even = images[:, : height // 2 * 2, : width // 2 * 2]
    return even.reshape(n, height // 2, 2, width // 2, 2, channels).mean((2, 4))


def pair_similarity(
    images: np.ndarray, *, pairs: int = 1000, seed: int = 0
) -> PairSimilarity:
    """Returns the mean MS-SSIM over random pairs of images: less is more diverse.

    As in https://arxiv.org/abs/1610.09585, which compares 100 pairs of each class of
    fakes with as many of real images. A low value alone is no success, since noise has
    one: compare with that of real images of the same size.

    Args:
      images: `[n, H, W, C]` in [-1, 1].
      pairs: number of pairs of two different images; no pair is drawn twice.
      seed: seed of the pairs.

    Raises:
      UsageError: if there are no images in [-1, 1], or fewer pairs than `pairs`.
    """
    images = as_images(images)
    available = len(images) * (len(images) - 1) // 2
    rng = np.random.default_rng(seed)
    kind = f"pairs of {len(images)} images"
    first, second = unordered_pair(subset(rng, available, pairs, kind))
    values = []
    for start in range(0, pairs, BATCH):
        # The last batch is filled up with other pairs, to compile once.
        rows = (start + np.arange(min(BATCH, pairs))) % pairs
        values.append(np.asarray(ms_ssim(images[first[rows]], images[second[rows]])))
    kept = np.concatenate(values)[:pairs].astype(np.float64)
    return PairSimilarity(
        float(kept.mean()), float(kept.std()), scales_of(images.shape)
    )


def unordered_pair(index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the pair i > j of each number below n (n - 1) / 2.

    >>> [x.tolist() for x in unordered_pair(np.arange(6))]
    [[1, 2, 2, 3, 3, 3], [0, 0, 1, 0, 1, 2]]
    """
    # i (i - 1) / 2 pairs come before those of i.
    larger = np.floor((1 + np.sqrt(1 + 8 * index.astype(np.float64))) / 2)
    larger = larger.astype(np.int64)
    return larger, index - larger * (larger - 1) // 2


def as_images(images: np.ndarray) -> np.ndarray:
    """Returns images as float32.

    Raises:
      UsageError: unless they are at least two images `[n, H, W, C]` in [-1, 1].
    """
    images = np.asarray(images)
    if images.ndim != 4 or not images.size:
        shape = list(images.shape)
        raise UsageError(f"images must be [n, H, W, C] with n > 1, not {shape}")
    if len(images) < 2:
        raise UsageError("one image has no pairs; use at least 2 images")
    images = as_float(images, "images")
    low, high = float(images.min()), float(images.max())
    # False for NaN; generators may be off by a rounding error.
    if not (low >= -1.001 and high <= 1.001):
        raise UsageError(f"images must be in [-1, 1], not [{low:.4g}, {high:.4g}]")
    return images.astype(np.float32)

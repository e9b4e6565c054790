"""Anti-aliased resizing of images, like Pillow's, as two products with matrices.

The size at which an extractor sees images, and the filter that brings them there,
change a Frechet distance more than many generators differ by
(https://arxiv.org/abs/2104.11222). The filter recommended there is Pillow's bicubic one
on float channels: in the direction of a side that shrinks, it is stretched by the ratio
of the sides, so that it covers all pixels of the source. Filters of deep learning
libraries are not stretched by default, and skip pixels.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.errors import UsageError


class Filter(NamedTuple):
    """An interpolation filter."""

    value: Callable[[np.ndarray], np.ndarray]
    """The filter, an even function of the distance in pixels."""
    support: float
    """Distance from which on it is 0."""


def triangle(x: np.ndarray) -> np.ndarray:
    """Returns max(1 - |x|, 0), the filter of linear interpolation."""
    return np.maximum(1 - np.abs(x), 0)


def cubic(x: np.ndarray, a: float = -0.5) -> np.ndarray:
    """Returns the cubic convolution filter of Keys (1981).

    With a = -0.5 interpolation is exact for parabolas; some libraries have -0.75.

    >>> cubic(np.array([0, 0.5, 1.5, 2])).tolist()
    [1.0, 0.5625, -0.0625, 0.0]
    """
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x**2 + 1
    far = a * (((x - 5) * x + 8) * x - 4)
    return np.where(x < 1, near, np.where(x < 2, far, 0))


FILTERS = {"bilinear": Filter(triangle, 1), "bicubic": Filter(cubic, 2)}
"""Filters by name."""


@functools.lru_cache(maxsize=64)
def weights(size: int, new: int, method: str = "bicubic") -> np.ndarray:
    """Returns the matrix that resizes one axis, `[new, size]` float32.

    Rows sum to 1. The centers of the first and the last pixel of both grids are half a
    pixel inside of the same interval.

    Args:
      size: number of pixels.
      new: number of pixels after resizing.
      method: `bicubic` or `bilinear`.

    Raises:
      UsageError: for an unknown method, or a number below 1.

    >>> weights(4, 2, "bilinear").tolist()
    [[0.4285714328289032, 0.4285714328289032, 0.1428571492433548, 0.0], \
[0.0, 0.1428571492433548, 0.4285714328289032, 0.4285714328289032]]
    """
    if method not in FILTERS:
        raise UsageError(f"no filter {method!r}: choose from {', '.join(FILTERS)}")
    if min(size, new) < 1:
        raise UsageError(f"cannot resize {size} pixels to {new}: use 1 or more")
    shape, support = FILTERS[method]
    ratio = size / new
    # The filter of a side that grows is not narrowed.
    stretch = max(ratio, 1.0)
    # Centers of the new pixels, and offsets of all pixels from them, `[new, size]`.
    centers = (np.arange(new) + 0.5) * ratio
    offsets = np.arange(size) + 0.5 - centers[:, None]
    # The window is rounded to whole pixels, like Pillow's; it ends at the borders.
    first = np.floor(np.maximum(centers - support * stretch + 0.5, 0))
    stop = np.floor(centers + support * stretch + 0.5)
    place = np.arange(size)
    inside = (place >= first[:, None]) & (place < stop[:, None])
    matrix = np.where(inside, shape(offsets / stretch), 0)
    # The part of the filter that is inside of the image has the weight 1.
    return (matrix / matrix.sum(1, keepdims=True)).astype(np.float32)


def resize(
    images: jax.typing.ArrayLike, size: tuple[int, int], method: str = "bicubic"
) -> jax.Array:
    """Resizes images like Pillow resizes float channels, to about 1e-6 of their range.

    The result is neither rounded nor clipped, so that the bicubic filter may overshoot
    the range of the images a little. The sizes are static under `jit`.

    Args:
      images: `[..., H, W, C]` float.
      size: new height and width, in pixels.
      method: `bicubic`, as in https://arxiv.org/abs/2104.11222, or `bilinear`.

    Returns:
      `[..., *size, C]` float32; the images themselves if they have that size.

    Raises:
      UsageError: for an unknown method, or a size below 1.
    """
    images = jnp.asarray(images, jnp.float32)
    height, width = images.shape[-3:-1]
    if (height, width) == tuple(size):
        return images
    rows, columns = weights(height, size[0], method), weights(width, size[1], method)
    # Accelerators would otherwise round the factors to bfloat16 or TF32.
    product = functools.partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)
    wide = product("vw,...hwc->...hvc", columns, images)
    return product("uh,...hvc->...uvc", rows, wide)

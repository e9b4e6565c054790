"""Convolutions in the forms that are fastest on a CPU.

XLA for CPU is slow at convolutions of very few pixels, such as the innermost ones of a
U-Net, and at large kernels with few output channels, such as a last layer that returns
colors. The forms here compute the same sums.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgan.networks.ops.arrays import depth_to_space, space_to_depth
from jaxgan.networks.ops.convolutions import (
    Padding,
    conv_explicit_padding,
    conv_transpose_by_phases,
    conv_transpose_fast,
    conv_winograd,
    zeros_around,
)
from jaxgan.ranges import ceil_div

FEW_PIXELS = 4
"""Pixels up to which a convolution is faster as a matrix product."""
FEW_CHANNELS = 4
"""Channels that are few for `conv_by_depth`."""


def conv_cpu(
    x: jax.Array, kernel: jax.Array, stride: int = 1, *, padding: str | Padding = "SAME"
) -> jax.Array:
    """Convolves like `conv_same` in the fastest of three forms.

    Args:
      x: `[B, H, W, C]`.
      kernel: `[k, k, C, O]`.
      stride: stride in both directions.
      padding: SAME, VALID, or zeros before and after, in both directions.
    """
    pads = zeros_around(x, kernel, stride, padding)
    # Height and width of the output.
    sides = [
        (size + sum(zeros) - len(kernel)) // stride + 1
        for size, zeros in zip(x.shape[1:3], pads, strict=True)
    ]
    if math.prod(sides) <= FEW_PIXELS:
        return conv_matmul(x, kernel, pads, stride)
    factor = depth_factor(kernel, sides) if stride == 1 else 1
    if factor > 1:
        return conv_by_depth(x, kernel, pads, factor)
    return conv_winograd(x, kernel, stride, padding=padding)


def conv_transpose_cpu(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Computes `conv_transpose_same` like `conv_transpose_fast`.

    Args:
      x: `[B, H, W, C]`.
      kernel: `[k, k, C, O]`.
      stride: stride in both directions.
    """
    if math.prod(x.shape[1:3]) <= FEW_PIXELS:
        return conv_transpose_by_phases(x, kernel, stride, conv_matmul)
    return conv_transpose_fast(x, kernel, stride)


def conv_matmul(
    x: jax.Array, kernel: jax.Array, pads: Padding, stride: int = 1
) -> jax.Array:
    """Convolves with a product of two matrices: all patches, and the kernel.

    Args:
      x: `[B, H, W, C]`.
      kernel: `[k, k', C, O]`.
      pads: zeros before and after, in both directions.
      stride: stride in both directions.
    """
    rows, columns, _, features = kernel.shape
    x = jnp.pad(x, [(0, 0), *pads, (0, 0)])
    # Height and width of the output, from the first pixel to the last that is read.
    height, width = (
        (x.shape[1] - rows) // stride + 1,
        (x.shape[2] - columns) // stride + 1,
    )
    down, right = (stride * (n - 1) + 1 for n in (height, width))
    # `[B, H', W', k * k' * C]`, in the order of the kernel.
    patches = jnp.concatenate(
        [
            x[:, i : i + down : stride, j : j + right : stride]
            for i in range(rows)
            for j in range(columns)
        ],
        -1,
    )
    return patches @ kernel.reshape(-1, features)


def depth_factor(kernel: jax.Array, sides: list[int]) -> int:
    """Returns the factor with which `conv_by_depth` is fastest, 1 if none is.

    Args:
      kernel: `[k, k, C, O]`.
      sides: height and width of the output.
    """
    k, _, channels, features = kernel.shape
    if k < 5 or not (
        features <= FEW_CHANNELS or (channels <= FEW_CHANNELS and features <= 16)
    ):
        return 1
    # Larger squares have more products with zeros, which pays off for large kernels.
    best = 4 if k >= 7 and features <= FEW_CHANNELS else 2
    return next(f for f in (best, 2, 1) if not any(side % f for side in sides))


def conv_by_depth(
    x: jax.Array,
    kernel: jax.Array,
    pads: Padding,
    factor: int,
    convolve: Callable[
        [jax.Array, jax.Array, Padding], jax.Array
    ] = conv_explicit_padding,
) -> jax.Array:
    """Convolves with stride 1, on an image whose pixels are squares.

    The pixels of each `factor x factor` square are the channels of one pixel, in the
    input and in the output, so that there are more channels and fewer taps.

    Args:
      x: `[B, H, W, C]`.
      kernel: `[k, k, C, O]`.
      pads: zeros before and after, in both directions.
      factor: side of the squares; divides height and width of the output.
      convolve: the convolution, of an image, a kernel and padding.
    """
    k, _, channels, features = kernel.shape
    # Side of the kernel in squares, which covers the taps of a square's last pixel.
    taps = ceil_div(k + factor - 1, factor)
    # Zeros after the image, up to the last square that is read.
    rest = factor * taps - (k + factor - 1)
    around = [(before, after + rest) for before, after in pads]
    x = space_to_depth(jnp.pad(x, [(0, 0), *around, (0, 0)]), factor)

    def moved(i, j):
        """Returns the kernel of the pixel (i, j) of each square."""
        ends = [(n, factor * taps - k - n) for n in (i, j)]
        part = jnp.pad(kernel, [*ends, (0, 0), (0, 0)])
        part = part.reshape(taps, factor, taps, factor, channels, features)
        return part.swapaxes(1, 2).reshape(taps, taps, -1, features)

    kernels = [moved(i, j) for i in range(factor) for j in range(factor)]
    y = convolve(x, jnp.concatenate(kernels, -1), [(0, 0), (0, 0)])
    return depth_to_space(y, factor)

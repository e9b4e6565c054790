"""Resampling by the filter [1, 3, 3, 1], and convolutions of resampled images.

The bilinear filter of StyleGAN2, https://arxiv.org/abs/1912.04958, for factors of 2.
Outside of an image its edge goes on, so that constants and the mean are kept. The
convolutions have two forms that compute the same sums: one has the fewest products, and
the other is faster on a CPU, gradients of gradients included.
"""

import jax
import jax.numpy as jnp

from jaxgan.networks.ops.arrays import space_to_depth
from jaxgan.networks.ops.convolutions import LAYOUT, conv_same
from jaxgan.networks.ops.cpu_convolutions import conv_cpu
from jaxgan.networks.ops.platform import per_platform

TAPS = (1, 3, 3, 1)
"""The binomial filter, whose sum is 8."""


def upsample(x: jax.Array) -> jax.Array:
    """Upsamples `[B, H, W, C]` to `[B, 2H, 2W, C]`.

    >>> upsample(jnp.array([1.0, 5.0]).reshape(1, 1, 2, 1))[0, 0, :, 0].tolist()
    [1.0, 2.0, 4.0, 5.0]
    """
    x = extend(x, 1)
    for axis in (1, 2):
        before, here, after = _neighbors(x, axis)
        shape = [*x.shape[:axis], 2 * here.shape[axis], *x.shape[axis + 1 :]]
        # Each pixel becomes two, a quarter of which is the nearest neighbor.
        pairs = [(before + 3 * here) / 4, (3 * here + after) / 4]
        x = jnp.stack(pairs, axis + 1).reshape(shape)
    return x


def downsample(x: jax.Array) -> jax.Array:
    """Downsamples `[B, 2H, 2W, C]` to `[B, H, W, C]`.

    >>> downsample(jnp.arange(8.0).reshape(1, 2, 4, 1))[0, :, :, 0].tolist()
    [[2.625, 4.375]]
    """
    return _filter(extend(x, 1), 2)


def blur(x: jax.Array) -> jax.Array:
    """Filters `[B, H, W, C]` by [1, 2, 1] in both directions, with the edge repeated.

    The sum of the filter is 1. A pattern that alternates from pixel to pixel vanishes.

    >>> blur(jnp.array([1.0, 5.0, 1.0, 5.0]).reshape(1, 1, 4, 1))[0, 0, :, 0].tolist()
    [2.0, 3.0, 3.0, 4.0]
    """
    x = extend(x, 1)
    for axis in (1, 2):
        before, here, after = _neighbors(x, axis)
        x = (before + 2 * here + after) / 4
    return x


def _neighbors(x: jax.Array, axis: int) -> list[jax.Array]:
    """Returns the pixels before, at and after all but the first and the last one."""
    size = x.shape[axis] - 2
    return [jax.lax.slice_in_dim(x, i, i + size, axis=axis) for i in range(3)]


def extend(x: jax.Array, size: int) -> jax.Array:
    """Repeats the edge of `[B, H, W, C]` by `size` pixels on all sides."""
    for axis in (1, 2):
        last = x.shape[axis] - 1
        before, after = (
            jax.lax.slice_in_dim(x, i, i + 1, axis=axis) for i in (0, last)
        )
        # Unlike in `jnp.pad`, gradients of a pixel are added one by one.
        x = jnp.concatenate([*[before] * size, x, *[after] * size], axis)
    return x


def _filter(x: jax.Array, stride: int = 1) -> jax.Array:
    """Filters `[B, H, W, C]` in both directions, without padding, sum 1."""
    for axis in (1, 2):
        stop = x.shape[axis] - len(TAPS) + 1
        taps = [
            jax.lax.slice_in_dim(x, i, i + stop, stride, axis) for i in range(len(TAPS))
        ]
        x = (taps[0] + 3 * (taps[1] + taps[2]) + taps[3]) / sum(TAPS)
    return x


def conv_upsampled(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Upsamples by 2 and convolves: `[B, H, W, C]` to `[B, 2H, 2W, O]`.

    Args:
      x: `[B, H, W, C]`.
      kernel: `[3, 3, C, O]`.
    """
    form = per_platform(conv_upsampled_transposed, cpu=conv_upsampled_plain)
    return form(x, kernel)


def conv_upsampled_plain(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Computes `conv_upsampled` by a convolution of the upsampled image."""
    return conv_cpu(extend(upsample(x), 1), kernel, padding="VALID")


def conv_upsampled_transposed(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Computes `conv_upsampled` by a transposed convolution, which is then filtered."""
    # One pixel more on each side reaches all of the filter's taps.
    x = jax.lax.conv_general_dilated(
        extend(x, 1),
        kernel,
        (1, 1),
        [(2, 2), (2, 2)],
        lhs_dilation=(2, 2),
        dimension_numbers=LAYOUT,
    )[:, 1:-1, 1:-1]
    # Three of four pixels were zeros.
    return 4 * _filter(x)


def conv_downsampled(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolves and downsamples by 2: `[B, 2H, 2W, C]` to `[B, H, W, O]`.

    Args:
      x: `[B, 2H, 2W, C]`.
      kernel: `[3, 3, C, O]`.
    """
    form = per_platform(conv_downsampled_strided, cpu=conv_downsampled_merged)
    return form(x, kernel)


def conv_downsampled_strided(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Computes `conv_downsampled` by a strided convolution of the filtered image."""
    return conv_same(_filter(extend(x, 2)), kernel, 2, padding="VALID")


def conv_downsampled_merged(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Computes `conv_downsampled` by one convolution of squares of 2 x 2 pixels."""
    channels, features = kernel.shape[2:]
    # The kernel of both, `[6, 6, C, O]`: each tap of the filter moves the kernel.
    for axis in (0, 1):
        moved = []
        for i, tap in enumerate(TAPS):
            pads = [(0, 0)] * 4
            pads[axis] = (i, len(TAPS) - 1 - i)
            moved.append(tap / sum(TAPS) * jnp.pad(kernel, pads))
        kernel = sum(moved[1:], moved[0])
    # `[3, 3, 2 * 2 * C, O]`, in the order of `space_to_depth`.
    kernel = kernel.reshape(3, 2, 3, 2, channels, features).swapaxes(1, 2)
    kernel = kernel.reshape(3, 3, 4 * channels, features)
    return conv_cpu(space_to_depth(extend(x, 2)), kernel, padding="VALID")

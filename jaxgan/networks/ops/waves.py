"""Convolutions of waveforms `[B, T, C]`, plain and as matrix products.

XLA for CPU is slow at convolutions with strides, and slower at their gradients. Here a
stride is moved from time to channels, and the convolution that remains is one matrix
product, of which all gradients are matrix products too.
"""

import jax
import jax.numpy as jnp

from jaxgan.networks.ops.convolutions import depth_taps, kernel_zeros, leading_zeros
from jaxgan.ranges import ceil_div

LAYOUT = ("NWC", "WIO", "NWC")
"""Axes of the input, the kernel and the output."""


def conv(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Convolves `[B, T, C]` with a kernel `[k, C, O]` and SAME padding."""
    return jax.lax.conv_general_dilated(
        x, kernel, (stride,), "SAME", dimension_numbers=LAYOUT
    )


def conv_transpose(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Computes `lax.conv_transpose` of `[B, T, C]` with SAME padding."""
    return jax.lax.conv_transpose(
        x, kernel, (stride,), "SAME", dimension_numbers=LAYOUT
    )


def windows(x: jax.Array, taps: int, before: int) -> jax.Array:
    """Returns each step beside its neighbors, `[B, T, C]` to `[B, T, taps * C]`.

    Args:
      x: `[B, T, C]`.
      taps: number of steps of a window.
      before: those of them before the step itself; zeros stand before the first one.

    >>> windows(jnp.arange(1.0, 4.0)[None, :, None], 2, 1)[0].tolist()
    [[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]]
    """
    length = x.shape[1]
    padded = jnp.pad(x, [(0, 0), (before, taps - 1 - before), (0, 0)])
    return jnp.concatenate([padded[:, i : i + length] for i in range(taps)], -1)


def conv_matmul(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Computes `conv` as one matrix product.

    Args:
      x: `[B, T, C]`.
      kernel: `[k, C, O]`.
      stride: the stride.

    Returns:
      `[B, ceil(T / stride), O]`.
    """
    k, channels, features = kernel.shape
    length = ceil_div(x.shape[1], stride)
    # SAME padding has its smaller half first.
    before = max((length - 1) * stride + k - x.shape[1], 0) // 2
    # Zeros in front of the kernel align its first tap with a block of the stride.
    lead = -before % stride
    taps = ceil_div(lead + k, stride)
    kernel = jnp.pad(kernel, [(lead, stride * taps - lead - k), (0, 0), (0, 0)])
    x = jnp.pad(x, [(0, 0), (0, stride * length - x.shape[1]), (0, 0)])
    blocks = x.reshape(len(x), length, stride * channels)
    seen = windows(blocks, taps, ceil_div(before, stride))
    return seen @ kernel.reshape(-1, features)


def conv_transpose_matmul(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Computes `conv_transpose` as one matrix product.

    Args:
      x: `[B, T, C]`.
      kernel: `[k, C, O]`.
      stride: the stride.

    Returns:
      `[B, stride * T, O]`.
    """
    k, channels, features = kernel.shape
    # The first step that an output reads, and the number of these steps.
    first, taps = leading_zeros(k, stride) // stride, depth_taps(k, stride)
    before = kernel_zeros(k, stride)
    kernel = jnp.pad(kernel, [(before, stride * taps - before - k), (0, 0), (0, 0)])
    # A later phase reads an earlier tap; `[taps, C, stride, O]`.
    kernel = kernel.reshape(taps, stride, channels, features)[:, ::-1].swapaxes(1, 2)
    y = windows(x, taps, first) @ kernel.reshape(taps * channels, -1)
    return y.reshape(len(x), -1, features)


def conv_transpose_blocks(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Computes a transposed convolution of twice as many taps as its stride.

    Entry t of the result is the sum over i of `x[i] kernel[t + s // 2 - s i]`: input i
    is spread over `2 s` entries around the middle of its own s. It is computed as one
    convolution that returns the s entries as channels, as XLA for CPU is ten times
    slower at gradients of transposed convolutions.

    Args:
      x: `[B, T, C]`.
      kernel: `[2 * s, C, O]` for the stride s.

    Returns:
      `[B, s * T, O]`.
    """
    taps, channels, features = kernel.shape
    stride = taps // 2
    # Zeros around the taps make them three blocks of the stride.
    around = (stride - stride // 2, stride // 2)
    blocks = jnp.pad(kernel, [around, (0, 0), (0, 0)])
    blocks = blocks.reshape(3, stride, channels, features)
    # A later block reads an earlier input.
    blocks = blocks[::-1].swapaxes(1, 2).reshape(3, channels, stride * features)
    y = conv(x, blocks, 1)
    return y.reshape(len(x), -1, features)

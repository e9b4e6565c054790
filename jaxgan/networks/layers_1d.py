"""Convolutions of sequences `[B, T, C]`."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.networks.layers import Initializer
from jaxgan.networks.ops.arrays import add_bias

AXES = ("NWC", "WIO", "NWC")
"""Axes of the input, the kernel and the output."""


class Conv1D(nn.Module):
    """`nn.Conv` of sequences, by default with SAME padding."""

    features: int
    size: int
    stride: int = 1
    dilation: int = 1
    kernel_init: Initializer = nn.initializers.lecun_normal()
    padding: str | tuple[int, int] = "SAME"
    """SAME, VALID, or the zeros before and after."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (self.size, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        y = jax.lax.conv_general_dilated(
            x,
            kernel,
            (self.stride,),
            self.padding if isinstance(self.padding, str) else [self.padding],
            rhs_dilation=(self.dilation,),
            dimension_numbers=AXES,
        )
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return add_bias(y, bias)


def conv_transpose_1d(x: jax.Array, kernel: jax.Array) -> jax.Array:
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
    y = jax.lax.conv_general_dilated(x, blocks, (1,), "SAME", dimension_numbers=AXES)
    return y.reshape(len(x), -1, features)


class Upsample1D(nn.Module):
    """A transposed convolution with `2 * stride` taps, see `conv_transpose_1d`."""

    features: int
    stride: int
    kernel_init: Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (2 * self.stride, x.shape[-1], self.features)
        y = conv_transpose_1d(x, self.param("kernel", self.kernel_init, shape))
        return add_bias(y, self.param("bias", nn.initializers.zeros, y.shape[-1:]))

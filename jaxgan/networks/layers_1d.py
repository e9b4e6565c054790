"""Convolutions of sequences `[B, T, C]`."""

import flax.linen as nn
import jax

from jaxgan.networks.layers import Initializer
from jaxgan.networks.ops.arrays import add_bias
from jaxgan.networks.ops.waves import LAYOUT, conv_transpose_blocks


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
            dimension_numbers=LAYOUT,
        )
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return add_bias(y, bias)


class Upsample1D(nn.Module):
    """A transposed convolution with `2 * stride` taps, see `conv_transpose_blocks`."""

    features: int
    stride: int
    kernel_init: Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (2 * self.stride, x.shape[-1], self.features)
        y = conv_transpose_blocks(x, self.param("kernel", self.kernel_init, shape))
        return add_bias(y, self.param("bias", nn.initializers.zeros, y.shape[-1:]))

"""Layers of StyleGAN2: equalized learning rates, and convolutions scaled by styles.

The layers of https://arxiv.org/abs/1912.04958. Parameters start with the same variance
everywhere, and the scale of He's initializer is applied at each call: so Adam's steps
are equally large, relative to the parameters, in all layers
(https://arxiv.org/abs/1710.10196, section 4.1).
"""

import math
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.networks.ops.arrays import add_bias, at_least_float32
from jaxgan.networks.ops.convolutions import conv_same
from jaxgan.networks.ops.cpu_convolutions import conv_cpu
from jaxgan.networks.ops.platform import per_platform

GAIN = math.sqrt(2)
"""The gain of a leaky ReLU, after which the variance is about that before it."""

EPSILON = 1e-8
"""Added to sums of squares before their root is taken."""

Convolve = Callable[[jax.Array, jax.Array], jax.Array]
"""A convolution of an image `[B, H, W, C]` and a kernel `[k, k, C, O]`."""


def activate(x: jax.Array) -> jax.Array:
    """Returns a leaky ReLU with slope 0.2, times the square root of 2."""
    return nn.leaky_relu(x, 0.2) * GAIN


def normalize(x: jax.Array) -> jax.Array:
    """Scales vectors `[..., C]` to a mean square of 1, for each example."""
    wide = at_least_float32(x)
    mean = jnp.mean(wide**2, -1, keepdims=True)
    return (wide * jax.lax.rsqrt(mean + EPSILON)).astype(x.dtype)


def conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolves with stride 1 and SAME padding, in a fast form per platform."""
    # A 1x1 convolution is a product of matrices.
    if len(kernel) == 1:
        return x @ kernel[0, 0]
    return per_platform(conv_same, cpu=conv_cpu)(x, kernel)


def _scaled(kernel: jax.Array, rate: float = 1.0) -> jax.Array:
    """Returns a kernel `[..., O]` times rate / sqrt(fan in)."""
    return kernel * (rate / math.sqrt(math.prod(kernel.shape[:-1])))


class EqualDense(nn.Module):
    """A dense layer whose kernel and bias learn at `rate` times the learning rate."""

    features: int
    rate: float = 1.0
    bias: float = 0.0
    """The first value of the biases."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        init = nn.initializers.normal(1 / self.rate)
        kernel = self.param("kernel", init, (x.shape[-1], self.features))
        start = nn.initializers.constant(self.bias / self.rate)
        bias = self.param("bias", start, (self.features,))
        return add_bias(x @ _scaled(kernel, self.rate), bias * self.rate)


class EqualConv(nn.Module):
    """A convolution with a square kernel, in the form `convolve`."""

    features: int
    size: int
    use_bias: bool = True
    convolve: Convolve = conv

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (self.size, self.size, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.normal(1.0), shape)
        y = self.convolve(x, _scaled(kernel))
        if not self.use_bias:
            return y
        return add_bias(y, self.param("bias", nn.initializers.zeros, y.shape[-1:]))


def modulated_conv(
    x: jax.Array,
    kernel: jax.Array,
    styles: jax.Array,
    *,
    demodulate: bool = True,
    convolve: Convolve = conv,
) -> jax.Array:
    """Convolves each example with its own kernel, equations 1 and 3 of StyleGAN2.

    The kernel of an example is w_ijk = s_i kernel_kij, divided by the root of the sum
    of its squares over i and k for each output channel j. Inputs are scaled by s, and
    outputs by that root: one convolution for all examples.

    Args:
      x: `[B, H, W, C]`.
      kernel: `[k, k, C, O]`.
      styles: factors s of the input channels, `[B, C]`.
      demodulate: if False, kernels are not divided by the root.
      convolve: the convolution, which must be linear in x.
    """
    y = convolve(scale_channels(x, styles), kernel)
    if not demodulate:
        return y
    # Sums of squares over taps, then over input channels, which the styles weight.
    squares = jnp.sum(at_least_float32(kernel) ** 2, (0, 1)).astype(kernel.dtype)
    sums = at_least_float32(styles**2 @ squares)
    return scale_channels(y, jax.lax.rsqrt(sums + EPSILON))


def scale_channels(x: jax.Array, factors: jax.Array) -> jax.Array:
    """Multiplies `[B, H, W, C]` by factors `[B, C]`, with float32 gradients of them."""
    factors = at_least_float32(factors)[:, None, None]
    return (at_least_float32(x) * factors).astype(x.dtype)


class StyledConv(nn.Module):
    """A modulated convolution, noise for each pixel, a bias and a leaky ReLU."""

    features: int
    size: int = 3
    convolve: Convolve = conv

    @nn.compact
    def __call__(self, x: jax.Array, w: jax.Array, noise: jax.Array) -> jax.Array:
        """Maps `[B, H, W, C]` to `[B, H', W', O]`.

        Args:
          x: the image.
          w: its style, `[B, d]`.
          noise: standard normal, `[B, H', W', 1]` or `[1, H', W', 1]`.
        """
        y = _modulated(self, x, w, demodulate=True)
        # The strength of the noise is learned, one for all channels.
        strength = self.param("noise", nn.initializers.zeros, ())
        noise = noise * at_least_float32(strength)
        bias = self.param("bias", nn.initializers.zeros, y.shape[-1:])
        # Gradients of both are sums over all pixels, which are in float32.
        wide = at_least_float32(y) + noise + at_least_float32(bias)
        return activate(wide.astype(y.dtype))


class StyledColors(nn.Module):
    """A modulated 1x1 convolution to colors, without demodulation, and a bias."""

    features: int
    size: int = 1
    convolve: Convolve = conv

    @nn.compact
    def __call__(self, x: jax.Array, w: jax.Array) -> jax.Array:
        y = _modulated(self, x, w, demodulate=False)
        return add_bias(y, self.param("bias", nn.initializers.zeros, y.shape[-1:]))


def _modulated(
    module: StyledConv | StyledColors, x: jax.Array, w: jax.Array, demodulate: bool
) -> jax.Array:
    """Convolves with the style of w, inside a compact module."""
    styles = EqualDense(x.shape[-1], bias=1.0, name="style")(w)
    shape = (module.size, module.size, x.shape[-1], module.features)
    kernel = module.param("kernel", nn.initializers.normal(1.0), shape)
    return modulated_conv(
        x, _scaled(kernel), styles, demodulate=demodulate, convolve=module.convolve
    )

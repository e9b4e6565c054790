"""Layers of residual networks: conditional BatchNorm, resampling, residual blocks.

Blocks of https://arxiv.org/abs/1704.00028 (WGAN-GP), https://arxiv.org/abs/1802.05957
(SNGAN) and https://arxiv.org/abs/1809.11096 (BigGAN).
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.networks.layers import BatchNorm, Conv, Dense, Initializer
from jaxgan.networks.ops.arrays import add_bias, at_least_float32
from jaxgan.networks.ops.convolutions import conv_same, conv_transpose_same
from jaxgan.networks.ops.cpu_convolutions import conv_cpu, conv_transpose_cpu
from jaxgan.networks.ops.platform import per_platform

MOMENTUM, EPSILON = 0.9, 1e-5
"""PyTorch's momentum and epsilon of BatchNorm, which the published networks have."""


class Kernels(NamedTuple):
    """Initializers of the kernels of a residual network."""

    residual: Initializer
    """Of the convolutions in blocks."""
    other: Initializer
    """Of shortcuts, and of the first and the last layer."""
    condition: Initializer | None = None
    """Of the layers between conditions and normalizations; None for tables of zeros."""


GLOROT = nn.initializers.glorot_uniform()

SNGAN_KERNELS = Kernels(
    # The gain of a ReLU, https://arxiv.org/abs/1802.05957.
    nn.initializers.variance_scaling(2.0, "fan_avg", "uniform"),
    GLOROT,
)
ORTHOGONAL = Kernels(*[nn.initializers.orthogonal()] * 3)
"""https://arxiv.org/abs/1312.6120, for BigGAN."""


class ConditionalBatchNorm(BatchNorm):
    """BatchNorm whose gain and bias depend on the example.

    https://arxiv.org/abs/1707.00683. Maps x `[B, H, W, C]` and vectors `[B, n]`, such
    as one-hot labels, or embeddings beside a part of the latent, to `[B, H, W, C]`. The
    gain is 1 + v A and the bias v B: vectors of zeros give the BatchNorm of a layer
    that is not trained yet. Without an initializer, A and B are tables of zeros with a
    row per class, and every gain starts at exactly 1.
    """

    kernel_init: Initializer | None = None
    """Initializer of A and B, `[n, C]`; None for tables of zeros."""

    @nn.compact
    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, x: jax.Array, vectors: jax.Array, *, train: bool
    ) -> jax.Array:
        kind = "table" if self.kernel_init is None else "kernel"
        init = self.kernel_init or nn.initializers.zeros
        shape = (vectors.shape[-1], x.shape[-1])
        # One row per example, for all of its pixels.
        gain, bias = (
            at_least_float32(
                vectors @ self.param(f"{name}_{kind}", init, shape)
            ).reshape(-1, *[1] * (x.ndim - 2), x.shape[-1])
            for name in ("gain", "bias")
        )
        return self._normalize(x, *self._statistics(x, train), 1 + gain, bias)


def upsample_nearest(x: jax.Array) -> jax.Array:
    """Repeats the pixels of `[B, H, W, C]`: `[B, 2H, 2W, C]`.

    >>> upsample_nearest(jnp.arange(2.0).reshape(1, 1, 2, 1))[0, :, :, 0].tolist()
    [[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]]
    """
    b, h, w, c = x.shape
    # Unlike that of `jnp.repeat`, the gradient is a sum of slices.
    rows = jnp.stack([x, x], 3).reshape(b, h, 2 * w, c)
    return jnp.stack([rows, rows], 2).reshape(b, 2 * h, 2 * w, c)


def downsample_average(x: jax.Array) -> jax.Array:
    """Averages squares of four pixels: `[B, 2H, 2W, C]` to `[B, H, W, C]`.

    >>> downsample_average(jnp.arange(8.0).reshape(1, 2, 4, 1))[0, :, :, 0].tolist()
    [[2.5, 4.5]]
    """
    b, h, w, c = x.shape
    squares = x.reshape(b, h // 2, 2, w // 2, 2, c)
    rows = squares[:, :, 0] + squares[:, :, 1]
    return (rows[:, :, :, 0] + rows[:, :, :, 1]) / 4


class ResampledConv(nn.Module):
    """A 3x3 convolution after doubling an image, or before halving it.

    Doubling repeats pixels, and halving averages them. Both are one 4x4 convolution
    with stride 2, transposed to double, whose kernel is a sum of four shifts of the 3x3
    one. It takes 16 products where the two operations take 36.
    """

    features: int
    up: bool
    kernel_init: Initializer

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (3, 3, x.shape[-1], self.features)
        kernel = shifted_sum(self.param("kernel", self.kernel_init, shape))
        if self.up:
            convolve = per_platform(conv_transpose_same, cpu=conv_transpose_cpu)
        else:
            convolve, kernel = per_platform(conv_same, cpu=conv_cpu), kernel / 4
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return add_bias(convolve(x, kernel, 2), bias)


def shifted_sum(kernel: jax.Array) -> jax.Array:
    """Returns the sum of a kernel `[k, k, C, O]` at four places: `[k+1, k+1, C, O]`.

    >>> shifted_sum(jnp.ones((1, 1, 1, 1)))[:, :, 0, 0].tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    rows = jnp.pad(kernel, [(0, 1), (0, 0), (0, 0), (0, 0)])
    rows = rows + jnp.pad(kernel, [(1, 0), (0, 0), (0, 0), (0, 0)])
    columns = jnp.pad(rows, [(0, 0), (0, 1), (0, 0), (0, 0)])
    return columns + jnp.pad(rows, [(0, 0), (1, 0), (0, 0), (0, 0)])


class GeneratorBlock(nn.Module):
    """Maps `[B, H, W, c]` to `[B, H, W, C]`, or twice the height and width."""

    features: int
    up: bool
    kernels: Kernels
    norm: str
    """`batch` or `none`."""
    train: bool
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, vectors: jax.Array | None = None) -> jax.Array:
        init = self.kernels.residual
        y = nn.relu(self._normalize(x, vectors, "norm_0"))
        if self.up:
            y = ResampledConv(self.features, True, init, name="conv_0")(y)
        else:
            y = Conv(self.features, 3, kernel_init=init, name="conv_0")(y)
        y = nn.relu(self._normalize(y, vectors, "norm_1"))
        y = Conv(self.features, 3, kernel_init=init, name="conv_1")(y)
        # A 1x1 convolution commutes with repeating pixels, and is faster before.
        if self.up or x.shape[-1] != self.features:
            x = Dense(self.features, kernel_init=self.kernels.other, name="shortcut")(x)
        return y + (upsample_nearest(x) if self.up else x)

    def _normalize(self, x, vectors, name) -> jax.Array:
        """Applies the normalization, with a condition if there are vectors."""
        if self.norm == "none":
            return x
        options = (self.axis_name, MOMENTUM, EPSILON)
        if vectors is None:
            return BatchNorm(*options, name=name)(x, train=self.train)
        norm = ConditionalBatchNorm(*options, self.kernels.condition, name=name)
        return norm(x, vectors, train=self.train)


class DiscriminatorBlock(nn.Module):
    """Maps `[B, H, W, c]` to `[B, H, W, C]`, or half the height and width."""

    features: int
    inside: int
    """Channels between the two convolutions."""
    down: bool
    kernels: Kernels
    first: bool = False
    """If True, there is no activation before the first convolution, of an image."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        init = self.kernels.residual
        y = x if self.first else nn.relu(x)
        y = nn.relu(Conv(self.inside, 3, kernel_init=init, name="conv_0")(y))
        if self.down:
            y = ResampledConv(self.features, False, init, name="conv_1")(y)
        else:
            y = Conv(self.features, 3, kernel_init=init, name="conv_1")(y)
        channels = x.shape[-1]
        # A 1x1 convolution commutes with averaging pixels, and is faster after.
        x = downsample_average(x) if self.down else x
        if self.down or channels != self.features:
            x = Dense(self.features, kernel_init=self.kernels.other, name="shortcut")(x)
        return y + x

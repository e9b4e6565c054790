"""Layers that the networks share."""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.networks.bits import chances

Initializer = nn.initializers.Initializer


class Init(NamedTuple):
    """Initializers of a dense layer."""

    kernel: Initializer
    bias: Callable[[int], Initializer]
    """From the number of inputs."""


def zero_bias(inputs: int) -> Initializer:
    """Biases of zero, however many inputs a layer has."""
    del inputs
    return nn.initializers.zeros


def uniform_bias(inputs: int) -> Initializer:
    """Biases uniform in +-1 / sqrt(inputs)."""
    bound = inputs**-0.5

    def init(key, shape, dtype=jnp.float32):
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


INITS = {
    "lecun_normal": Init(nn.initializers.lecun_normal(), zero_bias),
    "glorot_uniform": Init(nn.initializers.glorot_uniform(), zero_bias),
    # The default of torch.nn.Linear: kernel and bias uniform in +-1 / sqrt(inputs).
    "pytorch": Init(
        nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform"), uniform_bias
    ),
}
"""The defaults of Flax, of Keras and TensorFlow, and of PyTorch."""


def wide(x: jax.Array) -> jax.Array:
    """x in float32 at least, where it or its gradient is summed over many entries.

    XLA for CPU adds bfloat16 as such, where a sum of ones stays at 256. The gradient of
    what is broadcast over batch and pixels, such as a bias, is such a sum.
    """
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def plus(x: jax.Array, bias: jax.Array) -> jax.Array:
    """x `[..., C]` + bias `[C]` in the type of x, whose gradients have all digits."""
    return (wide(x) + wide(bias)).astype(x.dtype)


class Dense(nn.Module):
    """`nn.Dense`, whose bias is added by `plus`."""

    features: int
    use_bias: bool = True
    kernel_init: Initializer = nn.initializers.lecun_normal()
    bias_init: Initializer = nn.initializers.zeros

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (x.shape[-1], self.features)
        y = x @ self.param("kernel", self.kernel_init, shape)
        if not self.use_bias:
            return y
        return plus(y, self.param("bias", self.bias_init, (self.features,)))


class Dropout(nn.Module):
    """Dropout whose mask depends on the example's number in the whole batch.

    So any number of devices drops the same entries. Zeroes with probability `rate` and
    scales the rest by 1 / (1 - rate), https://jmlr.org/papers/v15/srivastava14a.html.
    """

    rate: float
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        if not train or self.rate == 0.0:
            return x
        count = len(x)
        first = jax.lax.axis_index(self.axis_name) * count if self.axis_name else 0
        keep = 1.0 - self.rate
        numbers = first + jnp.arange(count)
        mask = chances(self.make_rng("dropout"), numbers, x.shape[1:], keep)
        return jnp.where(mask, x / keep, 0.0)


class BatchNorm(nn.Module):
    """Batch normalization over the batch of all devices, https://arxiv.org/abs/1502.03167.

    Of a batch taken in parts, over one part. The defaults are those of Keras: momentum
    0.99, epsilon 1e-3. Unlike `nn.BatchNorm` it leaves XLA free to see that two passes
    over the same samples are one.
    """

    axis_name: str | None = None
    momentum: float = 0.99
    epsilon: float = 1e-3

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        scale = self.param("scale", nn.initializers.ones, x.shape[-1:])
        bias = self.param("bias", nn.initializers.zeros, x.shape[-1:])
        mean = self.variable("batch_stats", "mean", jnp.zeros, x.shape[-1:])
        var = self.variable("batch_stats", "var", jnp.ones, x.shape[-1:])
        if not train:
            return self._normalise(x, mean.value, var.value, scale, bias)
        now = self._mean(wide(x))
        spread = self._mean(jnp.square(wide(x) - now))
        if not self.is_initializing():
            mean.value = self.momentum * mean.value + (1 - self.momentum) * now
            var.value = self.momentum * var.value + (1 - self.momentum) * spread
        return self._normalise(x, now, spread, scale, bias)

    def _mean(self, x: jax.Array) -> jax.Array:
        """Over all but the channels, of all devices."""
        mean = x.mean(range(x.ndim - 1))
        return jax.lax.pmean(mean, self.axis_name) if self.axis_name else mean

    def _normalise(self, x, mean, var, scale, bias) -> jax.Array:
        factor = jax.lax.rsqrt(var + self.epsilon) * wide(scale)
        return ((wide(x) - mean) * factor + wide(bias)).astype(x.dtype)


def depth_to_space(x: jax.Array, factor: int = 2) -> jax.Array:
    """Rearranges `[B, H, W, f * f * C]` to `[B, f * H, f * W, C]`.

    >>> depth_to_space(jnp.arange(4.0).reshape(1, 1, 1, 4))[0, :, :, 0].tolist()
    [[0.0, 1.0], [2.0, 3.0]]
    """
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, factor, factor, c // factor**2)
    return x.swapaxes(2, 3).reshape(b, h * factor, w * factor, c // factor**2)


def space_to_depth(x: jax.Array, factor: int = 2) -> jax.Array:
    """The inverse of `depth_to_space`; H and W are divisible by `factor`."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // factor, factor, w // factor, factor, c)
    return x.swapaxes(2, 3).reshape(b, h // factor, w // factor, c * factor**2)

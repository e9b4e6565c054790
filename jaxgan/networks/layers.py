"""Layers that the networks share."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.errors import PLURALS, FieldError, KindError, LabelError
from jaxgan.networks.ops.arrays import add_bias, at_least_float32
from jaxgan.networks.ops.convolutions import (
    conv_same,
    conv_transpose_same,
    grouped_conv,
    grouped_conv_matmul,
    grouped_conv_tpu,
)
from jaxgan.networks.ops.cpu_convolutions import conv_cpu, conv_transpose_cpu
from jaxgan.networks.ops.platform import per_platform
from jaxgan.networks.ops.threefry import bernoulli
from jaxgan.spec import unknown
from jaxgan.types import ExampleSpec, Tree

Initializer = nn.initializers.Initializer


class Init(NamedTuple):
    """Initializers of a dense layer."""

    kernel: Initializer
    bias: Callable[[int], Initializer]
    """The number of inputs to the initializer of the bias."""


def zero_bias(inputs: int) -> Initializer:
    """Returns an initializer with zeros, for any number of inputs."""
    del inputs
    return nn.initializers.zeros


def uniform_bias(inputs: int) -> Initializer:
    """Returns an initializer that is uniform in +-1 / sqrt(inputs)."""
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
"""Initializations by name: the defaults of Flax, Keras and TensorFlow, and PyTorch."""


def unconditional(condition: Tree) -> None:
    """Raises LabelError if a generator of noise alone is given a condition."""
    if condition is not None:
        raise LabelError("this generator takes no label")


def image_shape(example: ExampleSpec, name: str) -> tuple[int, int, int]:
    """Returns the `(H, W, C)` of the images to generate.

    Args:
      example: the fields of an example.
      name: of the networks, for messages.

    Raises:
      FieldError: if the first field is not an image.
    """
    shape, kind = example.shape, example[example.generated].kind
    if kind in PLURALS:
        raise KindError(f"{name} needs images, not {PLURALS[kind]}", kind)
    if len(shape) != 3:
        raise FieldError(f"{name} needs images, not vectors of shape {shape}: use mlp")
    return shape


class Dense(nn.Module):
    """`nn.Dense` with `add_bias`, whose gradient of the bias is summed in float32."""

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
        return add_bias(y, self.param("bias", self.bias_init, (self.features,)))


class Dropout(nn.Module):
    """Dropout with a mask that does not depend on the number of devices.

    Sets entries to 0 with probability `rate` and scales the others by 1 / (1 - rate),
    https://jmlr.org/papers/v15/srivastava14a.html. The mask of an example is a function
    of its index in the whole batch.
    """

    rate: float
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        # Without dropout no PRNG key is needed.
        if not train or self.rate == 0.0:
            return x
        count = len(x)
        # The index of this device's first example in the whole batch.
        first = jax.lax.axis_index(self.axis_name) * count if self.axis_name else 0
        keep = 1.0 - self.rate
        numbers = first + jnp.arange(count)
        mask = bernoulli(self.make_rng("dropout"), numbers, x.shape[1:], keep)
        # Scaled while training, so that sampling needs no factor.
        return jnp.where(mask, x / keep, 0.0)


class BatchNorm(nn.Module):
    """Batch normalization over the batch of all devices, https://arxiv.org/abs/1502.03167.

    With several micro-batches, over one of them. The defaults are those of Keras:
    momentum 0.99, epsilon 1e-3. Unlike with `nn.BatchNorm`, XLA can merge two passes
    over the same samples.
    """

    axis_name: str | None = None
    momentum: float = 0.99
    epsilon: float = 1e-3

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        scale = self.param("scale", nn.initializers.ones, x.shape[-1:])
        bias = self.param("bias", nn.initializers.zeros, x.shape[-1:])
        return self._normalize(x, *self._statistics(x, train), scale, bias)

    def _statistics(self, x: jax.Array, train: bool) -> tuple[jax.Array, jax.Array]:
        """Returns the mean and the variance of channels, `[C]`, and updates both."""
        mean = self.variable("batch_stats", "mean", jnp.zeros, x.shape[-1:])
        var = self.variable("batch_stats", "var", jnp.ones, x.shape[-1:])
        # Sampling uses the running statistics.
        if not train:
            return mean.value, var.value
        # Two passes over x: E[x^2] - E[x]^2 would lose digits.
        batch_mean = self._mean(at_least_float32(x))
        batch_var = self._mean(jnp.square(at_least_float32(x) - batch_mean))
        # The running statistics start at 0 and 1, not at those of the first batch.
        if not self.is_initializing():
            mean.value = self.momentum * mean.value + (1 - self.momentum) * batch_mean
            var.value = self.momentum * var.value + (1 - self.momentum) * batch_var
        return batch_mean, batch_var

    def _mean(self, x: jax.Array) -> jax.Array:
        """Returns the mean over all axes but the channels, and over all devices."""
        mean = x.mean(range(x.ndim - 1))
        # Devices have equally many examples, so a mean of means is exact.
        return jax.lax.pmean(mean, self.axis_name) if self.axis_name else mean

    def _normalize(self, x, mean, var, scale, bias) -> jax.Array:
        """Returns (x - mean) / sqrt(var + epsilon) * scale + bias, in x's dtype."""
        # One factor `[C]` for the root and the scale.
        factor = jax.lax.rsqrt(var + self.epsilon) * at_least_float32(scale)
        return ((at_least_float32(x) - mean) * factor + at_least_float32(bias)).astype(
            x.dtype
        )


class InstanceNorm(nn.Module):
    """Normalization of each channel of each image, https://arxiv.org/abs/1607.08022.

    With a learned scale and bias per channel. Statistics are computed in float32.
    """

    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = self.param("scale", nn.initializers.ones, x.shape[-1:])
        bias = self.param("bias", nn.initializers.zeros, x.shape[-1:])
        wide = at_least_float32(x)
        centered = wide - wide.mean((1, 2), keepdims=True)
        var = jnp.square(centered).mean((1, 2), keepdims=True)
        # One factor `[B, 1, 1, C]` for the root and the scale.
        factor = jax.lax.rsqrt(var + self.epsilon) * at_least_float32(scale)
        return (centered * factor + at_least_float32(bias)).astype(x.dtype)


def _batch_norm(x: jax.Array, axis_name: str | None, train: bool) -> jax.Array:
    """Normalizes with the momentum and the epsilon of pix2pix, those of PyTorch."""
    return BatchNorm(axis_name, 0.9, 1e-5)(x, train=train)


def _instance_norm(x: jax.Array, axis_name: str | None, train: bool) -> jax.Array:
    return InstanceNorm()(x)


def _no_norm(x: jax.Array, axis_name: str | None, train: bool) -> jax.Array:
    return x


NORMS: dict[str, Callable[[jax.Array, str | None, bool], jax.Array]] = {
    "batch": _batch_norm,
    "instance": _instance_norm,
    "none": _no_norm,
}
"""Normalizations by name: (x, name of the device axis, train) to x, in a module."""


def check_norm(name: str) -> None:
    """Raises UsageError unless there is a normalization of this name."""
    if name not in NORMS:
        raise unknown(name, NORMS, "norm")


class Conv(nn.Module):
    """`nn.Conv` with a square kernel, in a fast form per platform."""

    features: int
    size: int
    stride: int = 1
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    use_bias: bool = True
    padding: str | Sequence[tuple[int, int]] = "SAME"
    """SAME, VALID, or zeros before and after, in both directions."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (self.size, self.size, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        # Both forms compute the same sums.
        convolve = per_platform(conv_same, cpu=conv_cpu)
        y = convolve(x, kernel, self.stride, padding=self.padding)
        return _with_bias(self, y) if self.use_bias else y


def _with_bias(module: nn.Module, y: jax.Array) -> jax.Array:
    """Adds a bias `[C]` that starts at 0, a parameter of the module."""
    return add_bias(y, module.param("bias", nn.initializers.zeros, y.shape[-1:]))


class ConvTranspose(nn.Module):
    """`nn.ConvTranspose` with a square kernel and SAME padding."""

    features: int
    size: int
    stride: int = 1
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    use_bias: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (self.size, self.size, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        # XLA for CPU is slow at gradients of transposed convolutions.
        y = per_platform(conv_transpose_same, cpu=conv_transpose_cpu)(
            x, kernel, self.stride
        )
        return _with_bias(self, y) if self.use_bias else y


class GroupedConv(nn.Module):
    """A grouped `nn.Conv` with a square kernel and SAME padding, without bias.

    The number of channels does not change.
    """

    group: int
    """Channels of a group."""
    size: int = 3
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        # `[k, k, C / groups, C]`.
        shape = (self.size, self.size, self.group, x.shape[-1])
        kernel = self.param("kernel", self.kernel_init, shape)
        # The other forms avoid what XLA is slow at on a CPU or a TPU.
        return per_platform(
            grouped_conv, cpu=grouped_conv_matmul, tpu=grouped_conv_tpu
        )(x, kernel)

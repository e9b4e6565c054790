"""WaveGAN: raw waveforms by 1-D convolutions, https://arxiv.org/abs/1802.04208.

Each layer of the generator makes a waveform four times as long, with kernels of 25
samples; the discriminator is its mirror image. Phase shuffle hides the phase of its
activations from the discriminator's deeper layers, so that it cannot tell fakes by the
artifacts that transposed convolutions leave at fixed places.
"""

from typing import Annotated

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.errors import FieldError
from jaxgan.networks.layers import Dense, unconditional
from jaxgan.networks.ops.arrays import add_bias
from jaxgan.networks.ops.platform import per_platform
from jaxgan.networks.ops.waves import (
    conv,
    conv_matmul,
    conv_transpose,
    conv_transpose_matmul,
)
from jaxgan.networks.streams import example_rngs
from jaxgan.ranges import Range, Width, ceil_div
from jaxgan.types import DiscriminatorOutput, ExampleSpec, Field, Players, Tree

KERNEL, STRIDE = 25, 4
LOWEST = 16
"""Largest number of steps of the generator's first layer."""
LAST = 0.05
"""Variance of the generator's output before the tanh, which is that of quiet noise."""


def waveform_field(example: ExampleSpec, name: str) -> Field:
    """Returns the field of the waveforms to generate.

    Args:
      example: the fields of an example.
      name: of the networks or the task, for messages.

    Raises:
      FieldError: if the first field is not a waveform.
    """
    field = example[example.generated]
    if field.kind != "waveform":
        raise FieldError(
            f"{name} needs waveforms, not {field.kind} of shape {list(field.shape)}: "
            "use a dataset of sounds, such as audio:PATH"
        )
    return field


def levels_of(samples: int) -> int:
    """Returns the number of layers that make a waveform four times as long.

    >>> [levels_of(samples) for samples in (16, 400, 8_192, 16_384)]
    [1, 3, 5, 5]
    """
    size, levels = ceil_div(samples, STRIDE), 1
    while size > LOWEST:
        size, levels = ceil_div(size, STRIDE), levels + 1
    return levels


def shuffle_phase(x: jax.Array, keys: jax.Array, most: int) -> jax.Array:
    """Shifts each example by a random number of steps, with reflection at the ends.

    All shifts from -most to most are equally probable.

    Args:
      x: `[B, T, C]`, T > most.
      keys: one PRNG key per example, `[B]`.
      most: the largest shift.
    """
    shifts = jax.vmap(lambda key: jax.random.randint(key, (), 0, 2 * most + 1))(keys)
    padded = jnp.pad(x, [(0, 0), (most, most), (0, 0)], mode="reflect")
    # A sum over shifts, of which one has the weight 1: a gather has a slow gradient.
    chosen = jax.nn.one_hot(shifts, 2 * most + 1, dtype=x.dtype)
    parts = [
        chosen[:, i, None, None] * padded[:, i : i + x.shape[1]]
        for i in range(2 * most + 1)
    ]
    return sum(parts[1:], parts[0])


def _he(gain: float) -> nn.initializers.Initializer:
    return nn.initializers.variance_scaling(gain, "fan_in", "truncated_normal")


class Conv1D(nn.Module):
    """A convolution of `[B, T, C]` with SAME padding and a bias."""

    features: int
    stride: int = STRIDE

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (KERNEL, x.shape[-1], self.features)
        kernel = self.param("kernel", _he(2.0), shape)
        y = per_platform(conv, cpu=conv_matmul)(x, kernel, self.stride)
        return add_bias(y, self.param("bias", nn.initializers.zeros, shape[-1:]))


class ConvTranspose1D(nn.Module):
    """A transposed convolution of `[B, T, C]` with SAME padding and a bias."""

    features: int
    gain: float = 2.0
    """Variance of the output relative to the mean square of the input."""
    stride: int = STRIDE

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (KERNEL, x.shape[-1], self.features)
        # An output reads one in `stride` of the taps.
        kernel = self.param("kernel", _he(self.gain * self.stride), shape)
        y = per_platform(conv_transpose, cpu=conv_transpose_matmul)(
            x, kernel, self.stride
        )
        return add_bias(y, self.param("bias", nn.initializers.zeros, shape[-1:]))


class Generator(nn.Module):
    """Maps latents `[B, d]` to waveforms `[B, T, C]` in (-1, 1)."""

    shape: tuple[int, int]
    width: int

    @nn.compact
    def __call__(
        self, z: jax.Array, condition: Tree = None, *, train: bool
    ) -> jax.Array:
        unconditional(condition)
        samples, channels = self.shape
        levels = levels_of(samples)
        # Rounded up; the result is cropped.
        start = ceil_div(samples, STRIDE**levels)
        features = [self.width * 2**level for level in reversed(range(levels))]
        x = Dense(start * features[0], kernel_init=_he(2.0))(z)
        x = nn.relu(x).reshape(len(z), start, features[0])
        for here in features[1:]:
            x = nn.relu(ConvTranspose1D(here)(x))
        return jnp.tanh(ConvTranspose1D(channels, LAST)(x))[:, :samples]


class Discriminator(nn.Module):
    """Maps waveforms `[B, T, C]` to logits `[B]` and the last hidden layer."""

    width: int
    shuffle: int

    @nn.compact
    def __call__(
        self, x: jax.Array, condition=None, *, train: bool
    ) -> DiscriminatorOutput:
        levels = levels_of(x.shape[1])
        for level in range(levels):
            x = nn.leaky_relu(Conv1D(self.width * 2**level)(x), 0.2)
            # Between layers only, and not in evaluation.
            if train and self.shuffle and level < levels - 1:
                keys = example_rngs(self, f"phase{level}", len(x))
                x = shuffle_phase(x, keys, min(self.shuffle, x.shape[1] - 1))
        x = x.reshape(len(x), -1)
        return DiscriminatorOutput(Dense(1)(x)[:, 0], features=x)


def pair(
    width: Width = 64,
    shuffle: Annotated[int, Range(0, 100)] = 2,
    *,
    example: ExampleSpec,
    axis_name: str | None = None,
) -> Players[nn.Module]:
    """Returns WaveGAN's pair for waveforms of any length.

    Those of the paper have 16,384 samples, which are made from 16 steps by five layers;
    8,192 samples are made from 8 steps.

    Args:
      width: channels of the layer next to the waveform; each further one has twice as
        many. The paper's is 64.
      shuffle: the largest shift of phase shuffle, in steps of each layer; 0 for none.
      example: the fields of an example, of which the first, a waveform, is generated.
      axis_name: unused, as nothing depends on the batch.

    Raises:
      FieldError: if samples are not waveforms.
    """
    del axis_name
    samples, channels = waveform_field(example, "wavegan").shape
    return Players(Generator((samples, channels), width), Discriminator(width, shuffle))

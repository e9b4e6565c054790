"""A vocoder that refines the result of Griffin-Lim, with HiFi-GAN's discriminators.

Griffin-Lim finds phases by iteration, but its waveforms have other mel spectrograms
than those it starts from. Each round here first scales the spectrum of a waveform by
the ratio of the mel spectrogram that is asked for to its own. A network adds gains and
rotations of phase, after https://arxiv.org/abs/1903.03971, which start at 0.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.errors import UsageError
from jaxgan.networks import hifigan
from jaxgan.networks.images import HE, no_condition
from jaxgan.networks.layers_1d import Conv1D
from jaxgan.networks.ops import spectra
from jaxgan.networks.ops.spectra import MelSettings
from jaxgan.ranges import NonNegative, Positive, Range, Width
from jaxgan.types import ExampleSpec, Players, Tree

QUIET = 1e-5
"""Smallest magnitude of which the network sees the logarithm."""


def spread(settings: MelSettings) -> np.ndarray:
    """Returns weights `[mels, size // 2 + 1]` of the bands that hold a frequency.

    They sum to 1 for each frequency, and to 0 for those in no band.

    >>> float(spread(MelSettings(8_000, 64, 16, 4)).sum(0).round(6).max())
    1.0
    """
    rate, size, _, mels, low, high, _ = settings
    filters = spectra.mel_filters(rate, size, mels, low, high)
    total = filters.sum(1, keepdims=True)
    return (filters / np.where(total > 0, total, 1)).T


def fit_gains(
    y: jax.Array, mel: jax.Array, settings: MelSettings, rounds: int
) -> jax.Array:
    """Scales spectra by the ratio of a mel spectrogram to their own, some times.

    It is what `Refine` does before it has learned anything.

    Args:
      y: waveforms `[B, T]`.
      mel: log-mel spectrograms `[B, frames, mels]`.
      settings: of the spectrograms.
      rounds: number of times.

    Returns:
      `[B, T]`.
    """
    size, hop, weights = settings.size, settings.hop, spread(settings)
    for _ in range(rounds):
        gains = jnp.exp((mel - spectra.log_mel(y, settings)) @ weights)
        spectrum = spectra.stft(y, size, hop) * gains
        y = spectra.istft(spectrum, size, hop, y.shape[-1])
    return y


class Refine(nn.Module):
    """One round: maps waveforms `[B, T]` and log-mel spectrograms to waveforms."""

    width: int
    blocks: int
    settings: MelSettings
    dtype: Any
    """Of convolutions; Fourier transforms take float32."""

    @nn.compact
    def __call__(self, y: jax.Array, mel: jax.Array) -> jax.Array:
        size, hop = self.settings.size, self.settings.hop
        spectrum = spectra.stft(y, size, hop)
        power = spectrum.real**2 + spectrum.imag**2
        level = 0.5 * jnp.log(jnp.maximum(power, QUIET**2))
        # What the mel spectrogram lacks, in natural logarithms.
        lacks = mel - spectra.log_mel(y, self.settings)
        seen = [(x - hifigan.CENTER) / hifigan.SPREAD for x in (mel, level)]
        x = jnp.concatenate([lacks, *seen], -1).astype(self.dtype)
        x = Conv1D(self.width, 3, kernel_init=HE)(x)
        for _ in range(self.blocks):
            inner = hifigan.leaky(Conv1D(self.width, 3, kernel_init=HE)(x))
            x += Conv1D(self.width, 1, kernel_init=hifigan.RESIDUAL)(inner)
        zeros = nn.initializers.zeros
        change = Conv1D(2 * level.shape[-1], 1, kernel_init=zeros)(hifigan.leaky(x))
        gain, angle = jnp.split(change.astype(jnp.float32), 2, -1)
        factor = jnp.exp(lacks @ spread(self.settings) + gain)
        turned = jax.lax.complex(factor * jnp.cos(angle), factor * jnp.sin(angle))
        return spectra.istft(spectrum * turned, size, hop, y.shape[-1])


class Generator(nn.Module):
    """Maps log-mel spectrograms `[B, frames, mels]` to waveforms `[B, T, 1]`."""

    width: int
    blocks: int
    rounds: int
    iterations: int
    settings: MelSettings

    @nn.compact
    def __call__(
        self, x: jax.Array, condition: Tree = None, *, train: bool
    ) -> jax.Array:
        no_condition(condition, "griffin_lim")
        if x.shape[-1] != self.settings.mels:
            raise UsageError(
                f"griffin_lim(mels={self.settings.mels}): the spectrograms of the task "
                f"have {x.shape[-1]} bands: use mels={x.shape[-1]}"
            )
        dtype, x = x.dtype, x.astype(jnp.float32)
        samples = self.settings.hop * (x.shape[1] - 1)
        y = spectra.invert_log_mel(x, self.settings, samples, self.iterations)
        y = jax.lax.stop_gradient(y)
        for _ in range(self.rounds):
            y = Refine(self.width, self.blocks, self.settings, dtype)(y, x)
        return (y if train else jnp.clip(y, -1, 1))[..., None]


def pair(
    width: Width = 192,
    d_width: Width = 8,
    blocks: Annotated[int, Range(0, 100)] = 2,
    rounds: Annotated[int, Range(1, 20)] = 4,
    iterations: Annotated[int, Range(0, 1_000)] = 16,
    size: Annotated[int, Range(16, 2**16)] = 1_024,
    hop: Annotated[int, Range(1, 2**15)] = 256,
    mels: Annotated[int, Range(1, 2**10)] = 80,
    low: NonNegative = 0.0,
    high: NonNegative = 0.0,
    floor: Positive = 1e-5,
    periods: hifigan.Periods = (2, 3, 5, 7, 11),
    scales: Annotated[int, Range(0, 8)] = 1,
    *,
    example: ExampleSpec,
    axis_name: str | None = None,
) -> Players[nn.Module]:
    """Returns a generator that refines Griffin-Lim, and HiFi-GAN's discriminators.

    Args:
      width: channels of the network of a round.
      d_width: as in `hifigan`.
      blocks: residual blocks of a round, each of 3 frames.
      rounds: number of rounds.
      iterations: of the fast Griffin-Lim algorithm, before the rounds.
      size: samples of the window; this and the following are those of the task.
      hop: samples from one frame to the next.
      mels: number of mel filters.
      low: the lowest frequency, in Hz.
      high: the highest frequency, in Hz; 0 for half the rate of the data.
      floor: the smallest magnitude, before the logarithm.
      periods: as in `hifigan`.
      scales: as in `hifigan`.
      example: the fields of an example, of which the first, a waveform, is generated.
      axis_name: unused, as nothing depends on the batch.

    Raises:
      FieldError: if examples are no waveforms.
      UsageError: without any discriminator.
    """
    judges: Sequence[int] = tuple(periods)
    other = hifigan.pair(
        1, d_width, periods=judges, scales=scales, example=example, axis_name=axis_name
    )
    rate = example[example.generated].rate or 16_000
    settings = MelSettings(rate, size, hop, mels, low, high, floor)
    generator = Generator(width, blocks, rounds, iterations, settings)
    return Players(generator, other.discriminator)

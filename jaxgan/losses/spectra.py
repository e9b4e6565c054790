"""Terms of the generator that compare the spectra of waveforms."""

import jax
import jax.numpy as jnp

from jaxgan.errors import UsageError
from jaxgan.losses.reconstruction import mean_error, weighted
from jaxgan.metrics.spectral import spectrograms_of, stft_distance
from jaxgan.schedules import Weight
from jaxgan.types import LossInputs, Term


def mel_l1(weight: Weight = 45.0) -> Term:
    """The L1 distance of log-mel spectrograms, https://arxiv.org/abs/2010.05646.

    weight E|phi(x) - phi(G)|, equation 5, in natural logarithms. The settings of the
    spectrograms phi are those of the task.

    Args:
      weight: factor of the mean.

    Raises:
      UsageError: while tracing, if the task makes no spectrograms.
    """
    return weighted(weight, lambda s: mean_error(*spectrograms_of(s.samples, "mel_l1")))


def stft(weight: Weight = 1.0) -> Term:
    """The multi-resolution STFT distance, https://arxiv.org/abs/1910.11480.

    weight E d(x, G), where d is `metrics.spectral.stft_distance`, of waveforms.

    Args:
      weight: factor of the mean.

    Raises:
      UsageError: while tracing, if samples are no waveforms that the task restores.
    """

    def distance(s: LossInputs) -> jax.Array:
        real, fake = s.samples.real, s.samples.fake
        if getattr(real, "ndim", 0) != 3:
            raise UsageError("stft needs waveforms: use the task vocoder")
        return jnp.mean(stft_distance(real, fake))

    return weighted(weight, distance)

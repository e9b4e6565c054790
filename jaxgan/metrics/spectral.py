"""Distances of the spectra of waveforms, and evaluators of vocoders."""

from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.data.dataset import Dataset, Examples
from jaxgan.errors import UsageError
from jaxgan.metrics.evaluators import Evaluator, SampleFn, Values, number_of
from jaxgan.networks.ops.spectra import magnitude
from jaxgan.ranges import Range
from jaxgan.types import Samples, Task, Tree

RESOLUTIONS = ((512, 128), (1_024, 256), (2_048, 512))
"""Window and hop, in samples, of the transforms of `stft_distance`."""

FLOOR = 1e-5
"""Smallest magnitude before the logarithm, and smallest norm of a spectrum."""

Count = Annotated[int, Range(1, 2**20)]
"""Number of samples, at most that of the fixed examples."""


def stft_distance(real: jax.Array, fake: jax.Array) -> jax.Array:
    """Returns the multi-resolution STFT distance of each waveform, `[B]`.

    The mean over `RESOLUTIONS` of the spectral convergence `|S - S'| / |S|` and the
    mean absolute difference of log-magnitudes, https://arxiv.org/abs/1910.11480,
    equations 4 to 6. Norms are over time and frequency of one example.

    Args:
      real: `[B, T, C]` in [-1, 1], more than 1,024 samples.
      fake: of the same shape.

    Raises:
      UsageError: for shorter waveforms.
    """
    longest = RESOLUTIONS[-1][0] // 2
    if real.shape[1] <= longest:
        raise UsageError(
            f"stft needs waveforms of more than {longest:,} samples, not "
            f"{real.shape[1]:,}: use mel_l1"
        )

    def at(size: int, hop: int) -> jax.Array:
        # `[B, C, frames, frequencies]`.
        spectra = [magnitude(jnp.moveaxis(x, 1, -1), size, hop) for x in (real, fake)]
        axes = tuple(range(1, spectra[0].ndim))
        gap, norm = (
            jnp.sqrt(jnp.maximum(jnp.sum(x**2, axes), FLOOR**2))
            for x in (spectra[0] - spectra[1], spectra[0])
        )
        logs = [jnp.log(jnp.maximum(x, FLOOR)) for x in spectra]
        return gap / norm + jnp.mean(jnp.abs(logs[0] - logs[1]), axes)

    return jnp.stack([at(*resolution) for resolution in RESOLUTIONS]).mean(0)


def spectrograms_of(samples: Samples, name: str) -> tuple[Tree, Tree]:
    """Returns the log-mel spectrograms of real and of generated waveforms.

    Raises:
      UsageError: if the task makes none.
    """
    real, fake = samples.condition, samples.reconstruction
    shapes = [getattr(x, "shape", ()) for x in (real, fake)]
    if shapes[0] != shapes[1] or len(shapes[0]) != 3:
        raise UsageError(f"{name} needs log-mel spectrograms: use the task vocoder")
    return real, fake


def check_vocoder(name: str, task: Task | None, train: Dataset | None) -> None:
    """Raises UsageError unless a task may restore waveforms, which are its targets.

    Args:
      name: of the metric.
      task: the task, None before there are data.
      train: the training examples, None before they are read.
    """
    restores = task is None or task.transform is not None
    if train is not None:
        restores &= train.example[train.example.generated].kind == "waveform"
    if not restores:
        raise UsageError(
            f"{name} compares waveforms with those of the same spectrograms, which "
            "only the task vocoder makes: use sliced_wasserstein"
        )


def mel_l1(
    samples: Count = 256, *, task: Task | None = None, train: Dataset | None = None
) -> Evaluator:
    """Measures the L1 distance of log-mel spectrograms, which is the score.

    The value is `mel_l1`, in natural logarithms, with the settings of the task.

    Args:
      samples: number of samples, at most that of the fixed examples.
      task: the task, None before there are data.
      train: the training examples, None before they are read.

    Raises:
      UsageError: if the task is not that of a vocoder.
    """
    check_vocoder("mel_l1", task, train)

    def value(drawn: Samples) -> float:
        real, fake = spectrograms_of(drawn, "mel_l1")
        return float(np.abs(np.asarray(real) - np.asarray(fake)).mean())

    return _evaluator("mel_l1", samples, value)


def stft(
    samples: Count = 256, *, task: Task | None = None, train: Dataset | None = None
) -> Evaluator:
    """Measures the multi-resolution STFT distance, which is the score.

    The value is `stft`, the mean of `stft_distance` of waveforms and their targets.

    Args:
      samples: number of samples, at most that of the fixed examples.
      task: the task, None before there are data.
      train: the training examples, None before they are read.

    Raises:
      UsageError: if the task is not that of a vocoder.
    """
    check_vocoder("stft", task, train)
    distance = jax.jit(stft_distance)

    def value(drawn: Samples) -> float:
        spectrograms_of(drawn, "stft")
        return float(np.asarray(distance(drawn.real, drawn.fake)).mean())

    return _evaluator("stft", samples, value)


def _evaluator(name: str, count: int, value: Any) -> Evaluator:
    """Returns an evaluator of samples beside their targets."""

    def init(dataset: Dataset, examples: Examples, key: jax.Array) -> int:
        return min(count, number_of(examples))

    def run(number: int, sample_fn: SampleFn) -> Values:
        return {name: value(sample_fn(number))}

    return Evaluator(init, run)


SPECTRAL_EVALUATORS = {f.__name__: f for f in (mel_l1, stft)}
"""Evaluators of vocoders by name."""

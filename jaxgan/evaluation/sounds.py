"""A trained vocoder as a function of waveforms of any length."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import spec
from jaxgan.errors import TrainingError
from jaxgan.evaluation.load_run import Run
from jaxgan.gan import objective
from jaxgan.gan.objective import example_keys
from jaxgan.networks.ops.spectra import MelSettings, log_mel
from jaxgan.parallel import multi_seed
from jaxgan.ranges import ceil_div
from jaxgan.tasks.vocoder import SETTINGS, generate
from jaxgan.types import Tree

CHUNK = 1_024
"""Frames of a chunk of longer waveforms."""
OVERLAP = 64
"""Frames that neighboring chunks share; they are blended in the middle half."""
GRID = 64
"""Frames to whose multiples waveforms are padded, so that few shapes compile."""


def restores_sounds(run: Run) -> bool:
    """Returns True if the task of a run maps waveforms to waveforms."""
    kind = run.example[run.example.generated].kind
    return run.gan.task.transform is not None and kind == "waveform"


def settings_of(run: Run) -> MelSettings:
    """Returns the settings of the spectrograms of a run.

    Raises:
      UsageError: if its task has none.
    """
    return spec.build_one(run.config.task, SETTINGS, example=run.example)


def finite(result: np.ndarray) -> np.ndarray:
    """Returns the result of a network; raises TrainingError if it is not finite."""
    if not np.isfinite(result).all():
        raise TrainingError(
            "the network's results are not finite: use an earlier checkpoint, such "
            "as --checkpoint=best"
        )
    return result


class Vocoder:
    """Restores waveforms from their spectrograms, in chunks of a few compiled shapes.

    Args:
      run: a run that restores sounds.
      seed: of networks with noise.
    """

    def __init__(self, run: Run, seed: int = 0) -> None:
        self.settings = settings_of(run)
        self.compilation = 0.0
        """Seconds that compilation took so far."""
        self._run, self._key = run, multi_seed.key_of(seed)
        self._programs: dict[Any, Callable[..., jax.Array]] = {}
        self._variables: Tree = None

    def restore(self, which: Any = "last", *, raw: bool = False) -> int:
        """Reads the variables of a checkpoint, see `Run.restore`; returns its step."""
        step, variables = self._run.restore_step(which, raw=raw)
        self._variables = jax.device_put(variables)
        return step

    def transform(self, variables: Tree, x: jax.Array) -> jax.Array:
        """Returns the results of waveforms `[B, T, 1]`, all with the same noise."""
        keys = jnp.broadcast_to(example_keys(self._key, 1), (len(x),))
        task, networks = self._run.gan.task, self._run.gan.networks
        generator, _ = objective.bind(networks.generator, variables, keys)
        assert task.transform is not None  # checked by `restores_sounds`
        return task.transform(generator, {"source": x}, keys)

    def inverse(self, variables: Tree, mel: jax.Array) -> jax.Array:
        """Returns the waveforms of log-mel spectrograms `[B, frames, mels]`."""
        keys = jnp.broadcast_to(example_keys(self._key, 1), (len(mel),))
        network = self._run.gan.networks.generator
        generator, _ = objective.bind(network, variables, keys)
        return generate(generator, mel, self.settings.hop)

    def log_mel(self, variables: Tree, x: jax.Array) -> jax.Array:
        """Returns the log-mel spectrograms of waveforms `[B, T]`."""
        return log_mel(x, self.settings)

    def _run_compiled(self, function: Callable[..., Any], x: np.ndarray) -> np.ndarray:
        """Calls a function of the variables and x, compiled once for each shape."""
        key, x = (function, x.shape), np.asarray(x, np.float32)
        if key not in self._programs:
            start = time.perf_counter()
            lowered = jax.jit(function).lower(self._variables, x)
            self._programs[key] = lowered.compile()
            self.compilation += time.perf_counter() - start
        return np.asarray(self._programs[key](self._variables, x))

    def spectrogram(self, sound: np.ndarray) -> np.ndarray:
        """Returns the spectrogram `[frames, mels]` of a sound `[n, channels]`.

        Channels are averaged, and zeros fill the last hop.
        """
        hop, mono = self.settings.hop, sound.mean(1)
        length = max(ceil_div(len(mono), hop) * hop, self.settings.size)
        mono = np.pad(mono, (0, length - len(mono)))
        return self._run_compiled(self.log_mel, mono[None])[0]

    def invert(self, mel: np.ndarray) -> np.ndarray:
        """Maps a spectrogram `[frames, mels]` to a sound `[hop * (frames - 1), 1]`.

        Raises:
          TrainingError: if the result is not finite.
        """
        frames = ceil_div(len(mel) - 1, GRID) * GRID + 1
        silence = np.log(self.settings.floor)
        padded = np.pad(mel, [(0, frames - len(mel)), (0, 0)], constant_values=silence)
        result = self._run_compiled(self.inverse, padded[None])[0]
        return finite(result[: self.settings.hop * (len(mel) - 1)]).clip(-1, 1)

    def batch(self, x: np.ndarray) -> np.ndarray:
        """Maps waveforms of the length in training, `[B, T, 1]`, to the same shape."""
        return self._run_compiled(self.transform, x)

    def __call__(self, sound: np.ndarray) -> np.ndarray:
        """Maps a sound of the run's rate.

        Args:
          sound: `[n, channels]` float32, of which each channel is mapped by itself.

        Returns:
          `[n, channels]` float32 in [-1, 1].

        Raises:
          TrainingError: if the result is not finite.
        """
        channels = np.ascontiguousarray(sound.T)[..., None]
        result, fade = np.zeros_like(channels), OVERLAP // 4 * self.settings.hop
        for first, last in self.cuts(sound):
            start, stop = max(first - fade, 0), min(last + fade, len(sound))
            # Neighbors are blended, as phases may differ; weights add up to 1.
            place = np.arange(start, stop) + 0.5
            up = (place - first + fade) / (2 * fade) if first else np.ones(1)
            down = (last + fade - place) / (2 * fade) if stop > last else np.ones(1)
            weights = (up.clip(0, 1) * down.clip(0, 1)).astype(np.float32)[:, None]
            result[:, start:stop] += weights * self._chunk(channels, start, stop)
        return finite(result)[..., 0].T.clip(-1, 1)

    def cuts(self, sound: np.ndarray) -> list[tuple[int, int]]:
        """Returns the first sample, and the one after the last, of parts of a sound."""
        part = (CHUNK - OVERLAP) * self.settings.hop
        count = max(ceil_div(len(sound), part), 1)
        return [(i * part, min((i + 1) * part, len(sound))) for i in range(count)]

    def _chunk(self, channels: np.ndarray, first: int, last: int) -> np.ndarray:
        """Maps samples `first:last` of channels `[C, n, 1]`, with some around them."""
        hop, around = self.settings.hop, OVERLAP // 4 * self.settings.hop
        start = max(first - around, 0)
        x = channels[:, start : last + around]
        length = ceil_div(ceil_div(x.shape[1], hop), GRID) * GRID * hop
        # The window must not be longer than what is reflected at the ends.
        length = max(length, ceil_div(self.settings.size, hop) * hop)
        x = np.pad(x, [(0, 0), (0, length - x.shape[1]), (0, 0)])
        return self.batch(x)[:, first - start : last - start]

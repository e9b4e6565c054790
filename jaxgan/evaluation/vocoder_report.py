"""Evaluates a vocoder beside Griffin-Lim, on held-out sounds."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxgan import data
from jaxgan.config.evaluating import AUTO, EvaluateConfig
from jaxgan.distributed.consensus import all_succeed, run_on_main
from jaxgan.errors import UsageError
from jaxgan.evaluation.load_run import Run
from jaxgan.evaluation.pair_report import count_of
from jaxgan.evaluation.protocol import environment, parameters_of
from jaxgan.evaluation.real_examples import load_real
from jaxgan.evaluation.run_report import numbers_of
from jaxgan.evaluation.scores import summary
from jaxgan.evaluation.sounds import Vocoder
from jaxgan.experiment import checkpoint
from jaxgan.metrics.spectral import RESOLUTIONS, stft_distance
from jaxgan.networks.griffin_lim import fit_gains
from jaxgan.networks.ops.spectra import MelSettings, invert_log_mel, log_mel

AT_ONCE = 16
"""Sounds that are mapped and timed together."""

GENERATED = "generated"
BASELINES: dict[str, tuple[int, float, int]] = {
    "griffin_lim(1)": (1, 0.0, 0),
    "griffin_lim(32)": (32, 0.0, 0),
    "griffin_lim(60)": (60, 0.0, 0),
    "fast griffin_lim(60)": (60, 0.99, 0),
    "fast (16), 4 gains": (16, 0.99, 4),
}
"""Inversions without a network: iterations and momentum of Griffin-Lim, and the rounds
of `fit_gains` that follow."""

Map = Callable[[np.ndarray], np.ndarray]
"""Maps waveforms `[B, T]` to their restorations."""


def report_of(config: EvaluateConfig, run: Run) -> dict[str, Any]:
    """Computes the distances of restored sounds. All processes call it.

    Args:
      config: the configuration.
      run: a run that restores sounds.

    Returns:
      `metrics` of the results, `rows` with the values of all methods, `draws` and
      `protocol`, as they are written to a file.

    Raises:
      UsageError: if the checkpoint, the data or a flag cannot be used.
    """
    all_succeed(lambda: _check(config, run))
    examples = all_succeed(lambda: load_real(run, config))
    held_out = examples.held_out
    assert held_out is not None
    count = all_succeed(lambda: count_of(config, held_out))
    numbers = np.sort(data.epoch_order(0, 0, held_out.size)[:count])
    # One process maps: there are few examples.
    step, draws, rows = run_on_main(lambda: _measured(config, run, held_out, numbers))
    settings = Vocoder(run).settings
    return {
        "metrics": summary(draws, {}),
        "rows": rows,
        "draws": draws,
        "protocol": {
            "dataset": run.config.dataset,
            "task": run.config.task,
            "held_out": held_out.origin,
            "split": examples.split,
            "trained_on": examples.count_trained_on(numbers),
            "n": count,
            "fingerprint": data.fingerprint(held_out),
            "step": step,
            "parameters": parameters_of(run, raw=config.raw),
            "std_over": [f"{len(draws)} training seeds"] * (len(draws) > 1),
            "metrics": _facts(settings),
            "settings": settings._asdict(),
            "missing_baselines": [],
            "extractors": {},
            **environment(),
        },
    }


def _facts(settings: MelSettings) -> dict[str, dict[str, Any]]:
    """Returns the protocol of each metric."""
    _, size, hop, mels, *_ = settings
    return {
        "mel_l1": {
            "unit": f"log-mel L1 of {mels} bands, window {size}, hop {hop}",
            "better": "less",
        },
        "stft": {
            "unit": "STFT distance of the windows "
            + " ".join(str(size) for size, _ in RESOLUTIONS),
            "better": "less",
        },
        "real_time": {"unit": "seconds per second of sound", "better": "less"},
    }


def _check(config: EvaluateConfig, run: Run) -> None:
    """Raises UsageError for flags without effect, and for a missing checkpoint."""
    given = {
        **{name: getattr(config, name) for name in ("against", "save_stats", "n_real")},
        "metrics": config.metrics != AUTO,
        "seeds": config.draws > 1,
    }
    for flag, value in given.items():
        if value:
            raise UsageError(
                f"--{flag} has no effect for --task={run.config.task}, whose sounds "
                "are compared with their own targets: leave it out"
            )
    checkpoint.candidates(run.folder / "checkpoints", config.which)


def _measured(
    config: EvaluateConfig, run: Run, held_out: data.Dataset, numbers: np.ndarray
) -> tuple[int, list[dict[str, Any]], dict[str, dict[str, float]]]:
    """Returns the step, the values of each run, and those of each method."""
    batch = data.normalize(held_out.read(numbers), held_out.example)
    real = np.asarray(batch[held_out.example.generated], np.float32)[..., 0]
    settings, samples = Vocoder(run).settings, real.shape[1]
    step, draws, rows = 0, [], {}
    for number in numbers_of(run, config):
        vocoder = Vocoder(dataclasses.replace(run, number=number), config.seed)
        step = vocoder.restore(config.which, raw=config.raw)
        found = measure(
            lambda x, v=vocoder: v.batch(x[..., None])[..., 0], real, settings
        )
        draws.append({"run": number, "seed": config.seed, **found})
    names = [x for x in draws[0] if x not in ("run", "seed")]
    rows[GENERATED] = {x: float(np.mean([row[x] for row in draws])) for x in names}
    for name, baseline in BASELINES.items():

        def invert(x, baseline=baseline):
            (iterations, momentum, rounds), mel = baseline, log_mel(x, settings)
            y = invert_log_mel(mel, settings, samples, iterations, momentum)
            return fit_gains(y, mel, settings, rounds)

        rows[name] = measure(jax.jit(invert), real, settings)
    return step, draws, rows


def measure(restore: Map, real: np.ndarray, settings: MelSettings) -> dict[str, float]:
    """Returns the mean distances of restored sounds, and the time that it took.

    Args:
      restore: maps sounds to their restorations.
      real: sounds `[n, T]` in [-1, 1].
      settings: of the spectrograms.

    Returns:
      `mel_l1`, `stft`, and `real_time`, seconds per second of sound on this machine,
      the computation of the spectrogram included.
    """

    @jax.jit
    def distances(x, y):
        gap = abs(log_mel(x, settings) - log_mel(y, settings)).mean((1, 2))
        return gap, stft_distance(x[..., None], y[..., None])

    parts, seconds = [], 0.0
    np.asarray(restore(_filled(real[:AT_ONCE])))  # compiles
    for first in range(0, len(real), AT_ONCE):
        x = real[first : first + AT_ONCE]
        start = time.perf_counter()
        y = np.asarray(restore(_filled(x)))
        seconds += time.perf_counter() - start
        parts.append([np.asarray(d)[: len(x)] for d in distances(_filled(x), y)])
    mel, stft = (np.concatenate(column) for column in zip(*parts, strict=True))
    if not (np.isfinite(mel).all() and np.isfinite(stft).all()):
        raise UsageError("results have NaN or infinity: use an earlier --checkpoint")
    sound = -(-len(real) // AT_ONCE) * AT_ONCE * real.shape[1] / settings.rate
    return {
        "mel_l1": float(mel.mean()),
        "stft": float(stft.mean()),
        "real_time": seconds / sound,
    }


def _filled(x: np.ndarray) -> np.ndarray:
    """Repeats sounds until there are `AT_ONCE` of them, for one compiled shape."""
    return np.resize(x, (AT_ONCE, *x.shape[1:]))

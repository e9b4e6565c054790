"""Restores sounds of users with a vocoder: the function `jaxgan.apply_run`."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxgan.config.applying import MapOptions
from jaxgan.data.audio_files import BadSound, Sound, check_sound
from jaxgan.errors import UsageError
from jaxgan.evaluation.apply_sounds import (
    at_rate,
    check_flags,
    check_restores_sounds,
    read,
)
from jaxgan.evaluation.load_run import Run
from jaxgan.evaluation.sounds import Vocoder

LOUDEST = 1.001
"""Largest magnitude of a sound: full scale, and a little for rounding."""


def restore_all(
    run: Run,
    sounds: Any,
    rate: int | None,
    options: MapOptions,
    mask: Any,
    *,
    which: Any,
    raw: bool,
) -> Any:
    """Restores one sound or several; all are checked before the checkpoint is read.

    Args:
      run: a run of sounds.
      sounds: an array `[n, channels]` or `[n]` of floats in [-1, 1], the path of a
        sound file, or a sequence of these.
      rate: of the arrays, None for that of the run.
      options: of the mapping, of which only `seed` may be given.
      mask: None.
      which: `last`, `best` or a step.
      raw: True for the newest parameters instead of their moving average.

    Returns:
      The result of one sound at the rate of the run, float32 in [-1, 1] with the axes
      of the sound, or a list of results. That of a file is `[n, channels]`.

    Raises:
      UsageError: if the run restores no sounds, or an argument does not fit it.
    """
    check_restores_sounds(run)
    check_flags(options, mask)
    vocoder = Vocoder(run, options.seed)
    own = vocoder.settings.rate
    is_one = isinstance(sounds, str | Path) or getattr(sounds, "ndim", 3) < 3
    several: Any = [sounds] if is_one else sounds
    found = [sound_of(x, rate, own) for x in several]
    vocoder.restore(which, raw=raw)
    results = []
    for number, (sound, axes) in enumerate(found):
        result = vocoder(at_rate(sound, own, f"sound {number}"))
        results.append(result[:, 0] if axes == 1 else result)
    return results[0] if is_one else results


def sound_of(sound: Any, rate: int | None, usual: int) -> tuple[Sound, int]:
    """Returns a sound and the number of its axes; raises UsageError if it is none.

    Args:
      sound: an array, or the path of a file.
      rate: of an array, None for the usual one; a file has its own.
      usual: the rate of the run.
    """
    if isinstance(sound, str | Path):
        if rate is not None:
            raise UsageError(f"rate={rate}: a sound file has its own; leave it out")
        return read(Path(sound)), 2
    array = np.asarray(sound)
    if array.ndim not in (1, 2) or array.dtype.kind != "f" or not array.size:
        raise UsageError(
            f"a sound is {list(array.shape)} {array.dtype}: give [n] or [n, channels] "
            "float32 in [-1, 1]"
        )
    samples = np.asarray(array[:, None] if array.ndim == 1 else array, np.float32)
    if samples.shape[1] > len(samples):
        raise UsageError(
            f"a sound is {list(array.shape)}, with more channels than samples: give "
            "[n, channels]"
        )
    chosen = usual if rate is None else rate
    if chosen // 1 != chosen:
        raise UsageError(f"rate={rate}: give a whole number, such as rate={usual}")
    found = Sound(samples, int(chosen))
    try:
        check_sound(found)
    except BadSound as error:
        raise UsageError(f"a sound {error}") from error
    peak = float(np.abs(samples).max())
    if peak > LOUDEST:
        raise UsageError(
            f"a sound has values up to {peak:g}: divide it by its full scale, such as "
            "32768, so that they are in [-1, 1]"
        )
    return found, array.ndim

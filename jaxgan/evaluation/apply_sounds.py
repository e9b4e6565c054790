"""Restores sounds of users with a vocoder: the program `jaxgan.apply`."""

import logging
import time
from math import gcd
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import signal

from jaxgan.config.applying import ApplyConfig, MapOptions
from jaxgan.data.audio_files import SUFFIXES, BadSound, Sound, read_sound
from jaxgan.errors import UsageError, printable
from jaxgan.evaluation.load_run import Run, load_run
from jaxgan.evaluation.picture_paths import (
    OF_FILES,
    Found,
    check_folder,
    check_targets,
    find,
)
from jaxgan.evaluation.progress_bar import Progress
from jaxgan.evaluation.sounds import Vocoder, restores_sounds
from jaxgan.evaluation.spectrogram_files import SUFFIX as SPECTROGRAM
from jaxgan.evaluation.spectrogram_files import (
    OtherSettings,
    content_of,
    read_spectrogram,
)
from jaxgan.files import atomic_write, check_writable, kind, local_path, reason
from jaxgan.reporting.sounds import wav

log = logging.getLogger("jaxgan")

EXAMPLE = "python -m jaxgan.apply --workdir=RUN speech.wav result.wav"


class Job(NamedTuple):
    """A sound to restore, and the file for the result."""

    source: Path
    target: Path


def apply(config: ApplyConfig) -> int:
    """Restores sounds and writes the results. Returns the exit code.

    A sound is resampled to the rate of the run, and its result back to its own. Each
    channel is restored by itself. The length stays. A spectrogram in an .npz file must
    have the settings of the run; that of a sound is written if OUT is such a file.

    Returns:
      0, or 1 if a sound could not be restored, which is logged.

    Raises:
      UsageError: if the run, the checkpoint, the sounds or the outputs do not fit the
        flags. Nothing is written then.
    """
    run = load_run(config.workdir, number=config.run)
    check_restores_sounds(run)
    check_flags(config, config.mask)
    jobs = find_jobs(config)
    vocoder = Vocoder(run, config.seed)
    check_spectrograms(vocoder, jobs)
    vocoder.restore(config.which, raw=config.raw)
    log.info("%s", describe(vocoder))
    failed, seconds, started = 0, 0.0, time.perf_counter()
    with Progress("sounds", len(jobs)) as progress:
        for job in jobs:
            try:
                seconds += restore_file(vocoder, job)
            except UsageError as error:
                if config.on_bad_example == "stop":
                    raise
                log.error("%s", error)
                failed += 1
            progress.advance(1)
    where = jobs[0].target if len(jobs) == 1 else config.out
    took = time.perf_counter() - started - vocoder.compilation
    if seconds:
        log.info(
            "%d sound(s), %.1f s, in %s: %.3f s per second of sound, beside %.1f s of "
            "compilation",
            *(len(jobs) - failed, seconds, printable(str(where))),
            *(took / seconds, vocoder.compilation),
        )
    if failed:
        log.error("%d of %d sounds could not be restored", failed, len(jobs))
    return 1 if failed else 0


def check_spectrograms(vocoder: Vocoder, jobs: list[Job]) -> None:
    """Raises UsageError if a spectrogram has other settings than the run."""
    for job in jobs:
        if job.source.suffix.lower() != SPECTROGRAM:
            continue
        if job.target.suffix.lower() == SPECTROGRAM:
            raise UsageError(
                f"{printable(str(job.source))} is a spectrogram: its result is a "
                "sound, so OUT must end in .wav"
            )
        try:
            read_spectrogram(job.source, vocoder.settings)
        except OtherSettings:
            raise
        except UsageError:
            continue  # a bad file is an error of its own, where it is restored


def describe(vocoder: Vocoder) -> str:
    """Returns the settings of a run in a line."""
    s = vocoder.settings
    return (
        f"log-mel spectrograms of the run: {s.mels} bands of {s.low:g} to "
        f"{s.high or s.rate / 2:g} Hz, window {s.size}, hop {s.hop}, {s.rate} Hz"
    )


def check_restores_sounds(run: Run) -> None:
    """Raises UsageError unless the task of a run of sounds restores them."""
    if not restores_sounds(run):
        raise UsageError(
            f"--workdir={run.folder}: --task={run.config.task} restores no sounds; "
            "draw samples with python -m jaxgan.sample, or train with --preset=vocoder"
        )


def check_flags(options: MapOptions, mask: Any) -> None:
    """Raises UsageError for flags of pictures, such as a mask that is not None."""
    given = {
        "tile": options.tile,
        "overlap": options.overlap >= 0,
        "mask": mask is not None,
        "label": options.label,
        "attributes": options.attributes,
        "reverse": options.reverse,
    }
    for name, value in given.items():
        if value:
            raise UsageError(f"--{name}: this run restores sounds; leave it out")


def find_jobs(config: ApplyConfig) -> list[Job]:
    """Finds all sounds, and checks the outputs.

    Raises:
      UsageError: if there are no sounds, or if an output cannot be written, exists, is
        an input, or has several sounds.
    """
    out = local_path("OUT", config.out)
    found = [
        x
        for text in config.pictures
        for x in find(text, [out], of=((*SUFFIXES, SPECTROGRAM), "sounds"))
    ]
    targets = _targets(config, out, found)
    check_targets(targets, found, overwrite=config.overwrite)
    return [Job(one.file, target) for one, target in zip(found, targets, strict=True)]


def _targets(config: ApplyConfig, out: Path, found: list[Found]) -> list[Path]:
    """Returns the file for each result; raises UsageError for an unfit OUT."""
    suffix, shown = out.suffix.lower(), f"OUT={printable(config.out)}"
    is_folder = config.out.endswith("/") or kind(out) == "a folder"
    if suffix in (".wav", SPECTROGRAM) and not is_folder:
        if len(found) > 1:
            raise UsageError(
                f"{shown}: the results of {len(found):,} sounds need a folder, such as "
                f"{printable(str(out.with_suffix('')))}/"
            )
        check_writable("OUT", out)
        return [out]
    if suffix in OF_FILES and not is_folder:
        raise UsageError(f"{shown}: must end in .wav or .npz, or in / for a folder")
    check_folder(shown, out)
    return [out / one.below.with_suffix(".wav") for one in found]


def restore_file(vocoder: Vocoder, job: Job) -> float:
    """Restores a sound and writes the result; returns its seconds.

    Raises:
      UsageError: if the sound cannot be read, or the result not be written.
    """
    if job.source.suffix.lower() == SPECTROGRAM:
        settings, rate = vocoder.settings, vocoder.settings.rate
        result = vocoder.invert(read_spectrogram(job.source, settings))
        _write(job.target, wav(result, rate))
        return len(result) / rate
    sound, own = read(job.source), vocoder.settings.rate
    samples, rate = at_rate(sound, own, printable(str(job.source))), sound.rate
    if job.target.suffix.lower() == SPECTROGRAM:
        content = content_of(vocoder.spectrogram(samples), vocoder.settings)
    else:
        result = resampled(vocoder(samples), own, rate)
        # Rates without a common factor may give a sample more or less.
        missing = max(len(sound.samples) - len(result), 0)
        result = np.pad(result, [(0, missing), (0, 0)])[: len(sound.samples)]
        content = wav(result, rate)
    _write(job.target, content)
    return len(sound.samples) / rate


def read(path: Path) -> Sound:
    """Reads a sound file; raises UsageError if it cannot be read."""
    try:
        return read_sound(path)
    except (BadSound, OSError, ValueError) as error:
        raise UsageError(f"{printable(str(path))} {_why(error)}") from error


def at_rate(sound: Sound, rate: int, name: str) -> np.ndarray:
    """Returns the samples of a sound at a rate, and logs if they are resampled."""
    if sound.rate != rate:
        log.info("%s: resampled from %d to %d Hz", name, sound.rate, rate)
    return resampled(sound.samples, sound.rate, rate)


def _write(target: Path, content: bytes) -> None:
    """Writes a file; raises UsageError if it cannot be written."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(target, content)
    except OSError as error:
        shown = printable(str(target))
        raise UsageError(f"{shown} cannot be written ({reason(error)})") from error


def _why(error: Exception) -> str:
    """Returns the end of a message: a bad sound says it itself."""
    if isinstance(error, BadSound):
        return str(error)
    return f"cannot be read ({reason(error)}); fix it, or leave it out"


def resampled(samples: np.ndarray, rate: int, other: int) -> np.ndarray:
    """Returns samples `[n, channels]` at another rate, by a polyphase filter.

    >>> resampled(np.ones((6, 1), np.float32), 3, 2).shape
    (4, 1)
    """
    if rate == other:
        return samples
    common = gcd(rate, other)
    up, down = other // common, rate // common
    return np.asarray(signal.resample_poly(samples, up, down), np.float32)

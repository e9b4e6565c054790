"""Sounds of generated spectrograms by a trained vocoder, in place of Griffin-Lim."""

import dataclasses
import logging
from pathlib import Path

import numpy as np

from jaxgan.errors import UsageError, printable
from jaxgan.evaluation.load_run import Run, load_run
from jaxgan.evaluation.sounds import Vocoder, restores_sounds
from jaxgan.evaluation.spectrogram_files import differences
from jaxgan.gan.gan import make_generate, make_play
from jaxgan.networks.ops.spectra import MelSettings
from jaxgan.networks.spectrograms import to_log_mel
from jaxgan.types import Field, Samples

log = logging.getLogger("jaxgan")


def open_vocoder(folder: Path, run: Run) -> Vocoder:
    """Opens a vocoder for the spectrograms of a run; no checkpoint is read.

    Args:
      folder: the run of the vocoder.
      run: the run that generates spectrograms.

    Raises:
      UsageError: naming `--vocoder`, if the run generates none, if the other run is no
        vocoder, or if their settings differ.
    """
    shown, task = f"--vocoder={printable(str(folder))}", run.gan.task
    own = task.settings
    if task.finish is None or not isinstance(own, MelSettings):
        raise UsageError(
            f"{shown}: --task={run.config.task} generates no spectrograms; leave it "
            "out, or train with --preset=specgan"
        )
    try:
        other = load_run(folder)
    except UsageError as error:
        text = str(error).replace("--workdir=", "--vocoder=")
        text = text if "--vocoder=" in text else f"{shown}: {text}"
        raise UsageError(text) from error
    if not restores_sounds(other):
        raise UsageError(
            f"{shown}: --task={other.config.task} restores no sounds; use the folder "
            f"of a run of --preset=vocoder {flags_for(own)}"
        )
    vocoder = Vocoder(other)
    if found := differences(vocoder.settings, own):
        raise UsageError(
            f"{shown} has {found[0]}, and the spectrograms of this run {found[1]}: "
            f"train one on sounds of {own.rate} Hz with --preset=vocoder "
            f"{flags_for(own)}"
        )
    log.info("spectrograms are inverted by the vocoder in %s", printable(str(folder)))
    return vocoder


def flags_for(settings: MelSettings) -> str:
    """Returns the flags that train a vocoder of spectrograms of given settings.

    >>> flags_for(MelSettings(8_000, 512, 128, 64))
    "--task='vocoder(size=512, hop=128, mels=64)' \
--networks='griffin_lim(size=512, hop=128, mels=64)'"
    """
    given = {k: x for k, x in settings._asdict().items() if k != "rate"}
    usual = MelSettings._field_defaults
    # The first three are named in any case, as those that one looks at.
    chosen = [
        f"{k}={x:g}"
        for k, x in given.items()
        if k in ("size", "hop", "mels") or x != usual[k]
    ]
    text = ", ".join(chosen)
    return f"--task='vocoder({text})' --networks='griffin_lim({text})'"


def in_spectrograms(run: Run) -> Run:
    """Returns a run whose samples are log-mel spectrograms, see `to_log_mel`."""
    gan, field = run.gan, run.example[run.example.generated]

    def finish(samples: Samples) -> Samples:
        return samples._replace(fake=to_log_mel(samples.fake, field))

    task = gan.task._replace(finish=finish)
    changed = gan._replace(
        task=task,
        generate=make_generate(task, gan.networks),
        play=make_play(task, gan.networks),
    )
    return dataclasses.replace(run, gan=changed)


def sounds_of(vocoder: Vocoder, mels: np.ndarray, field: Field) -> np.ndarray:
    """Returns the waveforms `[n, T, C]` of spectrograms `[n, C, frames, mels]`.

    Zeros follow, for a part of a hop at the end of the length of the field.
    """
    sounds = np.zeros((len(mels), *field.shape), np.float32)
    for sound, channels in zip(sounds, mels, strict=True):
        for number, mel in enumerate(channels):
            found = vocoder.invert(mel)[:, 0]
            sound[: len(found), number] = found
    return sounds

"""Folders of sounds: `audio:PATH`, with or without class sub-folders."""

import logging
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgan.data import audio_files
from jaxgan.data.audio_files import BadSound, Form, Sound, bring_to_form, read_sound
from jaxgan.data.cache import LIMIT
from jaxgan.data.dataset import Dataset, from_fields
from jaxgan.data.folder import classes_of
from jaxgan.data.listing import NoSuchSplit, Walk, find_root, log_left_out
from jaxgan.errors import UsageError, printable
from jaxgan.files import reason
from jaxgan.types import ExampleSpec, Field

LOG = logging.getLogger("jaxgan")

FIELD = "waveform"
"""The name of the field with the sounds."""

TAKES = re.compile(r"([0-9A-Za-z]+)_([A-Za-z]+)_([0-9]+)\.[A-Za-z0-9]+")
"""Names such as 7_jackson_32.wav: the class, the speaker and the take."""
TEST_TAKES = 5
"""Takes 0 to 4 are the split `test` of the Free Spoken Digit Dataset."""


class Listening(NamedTuple):
    """The way in which sound files are read."""

    rate: int = 0
    """Samples per second; 0 for the rate of the first file."""
    seconds: float = 1.024
    """Length of a waveform."""
    loudness: str = "rms"
    """One of `audio_files.LOUDNESS`."""
    skip_bad: bool = False
    """True to leave out files that cannot be used, False to raise an error."""


def check_listening(listening: Listening, of_sounds: bool) -> None:
    """Checks the flags of sounds.

    Args:
      listening: their values.
      of_sounds: True for a data set of sound files; others have the defaults.

    Raises:
      UsageError: naming the flag and a value that works.
    """
    for flag in ("rate", "seconds", "loudness"):
        value, default = getattr(listening, flag), Listening._field_defaults[flag]
        if not of_sounds and value != default:
            shown = f"{value:g}" if isinstance(value, float) else value
            raise UsageError(
                f"--{flag}={shown} is only for audio:PATH; use --{flag}={default}"
            )


class Files(NamedTuple):
    """The sound files of a split."""

    paths: Sequence[Path]
    classes: tuple[str, ...]
    """Names of classes; empty without labels."""
    labels: np.ndarray
    """`[n]` int32."""
    first: Path
    """The file whose rate is that of all splits."""


def audio(
    name: str, path: Path, listening: Listening, *, split: str = "train"
) -> Dataset:
    """Loads all sounds below a folder, sorted by name, into memory.

    First-level sub-folders are the classes; sounds directly in `path` have no labels.
    If `path` has sub-folders such as `train` and `test`, each of them is a split of
    this form. A flat folder whose files are all named like `7_jackson_32.wav`, as in
    the Free Spoken Digit Dataset, has the classes before the first `_`, and the takes 0
    to 4 are its split `test`.

    Sounds are mixed down, resampled, cut at the end or padded with zeros, and
    normalized in loudness, see `bring_to_form`. All of that is logged.

    Args:
      name: the name of the data set, `audio:PATH`.
      path: the folder.
      listening: the rate, the length and the loudness.
      split: the name of a split.

    Raises:
      UsageError: if there are no sounds, a file is damaged, empty, silent or longer
        than ten minutes, or all of them are too large for the memory.
    """
    loudness = audio_files.describe_loudness(listening.loudness)
    files = _files(name, path, split)
    # The same rate for all splits.
    rate = listening.rate or _rate_of(name, files, listening)
    form = Form(rate, round(listening.seconds * rate), listening.loudness)
    _check_form(name, form, listening, len(files.paths))
    waveforms, kept, heard = _read(name, files, form, listening.skip_bad)
    for line in _log_lines(heard, form):
        LOG.info("%s: %s, %s", printable(name), line, loudness)
    spec = ExampleSpec(
        {FIELD: Field((form.samples, 1), np.dtype(np.int16), "waveform", rate=rate)}
    )
    arrays = {FIELD: waveforms}
    if files.classes:
        spec["label"] = Field((), np.dtype(np.int32), "label", files.classes)
        arrays["label"] = files.labels[kept]
    return from_fields(
        name,
        arrays,
        example=spec,
        origin=f"{len(waveforms):,} sounds of {listening.seconds:g} s at {rate} Hz in "
        f"{printable(str(path))}, {split}",
    )


def _files(name: str, path: Path, split: str) -> Files:
    """Finds the files of a split, and their classes."""
    suffixes = audio_files.SUFFIXES
    try:
        root, splits = find_root(name, path, split, suffixes)
    except NoSuchSplit:
        # A flat folder may have splits by name.
        if files := _takes(Walk(name, path, suffixes), split):
            return files
        raise
    walk = Walk(name, root, suffixes)
    log_left_out(walk, "sounds")
    if not walk.files:
        raise _no_sounds(walk)
    if not splits and (files := _takes(walk, split)):
        return files
    classes, labels = classes_of(walk, splits, "sounds")
    train = splits.get("train", splits.get("training"))
    whole = Walk(name, train, suffixes) if train else walk
    return Files(walk.files, classes, labels, (whole.files or walk.files)[0])


def _takes(walk: Walk, split: str) -> Files | None:
    """Returns the files of a split by take, None for a folder of other names."""
    found = [TAKES.fullmatch(path.name) for path in walk.files]
    if walk.classes or not found or not all(found):
        return None
    parts = [match.groups() for match in found if match]
    takes = np.array([int(take) for _, _, take in parts])
    chosen = {"train": takes >= TEST_TAKES, "test": takes < TEST_TAKES}
    # Two takes of a speaker are needed to call some of them a test.
    if split not in chosen or not chosen["train"].any():
        return None
    if not chosen[split].any():
        raise NoSuchSplit(f"--split={split}: {walk.name} has no takes 0 to 4")
    classes = tuple(sorted({part[0] for part in parts}))
    numbers = np.flatnonzero(chosen[split])
    labels = np.array([classes.index(parts[i][0]) for i in numbers], np.int32)
    return Files([walk.files[i] for i in numbers], classes, labels, walk.files[0])


def _no_sounds(walk: Walk) -> UsageError:
    """Returns the error for a folder without sounds."""
    kinds = ", ".join(suffix[1:] for suffix in audio_files.SUFFIXES)
    shown = f"{walk.name}: {printable(str(walk.root))} holds no sounds ({kinds})"
    if walk.left_out:
        kind, count = walk.left_out.most_common(1)[0]
        shown += f", but {count:,} {printable(kind)}"
    return UsageError(f"{shown}; use the folder with the sounds")


def _rate_of(name: str, files: Files, listening: Listening) -> int:
    """Returns the rate of the first file, or of the first one that can be read."""
    for path in (files.first, *files.paths):
        sound = _read_one(name, path, listening.skip_bad)
        if sound is not None:
            return sound.rate
    raise UsageError(f"{name}: none of {len(files.paths):,} sounds can be read")


def _read_one(name: str, path: Path, skip_bad: bool) -> Sound | None:
    """Reads a file; returns None for a bad one that is to be left out."""
    try:
        return read_sound(path)
    except (BadSound, OSError, ValueError) as error:
        return _bad(name, path, error, skip_bad)


def _bad(name: str, path: Path, error: Exception, skip_bad: bool) -> None:
    """Raises UsageError for a bad file, or logs that it is left out."""
    if isinstance(error, BadSound):
        problem = str(error)
    else:
        problem = f"cannot be read ({reason(error)}); make it readable, or move it away"
    text = f"{name}: {printable(str(path))} {problem}"
    if not skip_bad:
        raise UsageError(f"{text}, or use --on_bad_example=skip") from None
    LOG.warning("%s: it is left out", text)


def _check_form(name: str, form: Form, listening: Listening, count: int) -> None:
    """Raises UsageError for a form that is too short or too large."""
    if form.samples < 1:
        raise UsageError(
            f"--seconds={listening.seconds:g} is less than a sample of 1/{form.rate} "
            "s: use --seconds=1.024"
        )
    if (nbytes := 2 * form.samples * count) > LIMIT:
        raise UsageError(
            f"{name}: {count:,} sounds of {listening.seconds:g} s take "
            f"{nbytes / 2**30:.1f} GiB of memory, more than {LIMIT / 2**30:g}: use a "
            "smaller --seconds or --rate"
        )


def _read(
    name: str, files: Files, form: Form, skip_bad: bool
) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int, float]]]:
    """Reads all files.

    Returns:
      Waveforms `[n, samples, 1]` int16, the numbers `[n]` of their files, and the rate,
      the channels and the seconds of each.
    """
    rows, kept, heard = [], [], []
    for number, path in enumerate(files.paths):
        sound = _read_one(name, path, skip_bad)
        if sound is None:
            continue
        try:
            rows.append(bring_to_form(sound, form))
        except BadSound as error:
            _bad(name, path, error, skip_bad)
            continue
        length, channels = sound.samples.shape
        kept.append(number)
        heard.append((sound.rate, channels, length / sound.rate))
    if not rows:
        raise UsageError(f"{name}: none of {len(files.paths):,} sounds can be used")
    return np.stack(rows), np.array(kept), heard


def _log_lines(heard: list[tuple[int, int, float]], form: Form) -> list[str]:
    """Returns what was done to the sounds, as text."""
    rates = Counter(rate for rate, _, _ in heard)
    shown = ", ".join(f"{count:,} of {rate} Hz" for rate, count in rates.most_common(4))
    other = sum(count for rate, count in rates.items() if rate != form.rate)
    mixed = sum(channels > 1 for _, channels, _ in heard)
    seconds = form.samples / form.rate
    cut = sum(length > seconds for _, _, length in heard)
    return [
        f"{shown}: {other:,} resampled to {form.rate} Hz, {mixed:,} mixed down, "
        f"{cut:,} cut and {len(heard) - cut:,} padded to {form.samples:,} samples "
        f"({seconds:g} s)"
    ]

"""Spoken digits: recordings of a release, or those that users put into a folder."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from jaxgan.data.audio_files import BadSound, Form, bring_to_form, sound_of
from jaxgan.data.tfds.files import Unavailable
from jaxgan.data.tfds.registry.packages import Package, is_regular, members
from jaxgan.data.tfds.registry.recipe import Config, Contents, Recipe, Row, Splits
from jaxgan.types import ExampleSpec, Field

RATE, SAMPLES = 8_000, 8_192
"""Samples per second, and of an example."""
TEST_TAKES = 5
"""Takes 0 to 4 of each digit and speaker are the test split."""
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")

NAME = re.compile(r"(?:.*/)?([0-9])_([a-z]+)_([0-9]+)\.wav")
"""Names such as recordings/7_jackson_32.wav: digit, speaker, take."""

FSDD = Package(
    registry="GitHub",
    name="Jakobovski/free-spoken-digit-dataset",
    version="1.0.9",
    sha256="8bc44cde129d505cbbb6b365c09f80c663f2aa77578afc634e6141a2f87100c0",
    license="CC BY-SA 4.0",
    files=NAME.pattern,
)


def recordings_in(folder: Path) -> Mapping[str, bytes]:
    """Reads the recordings below a folder, by path, from files and from archives.

    Raises:
      Unavailable: if an archive is damaged.
      OSError: if a file cannot be read.
    """
    found: dict[str, bytes] = {}
    for file in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if re.search(r"\.(zip|tar(\.\w+)?|tgz)$", file.name) and is_regular(file):
            found |= dict(members(file, NAME))
        elif NAME.fullmatch(file.name) and is_regular(file):
            found[file.name] = file.read_bytes()
    # The same recording may be in an archive and beside it.
    return {path.rsplit("/", 1)[-1]: data for path, data in found.items()}


def spoken_digit(contents: Contents) -> Splits:
    """Brings recordings to one length and loudness; splits them by take.

    Raises:
      Unavailable: if a recording is damaged, of an unknown speaker, or if a split has
        none.
    """
    parts: dict[str, dict[str, bytes]] = {"train": {}, "test": {}}
    for path, data in sorted(contents[FSDD.name].items()):
        match = NAME.fullmatch(path)
        assert match  # files have such names
        split = "test" if int(match[3]) < TEST_TAKES else "train"
        parts[split][path.rsplit("/", 1)[-1]] = data
    for split, part in parts.items():
        if not part:
            raise Unavailable(f"no recording has a take of the split {split}")
    return {split: _rows(part) for split, part in parts.items()}


def _rows(part: Mapping[str, bytes]) -> Iterator[Row]:
    form = Form(RATE, SAMPLES)
    for name, data in part.items():
        match = NAME.fullmatch(name)
        assert match  # checked before
        digit, speaker, _ = match.groups()
        if speaker not in SPEAKERS:
            raise Unavailable(f"{name}: the speakers are {', '.join(SPEAKERS)}")
        try:
            waveform = bring_to_form(sound_of(data), form)
        except BadSound as error:
            raise Unavailable(f"{name} {error}") from error
        labels = {"label": int(digit), "speaker": SPEAKERS.index(speaker)}
        yield name, {"waveform": waveform, **labels}


DESCRIPTION = (
    "The Free Spoken Digit Dataset: English digits, 8,192 samples at 8 kHz, scaled to "
    "an RMS of 0.1 of full scale. Takes 0 to 4 are the test split."
)


def _label(names: tuple[str, ...]) -> Field:
    return Field((), np.dtype(np.int32), "label", names)


DIGITS = {
    "spoken_digit": Recipe(
        DESCRIPTION,
        "Free Spoken Digit Dataset by Zohar Jackson and others, "
        "https://github.com/Jakobovski/free-spoken-digit-dataset",
        (FSDD,),
        {
            "": Config(
                DESCRIPTION,
                ExampleSpec(
                    waveform=Field(
                        (SAMPLES, 1), np.dtype(np.int16), "waveform", rate=RATE
                    ),
                    label=_label(tuple("0123456789")),
                    speaker=_label(SPEAKERS),
                ),
                spoken_digit,
            )
        },
        # TFDS's own 1.0.9 has other fields, and no test split.
        version="1.1.0",
        manual=recordings_in,
        manual_files="recordings such as 7_jackson_32.wav, or an archive of them,",
    )
}
"""Recipes of spoken digits by name."""

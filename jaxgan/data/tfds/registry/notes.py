"""Notes of instruments, rendered from a SoundFont, with their pitch and instrument."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgan.data.tfds.files import Unavailable
from jaxgan.data.tfds.registry.items import rank, within_time
from jaxgan.data.tfds.registry.packages import Package
from jaxgan.data.tfds.registry.recipe import Config, Contents, Recipe, Row, Splits
from jaxgan.types import ExampleSpec, Field

RATE = 16_000
"""Samples per second."""
HELD, RELEASED = 12_288, 4_096
"""Samples during which a key is pressed, and after that."""
PITCHES = range(48, 85)
"""MIDI numbers of the pitches, from C3 to C6."""
VELOCITIES = (64, 110)
HELD_OUT = 104
"""Number of pairs of instrument and pitch in the test split, about a tenth."""
GAIN = -6.0
"""Of the synthesizer, in dB."""
SILENT = 1e-3
"""Peak below which a rendered note counts as a failure."""

INSTRUMENTS = {
    0: "grand piano",
    4: "electric piano",
    6: "harpsichord",
    11: "vibraphone",
    12: "marimba",
    20: "reed organ",
    21: "accordion",
    22: "harmonica",
    24: "nylon guitar",
    27: "clean electric guitar",
    32: "bass",
    40: "violin",
    42: "cello",
    46: "harp",
    48: "strings",
    52: "choir",
    56: "trumpet",
    57: "trombone",
    60: "french horn",
    65: "alto saxophone",
    68: "oboe",
    70: "bassoon",
    71: "clarinet",
    73: "flute",
    75: "pan flute",
    80: "square lead",
    81: "sawtooth lead",
    105: "banjo",
}
"""Instruments by their program of General MIDI, of which most have a clear pitch."""

FLUID = Package(
    registry="Debian",
    name="fluidr3mono-gm-soundfont",
    version="",
    sha256="",
    license="MIT",
    files=r"\./usr/share/fluidr3mono-gm-soundfont/FluidR3Mono_GM\.sf3",
)

NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def pitch_name(number: int) -> str:
    """Returns the name of a MIDI pitch.

    >>> pitch_name(60), pitch_name(69)
    ('C4', 'A4')
    """
    return f"{NAMES[number % 12]}{number // 12 - 1}"


class Note(NamedTuple):
    """A key that is pressed."""

    program: int
    pitch: int
    velocity: int


def all_notes() -> list[Note]:
    """Returns all notes of all instruments, in a fixed order."""
    return [Note(i, p, v) for i in INSTRUMENTS for p in PITCHES for v in VELOCITIES]


def split_notes(notes: list[Note]) -> dict[str, list[Note]]:
    """Splits notes by instrument and pitch, so that velocities stay together."""

    def group(note: Note) -> str:
        return f"{note.program} {note.pitch}"

    groups = sorted({group(x) for x in notes}, key=rank)
    test = set(groups[:HELD_OUT])
    return {
        "train": [x for x in notes if group(x) not in test],
        "test": [x for x in notes if group(x) in test],
    }


def notes(contents: Contents) -> Splits:
    """Renders all notes.

    Raises:
      Unavailable: if the SoundFont is damaged.
    """
    (font,) = contents[FLUID.name].values()
    parts = split_notes(all_notes())
    return {split: within_time(_rows(font, part)) for split, part in parts.items()}


def _rows(font: bytes, part: list[Note]) -> Iterator[Row]:
    order, opened = list(INSTRUMENTS), _opened(font)
    for note in part:
        example = {
            "waveform": render(opened, note)[:, None],
            "label": note.pitch - PITCHES.start,
            "instrument": order.index(note.program),
        }
        yield "_".join(map(str, note)), example


def _opened(font: bytes) -> tuple[Any, int]:
    """Returns a synthesizer and the number of its font.

    Raises:
      Unavailable: if the font is damaged.
    """
    import tinysoundfont  # pyright: ignore[reportMissingImports]

    synth = tinysoundfont.Synth(samplerate=RATE, gain=GAIN)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "font.sf3")
        file.write_bytes(font)
        try:
            return synth, synth.sfload(str(file))
        except Exception as error:  # the library raises several types
            raise Unavailable("the package's SoundFont is damaged") from error


def render(opened: tuple[Any, int], note: Note) -> np.ndarray:
    """Returns a note, pressed for 0.768 s and then released, `[16384]` int16.

    Raises:
      Unavailable: if it is silent.
    """
    synth, font = opened
    synth.program_select(0, font, 0, note.program)
    synth.noteon(0, note.pitch, note.velocity)
    pressed = _generated(synth, HELD)
    synth.noteoff(0, note.pitch)
    released = _generated(synth, RELEASED)
    # The rest of a long tail must not sound in the next note.
    synth.sounds_off()
    waveform = np.concatenate([pressed, released])
    if np.abs(waveform).max() < SILENT:
        raise Unavailable(f"the package's SoundFont has no program {note.program}")
    return np.round(waveform.clip(-1, 1) * (2**15 - 1)).astype(np.int16)


def _generated(synth: Any, samples: int) -> np.ndarray:
    """Returns the next samples, the mean of both channels, `[samples]` float32."""
    stereo = np.frombuffer(bytes(synth.generate(samples)), np.float32)
    return stereo.reshape(-1, 2).mean(1)


DESCRIPTION = (
    "Notes of 28 instruments, 16,384 samples at 16 kHz, rendered from a SoundFont; the "
    "label is the pitch."
)
PITCH_NAMES = tuple(pitch_name(number) for number in PITCHES)
NOTES = {
    "notes": Recipe(
        DESCRIPTION,
        "Fluid (R3) Mono GM SoundFont by Frank Wen and Michael Cowgill",
        (FLUID,),
        {
            "": Config(
                DESCRIPTION,
                ExampleSpec(
                    waveform=Field(
                        (HELD + RELEASED, 1),
                        np.dtype(np.int16),
                        "waveform",
                        rate=RATE,
                    ),
                    label=Field((), np.dtype(np.int32), "label", PITCH_NAMES),
                    instrument=Field(
                        (), np.dtype(np.int32), "label", tuple(INSTRUMENTS.values())
                    ),
                ),
                notes,
            )
        },
        modules=("tinysoundfont",),
        # Its dependency pyaudio plays sounds, and needs a compiler.
        install="--no-deps tinysoundfont==0.3.7",
    )
}
"""Recipes of notes by name."""

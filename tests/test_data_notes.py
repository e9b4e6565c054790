"""Notes that are rendered from a SoundFont, by a synthesizer of sines."""

import numpy as np
import pytest

from jaxgan import data
from jaxgan.data.tfds.files import Unavailable
from jaxgan.data.tfds.registry import builder, notes


class Sines:
    """A synthesizer that plays the asked pitch, each program at a level of its own."""

    def __init__(self):
        self.level = self.hz = 0.0

    def program_select(self, channel, font, bank, program):
        self.level = 0.0 if program == 99 else 0.2 + program / 1_000

    def noteon(self, channel, pitch, velocity):
        self.hz = 440 * 2 ** ((pitch - 69) / 12)
        self.loud = self.level * velocity / 127

    def noteoff(self, channel, pitch):
        self.loud /= 2

    def sounds_off(self):
        self.loud = 0.0

    def generate(self, count):
        wave = self.loud * np.sin(2 * np.pi * self.hz * np.arange(count) / 16_000)
        # The mean of both channels is the wave.
        return np.stack([1.5 * wave, 0.5 * wave], 1).astype(np.float32).tobytes()


def test_notes_have_the_pitch_of_their_label(monkeypatch, tmp_path):
    monkeypatch.setattr(builder, "contents", lambda package, folder: {"a": b"font"})
    monkeypatch.setattr(builder, "find_spec", lambda module: module)
    monkeypatch.setattr(notes, "_opened", lambda font: (Sines(), 0))
    monkeypatch.setattr(notes, "INSTRUMENTS", {0: "piano", 40: "violin"})
    monkeypatch.setattr(notes, "HELD_OUT", 8)
    sets = {
        split: data.load("notes", split=split, data_dir=str(tmp_path))
        for split in ("train", "test")
    }
    # 2 instruments, 37 pitches and 2 velocities; 8 pairs of the first two are held out.
    assert {x: y.size for x, y in sets.items()} == {"train": 148 - 16, "test": 16}
    groups = {}
    for split, one in sets.items():
        assert one.example.generated == "waveform"
        assert one.example.classes[:2] == ("C3", "C#3")
        assert one.example["instrument"].kind == "label"
        rows = one.read(np.arange(one.size))
        pairs = zip(rows["label"].tolist(), rows["instrument"].tolist(), strict=True)
        groups[split] = set(pairs)
        assert rows["waveform"].shape == (one.size, 16_384, 1)
        spectra = np.abs(
            np.fft.rfft(rows["waveform"][:, :12_288, 0] * np.hanning(12_288))
        )
        hz = spectra.argmax(1) * 16_000 / 12_288
        asked = 440 * 2 ** ((rows["label"] + 48 - 69) / 12)
        assert np.abs(hz - asked).max() < 16_000 / 12_288
        # Both velocities of a program are there, by the peak: 0.2 + program / 1000.
        peaks = np.abs(rows["waveform"].astype(float)).max((1, 2)) / (2**15 - 1)
        level = 0.2 + np.array([0.0, 0.04])[rows["instrument"]]
        assert set(np.round(peaks / level * 127).astype(int)) == {64, 110}
    assert len(groups["test"]) == 8
    assert not groups["train"] & groups["test"]


def test_a_silent_program_is_reported():
    with pytest.raises(Unavailable, match="has no program 99"):
        notes.render((Sines(), 0), notes.Note(99, 60, 64))


def test_a_damaged_font_is_reported():
    pytest.importorskip("tinysoundfont")
    with pytest.raises(Unavailable, match="SoundFont is damaged"):
        notes._opened(b"no font")

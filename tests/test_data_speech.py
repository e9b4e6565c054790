"""Speech that is made from packages, of recordings made here."""

import re
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds

from jaxgan import data
from jaxgan.data.tfds.files import Unavailable
from jaxgan.data.tfds.registry import RECIPES, builder, speech
from jaxgan.errors import UsageError

BELOW = "./usr/share/asterisk/sounds/en_US_f_Allison"
LENGTHS = {"hello": 20_000, "vm-goodbye": 8_191, "digits/2": 8_192, "letters/a": 30_000}


def recording(length, seed):
    return np.random.default_rng(seed).integers(-20_000, 20_000, length, np.int16)


RECORDINGS = {name: recording(n, i) for i, (name, n) in enumerate(LENGTHS.items())}


@pytest.fixture
def package(monkeypatch):
    """A package of recordings that are not encoded."""
    files = {f"{BELOW}/{x}.g722": y.tobytes() for x, y in RECORDINGS.items()}
    monkeypatch.setattr(builder, "contents", lambda package, folder: files)
    monkeypatch.setattr(builder, "find_spec", lambda module: module)
    monkeypatch.setattr(speech, "decode", lambda x: np.frombuffer(x, np.int16))
    monkeypatch.setattr(speech, "HELD_OUT", 1)


def test_recordings_become_windows_and_are_held_out_whole(package, tmp_path):
    sets = {
        split: data.load("asterisk", split=split, data_dir=str(tmp_path))
        for split in ("train", "test")
    }
    read = {}
    for split, one in sets.items():
        field = one.example["waveform"]
        assert one.example.generated == "waveform"
        assert (field.kind, field.rate, field.shape) == ("waveform", 16_000, (8_192, 1))
        assert "CC-BY-SA 3.0" in one.origin
        read[split] = one.read(np.arange(one.size))["waveform"]
        assert read[split].dtype == np.int16
    # By hand: windows of a recording, in the middle of what remains.
    strides = {"train": 4_096, "test": 8_192}
    (held,) = [x for x in RECORDINGS if _holds(read["test"], x, 8_192)]
    for split, names in (("test", [held]), ("train", RECORDINGS.keys() - {held})):
        expected = [w for x in names for w in _windows(RECORDINGS[x], strides[split])]
        got = sorted(x.tobytes() for x in read[split])
        assert got == sorted(x.tobytes() for x in expected)
    normal = data.normalize(sets["train"].read(np.arange(2)), sets["train"].example)
    np.testing.assert_array_equal(normal["waveform"], read["train"][:2] / 2**15)


def _windows(samples, stride):
    first = (len(samples) - 8_192) % stride // 2
    return [samples[i : i + 8_192] for i in range(first, len(samples) - 8_191, stride)]


def _holds(read, name, stride):
    windows = (
        _windows(RECORDINGS[name], stride) if len(RECORDINGS[name]) > 8_191 else []
    )
    return bool(windows) and windows[0].tobytes() in [x.tobytes() for x in read]


def test_stock_tfds_reads_the_speech(package, tmp_path):
    data.load("asterisk", data_dir=str(tmp_path))
    stock = tfds.builder_from_directory(str(tmp_path / "asterisk/1.0.0"))
    features: Any = stock.info.features
    feature = features["waveform"]
    assert (feature.shape, feature.np_dtype) == ((8_192, 1), np.int16)
    assert stock.info.redistribution_info.license == "CC-BY-SA 3.0"


def test_waveforms_are_not_resized(package, tmp_path):
    with pytest.raises(UsageError, match="--image_size: --dataset=asterisk has no im"):
        data.load("asterisk", data_dir=str(tmp_path), image_size="8")


def test_silence_is_left_out():
    quiet = np.zeros(20_000, np.int16)
    quiet[10_000] = -501
    # The grid starts at (20000 - 8192) % 4096 // 2 = 1808, and has 1808, 5904, 10000.
    assert [start for start, _ in speech.windows(quiet, 4_096)] == [5_904, 10_000]
    quiet[10_000] = 500
    assert not list(speech.windows(quiet, 4_096))


def test_the_missing_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(builder, "find_spec", lambda module: None)
    with pytest.raises(UsageError, match=r"G722, .*: pip install 'jaxgan\[speech\]'"):
        data.load("asterisk", data_dir=str(tmp_path))


def test_the_decoder_decodes():
    g722 = pytest.importorskip("G722")
    tone = np.int16(8_000 * np.sin(2 * np.pi * 440 * np.arange(1_600) / 16_000))
    encoded = g722.G722(16_000, 64_000).encode(tone)
    decoded = speech.decode(bytes(encoded))
    assert abs(len(decoded) - 1_600) < 32
    spectrum = np.abs(np.fft.rfft(decoded[:1_600]))
    assert spectrum.argmax() == 44
    with pytest.raises(Unavailable, match="is empty"):
        speech.decode(b"")


def test_the_recordings_of_the_package():
    pattern = RECIPES["asterisk"].packages[0].files
    assert re.fullmatch(pattern, f"{BELOW}/digits/1.g722")
    assert not re.fullmatch(pattern, f"{BELOW}/silence/1.g722")

"""Folders of sounds: formats, forms, splits, and what is wrong with a file."""

import logging

import numpy as np
import pytest
from scipy import signal
from sounds import RATE, tone, write, write_24_bit, write_set

from jaxgan import data
from jaxgan.data import audio_files
from jaxgan.data.audio_files import BadSound, Form, Sound, bring_to_form, read_sound
from jaxgan.errors import UsageError


def load(path, **options):
    return data.load(f"audio:{path}", **options)


def waveforms(dataset):
    assert dataset.arrays is not None
    return dataset.arrays["waveform"]


@pytest.mark.parametrize(
    ("dtype", "step"),
    [
        (np.uint8, 2**-7),
        (np.int16, 2**-15),
        (np.int32, 2**-30),
        (np.float32, 1e-7),
        (np.float64, 1e-7),
    ],
)
def test_a_wav_file_has_the_samples_that_were_written(tmp_path, dtype, step):
    x = np.stack([tone(100), tone(300)], 1)
    sound = read_sound(write(tmp_path / "a.wav", x, dtype=dtype))
    assert (sound.rate, sound.samples.dtype) == (RATE, np.float32)
    np.testing.assert_allclose(sound.samples, x, atol=1.5 * step)


def test_a_wav_file_of_24_bits(tmp_path):
    sound = read_sound(write_24_bit(tmp_path / "a.wav", tone(100)))
    np.testing.assert_allclose(sound.samples[:, 0], tone(100), atol=1e-6)


@pytest.mark.parametrize("suffix", ["flac", "ogg"])
def test_other_formats_by_the_extra(tmp_path, suffix):
    soundfile = pytest.importorskip("soundfile")
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tone(100, 8_000, 8_000), 8_000)
    sound = read_sound(path)
    assert sound.rate == 8_000
    # Vorbis is lossy.
    np.testing.assert_allclose(sound.samples[:, 0], tone(100, 8_000, 8_000), atol=0.02)


def test_a_form_is_mono_resampled_and_padded_or_cut():
    x = np.stack([tone(100, 900, 3_000), 3 * tone(100, 900, 3_000)], 1)
    sound = Sound(x.astype(np.float32), 3_000)
    got = bring_to_form(sound, Form(2_000, 1_000, "none"))[:, 0] / 2**15
    # 900 samples at 3 kHz are 600 at 2 kHz; the mean of the channels is twice the tone.
    np.testing.assert_array_equal(got[600:], 0)
    np.testing.assert_allclose(got[20:580], 2 * tone(100)[20:580], atol=2e-3)
    known = signal.resample_poly(x.mean(1), 2, 3)
    np.testing.assert_allclose(got[:600], known, atol=1e-4)
    cut = bring_to_form(sound, Form(3_000, 50, "none"))[:, 0] / 2**15
    np.testing.assert_allclose(cut, x.mean(1)[:50], atol=1e-4)


def test_loudness():
    quiet = Sound(tone(100, level=0.01)[:, None].astype(np.float32), RATE)
    rms = bring_to_form(quiet, Form(RATE, 600)) / 2**15
    np.testing.assert_allclose(np.sqrt(np.mean(rms**2)), 0.1, rtol=1e-3)
    peak = bring_to_form(quiet, Form(RATE, 600, "peak"))
    assert np.abs(peak).max() == 2**15 - 1
    none = bring_to_form(quiet, Form(RATE, 600, "none")) / 2**15
    np.testing.assert_allclose(none[:, 0], tone(100, level=0.01), atol=2e-5)
    # A click has a high peak for its power: it is not clipped.
    click = Sound(np.zeros((600, 1), np.float32), RATE)
    click.samples[5], click.samples[9] = 0.5, -0.25
    loud = bring_to_form(click, Form(RATE, 600))[:, 0]
    assert (loud[5], loud[9]) == (2**15 - 1, -(2**14))


def test_folders_are_classes_and_splits(tmp_path, caplog):
    caplog.set_level(logging.INFO, "jaxgan")
    write_set(tmp_path, 6)
    write(tmp_path / "train" / "high" / "zz.wav", tone(500, 3_000), 4_000)
    train, test = (load(tmp_path, split=x, seconds=0.256) for x in ("train", "test"))
    assert (train.size, test.size, train.classes) == (7, 3, ("high", "low"))
    assert train.example["waveform"].rate == RATE
    assert train.shape == (512, 1)
    assert train.dtype == np.int16
    assert train.arrays is not None
    assert train.arrays["label"].tolist() == [0, 0, 0, 0, 1, 1, 1]
    text = (
        f"audio:{tmp_path}: 6 of 2000 Hz, 1 of 4000 Hz: 1 resampled to 2000 Hz, 0 "
        "mixed down, 7 cut and 0 padded to 512 samples (0.256 s), scaled to an RMS of "
        "0.1 of full scale"
    )
    assert text in caplog.messages
    # The strongest frequency of each file is that of its class.
    spectra = np.abs(np.fft.rfft(waveforms(train)[[0, 1, 2, 4, 5, 6], :, 0]))
    strongest = np.fft.rfftfreq(512, 1 / RATE)[spectra.argmax(1)]
    assert (strongest > 300).tolist() == [True] * 3 + [False] * 3
    both, held = data.hold_out(
        train, "auto", "train", lambda x: load(tmp_path, split=x, seconds=0.256)
    )
    assert (both.size, held and held.size) == (7, 3)


def test_a_flat_folder_has_no_labels(tmp_path):
    for name in ("b", "a"):
        write(tmp_path / f"{name}.WAV", tone(100))
    dataset = load(tmp_path, rate=1_000, seconds=0.1)
    assert list(dataset.example) == ["waveform"]
    assert waveforms(dataset).shape == (2, 100, 1)


def test_takes_of_speakers_are_classes_and_splits(tmp_path):
    for take in (0, 4, 5, 31):
        for digit in (0, 7):
            write(tmp_path / f"{digit}_jo_{take}.wav", tone(100 + 10 * take))
    train, test = (load(tmp_path, split=x, seconds=0.3) for x in ("train", "test"))
    assert (train.classes, test.classes) == (("0", "7"), ("0", "7"))
    for dataset, takes in ((train, (31, 5)), (test, (0, 4))):
        # Sorted as text.
        known = [tone(100 + 10 * take) for take in takes]
        scaled = [0.1 / np.sqrt(np.mean(x**2)) * x for x in known]
        found = waveforms(dataset)[:2, :, 0] / 2**15
        np.testing.assert_allclose(found, scaled, atol=1e-3)


def spoil(path):
    """Damages the header of a file."""
    path.write_bytes(path.read_bytes()[:30])


WRONG = {
    "is silent; remove it": lambda p: write(p, np.zeros(600)),
    "is silent in its first 0.2 seconds": lambda p: write(
        p, np.append(np.zeros(600), tone(100))
    ),
    "has no samples; remove it": lambda p: write(p, np.zeros(0)),
    "is empty; remove it": lambda p: p.write_bytes(b""),
    "is not a WAV file": lambda p: p.write_bytes(b"\x89PNG\r\n" * 9),
    "is damaged or of an unknown encoding": lambda p: spoil(write(p, tone(100))),
    "NaN": lambda p: write(p, np.full(600, np.nan), dtype=np.float32),
    "has a rate of 5 Hz": lambda p: write(p, tone(1), 5),
    "has 11 minutes, more than 10": lambda p: write(p, tone(100, 660_000), 1_000),
}


@pytest.mark.parametrize("words", WRONG)
def test_a_bad_file_is_one_line_or_left_out(tmp_path, words, monkeypatch, caplog):
    monkeypatch.setattr(audio_files, "_soundfile", lambda: None)
    write(tmp_path / "a.wav", tone(100))
    WRONG[words](tmp_path / "b.wav")
    with pytest.raises(UsageError) as error:
        load(tmp_path, seconds=0.2)
    text = str(error.value)
    assert words in text
    assert "b.wav" in text
    assert "\n" not in text
    dataset = load(tmp_path, seconds=0.2, on_bad_example="skip")
    assert dataset.size == 1
    assert any(words in message for message in caplog.messages)


def test_an_encoding_that_no_library_knows(tmp_path):
    pytest.importorskip("soundfile")
    (tmp_path / "a.ogg").write_bytes(b"OggS" + bytes(100))
    with pytest.raises(BadSound, match="unknown encoding"):
        read_sound(tmp_path / "a.ogg")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"seconds": 1e-4}, "--seconds=0.0001 is less than a sample"),
        ({"loudness": "loud"}, "--loudness=loud: choose rms, peak or none"),
        ({"image_size": "8"}, "holds sounds, not pictures"),
        ({"label_field": "x"}, "--label_field=x"),
        ({"split": "test"}, "--split=test"),
        ({"alpha": "white"}, "--alpha=white"),
        ({"seconds": 600, "rate": 192_000_000}, "GiB of memory"),
    ],
)
def test_bad_options(tmp_path, options, words):
    for i in range(10):
        write(tmp_path / f"{i}.wav", tone(100))
    with pytest.raises(UsageError, match=r".*") as error:
        load(tmp_path, **options)
    assert words in str(error.value)


@pytest.mark.parametrize("name", ["ring8", "asterisk", "text:a", "npz:a.npz"])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rate": 8_000}, "--rate=8000 is only for audio:PATH; use --rate=0"),
        ({"seconds": 3.0}, "--seconds=3 is only for audio:PATH; use --seconds=1.024"),
        ({"loudness": "peak"}, "--loudness=peak is only for audio:PATH; use --loudne"),
    ],
)
def test_options_of_sounds_are_refused_for_other_data(name, options, words):
    with pytest.raises(UsageError, match=words):
        data.load(name, **options)


def test_sources_of_users_have_the_options_of_sounds(monkeypatch):
    heard = []
    monkeypatch.setitem(data.SOURCES, "mine", lambda x: heard.append(x.listening))
    with pytest.raises(AttributeError):  # the source gives no data
        data.load("mine", rate=8_000, seconds=2.0)
    assert (heard[0].rate, heard[0].seconds) == (8_000, 2.0)
    assert data.is_of_sounds("mine:a")


def test_a_folder_of_pictures_and_an_empty_one(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(UsageError, match=r"no sounds .*, but 1 \.png"):
        load(tmp_path)
    with pytest.raises(UsageError, match="there is no folder"):
        load(tmp_path / "none")
    with pytest.raises(UsageError, match=r"did you mean audio:"):
        data.load(f"audoi:{tmp_path}")


def test_sounds_beside_folders_of_classes(tmp_path):
    write(tmp_path / "a.wav", tone(100))
    write(tmp_path / "class" / "b.wav", tone(100))
    with pytest.raises(UsageError, match="sounds are both beside"):
        load(tmp_path)

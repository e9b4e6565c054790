"""The fundamental of sounds, and the share of samples with the pitch asked for."""

import numpy as np
import pytest

from jaxgan.errors import UsageError
from jaxgan.evaluation.build_metrics import check_metrics
from jaxgan.metrics.comparisons import COMPARISONS, Sets
from jaxgan.metrics.features import Features
from jaxgan.metrics.pitch import autocorrelation, fundamental, note_frequency
from jaxgan.types import ExampleSpec, Field, image_example

RATE = 8_000
RNG = np.random.default_rng(0)
NAMES = ("C4", "A4", "F#5")


def note(hertz, amplitudes=(1.0,), samples=4_000, rate=RATE):
    """Harmonics of random phases, `[samples]`."""
    turns = hertz * np.arange(samples) / rate
    parts = [
        level * np.sin(2 * np.pi * (k * turns + RNG.uniform()))
        for k, level in enumerate(amplitudes, 1)
        if k * hertz < rate / 2
    ]
    return 0.3 * np.sum(parts, 0)


def cents(found, hertz):
    return 1_200 * np.log2(np.asarray(found) / hertz)


HERTZ = (65.41, 130.81, 220.0, 261.63, 440.0, 739.99, 1_046.5, 1_396.91)


@pytest.mark.parametrize(
    "amplitudes",
    [
        (1.0,),
        tuple(1 / k for k in range(1, 60)),  # a sawtooth
        (1.0, 0.0, 1 / 3, 0.0, 1 / 5),  # odd ones only
        (0.0, 1.0, 1.0, 1.0),  # without the fundamental itself
        (0.4, 1.0, 0.5, 1.0, 0.5),
    ],
)
def test_harmonics_have_the_pitch_of_their_period(amplitudes):
    # Without a fundamental, two other harmonics must be left below half of the rate.
    hertz = [x for x in HERTZ if amplitudes[0] or 3 * x < RATE / 2]
    sounds = np.stack([note(x, amplitudes) for x in hertz])
    np.testing.assert_allclose(cents(fundamental(sounds, RATE), hertz), 0, atol=4)


def test_noise_and_silence_have_no_pitch():
    noise = RNG.normal(0, 0.2, (4, 4_000))
    quiet = 1e-6 * note(440)
    sounds = np.stack([*noise, quiet, 0 * quiet, 0 * quiet + 0.5])
    assert np.isnan(fundamental(sounds, RATE)).all()
    assert fundamental(sounds[:0], RATE).shape == (0,)
    # 10 dB below a note, noise does not matter.
    assert abs(cents(fundamental((note(440) + noise[0] / 3)[None], RATE), 440)) < 10


def test_most_of_the_time_counts_and_channels_are_averaged():
    # A knock of noise, a note that fades away, and silence.
    fading = note(440, (1, 0.5), 6_000) * np.exp(-np.arange(6_000) / 1_000)
    whole = np.concatenate([RNG.normal(0, 0.1, 500), fading, np.zeros(3_000)])
    assert abs(cents(fundamental(whole[None], RATE), 440)) < 2
    # Two thirds of noise leave no pitch.
    third = np.concatenate([note(440, samples=2_000), RNG.normal(0, 0.2, 4_000)])
    assert np.isnan(fundamental(third[None], RATE))
    stereo = np.stack([whole, 0 * whole], -1)[None]
    np.testing.assert_allclose(
        fundamental(stereo, RATE), fundamental(whole[None], RATE)
    )


def test_a_range_of_pitches_and_its_length():
    assert abs(cents(fundamental(note(30)[None], RATE, low=25), 30)) < 5
    with pytest.raises(UsageError, match=r"needs 0\.08 seconds .* 50 Hz, not 0\.05"):
        fundamental(np.zeros((1, 400)), RATE)


def test_the_autocorrelation_is_that_of_loops():
    x = RNG.normal(size=40)
    expected = [
        2 * (x[: 40 - k] * x[k:]).sum() / (x[: 40 - k] ** 2 + x[k:] ** 2).sum()
        for k in range(9)
    ]
    np.testing.assert_allclose(autocorrelation(x, 8)[::2], expected, atol=1e-9)


def sounds_of(names, rate=RATE):
    label = Field((), np.dtype(np.int32), "label", names)
    wave = Field((4_000, 1), np.dtype(np.int16), "waveform", rate=rate)
    return ExampleSpec(waveform=wave, label=label) if names else ExampleSpec(x=wave)


def test_the_share_of_right_pitches_by_hand():
    metric = COMPARISONS["pitch_as_asked"](example=sounds_of(NAMES))
    assert metric.labels

    def heard(*sounds, labels):
        waves = np.stack(sounds)[..., None].astype(np.float32)
        return metric.extractor.extract(waves)._replace(labels=np.array(labels))

    up = 2 ** (1 / 24)  # 50 cents
    real = heard(note(261.63), note(440), labels=[0, 1])
    fake = heard(
        *(note(261.63 * up**0.9), note(440 * up**1.1), note(440), note(370)),
        *(RNG.normal(0, 0.2, 4_000), note(739.99 / up**0.9)),
        labels=[0, 1, 1, 2, 0, 2],
    )
    # Right: the first, the third and the last. An octave below is wrong, as is noise.
    values = metric.compare(Sets(real, fake, real))
    assert values == {"pitch_as_asked": 0.5, "pitch_as_asked_real": 1.0}
    with pytest.raises(UsageError, match="conditional on the label"):
        metric.compare(Sets(real, fake._replace(labels=None), real))


@pytest.mark.parametrize(
    ("example", "message"),
    [
        (sounds_of(("C4", "seven")), "and these sounds have a class 'seven': use acc"),
        (sounds_of(()), "and these sounds have no classes"),
        (sounds_of(NAMES, 0), "sounds of a known rate"),
        (image_example((8, 8, 1), classes=NAMES), "of a known rate, not images"),
    ],
)
def test_data_without_pitches_are_refused_before_they_are_read(example, message):
    with pytest.raises(UsageError, match=message):
        check_metrics("fd(random)|pitch_as_asked", example=example)


def test_names_of_notes():
    assert note_frequency("C4") == pytest.approx(261.6256, abs=1e-4)
    assert note_frequency("Cb4") == note_frequency("B3")
    assert note_frequency("C-1") == pytest.approx(8.1758, abs=1e-4)
    assert all(np.isnan(note_frequency(x)) for x in ("H4", "c4", "C", "C10", "4"))


def test_before_the_data_are_known_nothing_is_measured():
    [planned] = check_metrics("pitch_as_asked")
    empty = Features(np.zeros((1, 0)))
    assert planned.compare(Sets(empty, empty, empty)) == {}

"""Spectra against SciPy, closed forms, values by hand, and librosa."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from jaxgan.networks.ops import spectra

SIZE, HOP, SAMPLES = 64, 16, 500
SETTINGS = spectra.MelSettings(8_000, SIZE, HOP, mels=10, floor=1e-4)


def noise(*shape):
    return jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)


@pytest.mark.parametrize("hop", [16, 24, 32])
def test_stft_is_the_transform_of_every_frame(hop):
    x = noise(2, SAMPLES)
    padded = np.pad(x, [(0, 0), (SIZE // 2,) * 2], mode="reflect")
    window = scipy.signal.get_window("hann", SIZE)
    count = 1 + SAMPLES // hop
    frames = np.stack([padded[:, t * hop : t * hop + SIZE] for t in range(count)], 1)
    known = np.fft.rfft(frames * window)
    np.testing.assert_allclose(spectra.stft(x, SIZE, hop), known, atol=1e-4)
    assert spectra.frame_count(SAMPLES, hop) == count


@pytest.mark.parametrize("hop", [16, 24, 32])
def test_istft_inverts_stft(hop):
    x = noise(2, SAMPLES)
    back = spectra.istft(spectra.stft(x, SIZE, hop), SIZE, hop, SAMPLES)
    np.testing.assert_allclose(back, x, atol=1e-5)


def test_a_tone_has_its_frequency_and_height():
    """A cosine of amplitude 1 has half the sum of the window at its own bin."""
    x = jnp.cos(2 * jnp.pi * 5 / SIZE * jnp.arange(SAMPLES))
    inner = spectra.magnitude(x, SIZE, HOP)[4:-4]
    np.testing.assert_allclose(inner[:, 5], SIZE / 4, rtol=1e-4)
    assert (inner.argmax(1) == 5).all()


def test_mel_filters_by_hand():
    """Four filters up to 1 kHz: corners every 200 Hz, where bins are every 100 Hz."""
    filters = spectra.mel_filters(8_000, 80, mels=4, high=1_000.0)
    assert filters.shape == (41, 4)
    # Triangles from 0 over 200 to 400 Hz and so on, with the area 1: height 1 / 200.
    known = np.zeros((41, 4))
    for i in range(4):
        known[2 * i + 1 : 2 * i + 4, i] = np.array([0.5, 1, 0.5]) / 200
    np.testing.assert_allclose(filters, known, atol=1e-8)


def test_mel_filters_above_a_kilohertz_are_logarithmic():
    """Peaks from 1 to 6.4 kHz are 27 mels, a geometric series."""
    filters = spectra.mel_filters(16_000, 16_000, mels=26, low=1_000.0, high=6_400.0)
    peaks = filters.argmax(0)
    np.testing.assert_allclose(peaks, 1_000 * 6.4 ** (np.arange(1, 27) / 27), atol=0.5)
    np.testing.assert_allclose(filters.sum(0), 1, rtol=1e-4)


def test_mel_filters_are_those_of_librosa():
    librosa = pytest.importorskip("librosa")
    known = librosa.filters.mel(sr=16_000, n_fft=1_024, n_mels=80)
    np.testing.assert_allclose(
        spectra.mel_filters(16_000, 1_024, 80), known.T, atol=1e-6
    )


def test_stft_is_that_of_librosa():
    librosa = pytest.importorskip("librosa")
    x = noise(2, SAMPLES)
    known = librosa.stft(
        np.asarray(x), n_fft=SIZE, hop_length=HOP, window="hann", pad_mode="reflect"
    )
    found = spectra.stft(x, SIZE, HOP)
    np.testing.assert_allclose(found, known.transpose(0, 2, 1), atol=1e-4)


def test_log_mel_of_silence_is_the_floor_with_finite_gradients():
    def mean(x):
        return spectra.log_mel(x, SETTINGS).mean()

    silence = jnp.zeros(SAMPLES)
    value, gradient = jax.value_and_grad(mean)(silence)
    np.testing.assert_allclose(value, np.log(1e-4), rtol=1e-5)
    assert (gradient == 0).all()


def test_log_mel_of_a_louder_sound_is_shifted():
    x = noise(SAMPLES)
    quiet, loud = (spectra.log_mel(x * by, SETTINGS) for by in (1, np.e))
    np.testing.assert_allclose(loud, quiet + 1, atol=1e-4)


def inconsistency(target, x):
    """Distance of magnitudes to those of a waveform, relative."""
    known = spectra.magnitude(x, SIZE, HOP)
    return float(jnp.linalg.norm(known - target) / jnp.linalg.norm(target))


def test_the_error_of_griffin_lim_never_rises():
    x = noise(2, SAMPLES)
    target = spectra.magnitude(x, SIZE, HOP)
    errors = [
        inconsistency(
            target,
            spectra.griffin_lim(
                target, SIZE, HOP, SAMPLES, iterations=count, momentum=0.0
            ),
        )
        for count in (0, 1, 2, 8, 32)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 2
    # The fast algorithm comes nearer in as many iterations.
    fast = spectra.griffin_lim(target, SIZE, HOP, SAMPLES, iterations=32)
    assert inconsistency(target, fast) < errors[-1]


def test_griffin_lim_of_one_example_does_not_depend_on_others():
    target = spectra.magnitude(noise(3, SAMPLES), SIZE, HOP)
    both = spectra.griffin_lim(target, SIZE, HOP, SAMPLES, iterations=4)
    alone = spectra.griffin_lim(target[1:2], SIZE, HOP, SAMPLES, iterations=4)
    np.testing.assert_allclose(both[1:2], alone, atol=1e-3)


def test_a_log_mel_spectrogram_survives_inversion():
    x = 0.5 * jnp.sin(2 * jnp.pi * 1_000 / 8_000 * jnp.arange(SAMPLES))
    target = spectra.log_mel(x, SETTINGS)
    back = spectra.log_mel(spectra.invert_log_mel(target, SETTINGS, SAMPLES), SETTINGS)
    # Only mels that hold the tone are compared: others are at the level of errors.
    loud = target > target.max() - 2
    assert np.abs(back - target)[loud].mean() < 0.2

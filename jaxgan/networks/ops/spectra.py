"""Spectra of waveforms: short-time Fourier transform, mel filters, Griffin-Lim.

Everything is differentiable and works on `[..., samples]`, except for the filters,
which are constants in NumPy. Conventions are those of librosa's defaults: a periodic
Hann window, frames that are centered with reflection, Slaney's mel scale and areas.
"""

from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.networks.ops.arrays import at_least_float32
from jaxgan.ranges import ceil_div

TINY = 1e-14
"""The smallest power of which a root is taken, so that gradients are finite."""

KNEE, LINEAR, LOG = 1_000.0, 200 / 3, np.log(6.4) / 27
"""Slaney's scale: linear with 66.7 Hz per mel up to 1 kHz, then 27 mels per 6.4x."""


class MelSettings(NamedTuple):
    """Settings of a log-mel spectrogram.

    >>> MelSettings(rate=8_000).mels
    80
    """

    rate: int
    """Samples per second."""
    size: int = 1_024
    """Samples of a window."""
    hop: int = 256
    """Samples from one frame to the next."""
    mels: int = 80
    """Number of filters."""
    low: float = 0.0
    """The lowest frequency, in Hz."""
    high: float = 0.0
    """The highest frequency, in Hz; 0 for half the rate."""
    floor: float = 1e-5
    """The smallest magnitude, before the logarithm."""


def frame_count(samples: int, hop: int) -> int:
    """Returns the number of frames of a waveform.

    >>> frame_count(8_192, 128)
    65
    """
    return 1 + samples // hop


def hann(size: int) -> np.ndarray:
    """Returns a periodic Hann window, `[size]` float32.

    >>> hann(4).tolist()
    [0.0, 0.5, 1.0, 0.5]
    """
    angles = 2 * np.pi * np.arange(size) / size
    return (0.5 - 0.5 * np.cos(angles)).astype(np.float32)


def _frames(x: jax.Array, size: int, hop: int) -> jax.Array:
    """Cuts `[..., samples]` into overlapping frames `[..., n, size]`."""
    count, blocks = 1 + (x.shape[-1] - size) // hop, ceil_div(size, hop)
    # Slices of whole hops, rather than a gather, whose gradient is slow.
    length = (count + blocks - 1) * hop
    rest = [(0, 0)] * (x.ndim - 1) + [(0, max(length - x.shape[-1], 0))]
    hops = jnp.pad(x, rest)[..., :length].reshape(*x.shape[:-1], -1, hop)
    parts = [hops[..., i : i + count, :] for i in range(blocks)]
    return jnp.concatenate(parts, -1)[..., :size]


def _overlap_add(frames: jax.Array, hop: int) -> jax.Array:
    """Sums overlapping frames `[..., n, size]` to `[..., at least samples]`."""
    size = frames.shape[-1]
    blocks, lead = ceil_div(size, hop), [(0, 0)] * (frames.ndim - 2)
    frames = jnp.pad(frames, [*lead, (0, 0), (0, blocks * hop - size)])
    parts = [
        jnp.pad(
            frames[..., i * hop : (i + 1) * hop], [*lead, (i, blocks - 1 - i), (0, 0)]
        )
        for i in range(blocks)
    ]
    return sum(parts[1:], parts[0]).reshape(*frames.shape[:-2], -1)


def stft(x: jax.Array, size: int, hop: int) -> jax.Array:
    """Returns the short-time Fourier transform of waveforms.

    Frame `t` is centered at sample `t * hop`; the waveform is reflected at its ends.

    Args:
      x: `[..., samples]`, more than `size // 2` samples.
      size: samples of the window, even.
      hop: samples from one frame to the next.

    Returns:
      `[..., 1 + samples // hop, size // 2 + 1]`, complex64.
    """
    around = [(0, 0)] * (x.ndim - 1) + [(size // 2, size // 2)]
    padded = jnp.pad(at_least_float32(x), around, mode="reflect")
    return jnp.fft.rfft(_frames(padded, size, hop) * hann(size))


def istft(spectrum: jax.Array, size: int, hop: int, samples: int) -> jax.Array:
    """Returns the waveforms whose transforms are nearest to a spectrum.

    The least-squares inverse of `stft`, https://doi.org/10.1109/TASSP.1984.1164317.

    Args:
      spectrum: `[..., frames, size // 2 + 1]`, complex.
      size: samples of the window, even.
      hop: samples from one frame to the next, at most half of `size`.
      samples: length of the result, at most `hop * (frames - 1) + size // 2`.

    Returns:
      `[..., samples]` float32.
    """
    window = hann(size)
    frames = jnp.fft.irfft(spectrum, n=size) * window
    weights = jnp.broadcast_to(jnp.asarray(window) ** 2, (frames.shape[-2], size))
    # The sum of squared windows is 0 nowhere but at the first sample of the padding.
    total = jnp.maximum(_overlap_add(weights, hop), 1e-8)
    inner = slice(size // 2, size // 2 + samples)
    return (_overlap_add(frames, hop) / total)[..., inner]


def magnitude(x: jax.Array, size: int, hop: int) -> jax.Array:
    """Returns `|stft(x)|`, with gradients that are finite at 0."""
    spectrum = stft(x, size, hop)
    power = spectrum.real**2 + spectrum.imag**2
    return jnp.sqrt(jnp.maximum(power, TINY))


def hz_to_mel(hz: np.ndarray) -> np.ndarray:
    """Returns Slaney's mels of frequencies.

    >>> hz_to_mel(np.array([0.0, 500.0, 1000.0, 6400.0])).round(6).tolist()
    [0.0, 7.5, 15.0, 42.0]
    """
    above = np.log(np.maximum(hz, KNEE) / KNEE) / LOG
    return np.where(hz < KNEE, hz / LINEAR, KNEE / LINEAR + above)


def mel_to_hz(mel: np.ndarray) -> np.ndarray:
    """Returns the frequencies of Slaney's mels.

    >>> mel_to_hz(np.array([0.0, 7.5, 42.0])).round(6).tolist()
    [0.0, 500.0, 6400.0]
    """
    above = KNEE * np.exp(LOG * (mel - KNEE / LINEAR))
    return np.where(mel < KNEE / LINEAR, mel * LINEAR, above)


def mel_filters(
    rate: int, size: int, mels: int, low: float = 0.0, high: float = 0.0
) -> np.ndarray:
    """Returns triangular filters that are equally far apart in mels.

    Args:
      rate: samples per second.
      size: samples of the window.
      mels: number of filters.
      low: the lowest frequency, in Hz.
      high: the highest frequency, in Hz; 0 for half the rate.

    Returns:
      `[size // 2 + 1, mels]` float32; each filter has the area 1 over Hz.
    """
    ends = hz_to_mel(np.array([low, high or rate / 2]))
    corners = mel_to_hz(np.linspace(ends[0], ends[1], mels + 2))
    hz = np.fft.rfftfreq(size, 1 / rate)[:, None]
    left, peak, right = corners[:-2], corners[1:-1], corners[2:]
    rising, falling = (hz - left) / (peak - left), (right - hz) / (right - peak)
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles * 2 / (right - left)).astype(np.float32)


def _filters(settings: MelSettings) -> np.ndarray:
    """Returns the filters of settings, `[size // 2 + 1, mels]`."""
    rate, size, _, mels, low, high, _ = settings
    return mel_filters(rate, size, mels, low, high)


@lru_cache(maxsize=16)
def _inverse_filters(settings: MelSettings) -> np.ndarray:
    """Returns the pseudo-inverse of the filters, `[mels, size // 2 + 1]`."""
    return np.linalg.pinv(_filters(settings)).astype(np.float32)


def log_mel(x: jax.Array, settings: MelSettings) -> jax.Array:
    """Returns log-mel spectrograms of waveforms.

    Args:
      x: `[..., samples]`.
      settings: of the transform and the filters.

    Returns:
      `[..., frames, mels]`: natural logarithms of magnitudes, at least `log(floor)`.
    """
    mel = magnitude(x, settings.size, settings.hop) @ _filters(settings)
    return jnp.log(jnp.maximum(mel, settings.floor))


def griffin_lim(
    target: jax.Array,
    size: int,
    hop: int,
    samples: int,
    *,
    iterations: int = 60,
    momentum: float = 0.99,
) -> jax.Array:
    """Returns waveforms whose magnitudes of `stft` are near to given ones.

    Alternates between the magnitudes and the spectra of waveforms, from random phases
    that are the same every time, https://doi.org/10.1109/TASSP.1984.1164317.

    Args:
      target: magnitudes, `[..., frames, size // 2 + 1]`.
      size: samples of the window.
      hop: samples from one frame to the next, at most half of `size`.
      samples: length of the result, which gives `frames` frames.
      iterations: number of alternations.
      momentum: of the fast algorithm, https://doi.org/10.1109/WASPAA.2013.6701851;
        0 for that of Griffin and Lim, whose error never rises.

    Returns:
      `[..., samples]` float32.
    """
    # The same phases for all examples: they do not depend on the batch.
    turns = jax.random.uniform(jax.random.key(0), target.shape[-2:])
    phases = jnp.broadcast_to(jnp.exp(2j * jnp.pi * turns), target.shape)

    def improve(state, _):
        phases, previous = state
        spectrum = stft(istft(target * phases, size, hop, samples), size, hop)
        ahead = spectrum + momentum * (spectrum - previous)
        return (ahead / jnp.maximum(jnp.abs(ahead), 1e-16), spectrum), None

    start = (phases, jnp.zeros_like(phases))
    (phases, _), _ = jax.lax.scan(improve, start, length=iterations)
    return istft(target * phases, size, hop, samples)


def invert_log_mel(
    spectrogram: jax.Array,
    settings: MelSettings,
    samples: int,
    iterations: int = 60,
    momentum: float = 0.99,
) -> jax.Array:
    """Returns waveforms of log-mel spectrograms, by `griffin_lim`.

    Args:
      spectrogram: `[..., frames, mels]`, as by `log_mel`.
      settings: those of `log_mel`.
      samples: length of the result, which gives `frames` frames.
      iterations: of `griffin_lim`.
      momentum: of `griffin_lim`.

    Returns:
      `[..., samples]` float32.
    """
    # The least-norm magnitudes, of which negative ones become 0.
    linear = jnp.exp(at_least_float32(spectrogram)) @ _inverse_filters(settings)
    size, hop = settings.size, settings.hop
    return griffin_lim(
        jnp.maximum(linear, 0),
        size,
        hop,
        samples,
        iterations=iterations,
        momentum=momentum,
    )

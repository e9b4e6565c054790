"""The pitch of sounds: their fundamental frequency, and names of notes."""

import math
import re

import numpy as np

from jaxgan.errors import UsageError

LOW, HIGH = 50.0, 2_000.0
"""The lowest and the highest fundamental that is looked for by default, in Hz."""
PERIODS = 4
"""Length of a frame, in periods of the lowest fundamental."""
FINER = 2
"""Lags of an autocorrelation for each sample."""
FIRST = 0.9
"""The period is the first peak of at least this part of the highest one."""
CLEAR = 0.5
"""Normalized autocorrelation at the period of a frame that has a pitch, at least."""
QUIET = 0.03
"""Level of the quietest frame that counts, relative to the loudest (-30 dB)."""
SILENT = 1e-4
"""Level of silence, relative to full scale (-80 dB)."""
AT_ONCE = 64
"""Sounds whose frames are in memory together."""

NOTE = re.compile(r"([A-G])([#b]?)(-?\d)")
SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
ACCIDENTALS = {"": 0, "#": 1, "b": -1}


def note_frequency(name: str) -> float:
    """Returns the frequency of a note in Hz, in equal temperament; NaN for no note.

    >>> note_frequency("A4"), note_frequency("A#3") == note_frequency("Bb3")
    (440.0, True)
    >>> note_frequency("piano")
    nan
    """
    found = NOTE.fullmatch(name)
    if not found:
        return math.nan
    letter, accidental, octave = found.groups()
    # Semitones above A4.
    place = SEMITONES[letter] + ACCIDENTALS[accidental] - 9 + 12 * (int(octave) - 4)
    return 440.0 * 2 ** (place / 12)


def fundamental(
    waveforms: np.ndarray, rate: int, low: float = LOW, high: float = HIGH
) -> np.ndarray:
    """Returns the fundamental frequencies of sounds that have a single pitch each.

    The period of a frame is a peak of its normalized autocorrelation `1 - d(lag) /
    m(lag)`, where d is the difference function of YIN
    (https://doi.org/10.1121/1.1458024, equation 6) and m the power of what is compared:
    the first peak that is nearly as high as the highest, as in McLeod and Wyvill, A
    smarter way to find pitch (2005), with parabolic interpolation. The result is the
    median over frames that are loud enough.

    Args:
      waveforms: `[n, T]`, or `[n, T, C]`, whose channels are averaged.
      rate: samples per second.
      low: the lowest fundamental, in Hz.
      high: the highest one, at most a third of the rate.

    Returns:
      `[n]` float64 in Hz; NaN for silence, and where most frames have no pitch.

    Raises:
      UsageError: for sounds of fewer than 4 periods of the lowest fundamental.
    """
    x = np.asarray(waveforms, np.float64)
    x = x.mean(-1) if x.ndim == 3 else x
    longest = math.ceil(rate / low)
    size = PERIODS * longest
    if x.shape[1] < size:
        raise UsageError(
            f"fundamental needs {size / rate:.3g} seconds to find {low:g} Hz, not "
            f"{x.shape[1] / rate:.3g}: use longer sounds"
        )
    frames = np.lib.stride_tricks.sliding_window_view(x, size, 1)[:, :: size // 2]
    shortest = rate / min(high, rate / 3)
    starts = range(0, len(x), AT_ONCE)
    parts = [_median(frames[i : i + AT_ONCE], shortest, longest) for i in starts]
    return rate / np.concatenate([*parts, np.zeros(0)])


def _median(frames: np.ndarray, shortest: float, longest: int) -> np.ndarray:
    """Returns the median period of frames `[n, F, size]`, `[n]` in samples or NaN."""
    frames = frames - frames.mean(-1, keepdims=True)
    level = np.sqrt((frames**2).mean(-1))
    counts = level >= np.maximum(QUIET * level.max(1, keepdims=True), SILENT)
    periods, heights = _periods(frames, shortest, longest)
    has_pitch = counts & (heights >= CLEAR)
    known = np.where(has_pitch, periods, np.inf)
    # The lower median of those that are known.
    number = has_pitch.sum(1)
    middle = np.maximum(number - 1, 0) // 2
    found = np.take_along_axis(np.sort(known, 1), middle[:, None], 1)[:, 0]
    return np.where((number > 0) & (2 * number >= counts.sum(1)), found, np.nan)


def _periods(
    frames: np.ndarray, shortest: float, longest: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the period of each frame in samples, and the autocorrelation there."""
    curve = autocorrelation(frames, longest + 1)
    before, here, after = curve[..., :-2], curve[..., 1:-1], curve[..., 2:]
    # The peak at lag 0 ends where the curve is first negative.
    is_past = np.logical_or.accumulate(here < 0, -1)
    lags = np.arange(1, curve.shape[-1] - 1)
    is_peak = is_past & (here > before) & (here >= after) & (lags >= shortest * FINER)
    bend = np.where(is_peak, before - 2 * here + after, -1.0)
    shift = np.where(is_peak, (before - after) / (2 * bend), 0.0)
    heights = np.where(is_peak, here - (before - after) * shift / 4, -1.0)
    first = np.argmax(heights >= FIRST * heights.max(-1, keepdims=True), -1)
    at = first[..., None]
    period = (lags + shift) / FINER
    return (
        np.take_along_axis(period, at, -1)[..., 0],
        np.take_along_axis(heights, at, -1)[..., 0],
    )


def autocorrelation(frames: np.ndarray, longest: int) -> np.ndarray:
    """Returns the normalized autocorrelation of frames, in [-1, 1].

    At lag k it is `2 sum(x[j] x[j + k]) / sum(x[j]^2 + x[j + k]^2)` over all pairs, and
    in between it is interpolated, without a limit of the band.

    Args:
      frames: `[..., size]`.
      longest: the largest lag, in samples.

    Returns:
      `[..., 2 * longest + 1]`, at multiples of half a sample; 0 for silence.

    >>> wave = np.cos(2 * np.pi * np.arange(64) / 8)
    >>> autocorrelation(wave, 8)[[0, 8, 16]].round(6).tolist()
    [1.0, -1.0, 1.0]
    """
    size = frames.shape[-1]
    length = 1 << (size + longest).bit_length()
    power = np.abs(np.fft.rfft(frames, length)) ** 2
    power[..., -1] /= 2  # it is no longer the highest frequency, which counts once
    finer = np.fft.irfft(power, FINER * length)[..., : FINER * longest + 1] * FINER
    zeros = np.zeros((*frames.shape[:-1], 1))
    total = np.concatenate([zeros, np.cumsum(frames**2, -1)], -1)
    lags = np.arange(longest + 1)
    pairs = total[..., size - lags] + total[..., -1:] - total[..., lags]
    # Between lags, the power is nearly linear.
    steps = np.arange(FINER * longest + 1)
    below = np.minimum(steps // FINER, longest - 1)
    part = steps / FINER - below
    smooth = (1 - part) * pairs[..., below] + part * pairs[..., below + 1]
    return np.divide(2 * finer, smooth, out=np.zeros_like(finer), where=smooth > 1e-12)

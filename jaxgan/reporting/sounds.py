"""WAV files of waveforms."""

import io
import wave

import numpy as np

GAP = 0.25
"""Seconds of silence between the sounds of one file."""
BYTES = 2
"""Bytes of a sample."""


def as_16_bit(waveforms: np.ndarray) -> np.ndarray:
    """Returns waveforms as int16, the inverse of `scale_integers` for int16.

    Args:
      waveforms: int16, or floats in [-1, 1], of which others are clipped and NaN
        becomes 0.

    >>> as_16_bit(np.array([-1.0, 0.5, 1.0, np.nan])).tolist()
    [-32768, 16384, 32767, 0]
    """
    if waveforms.dtype == np.int16:
        return waveforms
    scaled = np.round(np.nan_to_num(waveforms.astype(np.float32)) * 2**15)
    return scaled.clip(-(2**15), 2**15 - 1).astype(np.int16)


def wav(waveform: np.ndarray, rate: int) -> bytes:
    """Returns the content of a WAV file of 16 bits.

    Args:
      waveform: `[T, C]`, as by `as_16_bit`.
      rate: samples per second.

    >>> len(wav(np.zeros((100, 1)), 8_000))
    244
    """
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(waveform.shape[-1])
        file.setsampwidth(BYTES)
        file.setframerate(rate)
        # WAV is little-endian on all machines.
        file.writeframes(as_16_bit(waveform).astype("<i2").tobytes())
    return content.getvalue()


def in_sequence(waveforms: np.ndarray, rate: int) -> np.ndarray:
    """Joins waveforms `[n, T, C]` to one, `[T', C]`, with silence between them.

    >>> in_sequence(np.ones((3, 100, 1)), 8).shape
    (304, 1)
    """
    gap = round(GAP * rate)
    padded = np.pad(waveforms, [(0, 0), (0, gap), (0, 0)])
    joined = padded.reshape(-1, waveforms.shape[-1])
    return joined[: len(joined) - gap]

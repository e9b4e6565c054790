"""Decoding of sound files to waveforms of one rate, length and loudness."""

import io
import warnings
from math import gcd
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgan.errors import UsageError, first_line, printable
from jaxgan.files import open_regular

SUFFIXES = (".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff")
"""Lower-case suffixes of sound files."""

INSTALL = "pip install 'jaxgan[audio]'"
"""Installs the reader of all formats but WAV."""

MOST_SECONDS = 600
"""Seconds of the longest file that is read: of longer ones, nearly all is unused."""
MOST_BYTES = 2**28
"""Bytes of the largest file that is read."""
RATES = (1_000, 768_000)
"""The lowest and the highest rate, in Hz."""
SILENT = 1e-4
"""The largest amplitude of silence, relative to full scale: -80 dB."""
RMS = 0.1
"""The root mean square of normalized waveforms, relative to full scale: -20 dB."""

LOUDNESS = ("rms", "peak", "none")
"""Normalizations of loudness."""


class Sound(NamedTuple):
    """A decoded sound file."""

    samples: np.ndarray
    """`[n, channels]` float32, full scale is 1."""
    rate: int
    """Samples per second."""


class Form(NamedTuple):
    """The form to which sounds are brought."""

    rate: int
    """Samples per second."""
    samples: int
    """Length of a waveform."""
    loudness: str = "rms"
    """One of `LOUDNESS`."""


class BadSound(ValueError):
    """Raised for a file that is no usable sound: why, and what to do."""


def read_sound(path: Path) -> Sound:
    """Reads a sound file of any format that the installed libraries know.

    WAV files of 8, 16, 24 and 32 bits and of floats are read by SciPy, and all others
    by soundfile, which is an extra.

    Raises:
      BadSound: if the file is no sound, damaged, empty, silent or too long.
      OSError: if it cannot be opened.
    """
    with open_regular(path) as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise BadSound(f"has more than {MOST_BYTES >> 20} MiB; cut it into pieces")
    return sound_of(content)


def sound_of(content: bytes) -> Sound:
    """Returns the sound of a file's content; see `read_sound`.

    Raises:
      BadSound: if the content is no sound, damaged, empty, silent or too long.
    """
    if not content:
        raise BadSound("is empty; remove it")
    samples, rate = _decoded(content)
    if samples.ndim == 1:
        samples = samples[:, None]
    found = Sound(samples, rate)
    check_sound(found)
    return found


def _decoded(content: bytes) -> tuple[np.ndarray, int]:
    """Returns float32 samples and the rate of the content of a file."""
    if content[:4] in (b"RIFF", b"RIFX", b"RF64"):
        from scipy.io import wavfile  # takes long, and most programs read no sounds

        try:
            # Chunks of other programs, such as names of artists, are no problem.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", wavfile.WavFileWarning)
                rate, samples = wavfile.read(io.BytesIO(content))
            return as_floats(samples), int(rate)
        except Exception as error:  # damaged headers raise many types
            if _soundfile() is None:
                raise BadSound(
                    f"is damaged or of an unknown encoding ({_reason(error)}); convert "
                    f"it to WAV of 16 bits, or {INSTALL}"
                ) from error
    library = _soundfile()
    if library is None:
        raise BadSound(f"is not a WAV file, and others need an extra: {INSTALL}")
    try:
        with library.SoundFile(io.BytesIO(content)) as file:
            if file.frames > MOST_SECONDS * file.samplerate:
                raise _too_long(file.frames / file.samplerate)
            return file.read(dtype="float32"), int(file.samplerate)
    except BadSound:
        raise
    except Exception as error:  # the library's own types, and those of memory
        raise BadSound(
            f"is damaged or of an unknown encoding ({_reason(error)}); convert it to "
            "WAV of 16 bits, or remove it"
        ) from error


def _reason(error: Exception) -> str:
    """Returns the first line of an error without its full stop."""
    return printable(first_line(error)).rstrip(".")


def _soundfile() -> Any:
    """Returns the library of the extra, or None."""
    try:
        import soundfile  # pyright: ignore[reportMissingImports]
    except (ImportError, OSError):  # OSError: without the shared library
        return None
    return soundfile


def as_floats(samples: np.ndarray) -> np.ndarray:
    """Converts samples of a WAV file to float32, where full scale is 1.

    Args:
      samples: uint8 around 128, int16, int32 (24 bits are its upper ones) or floats.

    >>> as_floats(np.array([0, 128, 192], np.uint8)).tolist()
    [-1.0, 0.0, 0.5]
    >>> as_floats(np.array([-(2**15), 2**14], np.int16)).tolist()
    [-1.0, 0.5]
    """
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128) / 128
    if samples.dtype.kind == "i":
        full = 2.0 ** (8 * samples.dtype.itemsize - 1)
        return (samples / full).astype(np.float32)
    return samples.astype(np.float32)


def check_sound(sound: Sound) -> None:
    """Raises BadSound for sounds that cannot be used."""
    samples, rate = sound
    if not len(samples):
        raise BadSound("has no samples; remove it")
    if not RATES[0] <= rate <= RATES[1]:
        raise BadSound(f"has a rate of {rate} Hz; convert it to one such as 16000")
    if len(samples) > MOST_SECONDS * rate:
        raise _too_long(len(samples) / rate)
    if not np.isfinite(samples).all():
        raise BadSound("has samples that are NaN or infinite; remove it")
    if np.abs(samples).max() < SILENT:
        raise BadSound("is silent; remove it")


def _too_long(seconds: float) -> BadSound:
    minutes = MOST_SECONDS // 60
    return BadSound(
        f"has {seconds / 60:.0f} minutes, more than {minutes}; cut it into pieces"
    )


def bring_to_form(sound: Sound, form: Form) -> np.ndarray:
    """Returns a waveform of the form, `[samples, 1]` int16.

    Channels are averaged. Another rate is resampled by a polyphase filter. The end is
    cut off, or zeros follow it. The loudness is that of the part that remains: `rms`
    scales its root mean square to 0.1 of full scale, but its peak to 1 at most; `peak`
    scales the peak to 1, and `none` keeps it, clipped to full scale.

    Args:
      sound: a sound.
      form: the form.

    Raises:
      BadSound: if the part that remains is silent.
    """
    mono = sound.samples.mean(1)
    # A little more than is needed, for the filter's ends.
    needed = (form.samples + 64) * sound.rate // form.rate + 64
    mono = mono[:needed]
    if sound.rate != form.rate:
        from scipy import signal  # takes a second, and most programs read no sounds

        common = gcd(sound.rate, form.rate)
        up, down = form.rate // common, sound.rate // common
        mono = signal.resample_poly(mono, up, down)
    mono = np.asarray(mono[: form.samples], np.float32)
    peak, power = float(np.abs(mono).max(initial=0.0)), float(np.mean(mono**2))
    if peak < SILENT:
        seconds = form.samples / form.rate
        raise BadSound(f"is silent in its first {seconds:g} seconds; remove it")
    full = (2**15 - 1) / 2**15
    gain = {"rms": min(RMS / power**0.5, full / peak), "peak": full / peak}
    mono = mono * gain.get(form.loudness, 1.0)
    padded = np.zeros((form.samples, 1), np.int16)
    padded[: len(mono), 0] = np.round(mono * 2**15).clip(-(2**15), 2**15 - 1)
    return padded


def describe_loudness(loudness: str) -> str:
    """Returns the words of a log line.

    Raises:
      UsageError: for another name than those of `LOUDNESS`.
    """
    words = {
        "rms": f"scaled to an RMS of {RMS:g} of full scale",
        "peak": "scaled to a peak of full scale",
        "none": "as loud as they are",
    }
    if loudness not in words:
        raise UsageError(f"--loudness={printable(loudness)}: choose rms, peak or none")
    return words[loudness]

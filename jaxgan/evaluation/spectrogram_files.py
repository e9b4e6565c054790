"""Log-mel spectrograms in `.npz` files, with the settings they were made with.

A file has the array `mel` `[frames, mels]`, natural logarithms of magnitudes, and the
numbers `rate`, `size`, `hop`, `low`, `high` and `floor` of `MelSettings`.
"""

import io
import zipfile
from pathlib import Path

import numpy as np

from jaxgan.data.audio_files import MOST_SECONDS
from jaxgan.errors import UsageError, printable
from jaxgan.files import open_regular, reason
from jaxgan.networks.ops.spectra import MelSettings

SUFFIX = ".npz"
ARRAY = "mel"
NUMBERS = tuple(x for x in MelSettings._fields if x != "mels")
"""Names of the numbers in a file."""


class OtherSettings(UsageError):
    """Raised for a spectrogram of other settings than those of the run."""


def content_of(mel: np.ndarray, settings: MelSettings) -> bytes:
    """Returns the content of a file.

    Args:
      mel: `[frames, mels]`.
      settings: of the spectrogram.
    """
    file = io.BytesIO()
    numbers = {name: np.asarray(getattr(settings, name)) for name in NUMBERS}
    np.savez(file, **{ARRAY: mel.astype(np.float32)}, **numbers)  # type: ignore[arg-type]
    return file.getvalue()


def read_spectrogram(path: Path, settings: MelSettings) -> np.ndarray:
    """Reads a spectrogram, `[frames, mels]` float32.

    Args:
      path: the file.
      settings: those that the spectrogram must have.

    Raises:
      OtherSettings: for a spectrogram of other settings.
      UsageError: if the file cannot be read, or has no spectrogram.
    """
    shown = printable(str(path))
    try:
        with open_regular(path) as file, np.load(file, allow_pickle=False) as arrays:
            found = {x: arrays[x] for x in (ARRAY, *NUMBERS) if x in arrays}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise UsageError(
            f"{shown} cannot be read ({reason(error)}); name an .npz file with "
            f"{ARRAY} and its settings"
        ) from None
    missing = [x for x in (ARRAY, *NUMBERS) if x not in found]
    if missing:
        raise UsageError(
            f"{shown} lacks {', '.join(missing)}: save the spectrogram with the "
            f"numbers {', '.join(NUMBERS)}"
        )
    mel = found.pop(ARRAY)
    are_numbers = all(x.ndim == 0 and x.dtype.kind in "iuf" for x in found.values())
    if mel.ndim != 2 or mel.dtype.kind != "f" or not are_numbers:
        raise UsageError(
            f"{shown} has {ARRAY} of shape {list(mel.shape)} and {mel.dtype}: save "
            "[frames, mels] floats, and a number for each setting"
        )
    own = MelSettings(mels=mel.shape[1], **{k: x.item() for k, x in found.items()})
    check_settings(shown, own, settings)
    _check_values(shown, mel, settings)
    return mel.astype(np.float32)


def check_settings(name: str, own: MelSettings, run: MelSettings) -> None:
    """Raises OtherSettings unless a spectrogram has the settings of a run.

    >>> check_settings("a.npz", MelSettings(8_000), MelSettings(8_000, high=4_000))
    >>> check_settings("a.npz", MelSettings(8_000, 512), MelSettings(16_000))
    Traceback (most recent call last):
      ...
    jaxgan.evaluation.spectrogram_files.OtherSettings: a.npz has rate=8000, \
size=512, and this run rate=16000, size=1024: make it with the settings of the run
    """
    if found := differences(own, run):
        raise OtherSettings(
            f"{name} has {found[0]}, and this run {found[1]}: make it with the "
            "settings of the run"
        )


def differences(one: MelSettings, other: MelSettings) -> tuple[str, str] | None:
    """Returns the settings of both that differ, as texts; None if there are none.

    >>> differences(MelSettings(8_000, mels=64), MelSettings(8_000, hop=128))
    ('hop=256, mels=64', 'hop=128, mels=80')
    """
    # A highest frequency of 0 is half the rate.
    both = [x._replace(high=x.high or x.rate / 2) for x in (one, other)]
    if one.rate != other.rate and not (one.high or other.high):
        both = [x._replace(high=0) for x in both]
    names = [
        x for x in MelSettings._fields if getattr(both[0], x) != getattr(both[1], x)
    ]
    ours, theirs = (", ".join(f"{x}={getattr(y, x):g}" for x in names) for y in both)
    return (ours, theirs) if names else None


def _check_values(name: str, mel: np.ndarray, settings: MelSettings) -> None:
    """Raises UsageError for a spectrogram of a wrong length, or that is not finite."""
    seconds = (len(mel) - 1) * settings.hop / settings.rate
    if len(mel) < 2 or seconds > MOST_SECONDS:
        raise UsageError(
            f"{name} has {len(mel):,} frames: use 2 to "
            f"{1 + MOST_SECONDS * settings.rate // settings.hop:,}"
        )
    if not np.isfinite(mel).all():
        raise UsageError(f"{name} has values that are NaN or infinite; remove it")

"""Suggestions for names of data sets that are paths, or have a misspelled prefix."""

import contextlib
import difflib
import itertools
import re
from collections import Counter
from pathlib import Path

from jaxgan.data import audio_files, decode, text_files
from jaxgan.data.listing import FOLDERS
from jaxgan.data.record_set import FORMATS
from jaxgan.errors import UsageError
from jaxgan.files import local_path

KINDS = ("npz", "text", *FOLDERS, *FORMATS)
"""Prefixes of paths."""

LOOKED_AT = 1_000
"""Files of a folder that are looked at."""

ARRAYS = (".npz", ".npy")
FILES = (
    *ARRAYS,
    *(".zip", ".tar", ".gz", ".png", ".jpg", ".h5", ".mat"),
    text_files.SUFFIX,
    *audio_files.SUFFIXES,
)
"""Suffixes of names that are paths."""


def check_prefix(name: str) -> None:
    """Raises UsageError for paths without a prefix, before TFDS looks them up.

    >>> check_prefix("./pics")
    Traceback (most recent call last):
      ...
    jaxgan.errors.UsageError: --dataset=./pics is a path: did you mean folder:./pics?
    """
    prefix, colon, path = name.partition(":")
    # URLs get the error of local_path.
    if re.match(r"[a-z0-9+.-]*://", name, re.IGNORECASE):
        local_path("--dataset", name)  # raises
    # Misspelled prefixes, and those of other programs.
    near = difflib.get_close_matches(prefix.lower(), KINDS, 1, 0.76)
    if prefix.lower() in ("dir", "directory", "path", "images", "imagefolder"):
        near = ["folder"]
    if colon and near:
        raise UsageError(f"--dataset={name}: did you mean {near[0]}:{path}?")
    # Paths without a prefix.
    if _looks_like_a_path(name):
        raise is_a_path(name)


def is_a_path(name: str, other: str = "folder") -> UsageError:
    """Returns the error for a path without a prefix.

    Args:
      name: the path.
      other: the prefix that is suggested if the suffix says nothing.
    """
    meant = suggest(name) or suggest_folder(name)
    if not meant and Path(name).is_file():
        return UsageError(
            f"--dataset={name} is a file of another form: save the pictures in a "
            "folder, and name that as folder:PATH, or the arrays as npz:FILE.npz"
        )
    meant = meant or f"{other}:{name}"
    return UsageError(f"--dataset={name} is a path: did you mean {meant}?")


def suggest(path: str) -> str:
    """Returns the name of the data set in a file, by its suffix; `""` for others.

    Sounds are read from the folder that holds them.

    >>> suggest("a/x.NPY"), suggest("x.txt"), suggest("a/x.wav"), suggest("x.png")
    ('npz:a/x.NPY', 'text:x.txt', 'audio:a', '')
    """
    suffix = Path(path).suffix.lower()
    if suffix in ARRAYS:
        return f"npz:{path}"
    if suffix == text_files.SUFFIX:
        return f"text:{path}"
    if suffix in audio_files.SUFFIXES:
        return f"audio:{Path(path).parent}"
    return ""


def suggest_folder(path: str) -> str:
    """Returns the name of the data set in a folder of sounds or texts, `""` for others.

    Only the first files are looked at.
    """
    suffixes: Counter[str] = Counter()
    with contextlib.suppress(OSError, RuntimeError, ValueError):  # no folder, no path
        found = Path(path).expanduser().rglob("*")
        suffixes.update(x.suffix.lower() for x in itertools.islice(found, LOOKED_AT))
    sounds = sum(suffixes[x] for x in audio_files.SUFFIXES)
    texts = suffixes[text_files.SUFFIX]
    pictures = sum(suffixes[x] for x in decode.suffixes())
    if sounds > max(texts, pictures):
        return f"audio:{path}"
    return f"text:{path}" if texts > pictures else ""


def _looks_like_a_path(name: str) -> bool:
    """Returns True for names that are paths by their start or end."""
    # The second pattern is a path of Windows.
    if name.startswith((".", "/", "~", "\\")) or re.match(r"[A-Za-z]:[\\/]", name):
        return True
    return name.endswith("/") or name.lower().endswith(FILES)

"""Reads files of weights whose SHA-256 is known."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from jaxgan.errors import UsageError, one_line
from jaxgan.files import open_regular, reason

LARGEST_FILE = 2**31
"""Maximum number of bytes of a file, which is read into memory as a whole."""


def read_weights(
    path: Path,
    sha256: str | None,
    tensors: Callable[[bytes], dict[str, np.ndarray]],
    *,
    suffix: str,
    again: str,
    foreign: str,
) -> tuple[dict[str, np.ndarray], str]:
    """Reads the arrays of a file.

    Args:
      path: the file.
      sha256: the expected SHA-256 of the file; None accepts any.
      tensors: returns the arrays of a content; raises ValueError if it is damaged.
      suffix: the suffix of such files.
      again: the remedy for another SHA-256.
      foreign: the message for another content, with a place for the reason.

    Returns:
      Read-only arrays by name, and the SHA-256 of the file in hexadecimal digits.

    Raises:
      UsageError: if the file cannot be read, has another SHA-256, or is damaged.
    """
    shown = one_line(str(path))
    content = _read(path, suffix)
    digest = hashlib.sha256(content).hexdigest()
    if sha256 not in (None, digest):
        raise UsageError(f"{shown} has the SHA-256 {digest}, not {sha256}; {again}")
    try:
        return tensors(content), digest
    except ValueError as error:
        raise UsageError(f"{shown} {foreign.format(one_line(str(error)))}") from None


def file_sha256(path: Path, suffix: str = ".pth") -> str:
    """Returns the SHA-256 of a file in hexadecimal digits.

    Raises:
      UsageError: if the file cannot be read.
    """
    return hashlib.sha256(_read(path, suffix)).hexdigest()


def _read(path: Path, suffix: str) -> bytes:
    """Returns the content of a file; raises UsageError if it cannot be read."""
    try:
        with open_regular(path) as file:
            # One byte too many says that the file is too large.
            return file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{one_line(str(path))} cannot be read ({reason(error)}); use the path of "
            f"a {suffix} file"
        ) from None

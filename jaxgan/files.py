"""Paths that users give, and files that are written whole or not at all."""

import os
import stat
import tempfile
from pathlib import Path
from typing import BinaryIO

from jaxgan.errors import UsageError, printable

LONGEST_NAME = 255
"""Bytes in one component of a path, on every common file system."""


def local_path(flag: str, text: str | Path) -> Path:
    """Returns the local path that a user gave for `flag`, with `~` expanded.

    A shell leaves `~` in place after `=`, as in `--workdir=~/runs/1`.

    Args:
      flag: named in errors, such as `--workdir`.
      text: a path; URLs such as `gs://bucket/run` are refused.

    Raises:
      UsageError: for a URL, an unknown home folder, or a path that no file can have.

    >>> local_path("--workdir", "gs://bucket/run")
    Traceback (most recent call last):
      ...
    jaxgan.errors.UsageError: --workdir=gs://bucket/run: only local folders are \
supported; use a path such as runs/1
    """
    text = os.fspath(text)
    shown = f"{flag}={printable(text)}"
    scheme, separator, _ = text.partition("://")
    if separator and scheme and "/" not in scheme:
        raise UsageError(
            f"{shown}: only local folders are supported; use a path such as runs/1"
        )
    if "\0" in text:
        raise UsageError(f"{shown}: a path cannot hold a NUL character")
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in text.split("/")):
        raise UsageError(
            f"{flag}={printable(text[:40])}...: a file name has at most "
            f"{LONGEST_NAME} bytes; use a shorter path"
        )
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise UsageError(
            f"{shown}: there is no such home folder; write the whole path"
        ) from None


def open_regular(path: str | Path) -> BinaryIO:
    """Opens a regular file for reading in binary; never waits for a writer.

    Raises:
      ValueError: for a FIFO, a socket, a device or a folder, also one that takes the
        file's place at this moment.
      OSError: for a file that cannot be opened.
    """
    names = ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY")  # not on all systems
    flags = os.O_RDONLY
    for name in names:
        flags |= getattr(os, name, 0)
    _check_regular(os.stat(path))  # to open a device may already act on it
    file = os.fdopen(os.open(path, flags), "rb")
    try:
        _check_regular(os.fstat(file.fileno()))
    except BaseException:
        file.close()
        raise
    return file


def _check_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is not a regular file")


def atomic_write(file: Path, content: bytes) -> None:
    """Writes a file such that it is never seen in part, not even after a power cut."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as temporary:
            temporary.write(content)
            temporary.flush()
            os.fchmod(temporary.fileno(), 0o644)
            os.fsync(temporary.fileno())
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise

"""Paths that users give, and files that are written whole or not at all."""

import os
import tempfile
from pathlib import Path

from jaxgan.errors import UsageError, printable

LONGEST_NAME = 255
"""Bytes in one component of a path, on every common file system."""


def local_path(flag: str, text: str | Path, prefix: str = "") -> Path:
    """Returns the local path that a user gave for `flag`, with `~` expanded.

    A shell leaves `~` in place after `=`, as in `--workdir=~/runs/1`.

    Args:
      flag: named in errors, such as `--workdir`.
      text: a path; URLs such as `gs://bucket/run` are refused.
      prefix: stands before the path in the flag, such as `npz:`.

    Raises:
      UsageError: for a URL, an unknown home folder, or a path that no file can have.

    >>> local_path("--workdir", "gs://bucket/run")
    Traceback (most recent call last):
      ...
    jaxgan.errors.UsageError: --workdir=gs://bucket/run: only local paths are \
supported; use one such as runs/1
    """
    text = os.fspath(text)
    shown = f"{flag}={prefix}{printable(text)}"
    example = f"{prefix}some/path" if prefix else "runs/1"
    scheme, separator, _ = text.partition("://")
    if separator and scheme and "/" not in scheme:
        raise UsageError(
            f"{shown}: only local paths are supported; use one such as {example}"
        )
    if "\0" in text:
        raise UsageError(f"{shown}: a path cannot hold a NUL character")
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in text.split("/")):
        raise UsageError(
            f"{flag}={prefix}{printable(text[:40])}...: a file name has at most "
            f"{LONGEST_NAME} bytes; use a shorter path"
        )
    try:
        path = Path(text).expanduser() if text.startswith("~") else Path(text)
    except RuntimeError:
        raise UsageError(
            f"{shown}: there is no such home folder; write the whole path"
        ) from None
    try:
        # ./~/x stays in the working directory, however often it is expanded
        return path.absolute() if str(path).startswith("~") else _of_cwd(path)
    except FileNotFoundError:
        raise UsageError(
            f"{shown}: the working directory is no longer there; change to another, or "
            "write the whole path"
        ) from None


def _of_cwd(path: Path) -> Path:
    """The path; raises FileNotFoundError if it is of a working directory that is not.

    >>> _of_cwd(Path("runs/1"))
    PosixPath('runs/1')
    """
    if not path.is_absolute():
        Path.cwd()
    return path


def check_writable(flag: str, file: Path) -> None:
    """Checks that a file can be written where a user asked for one.

    Raises:
      UsageError: naming `flag`, if the folder is not there or cannot be written, or
        if `file` is something else than a file.
    """
    shown = f"{flag}={printable(str(file))}"
    if os.path.exists(file) and not os.path.isfile(file):
        raise UsageError(f"{shown} is not a file; use the name of a new one")
    if not os.path.isdir(file.parent):
        raise UsageError(f"{shown}: there is no folder {file.parent}, make it first")
    try:
        with tempfile.TemporaryFile(dir=file.parent):
            pass
    except OSError as error:
        raise UsageError(
            f"{shown} cannot be written ({error.strerror}); use a folder of yours"
        ) from None


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

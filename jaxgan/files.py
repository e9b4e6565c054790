"""Paths that users give, locks, and files that are written whole or not at all."""

import contextlib
import errno
import os
import stat
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from jaxgan.errors import UsageError, first_line, printable

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


def atomic_write(file: Path, content: bytes, *, sync: bool = True) -> None:
    """Writes a file such that it is never seen in part.

    With `sync` not even after a power cut; that may wait for the disk.
    """
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as temporary:
            temporary.write(content)
            temporary.flush()
            if sync:
                os.fsync(temporary.fileno())
        os.chmod(name, 0o644)
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def locked(file: Path, *, wait: bool) -> Iterator[None]:
    """Holds the lock of `file`, which is created, until the end of the `with`.

    The kernel drops the lock with the program, even one killed by SIGKILL. Where there
    is no `fcntl`, as on Windows, `filelock` holds the lock of a file beside it.

    Raises:
      BlockingIOError: another program holds the lock, and `wait` is false.
      OSError: the file cannot be written, or its file system has no locks.
    """
    if kind(file) not in ("", "a file"):  # opening a pipe would wait for its reader
        raise FileExistsError(errno.EEXIST, f"{file.name} is {kind(file)}")
    try:
        import fcntl
    except ImportError:
        with _locked_elsewhere(file.with_name(f"{file.name}.held"), wait):
            yield
        return
    with open(file, "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except PermissionError as error:  # how some network drives say it is held
            raise BlockingIOError(*error.args) from error
        yield


@contextlib.contextmanager
def _locked_elsewhere(file: Path, wait: bool) -> Iterator[None]:
    with warnings.catch_warnings():  # of the kind of its lock
        warnings.simplefilter("ignore")
        import filelock

    try:
        lock = filelock.FileLock(file, timeout=-1 if wait else 0).acquire()
    except filelock.Timeout as error:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error
    with lock:
        yield


KINDS = {
    stat.S_ISREG: "a file",
    stat.S_ISDIR: "a folder",
    stat.S_ISFIFO: "a named pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}


def kind(path: Path) -> str:
    """Returns what is at `path`, links followed; empty if nothing is.

    Raises OSError where that cannot be known.

    >>> kind(Path("/")), kind(Path("/dev/null")), kind(Path("/none"))
    ('a folder', 'a device', '')
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "a link to nothing" if os.path.islink(path) else ""
    return next((name for is_kind, name in KINDS.items() if is_kind(mode)), "a device")


SPACE = "free some space"
SHORT = {
    errno.ENOSPC: SPACE,
    errno.EDQUOT: SPACE,
    errno.EFBIG: "raise the limit of a file's size (ulimit -f)",
}
IN_THE_WAY = (errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY)
REMEDIES = {
    **SHORT,
    **dict.fromkeys(IN_THE_WAY, "remove or rename what is in the way"),
    **dict.fromkeys((errno.EACCES, errno.EPERM), "allow yourself to write there"),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "raise the limit of open files"),
    errno.EROFS: "make the disk writable",
    errno.ENOENT: "leave a run's folder in place while it runs",
}


def reason(error: Exception) -> str:
    """Returns an error's first line, or the system's words for one of its own.

    >>> reason(OSError(errno.ENOSPC, "No space left on device"))
    'No space left on device'
    """
    words = error.strerror if isinstance(error, OSError) else None
    return printable(words or first_line(error))


def remedy(error: OSError) -> str:
    """Returns what helps after a write that failed, as the start of a clause.

    >>> remedy(OSError(errno.ENOSPC, "No space left on device"))
    'free some space'
    >>> remedy(OSError(errno.EIO, "Input/output error"))
    'look after the disk'
    """
    return REMEDIES.get(error.errno or 0, "look after the disk")


def remedy_if_short(error: OSError) -> str:
    """Returns the remedy with ", or " after it where space is short, else nothing."""
    return f"{remedy(error)}, or " if error.errno in SHORT else ""

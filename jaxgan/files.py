"""Checks of user paths, locks, atomic writes, and messages for file errors."""

import contextlib
import errno
import itertools
import os
import re
import stat
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from jaxgan.errors import UsageError, first_line, printable

URL_SCHEMES = ("gs", "gcs", "s3", "az", "abfs", "hdfs", "http", "https", "file")
"""Schemes of the URLs in which people forget one of the two slashes."""

LONGEST_NAME = 255
"""Maximum number of bytes in a component of a path on common file systems."""


def local_path(flag: str, text: str | Path, prefix: str = "") -> Path:
    """Converts the text of a flag to a local path, with `~` expanded.

    A shell does not expand `~` after `=`, as in `--workdir=~/runs/1`.

    Args:
      flag: the flag to name in errors, such as `--workdir`.
      text: a path.
      prefix: the text before the path in the flag, such as `npz:`.

    Raises:
      UsageError: for a URL such as `gs://bucket/run`, an unknown home folder, or an
        impossible path.

    >>> local_path("--workdir", "gs://bucket/run")
    Traceback (most recent call last):
      ...
    jaxgan.errors.UsageError: --workdir=gs://bucket/run: only local paths are \
supported; use one such as runs/1
    """
    text = os.fspath(text)
    shown = f"{flag}={prefix}{printable(text)}"
    example = f"{prefix}some/path" if prefix else "runs/1"
    # Path would read gs://bucket as the local folder `gs:`.
    if is_url(text):
        raise UsageError(
            f"{shown}: only local paths are supported; use one such as {example}"
        )
    if odd := re.match(f"({'|'.join(URL_SCHEMES)}):/", text):
        url = printable(text.replace(":/", "://", 1))
        raise UsageError(
            f"{shown}: a URL has two slashes, as in {url}, and a local path does not "
            f"start with {odd[0]}; use one such as {example}"
        )
    if "\0" in text:
        raise UsageError(f"{shown}: a path cannot contain a NUL character")
    # The limit holds for bytes, not for characters.
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in text.split("/")):
        raise UsageError(
            f"{flag}={prefix}{printable(text[:40])}...: a file name has at most "
            f"{LONGEST_NAME} bytes; use a shorter path"
        )
    try:
        path = Path(text).expanduser() if text.startswith("~") else Path(text)
    except RuntimeError:
        raise UsageError(
            f"{shown}: there is no such home folder; use an absolute path"
        ) from None
    try:
        # Make ./~/x absolute, so that a second call does not expand it.
        return path.absolute() if str(path).startswith("~") else _of_cwd(path)
    except FileNotFoundError:
        raise UsageError(
            f"{shown}: the working directory no longer exists; change to another, or "
            "use an absolute path"
        ) from None


def is_url(text: str | Path) -> bool:
    """Returns True for a URL such as `gs://bucket/run`.

    >>> is_url("gs://bucket/run"), is_url("runs/gs://x")
    (True, False)
    """
    scheme, separator, _ = os.fspath(text).partition("://")
    return bool(separator and scheme and "/" not in scheme)


def _of_cwd(path: Path) -> Path:
    """Returns `path`, after a check that its working directory exists.

    Raises:
      FileNotFoundError: if the path is relative and the working directory is gone.

    >>> _of_cwd(Path("runs/1"))
    PosixPath('runs/1')
    """
    if not path.is_absolute():
        Path.cwd()
    return path


def check_writable(flag: str, file: Path) -> None:
    """Checks that an output file can be written.

    Args:
      flag: the flag to name in errors, such as `--out`.
      file: the path of the output.

    Raises:
      UsageError: if the folder does not exist or is not writable, or if `file` exists
        and is not a file.
    """
    shown = f"{flag}={printable(str(file))}"
    if os.path.exists(file) and not os.path.isfile(file):
        raise UsageError(f"{shown} is not a file; use another name")
    if not os.path.isdir(file.parent):
        raise UsageError(f"{shown}: there is no folder {file.parent}; create it first")
    try:
        # Write a file, as permission bits say nothing to root.
        with tempfile.TemporaryFile(dir=file.parent):
            pass
    except OSError as error:
        raise UsageError(
            f"{shown} cannot be written ({error.strerror}); use a writable folder"
        ) from None


def open_regular(path: str | Path) -> BinaryIO:
    """Opens a regular file for reading in binary mode, without waiting for a writer.

    Raises:
      ValueError: for a FIFO, a socket, a device or a folder, even if it replaces the
        file during the call.
      OSError: if the file cannot be opened.
    """
    # No system has all of these flags.
    # O_NONBLOCK: opening a FIFO would otherwise wait for a writer.
    names = ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY")
    flags = os.O_RDONLY
    for name in names:
        flags |= getattr(os, name, 0)
    _check_regular(os.stat(path))  # opening a device may have effects
    file = os.fdopen(os.open(path, flags), "rb")
    # Another file may have replaced the one that was checked.
    try:
        # fstat examines the file that is open, whatever its path means now.
        _check_regular(os.fstat(file.fileno()))
    except BaseException:
        file.close()
        raise
    return file


def _check_regular(status: os.stat_result) -> None:
    """Raises ValueError if a status is not that of a regular file."""
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is not a regular file")


def atomic_write(file: Path, content: bytes, *, sync: bool = True) -> None:
    """Writes a file completely or not at all, even if the program is killed.

    Args:
      file: the path. An existing file is replaced.
      content: the bytes to write.
      sync: if True, waits for the disk, so that this also holds after a power failure.
    """
    # In the same folder, as a file can be replaced atomically on one disk only.
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as temporary:
            temporary.write(content)
            # From Python's buffer to the system, and from there to the disk.
            temporary.flush()
            if sync:
                os.fsync(temporary.fileno())
        os.chmod(name, 0o644)  # only the owner may read a file of mkstemp
        os.replace(name, file)
    except BaseException:
        # Also after KeyboardInterrupt.
        Path(name).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def locked(file: Path, *, wait: bool) -> Iterator[None]:
    """Holds a lock for the duration of the `with` block.

    The system releases the lock when the program ends, even by SIGKILL. Without
    `fcntl`, such as on Windows, `filelock` locks another file beside it.

    Args:
      file: the lock file, created if it does not exist.
      wait: if True, waits while another program holds the lock.

    Raises:
      BlockingIOError: if another program holds the lock and `wait` is False.
      OSError: if the file cannot be written, or its file system has no locks.
    """
    if kind(file) not in ("", "a file"):  # opening a pipe would wait for a reader
        raise FileExistsError(errno.EEXIST, f"{file.name} is {kind(file)}")
    try:
        import fcntl
    except ImportError:
        with _locked_elsewhere(file.with_name(f"{file.name}.held"), wait):
            yield
        return
    # Mode "a" creates the file if necessary; closing it releases the lock.
    with open(file, "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except PermissionError as error:  # on some network drives: it is held
            raise BlockingIOError(*error.args) from error
        yield


@contextlib.contextmanager
def _locked_elsewhere(file: Path, wait: bool) -> Iterator[None]:
    """Holds a lock by `filelock`, with the same errors as `locked`."""
    with warnings.catch_warnings():  # filelock may warn about the kind of its lock
        warnings.simplefilter("ignore")
        import filelock

    try:
        # A timeout of -1 waits forever, 0 not at all.
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
    """Returns the kind of file at `path`, following links; empty if there is none.

    Raises:
      OSError: if the path cannot be examined.

    >>> kind(Path("/")), kind(Path("/dev/null")), kind(Path("/none"))
    ('a folder', 'a device', '')
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        # stat follows links, islink does not.
        return "a link to nothing" if os.path.islink(path) else ""
    return next((name for is_kind, name in KINDS.items() if is_kind(mode)), "a device")


SPACE = "free some space"
"""The remedy for a full disk."""

SHORT = {
    errno.ENOSPC: SPACE,
    errno.EDQUOT: SPACE,
    errno.EFBIG: "raise the file size limit (ulimit -f)",
}
"""Remedies for a full disk or a limit, by error number."""

IN_THE_WAY = (errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY)
"""Error numbers for something else at the path of a file or folder."""

REMEDIES = {
    **SHORT,
    **dict.fromkeys(IN_THE_WAY, "remove or rename what is in the way"),
    **dict.fromkeys((errno.EACCES, errno.EPERM), "get write permission"),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "raise the limit on open files"),
    errno.EROFS: "make the disk writable",
    errno.ENOENT: "do not move or delete the folder of a run in progress",
}


def reason(error: Exception) -> str:
    """Returns the system's message for an OSError, or an error's first line.

    >>> reason(OSError(errno.ENOSPC, "No space left on device"))
    'No space left on device'
    """
    words = error.strerror if isinstance(error, OSError) else None
    return printable(words or first_line(error))


def remedy(error: OSError) -> str:
    """Returns the remedy for a failed write, such as "free some space".

    >>> remedy(OSError(errno.ENOSPC, "No space left on device"))
    'free some space'
    >>> remedy(OSError(errno.EIO, "Input/output error"))
    'check the disk'
    """
    return REMEDIES.get(error.errno or 0, "check the disk")


def remedy_if_short(error: OSError) -> str:
    """Returns the remedy and ", or " for a full disk or a limit, otherwise nothing."""
    return f"{remedy(error)}, or " if error.errno in SHORT else ""


def first_free(
    name: str, files_of: Callable[[Path], list[Path]] = lambda path: [path]
) -> Path:
    """Returns a path in the current folder whose files do not exist yet.

    Args:
      name: the first to try; then `stem-2.suffix`, `stem-3.suffix` and so on.
      files_of: the files that are written for a path.
    """
    path = Path(name)
    for number in itertools.count(2):
        if not any(os.path.lexists(file) for file in files_of(path)):
            break
        path = path.with_stem(f"{Path(name).stem}-{number}")
    return path

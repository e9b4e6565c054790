"""Starts and ends programs: logging, exit codes, one-line errors, crash reports."""

import contextlib
import functools
import importlib.metadata
import logging
import os
import platform
import select
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

from jaxgan import storage
from jaxgan.environment import (
    cache_folder,
    collect_as_usual,
    collect_rarely,
    enable_compilation_cache,
    has_tpu,
    silence_libtpu,
)
from jaxgan.errors import (
    BuildError,
    TrainingError,
    UsageError,
    first_line,
    one_line,
    printable,
)
from jaxgan.files import SHORT, reason, remedy

P = ParamSpec("P")
"""The parameters of a main function."""

EXIT_CRASH = 70
"""The exit code of an unexpected error, `EX_SOFTWARE` of sysexits.h."""

EXIT_TRY_AGAIN = 75
"""The exit code of a run that ran out of time and should be started again."""

EXIT_PIPE = 141
"""The exit code if the reader of the output has closed it, like in shells."""

LONGEST = 2_000
"""Maximum number of characters of an error message."""

KEPT_REPORTS = 20
"""Number of crash reports to keep. Older ones are deleted."""

NO_TEMPORARY = "No usable temporary directory"
"""Part of Python's error message if no temporary folder is writable."""

PACKAGES = ("jaxgan", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
"""Packages whose versions are in a crash report."""


def program(main: Callable[P, int]) -> Callable[P, int]:
    """Decorates the main function of a program, which returns its exit code.

    Sets up logging first. Prints an expected error as one line on stderr, with exit
    code 2 (`UsageError`), 1 (`TrainingError`) or 130 (Ctrl-C). For any other error it
    prints one line with the path of a crash report, with exit code 70. `SystemExit`,
    such as that of `--help`, is raised again.
    """

    @functools.wraps(main)
    def run(*args: P.args, **kwargs: P.kwargs) -> int:
        _begin()
        collect_rarely()
        try:
            code = main(*args, **kwargs)
        except SystemExit:
            # `--help` prints to stdout, which may be closed.
            if failed := _flush():
                return failed
            raise
        except (Exception, KeyboardInterrupt) as error:
            if isinstance(error, BrokenPipeError) and _reader_is_gone():
                # The reader has seen enough, as with `| head -1`.
                return EXIT_PIPE
            code, message = ending(error)
            print_error(message)
        finally:
            collect_as_usual()
        # An error of the output takes precedence.
        return _flush() or code

    return run


def ending(error: BaseException) -> tuple[int, str]:
    """Returns the exit code and the message of an error that ends a program.

    Writes a crash report for an unexpected error.
    """
    if isinstance(error, BuildError) and (report := write_report(error)):
        return 2, f"{error}; its traceback is in {report}"
    if isinstance(error, UsageError):
        return 2, str(error)
    if isinstance(error, TrainingError):
        return 1, str(error)
    if isinstance(error, KeyboardInterrupt):  # before training, or a second Ctrl-C
        return 130, "interrupted"
    if isinstance(error, OSError) and _is_disk(error):
        return 2, _disk_message(error)
    # Any other error is a bug.
    report = write_report(error)
    if report is None:
        print("".join(traceback.format_exception(error)), file=sys.stderr)
    details = f"the report is in {report}" if report else "its traceback is above"
    return EXIT_CRASH, (
        f"{type(error).__name__}: {first_line(error)}; this is a bug in jaxgan or in a "
        f"library, {details}"
    )


def foreseen(error: BaseException) -> bool:
    """Returns True if an error is expected and needs no crash report."""
    expected = isinstance(error, UsageError | TrainingError | KeyboardInterrupt)
    return expected or (isinstance(error, OSError) and _is_disk(error))


def _is_disk(error: OSError) -> bool:
    """Returns True if a file could not be written because of a full disk or a limit."""
    return error.errno in SHORT or NO_TEMPORARY in str(error)


def _disk_message(error: OSError) -> str:
    """Returns the message for an error of `_is_disk`."""
    if error.errno in SHORT:
        where = error.filename or "a disk"
        return f"{where} cannot be written ({reason(error)}); {remedy(error)}"
    return (
        "no temporary folder is writable; free some space, or set the environment "
        "variable TMPDIR to another folder"
    )


def print_error(message: str) -> None:
    """Prints an error as one line on stderr, shortened and without control characters.

    Args:
      message: the error message.
    """
    line = one_line(storage.as_urls(message))
    if len(line) > LONGEST:
        # Keep both ends, as the remedy is often the last part.
        line = f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}"
    with contextlib.suppress(OSError):  # the terminal is closed
        print(f"error: {line}", file=sys.stderr, flush=True)


def write_report(error: BaseException) -> Path | None:
    """Writes a crash report to the cache folder, or else to the temporary folder.

    It contains the versions of packages, the command line, the environment variables
    of jax and the traceback.

    Returns:
      The path of the report, or None if it cannot be written.
    """
    cache = cache_folder()
    folders = [cache / "crashes"] if cache else []
    prefix = time.strftime("jaxgan-crash-%Y%m%d-%H%M%S-")
    # The temporary folder is for machines without a writable cache folder.
    for folder in (*folders, Path(tempfile.gettempdir())):
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(".txt", prefix, folder, text=True)
            with open(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(_report(error))
            # The names begin with the time, so that the newest are sorted last.
            for old in sorted(folder.glob("jaxgan-crash-*.txt"))[:-KEPT_REPORTS]:
                old.unlink()
            return Path(name)
    return None


def _report(error: BaseException) -> str:
    """Returns the text of a crash report."""
    versions = [f"Python {platform.python_version()}", platform.platform()]
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{package} {importlib.metadata.version(package)}")
    # Variables that change the behavior of jax.
    prefixes = ("JAX_", "XLA_", "TPU_", "LIBTPU_", "CUDA_VISIBLE")
    variables = [
        f"{name}={value}"
        for name, value in sorted(os.environ.items())
        if name.startswith(prefixes)
    ]
    lines = [", ".join(versions), " ".join(map(repr, sys.argv)), *variables, ""]
    return "\n".join(lines) + "\n" + "".join(traceback.format_exception(error))


class PrintableFormatter(logging.Formatter):
    """Escapes control characters, which file and class names may contain.

    Line breaks of a message itself are kept. Those in its arguments are escaped.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Formats a log record."""
        if isinstance(record.args, tuple):
            # Change a copy, as other handlers receive the same record.
            args = tuple(_escaped(value) for value in record.args)
            record = logging.makeLogRecord({**record.__dict__, "args": args})
        text = storage.as_urls(super().format(record))
        return "\n".join(map(printable, text.split("\n")))


def _escaped(value: object) -> object:
    """Escapes a text, a path or an exception, and returns other values unchanged."""
    return printable(str(value)) if isinstance(value, str | Path | Exception) else value


def _begin() -> None:
    """Sets up the standard streams, logging, the compilation cache and libtpu."""
    for name in ("stdout", "stderr"):  # None if closed, as by >&-
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    with contextlib.suppress(AttributeError, OSError, ValueError):
        # Names may contain characters that the terminal's encoding lacks.
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    # Log lines go to stderr, without a prefix.
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter("%(message)s"))
    logging.basicConfig(handlers=[handler])
    logging.getLogger("jaxgan").setLevel(logging.INFO)
    enable_compilation_cache()
    if not has_tpu(os.environ):
        silence_libtpu()


def _reader_is_gone() -> bool:
    """Returns True if stdout is a pipe that is closed, as after `| head -1`."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), select.POLLERR)
        # 0 milliseconds: do not wait.
        return bool(poll.poll(0))
    except (AttributeError, OSError, ValueError):  # Windows has no poll
        return False


def _flush() -> int:
    """Flushes stdout. Returns 0, or the exit code if the output cannot be written."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # Otherwise Python flushes again at exit, and prints another error.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return EXIT_PIPE
        print_error(f"the output cannot be written ({error.strerror})")
        return 2
    return 0

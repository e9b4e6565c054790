"""How programs begin and end: exit codes, one-line errors, crash reports."""

import contextlib
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

from jaxgan.environment import (
    cache_folder,
    enable_compilation_cache,
    has_tpu,
    silence_libtpu,
)
from jaxgan.errors import TrainingError, UsageError, first_line, one_line, printable
from jaxgan.files import SHORT, reason, remedy

EXIT_CRASH = 70
"""The exit code of an error that was not foreseen, as `EX_SOFTWARE` of sysexits.h."""

EXIT_TRY_AGAIN = 75
"""The exit code of a run whose time is over, which is to be started again."""

EXIT_PIPE = 141
"""The exit code where the reader of the output is gone, as shells have it."""

LONGEST = 2_000
"""Characters of an error message that are printed."""

KEPT_REPORTS = 20
"""Crash reports that are kept, the newest ones."""

NO_TEMPORARY = "No usable temporary directory"
"""Part of Python's error where no folder for temporary files can be written."""

PACKAGES = ("jaxgan", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


def run_main(program: Callable[[], int]) -> int:
    """Runs a program and returns its exit code.

    An error that was foreseen is one line on stderr, with exit code 2 (`UsageError`), 1
    (`TrainingError`) or 130 (Ctrl-C). Any other error is one line with the path of a
    crash report, and exit code 70. `SystemExit`, such as that of `--help`, passes.
    """
    _begin()
    try:
        code = program()
    except SystemExit:
        if gone := _flush():
            return gone
        raise
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, BrokenPipeError) and _reader_is_gone():
            return EXIT_PIPE
        code, message = ending(error)
        print_error(message)
    return _flush() or code


def ending(error: BaseException) -> tuple[int, str]:
    """Returns the exit code and the message of an error that ends a program.

    Writes a crash report for an error that was not foreseen.
    """
    if isinstance(error, UsageError):
        return 2, str(error)
    if isinstance(error, TrainingError):
        return 1, str(error)
    if isinstance(error, KeyboardInterrupt):  # nothing to save yet, or a second one
        return 130, "interrupted"
    if isinstance(error, OSError) and _is_disk(error):
        return 2, _disk_message(error)
    report = write_report(error)
    if report is None:
        print("".join(traceback.format_exception(error)), file=sys.stderr)
    kept = f"the report is in {report}" if report else "its traceback is above"
    return EXIT_CRASH, (
        f"{type(error).__name__}: {first_line(error)}; this is a bug of jaxgan or of a "
        f"library, {kept}"
    )


def foreseen(error: BaseException) -> bool:
    """Returns whether a program ends with `error` without a crash report."""
    known = isinstance(error, UsageError | TrainingError | KeyboardInterrupt)
    return known or (isinstance(error, OSError) and _is_disk(error))


def _is_disk(error: OSError) -> bool:
    """Returns whether a disk did not take a file, wherever that was tried."""
    return error.errno in SHORT or NO_TEMPORARY in str(error)


def _disk_message(error: OSError) -> str:
    if error.errno in SHORT:
        where = error.filename or "a disk"
        return f"{where} cannot be written ({reason(error)}); {remedy(error)}"
    return (
        "no folder for temporary files can be written; free some space, or name "
        "another by the environment variable TMPDIR"
    )


def print_error(message: str) -> None:
    """Prints an error as one line that holds nothing a terminal would act on."""
    line = one_line(message)
    if len(line) > LONGEST:
        line = f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}"
    with contextlib.suppress(OSError):  # a terminal that is gone
        print(f"error: {line}", file=sys.stderr, flush=True)


def write_report(error: BaseException) -> Path | None:
    """Writes a crash report and returns its path, None where nothing can be written.

    It holds the versions, the command line, the environment of jax and the traceback.
    It lies in the cache folder, else among the temporary files.
    """
    cache = cache_folder()
    folders = [cache / "crashes"] if cache else []
    prefix = time.strftime("jaxgan-crash-%Y%m%d-%H%M%S-")
    for folder in (*folders, Path(tempfile.gettempdir())):
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(".txt", prefix, folder, text=True)
            with open(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(_report(error))
            for old in sorted(folder.glob("jaxgan-crash-*.txt"))[:-KEPT_REPORTS]:
                old.unlink()
            return Path(name)
    return None


def _report(error: BaseException) -> str:
    versions = [f"Python {platform.python_version()}", platform.platform()]
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{package} {importlib.metadata.version(package)}")
    prefixes = ("JAX_", "XLA_", "TPU_", "LIBTPU_", "CUDA_VISIBLE")
    variables = [
        f"{name}={value}"
        for name, value in sorted(os.environ.items())
        if name.startswith(prefixes)
    ]
    lines = [", ".join(versions), " ".join(map(repr, sys.argv)), *variables, ""]
    return "\n".join(lines) + "\n" + "".join(traceback.format_exception(error))


class PrintableFormatter(logging.Formatter):
    """Escapes control characters: file and class names may hold any.

    Lines that a message has of its own stay lines; those in its arguments do not.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Returns the text of a record."""
        if isinstance(record.args, tuple):
            args = tuple(_escaped(value) for value in record.args)
            record = logging.makeLogRecord({**record.__dict__, "args": args})
        return "\n".join(map(printable, super().format(record).split("\n")))


def _escaped(value: object) -> object:
    return printable(str(value)) if isinstance(value, str | Path | Exception) else value


def _begin() -> None:
    for name in ("stdout", "stderr"):  # None where they are closed, as with >&-
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    with contextlib.suppress(AttributeError, OSError, ValueError):
        # names may hold what the encoding does not have
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter("%(message)s"))
    logging.basicConfig(handlers=[handler])
    logging.getLogger("jaxgan").setLevel(logging.INFO)
    enable_compilation_cache()
    if not has_tpu(os.environ):
        silence_libtpu()


def _reader_is_gone() -> bool:
    """Returns whether stdout is a pipe that nobody reads, as after `| head -1`."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), select.POLLERR)
        return bool(poll.poll(0))
    except (AttributeError, OSError, ValueError):  # Windows has no poll
        return False


def _flush() -> int:
    """Returns 0 once all output is written, else the exit code with which to stop."""
    try:
        sys.stdout.flush()
    except OSError as error:
        with contextlib.suppress(OSError):  # else Python tries once more, and says so
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return EXIT_PIPE
        print_error(f"the output cannot be written ({error.strerror})")
        return 2
    return 0

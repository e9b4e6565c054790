"""One-line messages for errors of the disk, of permissions and of Orbax."""

import errno
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jaxgan import storage
from jaxgan.errors import UsageError
from jaxgan.files import remedy

NOT_DAMAGE = {
    errno.EACCES: "make it readable for this user",
    errno.EPERM: "make it readable for this user",
    errno.EMFILE: "allow more open files, such as `ulimit -n 4096`",
    errno.ENFILE: "allow more open files",
    errno.ENOMEM: "use a machine with more memory",
}
"""Remedies for errors that do not indicate a damaged file, by error number."""

_UNAWAITED = ("Event loop is closed", "array index", "was never awaited")


@contextmanager
def quiet_orbax() -> Iterator[None]:
    """Suppresses log lines of Orbax, and messages that it prints besides raising.

    After an error, other reads and writes of Orbax end later, on a closed event loop.
    Python prints their exceptions by `sys.unraisablehook`, or asyncio logs them. The
    hook and the filter set here therefore stay after an error. They pass on all else.
    """

    def ignore_unawaited(unraisable: Any) -> None:
        text = str(unraisable.exc_value)
        if not any(words in text for words in _UNAWAITED):
            hook(unraisable)

    def not_orbax(record: logging.LogRecord) -> bool:
        return "orbax" not in record.pathname

    # Keep the previous hook, which receives all other exceptions.
    hook, sys.unraisablehook = sys.unraisablehook, ignore_unawaited
    logging.getLogger("absl").addFilter(not_orbax)
    logging.getLogger("asyncio").addFilter(_is_retrieved)
    try:
        yield
        # Neither is restored after an error.
        sys.unraisablehook = hook
        logging.getLogger("asyncio").removeFilter(_is_retrieved)
    finally:
        logging.getLogger("absl").removeFilter(not_orbax)


def _is_retrieved(record: logging.LogRecord) -> bool:
    """Returns False for asyncio's report of a task whose exception nobody read."""
    return "exception was never retrieved" not in record.getMessage()


@contextmanager
def explain_save_errors(
    folder: Any, available: Callable[[Any], list[int]]
) -> Iterator[None]:
    """Turns an error of a save into one line with the last checkpoint and a remedy.

    Args:
      folder: of the checkpoints.
      available: returns the steps of the complete checkpoints in a folder.

    Raises:
      UsageError: in place of an error of the system.
    """
    try:
        yield
    except UsageError:
        raise
    except (TypeError, AttributeError, LookupError, AssertionError):
        raise  # faults of programs, not of disks or buckets
    except Exception as error:
        code = system_errno(error)
        if storage.is_remote(folder):
            raise UsageError(
                f"a checkpoint could not be saved in {folder} ({reason(error)}); "
                "earlier ones are kept; check the network and the bucket, and the same "
                "command resumes"
            ) from error
        if code is None:
            # Not an error of the system, so there is no remedy.
            raise
        # Name the last complete checkpoint.
        steps = available(folder)
        kept = "there is no earlier one"
        if steps:
            kept = f"the last good one (step {steps[-1]}) is kept"
        raise UsageError(
            f"a checkpoint could not be saved in {folder} ({os.strerror(code)}); "
            f"{kept}; {remedy(OSError(code, ''))}, or use another --workdir"
        ) from error


def raise_unless_damage(path: Path, error: Exception) -> None:
    """Raises UsageError if an error does not indicate a damaged checkpoint.

    Args:
      path: the folder of the checkpoint.
      error: raised while it was read.
    """
    # Memory ran out in Python or in a library.
    short = isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)
    code = errno.ENOMEM if short else system_errno(error)
    if code in NOT_DAMAGE:
        raise UsageError(
            f"checkpoint {path.name} in {path.parent} cannot be read "
            f"({os.strerror(code)}); {NOT_DAMAGE[code]}"
        ) from error


def system_errno(error: Exception) -> int | None:
    """Returns the error number of an error of the system, None for other errors."""
    if isinstance(error, OSError):
        return error.errno
    # TensorStore wraps errors of the system in a ValueError.
    code = re.search(r"os_error_code='(\d+)'", str(error))
    return int(code[1]) if code else None


def reason(error: BaseException) -> str:
    """Returns the start of an error's message, which may be a page for Orbax."""
    # The first line, without a pointer to further details.
    line = (str(error).splitlines() or [""])[0].split(" See full")[0]
    return line[:120] or type(error).__name__

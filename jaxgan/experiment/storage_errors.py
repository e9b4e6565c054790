"""One line for each failure of a disk, of its permissions, or of Orbax on top of it."""

import errno
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jaxgan.errors import UsageError
from jaxgan.files import remedy

NOT_DAMAGE = {
    errno.EACCES: "make it readable for this user",
    errno.EPERM: "make it readable for this user",
    errno.EMFILE: "allow more open files, such as `ulimit -n 4096`",
    errno.ENFILE: "allow more open files",
    errno.ENOMEM: "use a machine with more memory",
}
"""Errors that say nothing of the content of a file, and what helps."""

_LOOSE_ENDS = ("Event loop is closed", "array index", "was never awaited")


@contextmanager
def quiet_orbax() -> Iterator[None]:
    """Keeps Orbax from telling what it also raises, and from telling it in pieces.

    After a failure its other reads and writes end later, on a loop that is closed: then
    the hook for what cannot be raised stays, and passes on all that is not theirs.
    """

    def loose_end(unraisable: Any) -> None:
        text = str(unraisable.exc_value)
        if not any(words in text for words in _LOOSE_ENDS):
            hook(unraisable)

    def not_orbax(record: logging.LogRecord) -> bool:
        return "orbax" not in record.pathname

    hook, sys.unraisablehook = sys.unraisablehook, loose_end
    logging.getLogger("absl").addFilter(not_orbax)
    try:
        yield
        sys.unraisablehook = hook
    finally:
        logging.getLogger("absl").removeFilter(not_orbax)


@contextmanager
def explain_save_errors(
    folder: Path, available: Callable[[Path], list[int]]
) -> Iterator[None]:
    """Says in one line why no checkpoint was saved, which one stays and what helps."""
    try:
        yield
    except UsageError:
        raise
    except (OSError, ValueError) as error:
        code = system_errno(error)
        if code is None:
            raise
        steps = available(folder)
        stays = f"the last good one (step {steps[-1]}) stays" if steps else "none stays"
        raise UsageError(
            f"a checkpoint could not be saved in {folder} ({os.strerror(code)}); "
            f"{stays}; {remedy(OSError(code, ''))}, or use another --workdir"
        ) from error


def raise_unless_damage(path: Path, error: Exception) -> None:
    """Raises UsageError if `error` says nothing of the content of a checkpoint."""
    short = isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)
    code = errno.ENOMEM if short else system_errno(error)
    if code in NOT_DAMAGE:
        raise UsageError(
            f"checkpoint {path.name} in {path.parent} cannot be read "
            f"({os.strerror(code)}); {NOT_DAMAGE[code]}"
        ) from error


def system_errno(error: Exception) -> int | None:
    """The code of the system's error, also where TensorStore wraps it, if it is one."""
    if isinstance(error, OSError):
        return error.errno
    code = re.search(r"os_error_code='(\d+)'", str(error))
    return int(code[1]) if code else None


def reason(error: BaseException) -> str:
    """The first words of what Orbax raises, which may be a page."""
    line = (str(error).splitlines() or [""])[0].split(" See full")[0]
    return line[:120] or type(error).__name__

"""The compilation cache, the time limit and the signals of all programs."""

import contextlib
import logging
import math
import os
import re
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from jaxgan.errors import printable
from jaxgan.maintenance import notices

log = logging.getLogger("jaxgan")


def cache_folder() -> Path | None:
    """Returns the folder of files that may be lost, None where there is no home."""
    home = os.path.expanduser(os.environ.get("XDG_CACHE_HOME", ""))
    if not os.path.isabs(home):  # such a one is to be ignored, by the XDG's standard
        home = os.path.expanduser("~/.cache")
    if not os.path.isabs(home):  # no HOME, and a user that the system does not know
        return None
    return Path(home, "jaxgan")


def keep_compiled() -> None:
    """Keeps compiled programs for the next start, unless jax was told where already."""
    folder = cache_folder()
    if folder:
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder / "xla"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    log_cache_failures_once()


CACHE_FAILURE = "Error (reading|writing) persistent compilation cache entry"


def log_cache_failures_once() -> None:
    """Logs the first of jax's warnings that its cache fails, and drops the others.

    jax warns for each of the dozens of programs of a run, as on a disk that is full.
    """
    show, logged = warnings.showwarning, False

    def show_once(message: Any, *more: Any) -> None:
        nonlocal logged
        if not re.match(CACHE_FAILURE, str(message)):
            show(message, *more)
        elif not logged:
            logged = True
            why = printable(str(message).partition("': ")[2][:120])
            folder = os.environ.get("JAX_COMPILATION_CACHE_DIR")
            log.warning("compiled programs are not kept in %s: %s", folder, why)

    warnings.showwarning = show_once
    warnings.filterwarnings("always", CACHE_FAILURE)  # an error ends no run either


AGAIN = 75
"""The exit code of a run whose time is over, which is to be started again."""


def deadline(minutes: float) -> float:
    """When so many minutes are over, by `time.monotonic`; 0 for never."""
    return time.monotonic() + 60 * minutes if minutes else math.inf


def silence_libtpu() -> None:
    """Where there is no TPU, its library would say so at length on the console."""
    os.environ.setdefault("TPU_ACCELERATOR_TYPE", "v5litepod-4")
    os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
    os.environ.setdefault("TPU_LOG_DIR", "disabled")
    os.environ.setdefault("TPU_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TPU_STDERR_LOG_LEVEL", "3")


@contextmanager
def stop_signals(
    ends: float = math.inf, *, alone: bool = True
) -> Iterator[Callable[[], int]]:
    """Yields a function that tells the exit code with which to stop, or 0.

    It is 128 + the number of a SIGINT, SIGTERM or SIGHUP that came; a second signal
    ends the program at once. (Where others wait for this process, not `alone`, it
    raises KeyboardInterrupt, so that they are told.) It is 75 (try again) when
    `time.monotonic` is past `ends`, or when this machine is about to end.
    """
    caught: list[int] = []

    def catch(number, _):
        if caught and alone:
            end_at_once(number)
        if caught:
            raise KeyboardInterrupt
        caught.append(number)

    main = threading.current_thread() is threading.main_thread()
    before = [(n, signal.signal(n, catch)) for n in _stops()] if main else []
    try:
        with notices() as told:

            def ask():
                again = told() or time.monotonic() > ends
                return 128 + caught[0] if caught else AGAIN * again

            yield ask
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _stops() -> list[signal.Signals]:
    """The signals that stop a run; SIGHUP unless it is ignored, as under nohup."""
    hangup = getattr(signal, "SIGHUP", None)  # unknown to Windows
    stops = [signal.SIGINT, signal.SIGTERM]
    if hangup and signal.getsignal(hangup) != signal.SIG_IGN:
        stops.append(hangup)
    return stops


def end_at_once(number: int) -> NoReturn:
    """Exits with 128 + the number of a signal, whatever the program is about.

    An exception instead would pass through callbacks of XLA, which print it at length.
    """
    with contextlib.suppress(OSError, ValueError):  # such as a terminal that is gone
        os.write(2, b"\nerror: interrupted\n")
    os._exit(128 + number)

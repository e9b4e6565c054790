"""The time limit of a run, and the signals that stop it."""

import contextlib
import logging
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from jaxgan.cli import EXIT_TRY_AGAIN
from jaxgan.distributed.preemption import watch_notices

log = logging.getLogger("jaxgan")


def deadline(minutes: float) -> float:
    """Returns the end of a time limit that starts now.

    Args:
      minutes: the time limit in minutes, 0 for none.

    Returns:
      A time of `time.monotonic` in seconds, infinity for no limit.
    """
    return time.monotonic() + 60 * minutes if minutes else math.inf


@contextmanager
def catch_signals(
    ends: float = math.inf, *, alone: bool = True
) -> Iterator[Callable[[], int]]:
    """Yields a function that returns the exit code with which to stop, or 0.

    The exit code is 128 + the number of a received SIGINT, SIGTERM or SIGHUP. It is 75
    (`EXIT_TRY_AGAIN`) if the time limit is reached, or if this machine has a
    maintenance or preemption notice. The previous signal handlers are restored at the
    end.

    Args:
      ends: the end of the time limit, from `deadline`.
      alone: if True, a second signal exits the program immediately. If False, it raises
        KeyboardInterrupt, so that the other processes of the run are informed.
    """
    # Numbers of the signals received so far.
    caught: list[int] = []

    def catch(number, _):
        # On the first signal the run saves and stops. A second one does not wait.
        if caught and alone:
            exit_on_signal(number)
        if caught:
            raise KeyboardInterrupt
        caught.append(number)

    # Python allows signal handlers in the main thread only.
    main = threading.current_thread() is threading.main_thread()
    before = [(n, signal.signal(n, catch)) for n in _signals()] if main else []
    try:
        with watch_notices() as has_notice:

            def ask():
                again = has_notice() or time.monotonic() > ends
                # A signal takes precedence over the time limit.
                return 128 + caught[0] if caught else EXIT_TRY_AGAIN * again

            yield ask
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _signals() -> list[signal.Signals]:
    """Returns the signals that stop a run, without SIGHUP if `nohup` ignores it."""
    hangup = getattr(signal, "SIGHUP", None)  # None on Windows
    stops = [signal.SIGINT, signal.SIGTERM]
    if hangup and signal.getsignal(hangup) != signal.SIG_IGN:
        stops.append(hangup)
    return stops


def exit_on_signal(number: int) -> NoReturn:
    """Exits immediately with 128 + the number of a signal.

    An exception would pass through callbacks of XLA, which print it at length.
    """
    with contextlib.suppress(OSError, ValueError):  # the terminal may be closed
        os.write(2, b"\nerror: interrupted\n")
    os._exit(128 + number)

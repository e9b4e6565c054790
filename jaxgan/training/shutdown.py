"""The compilation cache, the time limit and the signals of all programs."""

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
    """When so many minutes are over, by `time.monotonic`; 0 for never."""
    return time.monotonic() + 60 * minutes if minutes else math.inf


@contextmanager
def catch_signals(
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
            exit_on_signal(number)
        if caught:
            raise KeyboardInterrupt
        caught.append(number)

    main = threading.current_thread() is threading.main_thread()
    before = [(n, signal.signal(n, catch)) for n in _signals()] if main else []
    try:
        with watch_notices() as told:

            def ask():
                again = told() or time.monotonic() > ends
                return 128 + caught[0] if caught else EXIT_TRY_AGAIN * again

            yield ask
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _signals() -> list[signal.Signals]:
    """The signals that stop a run; SIGHUP unless it is ignored, as under nohup."""
    hangup = getattr(signal, "SIGHUP", None)  # unknown to Windows
    stops = [signal.SIGINT, signal.SIGTERM]
    if hangup and signal.getsignal(hangup) != signal.SIG_IGN:
        stops.append(hangup)
    return stops


def exit_on_signal(number: int) -> NoReturn:
    """Exits with 128 + the number of a signal, whatever the program is about.

    An exception instead would pass through callbacks of XLA, which print it at length.
    """
    with contextlib.suppress(OSError, ValueError):  # such as a terminal that is gone
        os.write(2, b"\nerror: interrupted\n")
    os._exit(128 + number)

"""What all programs of ours share: how they begin, and how they end early."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from jaxgan.errors import TrainingError, UsageError


def guarded(main: Callable[[], int]) -> int:
    """Runs a program; what the user can mend is one line and exit code 2 or 1."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("jaxgan").setLevel(logging.INFO)
    keep_compiled()
    try:
        return main()
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except TrainingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # before there was anything to save, or a second time
        print("interrupted", file=sys.stderr)
        return 130


def keep_compiled() -> None:
    """Keeps compiled programs for the next start, unless jax was told where already."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(home / "jaxgan" / "xla"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


@contextmanager
def stop_signals() -> Iterator[Callable[[], int]]:
    """Catches SIGINT and SIGTERM; yields a function that tells the caught one, or 0.

    A second signal ends the program at once.
    """
    caught: list[int] = []

    def catch(number, _):
        if caught:
            raise KeyboardInterrupt
        caught.append(number)

    numbers = (signal.SIGINT, signal.SIGTERM)
    main = threading.current_thread() is threading.main_thread()
    before = [(n, signal.signal(n, catch)) for n in numbers] if main else []
    try:
        yield lambda: caught[0] if caught else 0
    finally:
        for number, handler in before:
            signal.signal(number, handler)

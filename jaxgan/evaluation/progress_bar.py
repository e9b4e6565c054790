"""The progress on many images: a bar on a terminal, and otherwise a line at times."""

import logging
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from jaxgan.reporting.console import format_duration

log = logging.getLogger("jaxgan")

EVERY = 30.0
"""Seconds between lines."""


class Progress:
    """Shows the number of finished images and the remaining time, within `with`.

    A bar is drawn on stderr if that is a terminal. Otherwise a line is logged about
    every half minute, and none for a short job.

    Args:
      name: the kind of images.
      total: number of images.
      shown: False to show nothing.
      clock: returns seconds.

    >>> with Progress("samples", 10, shown=False) as progress:
    ...     progress.advance(10)
    """

    def __init__(
        self,
        name: str,
        total: int,
        *,
        shown: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._total, self._shown, self._clock = name, total, shown, clock
        self._done = 0
        self._start = self._last = clock()
        self._resources = ExitStack()
        self._bar: Any = None

    def __enter__(self) -> "Progress":
        if self._shown and sys.stderr.isatty():
            from tqdm import tqdm
            from tqdm.contrib.logging import logging_redirect_tqdm

            bar = tqdm(
                total=self._total,
                desc=self._name,
                unit="img",
                dynamic_ncols=True,
                leave=False,
            )
            # Closes the bar also after an error.
            self._bar = self._resources.enter_context(bar)
            self._resources.enter_context(logging_redirect_tqdm())
        return self

    def __exit__(self, *error: object) -> None:
        self._resources.close()

    def advance(self, count: int) -> None:
        """Counts images that are done."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
            return
        now = self._clock()
        if self._shown and now - self._last >= EVERY and self._done < self._total:
            left = (self._total - self._done) * (now - self._start) / self._done
            log.info(
                "%s: %s of %s, ETA %s",
                *(self._name, f"{self._done:,}", f"{self._total:,}"),
                format_duration(left),
            )
            self._last = now

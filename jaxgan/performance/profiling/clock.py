"""Times the steps of a run by what the loop sees of them, without further syncs."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from jaxgan.performance.profiling.phases import phase

QUANTILES = (50, 90, 99)
"""Percentiles of the time of a step that are logged."""


class StepClock:
    """Measures compiled calls from the end of one to the end of the next.

    The devices run behind the host, which learns of the end of a call only when it
    looks. The loop looks after each batch and each call, and waits for the oldest call
    anyway. So the time of a call may include up to one turn of the loop that belongs to
    the next, and the sum is exact. Calls that end unseen between two looks share the
    time. The time of a step is that of its call divided by the call's steps: a call is
    one program, whose steps nothing on the host can tell apart.

    While the clock is paused (compilation, logs, previews, evaluation, checkpoints)
    nothing is timed, and calls in flight are dropped.
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now, self._running = now, False
        # (metrics, steps) of the calls whose end was not seen yet.
        self._calls: deque[tuple[Any, int]] = deque()
        # The end of the last call, and the time since which the clock runs.
        self._last = self._since = 0.0
        self._reset()

    def _reset(self) -> None:
        self._seconds: list[float] = []
        self._steps = 0
        self._ran = self._waited = 0.0

    def resume(self) -> None:
        """Starts the clock, unless it runs."""
        if not self._running:
            self._running = True
            self._last = self._since = self._now()

    def pause(self) -> None:
        """Stops the clock, and drops the calls in flight."""
        if self._running:
            self._running = False
            self._ran += self._now() - self._since
        self._calls.clear()

    @contextmanager
    def waiting(self, step: int) -> Iterator[None]:
        """Counts the time within as waiting for input."""
        with phase("input", step):
            began = self._now()
            yield
            if self._running:
                self._waited += self._now() - began
        self.look()

    def started(self, metrics: Any, steps: int) -> None:
        """Adds a call that was just started; `metrics` are arrays of its results."""
        if self._running:
            self._calls.append((next(iter(metrics.values())), steps))

    def look(self) -> None:
        """Records the calls that have ended since the last look; does not wait."""
        done = []
        while self._calls and self._calls[0][0].is_ready():
            done.append(self._calls.popleft()[1])
        if not done:
            return
        now = self._now()
        per_step = max(now - self._last, 0.0) / sum(done)
        self._seconds += [per_step] * len(done)
        self._steps += sum(done)
        self._last = now

    def row(self) -> dict[str, float]:
        """Returns the metrics since the last row, {} if no call was timed."""
        if self._running:  # include the time up to now
            self._ran, self._since = self._ran + self._now() - self._since, self._now()
        seconds, share = self._seconds, self._waited / self._ran if self._ran else 0.0
        self._reset()
        if not seconds:
            return {}
        values = np.percentile(seconds, QUANTILES)
        row = {
            f"performance/step_seconds_p{q}": float(value)
            for q, value in zip(QUANTILES, values, strict=True)
        }
        return {**row, "performance/input_share": share}

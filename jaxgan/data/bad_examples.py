"""Detection and replacement of examples that cannot be read."""

import logging
import threading
import time

import numpy as np

from jaxgan.data.dataset import Dataset, Examples
from jaxgan.errors import UsageError

LOG = logging.getLogger("jaxgan")

REST_FACTOR = 9
"""The background check sleeps this many times as long as it reads."""
MAX_IN_A_ROW = 100
"""Number of consecutive bad examples that is an error, as the disk may be gone."""


class BadExample(UsageError):
    """Raised for an example that cannot be read.

    `BadExample(reason, remedy)`: the reason names the file or the number of the
    example.
    """

    @property
    def reason(self) -> str:
        """The message without the remedy."""
        return self.args[0]

    def __str__(self) -> str:
        reason, remedy = self.args
        return f"{reason}; {remedy}, or use --on_bad_example=skip"


class Substitutes:
    """Reads a data set and substitutes other examples for those that are unreadable.

    A bad example is replaced by the next readable one, where the first example follows
    the last. The substitution depends on the data alone, so a resumed run reads the
    same examples as an uninterrupted one. Each bad example is logged once. Calls are
    thread-safe.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._read, self._size = dataset.read, dataset.size
        # Maps the numbers of bad examples to those of readable ones.
        self._substitute: dict[int, int] = {}
        # Numbers of the bad examples; several threads add to it.
        self._logged: set[int] = set()
        self._lock = threading.Lock()

    @property
    def count(self) -> int:
        """The number of bad examples found so far."""
        return len(self._logged)

    def __call__(self, numbers: np.ndarray) -> Examples:
        """Returns the examples with these numbers `[n]`, or their substitutes.

        Raises:
          UsageError: if too many consecutive examples cannot be read.
        """
        numbers = np.asarray(numbers)
        # Examples that are known to be bad are not read again.
        try:
            return self._read(self._substituted(numbers))
        except BadExample:
            # The batch does not say which of its examples are bad: try each.
            for number in numbers.tolist():
                self._find_substitute(number)
            return self._read(self._substituted(numbers))

    def _substituted(self, numbers: np.ndarray) -> np.ndarray:
        if not self._substitute:
            return numbers
        substitutes = [self._substitute.get(n, n) for n in numbers.tolist()]
        return np.array(substitutes, numbers.dtype)

    def _find_substitute(self, number: int) -> None:
        """Records a substitute for example `number` if it is bad."""
        for distance in range(min(MAX_IN_A_ROW, self._size)):
            # Wraps around after the last example.
            candidate = (number + distance) % self._size
            error = self._error(candidate)
            if error is None:
                # At distance 0, the example itself is readable.
                if distance:
                    self._substitute[number] = candidate
                return
            self._log(candidate, error)
            last = error.reason
        raise UsageError(
            f"{distance + 1} examples in a row cannot be read, the last: {last}; check "
            "that the disk is still there"
        )

    def _error(self, number: int) -> BadExample | None:
        try:
            self._read(np.array([number]))
        except BadExample as error:
            return error
        return None

    def _log(self, number: int, error: BadExample) -> None:
        # Several threads may find the same bad example.
        with self._lock:
            if number in self._logged:
                return
            self._logged.add(number)
        LOG.warning("skipped: %s", error.reason)


def skip_bad_examples(dataset: Dataset) -> Dataset:
    """Returns the data set with substitutes for examples that cannot be read."""
    # Arrays in memory cannot be bad.
    if dataset.resident:
        return dataset
    return dataset._replace(read=Substitutes(dataset))


def skipped(dataset: Dataset) -> int:
    """Returns the number of bad examples that were found and replaced so far."""
    return dataset.read.count if isinstance(dataset.read, Substitutes) else 0


class BackgroundCheck:
    """Reads each example of a data set once, in a thread that mostly sleeps.

    Bad examples are found early, rather than hours later when training reaches them.
    """

    def __init__(self, dataset: Dataset, part: tuple[int, int] = (0, 1)) -> None:
        """Starts the thread.

        Args:
          dataset: the data set to check.
          part: `(i, n)` reads every n-th example, starting from example i.
        """
        self.failure: Exception | None = None
        """The error of the first example that cannot be read, which ends the thread."""
        self._dataset, self._numbers = dataset, range(part[0], dataset.size, part[1])
        self._ended = threading.Event()
        # A daemon cannot keep a finished program alive.
        self._thread = threading.Thread(
            target=self._run, name="jaxgan-check", daemon=True
        )
        self._thread.start()

    def _run(self) -> None:
        for number in self._numbers:
            begin = time.monotonic()
            try:
                self._dataset.read(np.array([number]))
            except Exception as error:  # the owner polls `failure`
                self.failure = error
                return
            # A lower priority would make training wait for the interpreter's lock.
            if self._ended.wait(REST_FACTOR * (time.monotonic() - begin)):
                return

    def join(self) -> None:
        """Waits until all examples are read or one fails."""
        self._thread.join()

    def close(self) -> None:
        """Stops the thread."""
        # Also interrupts the sleep.
        self._ended.set()
        self._thread.join()

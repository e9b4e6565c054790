"""Examples that cannot be read: found early, and replaced where that is asked for."""

import logging
import threading
import time

import numpy as np

from jaxgan.data.dataset import Dataset, Examples
from jaxgan.errors import UsageError

LOG = logging.getLogger("jaxgan")

REST_FACTOR = 9
"""The check in the background rests so many times as long as it reads."""
MAX_IN_A_ROW = 100
"""So many bad examples one after the other are not replaced: the disk may be gone."""


class BadExample(UsageError):
    """An example that cannot be read.

    `BadExample(reason, remedy)`: the reason names its file, or its number.
    """

    @property
    def reason(self) -> str:
        """The message without what to do."""
        return self.args[0]

    def __str__(self) -> str:
        reason, remedy = self.args
        return f"{reason}; {remedy}, or use --on_bad_example=skip"


class Substitutes:
    """Reads a data set, with other examples in place of those that cannot be read.

    A bad example is replaced by the next one that is whole, the first following the
    last: this depends on the data alone, so a run that resumes reads what it would
    have read. Each bad example is logged once. Safe to call from several threads.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._read, self._size = dataset.read, dataset.size
        self._used: dict[int, int] = {}
        self._logged: set[int] = set()
        self._lock = threading.Lock()

    @property
    def count(self) -> int:
        """The number of bad examples found so far."""
        return len(self._logged)

    def __call__(self, numbers: np.ndarray) -> Examples:
        """The examples of these numbers `[n]`, or those in their places.

        Raises UsageError where too many in a row cannot be read.
        """
        numbers = np.asarray(numbers)
        try:
            return self._read(self._replaced(numbers))
        except BadExample:
            for number in numbers.tolist():
                self._find(number)
            return self._read(self._replaced(numbers))

    def _replaced(self, numbers: np.ndarray) -> np.ndarray:
        if not self._used:
            return numbers
        return np.array([self._used.get(n, n) for n in numbers.tolist()], numbers.dtype)

    def _find(self, number: int) -> None:
        """Notes the example to use in place of `number`, if that is bad."""
        for distance in range(min(MAX_IN_A_ROW, self._size)):
            place = (number + distance) % self._size
            error = self._error(place)
            if error is None:
                if distance:
                    self._used[number] = place
                return
            self._log(place, error)
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
        with self._lock:
            if number in self._logged:
                return
            self._logged.add(number)
        LOG.warning("skipped: %s", error.reason)


def skip_bad_examples(dataset: Dataset) -> Dataset:
    """The data set with other examples in place of those that cannot be read."""
    if dataset.resident:
        return dataset
    return dataset._replace(read=Substitutes(dataset))


def skipped(dataset: Dataset) -> int:
    """The number of examples that were found bad and replaced so far."""
    return dataset.read.count if isinstance(dataset.read, Substitutes) else 0


class BackgroundCheck:
    """Reads each example of a data set once, in a thread that mostly rests.

    A bad example is then found soon, and not hours later, when its turn comes.
    """

    def __init__(self, dataset: Dataset, part: tuple[int, int] = (0, 1)) -> None:
        """Starts the thread; of `part = (i, n)`, it reads every n-th example from i."""
        self.failure: Exception | None = None
        """The error of the first example that cannot be read; ends the thread."""
        self._dataset, self._numbers = dataset, range(part[0], dataset.size, part[1])
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="jaxgan-check", daemon=True
        )
        self._thread.start()

    def _run(self) -> None:
        for number in self._numbers:
            begin = time.monotonic()
            try:
                self._dataset.read(np.array([number]))
            except Exception as error:  # passed on, as the thread has no caller
                self.failure = error
                return
            # A lower priority would make training wait for the interpreter's lock.
            if self._ended.wait(REST_FACTOR * (time.monotonic() - begin)):
                return

    def join(self) -> None:
        """Waits until all examples are read, or one cannot be."""
        self._thread.join()

    def close(self) -> None:
        """Ends the thread."""
        self._ended.set()
        self._thread.join()

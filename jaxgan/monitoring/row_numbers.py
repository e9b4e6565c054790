"""Numbers in the rows of metrics.jsonl, and their usual size."""

import math
from bisect import insort
from collections.abc import Mapping, Sequence

Row = Mapping[str, float | None]
"""Means since the last row, by name. Names may be missing and values None."""


def number(row: Row, name: str) -> float | None:
    """Returns a value if it is finite, else None."""
    try:
        value = float(row.get(name))  # type: ignore[arg-type]
    except (TypeError, ValueError):  # missing, or from a file that was edited
        return None
    return value if math.isfinite(value) else None


def median(ordered: Sequence[float]) -> float:
    """Returns the median of sorted values, 0 if there are none."""
    return ordered[len(ordered) // 2] if ordered else 0.0


class Surge:
    """Compares gradient norms with their usual size.

    The usual size is the median so far, or ten times the maximum of the first five if
    that is less, since the median follows a norm that grows gradually.
    """

    def __init__(self) -> None:
        self._before: list[float] = []  # in order
        self._early_max = 0.0

    def factor(self, norm: float) -> float:
        """Returns norm / usual size if that is more than 100, else 0."""
        # The median so far, limited by the norms at the start.
        usual = min(median(self._before), 10 * self._early_max)
        if len(self._before) >= 5 and norm > 100 * usual > 0:
            return norm / usual
        # An exploded norm has returned above: it is not a usual one.
        if len(self._before) < 5:
            self._early_max = max(self._early_max, norm)
        insort(self._before, norm)
        return 0.0

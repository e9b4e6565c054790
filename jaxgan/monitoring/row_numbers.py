"""Numbers in the rows of a log, and what is usual among them."""

import math
from bisect import insort
from collections.abc import Callable, Mapping, Sequence

Row = Mapping[str, float | None]
"""Means since the last row by name. Any name may be missing, any value None."""


def number(row: Row, name: str) -> float | None:
    """A value that is there and finite, else None."""
    try:
        value = float(row.get(name))  # type: ignore[arg-type]
    except (TypeError, ValueError):  # nothing, or something from a file that was edited
        return None
    return value if math.isfinite(value) else None


def median(ordered: Sequence[float]) -> float:
    """Of values in order; 0 of none."""
    return ordered[len(ordered) // 2] if ordered else 0.0


def surge() -> Callable[[float], float]:
    """Returns times(norm): how many times the usual it is, 0 where less than 100.

    The usual is the median so far, or ten times the most of the first five if that is
    less: what explodes step by step takes its median along.
    """
    before: list[float] = []
    most = 0.0

    def times(norm):
        nonlocal most
        usual = min(median(before), 10 * most)
        if len(before) >= 5 and norm > 100 * usual > 0:
            return norm / usual
        most = max(most, norm) if len(before) < 5 else most
        insort(before, norm)
        return 0.0

    return times

"""The account of a trace: which operations take the time of a step."""

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from jaxgan.performance.profiling.events import Event, covered, events
from jaxgan.performance.profiling.sources import Origin, around, module_name, origins


class Row(NamedTuple):
    """An operation, over all its runs in the trace."""

    op: str
    origin: Origin
    share: float
    """Of the time of all operations, some of which overlap on a CPU."""
    seconds: float
    """Per step, the mean over the devices."""


class TraceSummary(NamedTuple):
    """What a trace shows of a program."""

    rows: list[Row]
    """The costliest operations, the first first."""
    seconds: float
    """Per step, from the first operation to the last."""
    idle: float
    """Share of that time in which a device did nothing."""


def summarize_trace(
    path: str | Path, text: str, steps: int, top: int = 10
) -> TraceSummary:
    """Reads a trace.

    Args:
      path: an xplane.pb of `jax.profiler`.
      text: the program that was traced, as `as_text()` gives it.
      steps: that the trace has.
      top: rows at the most.

    Raises:
      ValueError: if none of the program's operations are in it.
    """
    return summed(events(path, module_name(text)), text, steps, top)


def summed(found: list[Event], text: str, steps: int, top: int = 10) -> TraceSummary:
    """The account of some events, see `account`."""
    if not found:
        raise ValueError("no operation of the step is in it")
    outer, known = around(text, {event.op for event in found}), origins(text)
    devices, spent = defaultdict(list), defaultdict(float)
    for event in found:
        devices[event.device].append(event)
        if event.op not in outer:
            spent[event.op] += event.end - event.start
    total, per_step = sum(spent.values()), 1e-9 / steps / len(devices)
    rows = [
        Row(op, known.get(op, Origin(op)), time / total, time * per_step)
        for op, time in sorted(spent.items(), key=lambda x: -x[1])[:top]
        if time > 0
    ]
    lasted = [span(own) for own in devices.values()]
    busy = [covered(x for x in own if x.op not in outer) for own in devices.values()]
    return TraceSummary(
        rows, max(lasted) * 1e-9 / steps, max(1 - sum(busy) / sum(lasted), 0.0)
    )


def span(own: list[Event]) -> float:
    """Nanoseconds from the first start to the last end."""
    return max(x.end for x in own) - min(x.start for x in own)


def format_summary(found: TraceSummary, traced: str) -> list[str]:
    """The account as a table for the console."""
    speed = f"{1e3 * found.seconds:,.3f} ms a step"
    head = f"profile: {traced}, {speed}; the device is idle {found.idle:.1%} of it"
    cells = [("share", "ms/step", "operation", "from"), *map(shown, found.rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(3)]
    table = [
        f"  {a:>{widths[0]}}  {b:>{widths[1]}}  {c:<{widths[2]}}  {d}".rstrip()
        for a, b, c, d in cells
    ]
    return [head, *table]


def shown(row: Row) -> tuple[str, str, str, str]:
    """The cells of a row."""
    what, scope, source = row.origin
    name = row.op if what in (row.op, "fusion") else f"{what} {row.op}"
    place = f"{scope} ({source})" if source else scope
    return f"{row.share:.1%}", f"{1e3 * row.seconds:,.3f}", name, place

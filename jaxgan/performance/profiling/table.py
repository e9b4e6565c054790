"""Summarizes a trace as a table of the most expensive operations of a step."""

import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from jaxgan.performance.profiling.events import Event, covered, events, shared
from jaxgan.performance.profiling.sources import Origin, around, module_name, origins

PRODUCTS = re.compile("conv|dot|gemm|matmul", re.IGNORECASE)
"""Opcodes of convolutions and matrix products, and names of their custom calls."""


class Row(NamedTuple):
    """An operation, summed over all its runs in the trace."""

    op: str
    origin: Origin
    share: float
    """Of the time in which operations run; those at the same time share it equally."""
    seconds: float
    """Seconds per step, averaged over the devices."""


class Part(NamedTuple):
    """A network, or all that is in none of them: its shares of the time."""

    name: str
    share: float
    products: float
    """The share of convolutions and matrix products in it, of the same time."""


class TraceSummary(NamedTuple):
    """The time of a program in a trace."""

    rows: list[Row]
    """The most expensive operations, in descending order."""
    seconds: float
    """Seconds per step, from the first operation to the last."""
    idle: float
    """The share of that time in which a device was idle."""
    parts: list[Part]
    """All operations by network, in descending order."""


def summarize_trace(
    path: str | Path, text: str, steps: int, top: int = 10
) -> TraceSummary:
    """Reads a trace and summarizes it.

    Args:
      path: an xplane.pb of `jax.profiler`.
      text: the traced program, as `as_text()` returns it.
      steps: the number of traced steps.
      top: the maximum number of rows.

    Raises:
      ValueError: if the trace has no operation of the program.
    """
    return summed(events(path, module_name(text)), text, steps, top)


def summed(found: list[Event], text: str, steps: int, top: int = 10) -> TraceSummary:
    """Summarizes events; see `summarize_trace`."""
    if not found:
        raise ValueError("it has no operation of the step")
    # A loop's time is that of the operations in its body, which are counted instead.
    outer, known = around(text, {event.op for event in found}), origins(text)
    devices, spent = defaultdict(list), defaultdict(float)
    for event in found:
        devices[event.device].append(event)
    # Nanoseconds of each operation over all devices.
    for own in devices.values():
        for op, time in shared(x for x in own if x.op not in outer).items():
            spent[op] += time
    # Nanoseconds over all devices and steps become seconds per device and step.
    total, per_step = sum(spent.values()), 1e-9 / steps / len(devices)
    rows = [
        Row(op, known.get(op, Origin(op)), time / total, time * per_step)
        for op, time in sorted(spent.items(), key=lambda x: -x[1])[:top]
        if time > 0
    ]
    # Per device: nanoseconds from the first start to the last end, and those in use.
    spans = [span(x) for x in devices.values()]
    busy = [covered(e for e in x if e.op not in outer) for x in devices.values()]
    return TraceSummary(
        rows,
        max(spans) * 1e-9 / steps,
        max(1 - sum(busy) / sum(spans), 0.0),
        parts_of(spent, known, total),
    )


def parts_of(
    spent: dict[str, float], known: dict[str, Origin], total: float
) -> list[Part]:
    """Sums the time of operations by network, and that of its products.

    Args:
      spent: nanoseconds by operation.
      known: origins by operation.
      total: the sum of `spent`.
    """
    shares, products = defaultdict(float), defaultdict(float)
    for op, time in spent.items():
        origin = known.get(op, Origin(op))
        name = part_of(origin.scope)
        shares[name] += time / total
        if PRODUCTS.search(origin.what):
            products[name] += time / total
    ordered = sorted(shares.items(), key=lambda x: -x[1])
    return [Part(name, share, products[name]) for name, share in ordered]


def part_of(scope: str) -> str:
    """Returns the network of a scope, `other` for losses, optimizers and the rest.

    >>> part_of("transpose(jvp(Patch))/scale_0/Conv_3/transpose"), part_of("add")
    ('Patch', 'other')
    """
    # Names of transformations and operations begin with a small letter.
    named = re.search(r"\b[A-Z]\w*", scope)
    return named[0] if named else "other"


def span(events: list[Event]) -> float:
    """Returns the nanoseconds from the first start to the last end."""
    return max(x.end for x in events) - min(x.start for x in events)


def format_summary(found: TraceSummary, traced: str) -> list[str]:
    """Formats a summary as a table for the console; `traced` describes the calls."""
    speed = f"{1e3 * found.seconds:,.3f} ms per step"
    head = f"profile: {traced}, {speed}; the device is idle {found.idle:.1%} of it"
    cells = [("share", "ms/step", "operation", "from"), *map(shown, found.rows)]
    # The last column needs no padding.
    widths = [max(len(row[i]) for row in cells) for i in range(3)]
    table = [
        f"  {a:>{widths[0]}}  {b:>{widths[1]}}  {c:<{widths[2]}}  {d}".rstrip()
        for a, b, c, d in cells
    ]
    return [head, *table, f"  in all: {format_parts(found.parts)}"]


def format_parts(parts: list[Part]) -> str:
    """Formats the shares of networks.

    >>> format_parts([Part("Patch", 0.5, 0.4), Part("other", 0.5, 0.0)])
    'Patch 50% (products 40%), other 50% (products 0%)'
    """
    shown = [f"{x.name} {x.share:.0%} (products {x.products:.0%})" for x in parts]
    return ", ".join(shown)


def shown(row: Row) -> tuple[str, str, str, str]:
    """Formats the cells of a row."""
    what, scope, source = row.origin
    # The opcode is left out if the name of the instruction already shows it.
    name = row.op if what in (row.op, "fusion") else f"{what} {row.op}"
    place = f"{scope} ({source})" if source else scope
    return f"{row.share:.1%}", f"{1e3 * row.seconds:,.3f}", name, place

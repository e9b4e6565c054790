"""Reads which operations ran when, from what jax's profiler writes (xplane.pb)."""

import re
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from jax.profiler import ProfileData


class Event(NamedTuple):
    """An instruction of a compiled program that ran."""

    device: str
    op: str
    """Its name in the program's text."""
    start: float
    """In nanoseconds."""
    end: float


UNNAMED = "builtin type event_stats has no __module__ attribute"
"""A warning by Python 3.13 about a type that jaxlib makes when it is first read.

Where warnings are errors, jaxlib ends the process at this one.
"""


def events(path: str | Path, module: str) -> list[Event]:
    """What ran of a module, such as `jit_call`, on all devices of a trace."""
    return read(ProfileData.from_file(str(path)), module)


def read(data: Any, module: str) -> list[Event]:
    """The same of a `ProfileData`."""
    found: list[Event] = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", UNNAMED, DeprecationWarning)
        for plane in data.planes:
            if plane.name.startswith("/host:CPU"):
                found += on_host(plane, module)
            elif plane.name.startswith("/device:"):
                found += on_device(plane, module)
    return found


def on_host(plane: Any, module: str) -> Iterator[Event]:
    """Those of XLA for CPU, on the threads of its pools.

    An operation that goes on in other threads ends with an event of its own, which
    consumes (`_c`) what the operation produced (`_p`).
    """
    each = [
        (event, dict(event.stats))
        for line in plane.lines
        for event in line.events
        if not event.name.startswith("Threadpool")
    ]
    ends = {
        stats["_c"]: end(event)
        for event, stats in each
        if event.name.startswith("end: ") and "_c" in stats
    }
    for event, stats in each:
        if stats.get("hlo_module") == module and "hlo_op" in stats:
            last = max(end(event), ends.get(stats.get("_p"), 0.0))
            device = f"cpu:{stats.get('device_ordinal', 0)}"
            yield Event(device, stats["hlo_op"], event.start_ns, last)


def on_device(plane: Any, module: str) -> Iterator[Event]:
    """Those of an accelerator: of a TPU its line of operations, of a GPU its kernels.

    A kernel tells its module, an operation of a TPU lies within it.
    """
    of = {line.name: line for line in plane.lines}
    inside = spans(of["XLA Modules"].events, module) if "XLA Modules" in of else []
    lines = [of["XLA Ops"]] if "XLA Ops" in of else plane.lines
    for line in lines:
        for event in line.events:
            stats = dict(event.stats)
            own = stats.get("hlo_module")
            if own is None and line.name == "XLA Ops":
                own = module if within(event.start_ns, inside) else None
            if own == module:
                op = instruction(str(stats.get("hlo_op", event.name)))
                yield Event(plane.name, op, event.start_ns, end(event))


def spans(events: Iterable[Any], module: str) -> list[tuple[float, float]]:
    """When a module ran; its events are named `jit_call(<fingerprint>)`."""
    own = (event for event in events if event.name.split("(")[0] == module)
    return [(event.start_ns, end(event)) for event in own]


def within(time: float, spans: list[tuple[float, float]]) -> bool:
    """Whether a time lies in one of some spans, of which there are few."""
    return any(first <= time < last for first, last in spans)


def end(event: Any) -> float:
    """When an event ended, in nanoseconds."""
    return event.start_ns + event.duration_ns


def instruction(text: str) -> str:
    """The name of an instruction, of which a TPU tells the whole line.

    >>> instruction("%fusion.3 = f32[8]{0} fusion(%x)"), instruction("dot.1")
    ('fusion.3', 'dot.1')
    """
    found = re.match(r"%?([\w.\-]+)", text)
    return found.group(1) if found else text


def covered(events: Iterable[Event]) -> float:
    """Nanoseconds in which at least one of some events went on.

    >>> covered([Event("", "a", 0, 4), Event("", "b", 2, 6), Event("", "c", 8, 9)])
    7
    """
    total, until = 0, float("-inf")
    for event in sorted(events, key=lambda event: event.start):
        total += max(event.end - max(event.start, until), 0)
        until = max(until, event.end)
    return total

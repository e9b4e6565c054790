"""Reads the start and end of operations from a trace of JAX's profiler (xplane.pb)."""

import math
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from jax.profiler import ProfileData


class Event(NamedTuple):
    """One run of an instruction of a compiled program."""

    device: str
    op: str
    """The instruction's name in the program's text."""
    start: float
    """Nanoseconds, as are the others."""
    end: float
    handed: float = math.inf
    """When its thread went on with other work and left the rest to a pool, if it did.
    Until `end` that may wait for other operations."""


UNNAMED = "builtin type event_stats has no __module__ attribute"
"""A warning of Python 3.13 about a type that jaxlib creates at the first read.

If warnings are errors, this one makes jaxlib abort the process.
"""


def events(path: str | Path, module: str) -> list[Event]:
    """Reads all events of a module, such as `jit_call`, from the trace at `path`."""
    return read(ProfileData.from_file(str(path)), module)


def read(data: Any, module: str) -> list[Event]:
    """Reads all events of a module from a `ProfileData`."""
    result: list[Event] = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", UNNAMED, DeprecationWarning)
        for plane in data.planes:
            if plane.name.startswith("/host:CPU"):
                result += on_host(plane, module)
            elif plane.name.startswith("/device:"):
                result += on_device(plane, module)
    return result


def on_host(plane: Any, module: str) -> Iterator[Event]:
    """Yields the events of XLA on a CPU, which are on the threads of its pools.

    An operation that continues on other threads ends with a separate event, whose
    consumer id (`_c`) is the operation's producer id (`_p`).
    """
    # Statistics are read once per event, as both loops below need them.
    pairs = [
        (event, dict(event.stats))
        for line in plane.lines
        for event in line.events
        if not event.name.startswith("Threadpool")
    ]
    # The ends of operations that continued on another thread, by consumer id.
    ends = {
        stats["_c"]: end(event)
        for event, stats in pairs
        if event.name.startswith("end: ") and "_c" in stats
    }
    for event, stats in pairs:
        if stats.get("hlo_module") == module and "hlo_op" in stats:
            # The end of an asynchronous operation counts, if it has one.
            last = max(end(event), ends.get(stats.get("_p"), 0.0))
            device = f"cpu:{stats.get('device_ordinal', 0)}"
            yield Event(device, stats["hlo_op"], event.start_ns, last, end(event))


def on_device(plane: Any, module: str) -> Iterator[Event]:
    """Yields the events of an accelerator: operations of a TPU or kernels of a GPU.

    A kernel names its module. An operation of a TPU does not, but it lies within the
    time span of one.
    """
    by_name = {line.name: line for line in plane.lines}
    # A TPU has a line of programs and a line of operations.
    modules = by_name["XLA Modules"].events if "XLA Modules" in by_name else []
    inside = spans(modules, module)
    lines = [by_name["XLA Ops"]] if "XLA Ops" in by_name else plane.lines
    for line in lines:
        for event in line.events:
            stats = dict(event.stats)
            name = stats.get("hlo_module")
            if name is None and line.name == "XLA Ops":
                # An operation of a TPU belongs to the program that runs at its start.
                name = module if within(event.start_ns, inside) else None
            if name == module:
                op = instruction(str(stats.get("hlo_op", event.name)))
                yield Event(plane.name, op, event.start_ns, end(event))


def spans(events: Iterable[Any], module: str) -> list[tuple[float, float]]:
    """Returns the time spans of a module, whose events are named `jit_call(<hash>)`."""
    runs = (event for event in events if event.name.split("(")[0] == module)
    return [(event.start_ns, end(event)) for event in runs]


def within(time: float, spans: list[tuple[float, float]]) -> bool:
    """Returns True if `time` lies in one of the spans; there should be few."""
    return any(first <= time < last for first, last in spans)


def end(event: Any) -> float:
    """Returns the end of an event in nanoseconds."""
    return event.start_ns + event.duration_ns


def instruction(text: str) -> str:
    """Returns the name of an instruction; a TPU's trace has the whole line.

    >>> instruction("%fusion.3 = f32[8]{0} fusion(%x)"), instruction("dot.1")
    ('fusion.3', 'dot.1')
    """
    match = re.match(r"%?([\w.\-]+)", text)
    return match.group(1) if match else text


def shared(events: Iterable[Event]) -> dict[str, float]:
    """Returns the nanoseconds of each operation of a device, which sum to `covered`.

    Operations that run at the same time share it equally. Those that wait for a pool of
    threads have a share of the time in which no other runs.

    >>> shared([Event("", "a", 0, 4), Event("", "b", 2, 6), Event("", "c", 6, 9, 7)])
    {'a': 3.0, 'b': 3.0, 'c': 3.0}
    >>> shared([Event("", "a", 0, 9, 2), Event("", "b", 2, 8)])
    {'a': 3.0, 'b': 6.0}
    """
    marks = []
    for event in events:
        handed = min(event.handed, event.end)
        for waits, first, last in ((0, event.start, handed), (1, handed, event.end)):
            if first < last:
                marks += [(first, waits, 1, event.op), (last, waits, -1, event.op)]
    # Operations that run, and those that wait, with the number of their events.
    spent, last = defaultdict(float), 0.0
    running, waiting = Counter(), Counter()
    for time, waits, change, op in sorted(marks):
        active = running or waiting
        share = (time - last) / active.total() if active else 0.0
        for name, count in active.items() if share else ():
            spent[name] += share * count
        last, own = time, waiting if waits else running
        own[op] += change
        if not own[op]:
            del own[op]
    return dict(spent)


def covered(events: Iterable[Event]) -> float:
    """Returns the nanoseconds in which at least one of the events was running.

    >>> covered([Event("", "a", 0, 4), Event("", "b", 2, 6), Event("", "c", 8, 9)])
    7
    """
    total, until = 0, float("-inf")  # `until` is the end of what is covered so far
    for event in sorted(events, key=lambda event: event.start):
        # Add only the part behind `until`, which is not counted yet.
        total += max(event.end - max(event.start, until), 0)
        until = max(until, event.end)
    return total

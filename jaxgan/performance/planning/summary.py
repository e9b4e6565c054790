"""What the planner tells of a step: as lines to read, and as figures to keep."""

from typing import Any

from jaxgan.performance.planning import checks
from jaxgan.performance.planning.chips import Slice
from jaxgan.performance.planning.compiling import Step
from jaxgan.performance.planning.roofline import (
    assumptions,
    estimate,
    images_per_second,
)


def format_step(step: Step, slice_: Slice) -> list[str]:
    """The plan of a step, line by line."""
    ways = {"one": "one device", "shards": "mesh, the optimizers' state in shards"}
    config, way = step.config, ways.get(step.layout.way, step.layout.way)
    return [
        f"{slice_.name}: {slice_.chips} chips, {len(step.layout.devices)} devices by "
        f"{way}",
        f"step: {config.d_updates} x {config.batch_size} images, in all; "
        f"{config.precision}; G {step.parameters[0]:,} and D {step.parameters[1]:,} "
        "parameters",
        *memory(step, slice_),
        *work(step),
        *times(step, slice_),
        *checks.lines(step),
    ]


def memory(step: Step, slice_: Slice) -> list[str]:
    """Bytes on a device, and whether they fit."""
    found = step.memory
    parts = (
        f"state {mib(found.state)}, other arguments "
        f"{mib(found.arguments - found.state)}, results {mib(found.results)}, "
        f"temporaries {mib(found.temporaries)}, program {mib(found.code)}"
    )
    if not slice_.limit:
        return [f"memory per device: {mib(found.total)} ({parts})"]
    verdict = "fits" if checks.fits(step, slice_) else "DOES NOT FIT"
    return [
        f"memory per device: {verdict}, {mib(found.total)} of {mib(slice_.limit)}, "
        f"{found.total / slice_.limit:.1%} ({parts})"
    ]


def work(step: Step) -> list[str]:
    """What a device computes, reads and sends, per step."""
    done = step.work
    messages = [
        f"{x.count} {x.kind} of {mib(x.nbytes)}" for x in done.messages.values()
    ]
    lines = [
        f"compute per device and step: {done.flops / 1e9:,.3f} GFLOP in "
        f"{len(done.products)} products",
        f"HBM per device and step: {mib(done.hbm)} read and written",
        "messages per device and step: " + (", ".join(messages) or "none"),
    ]
    if done.once:
        lines.append(
            f"once per call: {mib(done.once)} are laid out anew or fetched; "
            "not in the estimate, as a call has many steps"
        )
    return lines


def times(step: Step, slice_: Slice) -> list[str]:
    """The estimate, and what it takes for granted."""
    found = estimate(step, slice_)
    if found is None:
        return ["time: no peaks are known of this machine, so it is not estimated"]
    least, most = found.overlapped, found.serial
    rate = images_per_second(step, found.guess)
    guess = [
        f"by the compiler's own count of cycles: {found.guess * 1e6:,.1f} us, without "
        f"messages; {rate:,.0f} images/s"
    ]
    return [
        f"time at the peaks: compute {found.compute * 1e6:,.1f} us, memory "
        f"{found.memory * 1e6:,.1f} us, communication "
        f"{found.communication * 1e6:,.1f} us: {found.bound} bounds",
        f"step at the least: {least * 1e6:,.1f} us if all overlaps, "
        f"{most * 1e6:,.1f} us if nothing does",
        f"images/s at the most: {images_per_second(step, least):,.0f} if all overlaps, "
        f"{images_per_second(step, most):,.0f} if nothing does",
        *(guess if found.guess else []),
        *(f"assumed: {line}" for line in assumptions(slice_)),
    ]


def mib(count: float) -> str:
    """Bytes, in MiB or GiB.

    >>> mib(3 * 2**20), mib(2**31)
    ('3.00 MiB', '2.00 GiB')
    """
    if count >= 2**30:
        return f"{count / 2**30:,.2f} GiB"
    return f"{count / 2**20:,.2f} MiB"


def figures(step: Step, slice_: Slice) -> dict[str, Any]:
    """All that is told, as JSON has it: bytes, FLOPs, seconds, per device and step."""
    found, done = estimate(step, slice_), step.work
    seconds = found.serial if found else None
    return {
        "topology": slice_.name,
        "chips": slice_.chips,
        "devices": len(step.layout.devices),
        "devices_per_chip": slice_.per_chip,
        "way": step.layout.way,
        "precision": step.config.precision,
        "batch_size": step.config.batch_size,
        "d_updates": step.config.d_updates,
        "parameters": list(step.parameters),
        "memory": {**step.memory._asdict(), "total": step.memory.total},
        "memory_limit": slice_.limit or None,
        "fits": checks.fits(step, slice_),
        "flops": done.flops,
        "hbm_bytes": done.hbm,
        "once_bytes": done.once,
        "padding": done.padding,
        "collectives": {k: m._asdict() for k, m in done.messages.items()},
        "cycles": done.cycles,
        "compiler": {
            name: step.cost[name]
            for name in ("flops", "bytes accessed", "optimal_seconds")
            if name in step.cost
        },
        "seconds": found
        and {**found._asdict(), "overlapped": found.overlapped, "serial": found.serial},
        "bound": found and found.bound,
        "images_per_second": seconds and images_per_second(step, seconds),
        "images_per_second_overlapped": found
        and images_per_second(step, found.overlapped),
        "donated": list(step.donated),
        "transfers": done.transfers,
        "float32_products": checks.precision(step),
    }

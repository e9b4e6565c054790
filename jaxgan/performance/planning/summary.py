"""Formats the plan of a step as lines of text and as figures for JSON."""

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
    """Formats the plan of a step, line by line."""
    config, strategy = step.config, step.layout.strategy
    return [
        f"{slice_.title}: {slice_.chips} chips, {len(step.layout.devices)} devices by "
        f"{strategy.description}",
        f"step: {config.d_updates} x {config.batch_size} images in total; "
        f"{config.precision}; G {step.parameters[0]:,} and D {step.parameters[1]:,} "
        "parameters",
        *memory(step, slice_),
        *work(step),
        *times(step, slice_),
        *checks.lines(step),
    ]


def memory(step: Step, slice_: Slice) -> list[str]:
    """Formats the memory per device and the verdict."""
    usage = step.memory
    parts = (
        f"state {mib(usage.state)}, other arguments "
        f"{mib(usage.arguments - usage.state)}, results {mib(usage.results)}, "
        f"temporaries {mib(usage.temporaries)}, program {mib(usage.code)}"
    )
    # Without a known limit there is no verdict.
    if not slice_.limit:
        return [f"memory per device: {mib(usage.total)} ({parts})"]
    verdict = "fits" if checks.fits(step, slice_) else "DOES NOT FIT"
    return [
        f"memory per device: {verdict}, {mib(usage.total)} of {mib(slice_.limit)}, "
        f"{usage.total / slice_.limit:.1%} ({parts})"
    ]


def work(step: Step) -> list[str]:
    """Formats the computation, memory traffic and messages per device and step."""
    done = step.work
    messages, network = (
        [f"{x.count} {x.kind} of {mib(x.nbytes)}" for x in group.values()]
        for group in (done.messages, done.network)
    )
    lines = [
        f"compute per device and step: {done.flops / 1e9:,.3f} GFLOP in "
        f"{len(done.products)} products",
        f"HBM per device and step: {mib(done.hbm)} read and written",
        "messages per device and step: " + (", ".join(messages) or "none"),
    ]
    if network:
        lines.append(
            f"between slices, per device and step: {', '.join(network)}; "
            f"{mib(done.sent_between_slices)} sent"
        )
    if done.once:
        lines.append(
            f"once per call: {mib(done.once)} are prefetched or copied to another "
            "layout; not in the estimate, as a call has many steps"
        )
    return lines


def times(step: Step, slice_: Slice) -> list[str]:
    """Formats the estimate of the time and its assumptions."""
    bounds = estimate(step, slice_)
    if bounds is None:
        return ["time: not estimated, as no peaks are known for this machine"]
    # Seconds are printed as microseconds.
    least, most = bounds.overlapped, bounds.serial
    network, hidden = "", []
    if step.work.network:
        network = f", network {bounds.network * 1e6:,.1f} us"
        hidden = [
            f"overlap: {bounds.hidden * 1e6:,.1f} us of other work are scheduled while "
            "messages between slices are under way"
        ]
    rate = images_per_second(step, bounds.guess)
    guess = [
        f"by the compiler's cycle count: {bounds.guess * 1e6:,.1f} us, without "
        f"messages; {rate:,.0f} images/s"
    ]
    return [
        f"time at the peaks: compute {bounds.compute * 1e6:,.1f} us, memory "
        f"{bounds.memory * 1e6:,.1f} us, communication "
        f"{bounds.communication * 1e6:,.1f} us{network}: {bounds.bound} bounds",
        f"step time: at least {least * 1e6:,.1f} us if everything overlaps, "
        f"{most * 1e6:,.1f} us if nothing does",
        f"images/s: at most {images_per_second(step, least):,.0f} if everything "
        f"overlaps, {images_per_second(step, most):,.0f} if nothing does",
        *(guess if bounds.guess else []),
        *(hidden if bounds.guess or bounds.hidden else []),
        *(f"assumed: {line}" for line in assumptions(slice_)),
    ]


def mib(count: float) -> str:
    """Formats bytes in MiB or GiB.

    >>> mib(3 * 2**20), mib(2**31)
    ('3.00 MiB', '2.00 GiB')
    """
    if count >= 2**30:
        return f"{count / 2**30:,.2f} GiB"
    return f"{count / 2**20:,.2f} MiB"


def figures(step: Step, slice_: Slice) -> dict[str, Any]:
    """Returns the plan for JSON: bytes, FLOPs and seconds, per device and step."""
    bounds, done = estimate(step, slice_), step.work
    # Rates are those without overlap, unless the key names it.
    seconds = bounds.serial if bounds else None
    return {
        "topology": slice_.name,
        "slices": slice_.count,
        "chips": slice_.chips,
        "devices": len(step.layout.devices),
        "devices_per_chip": slice_.per_chip,
        "way": step.layout.strategy.name,
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
        "between_slices": {k: m._asdict() for k, m in done.network.items()},
        "cycles": done.cycles,
        # The compiler may lack some of its figures.
        "compiler": {
            name: step.cost[name]
            for name in ("flops", "bytes accessed", "optimal_seconds")
            if name in step.cost
        },
        "seconds": bounds
        and {
            **bounds._asdict(),
            "overlapped": bounds.overlapped,
            "serial": bounds.serial,
        },
        "bound": bounds and bounds.bound,
        "images_per_second": seconds and images_per_second(step, seconds),
        "images_per_second_overlapped": bounds
        and images_per_second(step, bounds.overlapped),
        "donated": list(step.donated),
        "transfers": done.transfers,
        "float32_products": checks.precision(step),
    }

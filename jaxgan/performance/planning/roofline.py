"""Bounds the time of a step by its work and the chip's peaks."""

from typing import NamedTuple

from jaxgan.performance.planning.chips import GBIT, Slice, links
from jaxgan.performance.planning.compiling import Step


class Estimate(NamedTuple):
    """Seconds per step that each part takes alone, at the chip's peaks."""

    compute: float
    memory: float
    communication: float
    guess: float
    """The time of the compiler's cycle count; 0 if the clock is unknown."""
    network: float = 0.0
    """The time of messages between slices; 0 if their network is not published."""
    hidden: float = 0.0
    """The time of other work that is scheduled while they are under way."""

    @property
    def overlapped(self) -> float:
        """The time if all parts overlap; a lower bound."""
        return max(self.compute, self.memory, self.communication, self.network)

    @property
    def serial(self) -> float:
        """The time if no parts overlap."""
        return self.compute + self.memory + self.communication + self.network

    @property
    def bound(self) -> str:
        """The part that takes longest."""
        parts = ("compute", "memory", "communication", "network")
        return max(parts, key=lambda name: getattr(self, name))


def estimate(step: Step, slice_: Slice) -> Estimate | None:
    """Estimates the time of a step; returns None if the peaks are unknown."""
    chip, share = slice_.chip, slice_.per_chip
    if chip is None:
        return None
    # Bytes per second that a device sends; `ici` is the sum of both directions.
    out = chip.ici / 2 / chip.ports * links(chip, slice_.shape) / share
    # Peaks are those of a chip, which its devices share equally.
    work = step.work
    return Estimate(
        compute=work.flops / (chip.flops / share),
        memory=work.hbm / (chip.bandwidth / share),
        communication=work.sent / out if work.sent else 0.0,
        guess=work.cycles / chip.clock if chip.clock else 0.0,
        network=work.sent_between_slices / (chip.dcn / share) if chip.dcn else 0.0,
        hidden=work.hidden / chip.clock if chip.clock else 0.0,
    )


def assumptions(slice_: Slice) -> list[str]:
    """Lists the assumptions of the estimate."""
    chip, share = slice_.chip, slice_.per_chip
    if chip is None:
        return []
    count = links(chip, slice_.shape)
    # GB/s of one link in one direction.
    link = chip.ici / 2 / chip.ports / 1e9
    two = f"; {share} devices share a chip and its peaks" if share > 1 else ""
    return [
        f"{chip.name}: {chip.flops / 1e12:g} TFLOP/s in bfloat16, HBM "
        f"{chip.bandwidth / 1e9:,.0f} GB/s, {count} of {chip.ports} links at "
        f"{link:g} GB/s each way in a slice of {'x'.join(map(str, slice_.shape))} "
        f"(Google Cloud's figures){two}",
        *network(slice_),
        "float32 products are counted at the same peak: at default precision the "
        "compiler rounds them to bfloat16 and computes one pass",
        "no latency, host or padding, and every peak reached: a bound, not a forecast",
    ]


def network(slice_: Slice) -> list[str]:
    """States the network between slices, if there are several."""
    chip = slice_.chip
    if chip is None or slice_.count == 1:
        return []
    if not chip.dcn:
        return [
            f"{slice_.count} slices: the data-center network of {chip.name} is not "
            "published, so its time is left out"
        ]
    return [
        f"{slice_.count} slices, connected by {chip.dcn * chip.per_host / GBIT:,.0f} "
        f"Gbit/s each way per host of {chip.per_host} chips, {chip.dcn / 1e9:g} GB/s "
        "per chip (Google Cloud's figures)"
    ]


def images_per_second(step: Step, seconds: float) -> float:
    """Returns the real images per second of all devices, in D's updates."""
    config = step.config
    return config.batch_size * config.d_updates * config.runs / max(seconds, 1e-12)

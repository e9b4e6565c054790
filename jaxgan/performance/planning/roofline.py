"""How long a step takes at the least, from what it does and the chip's peaks."""

from typing import NamedTuple

from jaxgan.performance.planning.chips import Slice, links
from jaxgan.performance.planning.compiling import Step


class Estimate(NamedTuple):
    """Seconds per step that each part would take by itself, at the chip's peaks."""

    compute: float
    memory: float
    communication: float
    guess: float
    """What the compiler's cycles come to, 0 if it is not known."""

    @property
    def overlapped(self) -> float:
        """If all went on at once: no step is shorter."""
        return max(self.compute, self.memory, self.communication)

    @property
    def serial(self) -> float:
        """If one waited for the other."""
        return self.compute + self.memory + self.communication

    @property
    def bound(self) -> str:
        """What takes longest."""
        parts = ("compute", "memory", "communication")
        return max(parts, key=lambda name: getattr(self, name))


def estimate(step: Step, slice_: Slice) -> Estimate | None:
    """The roofline of a step; None for a machine whose peaks are not known."""
    chip, share = slice_.chip, slice_.per_chip
    if chip is None:
        return None
    out = chip.ici / 2 / chip.ports * links(chip, slice_.shape) / share
    work = step.work
    return Estimate(
        compute=work.flops / (chip.flops / share),
        memory=work.hbm / (chip.bandwidth / share),
        communication=work.sent / out if work.sent else 0.0,
        guess=work.cycles / chip.clock if chip.clock else 0.0,
    )


def assumptions(slice_: Slice) -> list[str]:
    """What the estimate takes for granted, in plain words."""
    chip, share = slice_.chip, slice_.per_chip
    if chip is None:
        return []
    count = links(chip, slice_.shape)
    link = chip.ici / 2 / chip.ports / 1e9
    two = f"; {share} devices share a chip, and so its peaks" if share > 1 else ""
    return [
        f"{chip.name}: {chip.flops / 1e12:g} TFLOP/s in bfloat16, HBM "
        f"{chip.bandwidth / 1e9:,.0f} GB/s, {count} of {chip.ports} links at "
        f"{link:g} GB/s each way in a slice of {'x'.join(map(str, slice_.shape))} "
        f"(Google Cloud's figures){two}",
        "float32 products are counted at the same peak: at default precision the "
        "compiler rounds them to bfloat16 and makes one pass",
        "no latency, no host, no padding, every peak reached: a bound, not a forecast",
    ]


def images_per_second(step: Step, seconds: float) -> float:
    """Real images that all devices see, those of D's updates."""
    config = step.config
    return config.batch_size * config.d_updates * config.runs / max(seconds, 1e-12)

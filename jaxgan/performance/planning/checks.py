"""Checks a compiled step: memory, donation, host transfers, padding, precision."""

from jaxgan.performance.hlo.cost import wide_products
from jaxgan.performance.planning.chips import Slice
from jaxgan.performance.planning.compiling import Step

LARGE = 0.5
"""The least share of padding that is worth a warning."""


def fits(step: Step, slice_: Slice) -> bool:
    """Returns True if a step fits into a device's memory, or if that is unknown."""
    return not slice_.limit or step.memory.total <= slice_.limit


def donation(step: Step) -> str:
    """Checks that the new state reuses the old one's memory; returns "" if so."""
    reused, leaves = step.donated
    if reused == leaves:
        return ""
    return f"{leaves - reused} of {leaves} leaves of the state are kept twice"


def host(step: Step) -> str:
    """Checks that a step has no transfers to or from the host; returns "" if so."""
    transfers = step.work.transfers
    return (
        f"{len(transfers)} transfers to or from the host: {transfers[0]}"
        if transfers
        else ""
    )


def precision(step: Step) -> dict[str, float]:
    """Returns the FLOPs of products that read float32, by operation.

    It is empty unless the precision is `mixed`. Augmentations and the heads that
    wrappers add use float32 on purpose.
    """
    flops: dict[str, float] = {}
    if step.config.precision == "mixed":
        # Several instructions may come from one operation.
        for product in wide_products(step.work):
            flops[product.op_name] = flops.get(product.op_name, 0.0) + product.flops
    return flops


def padding(step: Step) -> str:
    """Reports the share of padding and gives advice; returns "" if it is small."""
    share = step.work.padding
    if share < LARGE:
        return ""
    # The product that spends the most FLOPs on padding.
    worst = max(step.work.products, key=lambda x: x.padded - x.flops)
    wide = f"{worst.features[0]} channels in and {worst.features[1]} out"
    return (
        f"{share:.0%} of the products' work is padding: the chip computes on tiles of "
        f"8 x 128, and the product with the most padding has {wide}. Wider layers (128 "
        "channels or more) or a larger batch per chip cost little more"
    )


def lines(step: Step) -> list[str]:
    """Formats all checks, one line each."""
    result = [
        "donation: " + (donation(step) or f"all {step.donated[1]} leaves are reused"),
        "host: " + (host(step) or "no transfers within a step"),
        "padding: "
        + (padding(step) or f"{step.work.padding:.0%} of the products' work"),
    ]
    if step.config.precision == "mixed":
        result.append("precision: " + format_checks(precision(step), step.work.flops))
    if step.work.unknown:
        result.append(f"loops: {step.work.unknown} of unknown length are counted once")
    return result


def format_checks(wide: dict[str, float], flops: float) -> str:
    """Formats the result of `precision`.

    Args:
      wide: FLOPs that read float32, by operation.
      flops: the FLOPs of all products.
    """
    if not wide:
        return "no product reads float32"
    # The operation with the most FLOPs in float32.
    most = max(wide, key=lambda name: wide[name])
    share = sum(wide.values()) / flops
    return f"{share:.2%} of the FLOPs read float32, most of them {most}"

"""What a compiled step should and should not have, each said in one line."""

from jaxgan.performance.hlo.cost import wide_products
from jaxgan.performance.planning.chips import Slice
from jaxgan.performance.planning.compiling import Step

LARGE = 0.5
"""A share of padding that is worth a warning."""


def fits(step: Step, slice_: Slice) -> bool:
    """Whether a device's memory is enough, as far as it is known."""
    return not slice_.limit or step.memory.total <= slice_.limit


def donation(step: Step) -> str:
    """Whether the new state takes the place of the old one; "" if all of it does."""
    reused, leaves = step.donated
    if reused == leaves:
        return ""
    return f"{leaves - reused} of {leaves} leaves of the state are kept twice"


def host(step: Step) -> str:
    """What goes to or comes from the host within the step; "" if nothing does."""
    found = step.work.transfers
    return f"{len(found)} transfers to or from the host: {found[0]}" if found else ""


def precision(step: Step) -> dict[str, float]:
    """Under `--precision=mixed`, the FLOPs of what still reads float32, by its name.

    Augmentations and the heads that wrappers add do so on purpose.
    """
    found: dict[str, float] = {}
    if step.config.precision == "mixed":
        for product in wide_products(step.work):
            found[product.op_name] = found.get(product.op_name, 0.0) + product.flops
    return found


def padding(step: Step) -> str:
    """How much of the products' work is padding, and what helps; "" if little."""
    share = step.work.padding
    if share < LARGE:
        return ""
    dear = max(step.work.products, key=lambda x: x.padded - x.flops)
    wide = f"{dear.features[0]} channels in and {dear.features[1]} out"
    return (
        f"{share:.0%} of the products' work is padding: the chip works on tiles of "
        f"8 x 128, and the dearest product has {wide}. Wider layers (128 channels or "
        "more) or a larger batch on each chip cost little more"
    )


def lines(step: Step) -> list[str]:
    """All checks, one line each."""
    found = [
        "donation: " + (donation(step) or f"all {step.donated[1]} leaves are reused"),
        "host: " + (host(step) or "nothing goes to or from it within a step"),
        "padding: "
        + (padding(step) or f"{step.work.padding:.0%} of the products' work"),
    ]
    if step.config.precision == "mixed":
        found.append("precision: " + format_checks(precision(step), step.work.flops))
    if step.work.unknown:
        found.append(f"loops: {step.work.unknown} of unknown length count as one turn")
    return found


def format_checks(wide: dict[str, float], flops: float) -> str:
    """How much of the products reads float32, and which most."""
    if not wide:
        return "no product reads float32"
    most = max(wide, key=lambda name: wide[name])
    share = sum(wide.values()) / flops
    return f"{share:.2%} of the FLOPs read float32, most of them {most}"

"""Convolutions and products of matrices: what the matrix units have to do."""

import math
import re
from typing import NamedTuple

from jaxgan.performance.hlo.parser import Instruction, Shape
from jaxgan.performance.hlo.trip_counts import Visit


class Product(NamedTuple):
    """A convolution or a product of matrices."""

    op_name: str
    flops: float
    padded: float
    """FLOPs with what fills up the compiler's tiles of 8 x 128."""
    operands: tuple[str, ...]
    """Their types."""
    features: tuple[int, int]
    """In and out."""


def is_product(line: Instruction) -> bool:
    """Whether matrix units do it."""
    return line.opcode in ("convolution", "dot")


def product(visit: Visit) -> Product:
    """A convolution's or product's FLOPs, as often as it runs."""
    line, here = visit.instruction, visit.within
    shapes = [here.instructions[name].shapes[0] for name in line.operands[:2]]
    out = line.shapes[0]
    if line.opcode == "dot":
        depth = contracted(line, shapes[0])
        flops, features = (
            2.0 * out.size * depth,
            (depth, out.dims[-1] if out.dims else 1),
        )
    else:
        flops, features = convolution(line, shapes, out)
    fill = -(-features[0] // 8) * 8 / features[0]
    padded = flops * out.padded / max(out.size, 1) * fill
    types = tuple(shape.dtype for shape in shapes)
    return Product(
        line.op_name, visit.times * flops, visit.times * padded, types, features
    )


def contracted(line: Instruction, left: Shape) -> int:
    """How many products each element of a `dot` sums."""
    found = re.search(r"lhs_contracting_dims=\{([\d,]*)\}", line.text)
    axes = [int(n) for n in found.group(1).split(",") if n] if found else []
    return math.prod(left.dims[axis] for axis in axes)


def convolution(
    line: Instruction, shapes: list[Shape], out: Shape
) -> tuple[float, tuple[int, int]]:
    """FLOPs of a convolution, those on padding left out; features in and out."""
    found = re.search(r"dim_labels=(\w+)_(\w+)->(\w+)", line.text)
    if not found:
        return 0.0, (1, 1)
    labels = found.groups()
    of_in, of_kernel, of_out = (
        dict(zip(names, shape.dims, strict=True))
        for names, shape in zip(labels, (*shapes, out), strict=True)
    )
    spatial = sorted(name for name in labels[2] if name.isdigit())
    window = window_of(line.text, len(spatial))
    taps = math.prod(
        valid(of_in[name], of_out[name], **{k: v[i] for k, v in window.items()})
        for i, name in enumerate(spatial)
    )
    features = of_kernel["i"], of_out["f"]
    return 2.0 * of_out["b"] * features[0] * features[1] * taps, features


def window_of(text: str, rank: int) -> dict[str, list[int]]:
    """The numbers of `window={...}`, one for each spatial axis."""
    found = re.search(r"window=\{([^}]*)\}", text)
    said = dict(x.split("=") for x in found.group(1).split()) if found else {}

    def numbers(name, default):
        return (
            [int(n) for n in said[name].split("x")]
            if name in said
            else [default] * rank
        )

    pads = said["pad"].split("x") if "pad" in said else ["0_0"] * rank
    return {
        "size": numbers("size", 1),
        "stride": numbers("stride", 1),
        "low": [int(pad.split("_")[0]) for pad in pads],
        "spread": numbers("lhs_dilate", 1),
        "apart": numbers("rhs_dilate", 1),
    }


def valid(
    inputs: int, outputs: int, size: int, stride: int, low: int, spread: int, apart: int
) -> int:
    """Pairs of output and tap along an axis that meet an input, not padding.

    >>> valid(4, 4, size=3, stride=1, low=1, spread=1, apart=1)
    10
    """
    count = 0
    for tap in range(size):
        for out in range(outputs):
            place = out * stride + tap * apart - low
            count += place % spread == 0 and 0 <= place // spread < inputs
    return count

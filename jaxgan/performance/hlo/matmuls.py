"""Counts the FLOPs of convolutions and matrix products."""

import math
import re
from typing import NamedTuple

from jaxgan.performance.hlo.parser import Instruction, Shape
from jaxgan.performance.hlo.trip_counts import Visit
from jaxgan.ranges import ceil_div


class Product(NamedTuple):
    """A convolution or a matrix product."""

    op_name: str
    flops: float
    padded: float
    """FLOPs including the padding to the compiler's tiles of 8 x 128."""
    operands: tuple[str, ...]
    """The dtypes of both operands."""
    features: tuple[int, int]
    """Input and output features."""


def is_product(line: Instruction) -> bool:
    """Returns True if the matrix units run the instruction."""
    return line.opcode in ("convolution", "dot")


def product(visit: Visit) -> Product:
    """Reads a convolution or matrix product; FLOPs are summed over all its runs."""
    line, here = visit.instruction, visit.within
    shapes = [here.instructions[name].shapes[0] for name in line.operands[:2]]
    out = line.shapes[0]
    if line.opcode == "dot":
        # Each element of the result sums `depth` products of 2 FLOPs (multiply, add).
        depth = contracted(line, shapes[0])
        flops, features = (
            2.0 * out.size * depth,
            (depth, out.dims[-1] if out.dims else 1),
        )
    else:
        flops, features = convolution(line, shapes, out)
    fill = ceil_div(features[0], 8) * 8 / features[0]  # padding of the input features
    padded = flops * out.padded / max(out.size, 1) * fill
    # Loops around the product multiply its FLOPs.
    types = tuple(shape.dtype for shape in shapes)
    return Product(
        line.op_name, visit.times * flops, visit.times * padded, types, features
    )


def contracted(line: Instruction, left: Shape) -> int:
    """Returns the number of products that each element of a `dot` sums."""
    match = re.search(r"lhs_contracting_dims=\{([\d,]*)\}", line.text)
    axes = [int(n) for n in match.group(1).split(",") if n] if match else []
    return math.prod(left.dims[axis] for axis in axes)


def convolution(
    line: Instruction, shapes: list[Shape], out: Shape
) -> tuple[float, tuple[int, int]]:
    """Returns a convolution's FLOPs, without those on padding, and its features."""
    # Labels such as `b01f_01io->b01f`: batch, spatial axes and features of each array.
    match = re.search(r"dim_labels=(\w+)_(\w+)->(\w+)", line.text)
    if not match:
        return 0.0, (1, 1)
    labels = match.groups()
    # The length of each axis by its label.
    inputs, kernel, outputs = (
        dict(zip(names, shape.dims, strict=True))
        for names, shape in zip(labels, (*shapes, out), strict=True)
    )
    # Digits label the spatial axes, and the window lists them in this order.
    spatial = sorted(name for name in labels[2] if name.isdigit())
    window = window_of(line.text, len(spatial))
    # Pairs of output position and kernel tap that read an input, over all axes.
    taps = math.prod(
        valid(inputs[name], outputs[name], **{k: v[i] for k, v in window.items()})
        for i, name in enumerate(spatial)
    )
    # The kernel's input features are those of one group, if there are several.
    features = kernel["i"], outputs["f"]
    return 2.0 * outputs["b"] * features[0] * features[1] * taps, features


def window_of(text: str, rank: int) -> dict[str, list[int]]:
    """Parses `window={...}`: lists of one number per spatial axis, for `valid`."""
    # Fields such as `size=3x3 stride=2x2 pad=1_1x1_1`.
    match = re.search(r"window=\{([^}]*)\}", text)
    fields = dict(x.split("=") for x in match.group(1).split()) if match else {}

    def numbers(name, default):
        if name not in fields:
            return [default] * rank
        return [int(n) for n in fields[name].split("x")]

    # Padding is written `low_high` for each axis.
    pads = fields["pad"].split("x") if "pad" in fields else ["0_0"] * rank
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
    """Counts the pairs of output and kernel tap along an axis that read an input.

    All others read padding, or a zero between dilated inputs.

    Args:
      inputs: the length of the input.
      outputs: the length of the output.
      size: the number of taps of the kernel.
      stride: the stride of the kernel.
      low: the padding before the first input.
      spread: the dilation of the input.
      apart: the dilation of the kernel.

    >>> valid(4, 4, size=3, stride=1, low=1, spread=1, apart=1)
    10
    """
    count = 0
    for tap in range(size):
        for out in range(outputs):
            # The index in the dilated input: `spread - 1` zeros follow each value.
            place = out * stride + tap * apart - low
            count += place % spread == 0 and 0 <= place // spread < inputs
    return count

"""Parses compiled HLO: instructions and the layout of their arrays in memory."""

import math
import re
from typing import NamedTuple

from jaxgan.ranges import ceil_div

BYTES = {"pred": 1, "bf16": 2, "c64": 8, "c128": 16, "token": 0}
"""Bytes per element of the types whose names do not end in their bits."""

# A shape such as `f32[8,64]{1,0:T(8,128)}`, an instruction, the head of a computation.
SHAPE = re.compile(r"\b([a-z]+\d*\w*)\[([\d,]*)\](?:\{([^}]*)\})?")
LINE = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = (.*?) ([a-z][\w\-]*)\((.*)$")
HEAD = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")


class Shape(NamedTuple):
    """The shape of an array and its layout in memory."""

    dtype: str
    dims: tuple[int, ...]
    order: tuple[int, ...] = ()
    """Axes from the fastest- to the slowest-varying."""
    tile: tuple[int, ...] = ()
    """Multiples to which the fastest axes are padded, such as (8, 128)."""
    space: int = 0
    """0 for HBM, other numbers for the memories on the chip."""

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.dims)

    @property
    def nbytes(self) -> int:
        """The bytes without padding."""
        return self.size * width(self.dtype)

    @property
    def padded(self) -> int:
        """The number of elements including the padding of the tiles."""
        if not self.tile or not self.dims:
            return self.size
        # Lengths and tile with the fastest-varying axis first.
        dims = [self.dims[axis] for axis in self.order] or list(self.dims[::-1])
        tile = self.tile[::-1]
        # Tiles of more dimensions than the array pad axes of length 1.
        if len(dims) < len(tile):
            dims += [1] * (len(tile) - len(dims))
        # Round each length up to a multiple of the tile.
        for i, n in enumerate(tile):
            dims[i] = ceil_div(dims[i], n) * n
        return math.prod(dims)

    @property
    def stored(self) -> int:
        """The bytes including padding."""
        return self.padded * width(self.dtype)


class Instruction(NamedTuple):
    """One line of a computation."""

    name: str
    shapes: tuple[Shape, ...]
    opcode: str
    operands: tuple[str, ...]
    text: str
    """The line from behind the opening parenthesis of the operands."""
    root: bool = False

    @property
    def op_name(self) -> str:
        """The name of the operation in the traced program; "" if unknown."""
        match = re.search(r'op_name="([^"]*)"', self.text)
        return match.group(1) if match else ""


class Computation(NamedTuple):
    """Instructions by name, in order."""

    name: str
    instructions: dict[str, Instruction]

    @property
    def root(self) -> Instruction:
        """The instruction whose value the computation returns."""
        lines = list(self.instructions.values())
        return next((line for line in lines if line.root), lines[-1])


class Module(NamedTuple):
    """A compiled program."""

    entry: str
    """The name of the computation that runs first."""
    computations: dict[str, Computation]
    head: str
    """The first line, with aliases and layouts."""


def width(dtype: str) -> int:
    """Returns the bytes of one element; types below a byte count as one byte.

    >>> [width(x) for x in ("f32", "bf16", "u8", "s4", "f8e4m3fn")]
    [4, 2, 1, 1, 1]
    """
    if dtype in BYTES:
        return BYTES[dtype]
    # The bits are in the name, such as in f32 or f8e4m3fn.
    bits = re.match(r"[a-z]+(\d+)", dtype)
    return max(int(bits.group(1)) // 8, 1) if bits else 0


def shapes_of(text: str) -> tuple[Shape, ...]:
    """Parses the shapes of a type; a tuple has several.

    >>> shapes_of("bf16[8,512]{1,0:T(8,128)(2,1)S(1)}")
    (Shape(dtype='bf16', dims=(8, 512), order=(1, 0), tile=(8, 128), space=1),)
    """
    shapes = []
    for dtype, dims, layout in SHAPE.findall(text):
        # A layout has the order of the axes, tiles (the first counts) and memory.
        order, _, rest = layout.partition(":")
        tile = re.search(r"T\(([\d,]*)\)", rest)
        space = re.search(r"S\((\d+)\)", rest)
        shapes.append(
            Shape(
                dtype,
                _numbers(dims),
                _numbers(order),
                _numbers(tile.group(1)) if tile else (),
                int(space.group(1)) if space else 0,
            )
        )
    return tuple(shapes)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(n) for n in text.split(",") if n)


def parse(text: str) -> Module:
    """Parses the text of a program, as `compiled.as_text()` returns it."""
    lines = text.splitlines()
    computations: dict[str, Computation] = {}
    entry, here = "", None
    for line in lines[1:]:  # the first line is the head of the module
        head = HEAD.match(line)
        if head:
            # The head of a computation; its instructions follow.
            here = Computation(head.group(2), {})
            computations[here.name] = here
            entry = here.name if head.group(1) else entry
        elif here is not None and (match := LINE.match(line)):
            root, name, type_, opcode, rest = match.groups()
            # The operands end at the closing parenthesis, and attributes follow.
            operands = tuple(re.findall(r"%([\w.\-]+)", bracket(rest)))
            here.instructions[name] = Instruction(
                name, shapes_of(type_), opcode, operands, rest, bool(root)
            )
    return Module(entry, computations, lines[0] if lines else "")


def bracket(text: str) -> str:
    """Returns the text up to the parenthesis that closes the one before it."""
    # The text starts behind an opening parenthesis.
    depth = 1
    for i, c in enumerate(text):
        depth += {"(": 1, ")": -1}.get(c, 0)
        if depth == 0:
            return text[:i]
    return text

"""Reads compiled HLO: instructions, and shapes as they lie in memory."""

import math
import re
from typing import NamedTuple

BYTES = {"pred": 1, "bf16": 2, "c64": 8, "c128": 16, "token": 0}
"""Of the types whose names do not end in their bits."""

SHAPE = re.compile(r"\b([a-z]+\d*\w*)\[([\d,]*)\](?:\{([^}]*)\})?")
LINE = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = (.*?) ([a-z][\w\-]*)\((.*)$")
HEAD = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")


class Shape(NamedTuple):
    """An array as the compiler laid it out."""

    dtype: str
    dims: tuple[int, ...]
    order: tuple[int, ...] = ()
    """Axes from the fastest to the slowest."""
    tile: tuple[int, ...] = ()
    """What the fastest axes are padded to, such as (8, 128)."""
    space: int = 0
    """0 for HBM, others for the memories on the chip."""

    @property
    def size(self) -> int:
        """Elements."""
        return math.prod(self.dims)

    @property
    def nbytes(self) -> int:
        """Bytes without padding."""
        return self.size * width(self.dtype)

    @property
    def padded(self) -> int:
        """Elements with what fills up the tiles."""
        if not self.tile or not self.dims:
            return self.size
        dims = [self.dims[axis] for axis in self.order] or list(self.dims[::-1])
        tile = self.tile[::-1]
        if len(dims) < len(tile):
            dims += [1] * (len(tile) - len(dims))
        for i, n in enumerate(tile):
            dims[i] = -(-dims[i] // n) * n
        return math.prod(dims)

    @property
    def stored(self) -> int:
        """Bytes with padding."""
        return self.padded * width(self.dtype)


class Instruction(NamedTuple):
    """One line of a computation."""

    name: str
    shapes: tuple[Shape, ...]
    opcode: str
    operands: tuple[str, ...]
    text: str
    """What stands behind the opcode's bracket."""
    root: bool = False

    @property
    def op_name(self) -> str:
        """Where in our program it comes from."""
        found = re.search(r'op_name="([^"]*)"', self.text)
        return found.group(1) if found else ""


class Computation(NamedTuple):
    """A list of instructions by name, in order."""

    name: str
    instructions: dict[str, Instruction]

    @property
    def root(self) -> Instruction:
        """What the computation returns."""
        lines = list(self.instructions.values())
        return next((line for line in lines if line.root), lines[-1])


class Module(NamedTuple):
    """A compiled program."""

    entry: str
    computations: dict[str, Computation]
    head: str
    """The first line: aliases and layouts."""


def width(dtype: str) -> int:
    """Bytes of one element; types below a byte count as one.

    >>> [width(x) for x in ("f32", "bf16", "u8", "s4", "f8e4m3fn")]
    [4, 2, 1, 1, 1]
    """
    if dtype in BYTES:
        return BYTES[dtype]
    bits = re.match(r"[a-z]+(\d+)", dtype)
    return max(int(bits.group(1)) // 8, 1) if bits else 0


def shapes_of(text: str) -> tuple[Shape, ...]:
    """The shapes in a type, those of a tuple one after the other.

    >>> shapes_of("bf16[8,512]{1,0:T(8,128)(2,1)S(1)}")
    (Shape(dtype='bf16', dims=(8, 512), order=(1, 0), tile=(8, 128), space=1),)
    """
    found = []
    for dtype, dims, layout in SHAPE.findall(text):
        order, _, rest = layout.partition(":")
        tile = re.search(r"T\(([\d,]*)\)", rest)
        space = re.search(r"S\((\d+)\)", rest)
        found.append(
            Shape(
                dtype,
                _numbers(dims),
                _numbers(order),
                _numbers(tile.group(1)) if tile else (),
                int(space.group(1)) if space else 0,
            )
        )
    return tuple(found)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(n) for n in text.split(",") if n)


def parse(text: str) -> Module:
    """A program from its text (`compiled.as_text()`)."""
    lines = text.splitlines()
    computations: dict[str, Computation] = {}
    entry, here = "", None
    for line in lines[1:]:
        head = HEAD.match(line)
        if head:
            here = Computation(head.group(2), {})
            computations[here.name] = here
            entry = here.name if head.group(1) else entry
        elif here is not None and (found := LINE.match(line)):
            root, name, type_, opcode, rest = found.groups()
            operands = tuple(re.findall(r"%([\w.\-]+)", bracket(rest)))
            here.instructions[name] = Instruction(
                name, shapes_of(type_), opcode, operands, rest, bool(root)
            )
    return Module(entry, computations, lines[0] if lines else "")


def bracket(text: str) -> str:
    """What stands before the bracket that closes the one before the text."""
    depth = 1
    for i, c in enumerate(text):
        depth += {"(": 1, ")": -1}.get(c, 0)
        if depth == 0:
            return text[:i]
    return text

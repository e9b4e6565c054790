"""What a compiled step does, read from its text."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from jaxgan.performance.hlo.collectives import COLLECTIVES, Message, messages
from jaxgan.performance.hlo.matmuls import Product, is_product, product
from jaxgan.performance.hlo.parser import Computation, Instruction, Module, Shape
from jaxgan.performance.hlo.trip_counts import Visit, called, turns, visits

TRANSFERS = ("infeed", "outfeed", "send", "recv")
FREE = {
    *("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while"),
    *("conditional", "call", "after-all", "partition-id", "replica-id", "iota"),
    *("opt-barrier", "add-dependency", "broadcast"),
}
"""What moves nothing to or from the HBM by itself."""
PARTS = ("slice", "dynamic-slice", "gather")
"""What reads a part of its first operand."""


class Work(NamedTuple):
    """What one step does on one device."""

    products: list[Product]
    messages: dict[str, Message]
    hbm: int
    """Bytes read from and written to the HBM, padding included."""
    once: int
    """Bytes that are moved once per call, before the first step."""
    cycles: int
    """The compiler's own guess, of what it guesses."""
    transfers: list[str]
    """What goes to or comes from the host."""
    unknown: int
    """Loops of which nobody knows how often they turn: counted once."""

    @property
    def flops(self) -> float:
        """Of all products."""
        return sum(product.flops for product in self.products)

    @property
    def padding(self) -> float:
        """Share of the products' padded work that is padding."""
        padded = sum(product.padded for product in self.products)
        return 1 - self.flops / padded if padded else 0.0

    @property
    def sent(self) -> float:
        """Bytes that each device sends to others."""
        return sum(message.sent for message in self.messages.values())


def work_of(module: Module, devices: int) -> Work:
    """Reads a program of one step that runs on so many devices."""
    seen = list(visits(module))
    outside = [visit for visit in seen if not visit.fused]
    first = [visit for visit in outside if at_start(module, visit)]
    steady = [visit for visit in outside if not at_start(module, visit)]
    loops = [v for v in seen if v.instruction.opcode == "while"]
    return Work(
        products=[product(v) for v in seen if is_product(v.instruction)],
        messages=messages(seen, devices),
        hbm=sum(v.times * moved(module, v) for v in steady),
        once=sum(moved(module, v) for v in first),
        cycles=sum(v.times * cycles(v.instruction) for v in steady),
        transfers=transfers(seen),
        unknown=sum(turns(module, v.within, v.instruction) is None for v in loops),
    )


def at_start(module: Module, visit: Visit) -> bool:
    """Whether it is done once per call, however many steps the call has.

    That are copies to the chip before the program starts, and to another layout of what
    the program is given, such as the data set.
    """
    line, here = visit.instruction, visit.within
    if "cross_program_prefetch_index" in line.text:
        return True
    if line.opcode != "copy" or here.name != module.entry:
        return False
    return all(here.instructions[x].opcode == "parameter" for x in line.operands)


def moved(module: Module, visit: Visit) -> int:
    """Bytes to and from the HBM of one instruction outside of fusions."""
    line, here = visit.instruction, visit.within
    kind = line.opcode
    if kind in FREE or kind.endswith("-done") or kind.startswith(COLLECTIVES):
        return 0
    inner = None
    if kind == "fusion" and called(line)[0] in module.computations:
        inner = module.computations[called(line)[0]]
    if kind == "slice-start":  # what it is cut from, what it is, and a flag
        return _crossing(line.shapes[0], line.shapes[1])
    shapes = line.shapes[:1] if kind.endswith("-start") else line.shapes
    total = sum(s.stored for s in shapes if s.space == 0 and s.dims)
    if inner and inner.root.opcode == "dynamic-update-slice":
        total = _first(inner, inner.root.operands[1]).stored
    for number, name in enumerate(line.operands):
        given = here.instructions.get(name)
        if given is None or len(given.shapes) != 1:
            continue
        whole = given.shapes[0]
        if whole.space == 0 and whole.dims:  # numbers are kept on the chip
            total += read(line, inner, number, whole)
    return total


def _crossing(source: Shape, part: Shape) -> int:
    """Bytes that a copy of a part reads from the HBM and writes to it."""
    return part.stored * ((source.space == 0) + (part.space == 0))


def read(
    line: Instruction, inner: Computation | None, number: int, whole: Shape
) -> int:
    """Bytes that are read of an operand: all, or the parts that are asked for."""
    if line.opcode in PARTS and number == 0:
        return line.shapes[0].stored
    if inner is None:
        return whole.stored
    mine = [
        x.name
        for x in inner.instructions.values()
        if x.opcode == "parameter" and x.text.startswith(f"{number})")
    ]
    users = [x for x in inner.instructions.values() if mine and mine[0] in x.operands]
    if users and all(x.opcode in PARTS and x.operands[0] == mine[0] for x in users):
        return min(sum(x.shapes[0].stored for x in users), whole.stored)
    if users and all(x.opcode == "dynamic-update-slice" for x in users):
        return 0  # written in place
    return whole.stored


def _first(here: Computation, name: str) -> Shape:
    return here.instructions[name].shapes[0]


def cycles(line: Instruction) -> int:
    """What the compiler guesses of an instruction, 0 where it does not."""
    found = re.search(r'"estimated_cycles":"(\d+)"', line.text)
    return int(found.group(1)) if found else 0


def transfers(seen: Iterable[Visit]) -> list[str]:
    """What a step exchanges with the host, which it has no reason to.

    `infeed`, `outfeed`, sending and receiving, and calls back into Python.
    """
    found = []
    for visit in seen:
        line = visit.instruction
        target = re.search(r'custom_call_target="([^"]*)"', line.text)
        name = target.group(1) if target and line.opcode == "custom-call" else ""
        back = "callback" in name.lower() or "hostexecute" in name.lower()
        if line.opcode in TRANSFERS or back:
            found.append(f"{line.opcode} {name} {line.op_name}".replace("  ", " "))
    return found


def aliased(module: Module) -> set[int]:
    """The parameters whose memory the results take over: what was donated."""
    found = re.search(r"input_output_alias=\{(.*?)\}, entry", module.head)
    text = found.group(1) if found else module.head
    return {int(n) for n in re.findall(r"\}: \((\d+), \{", text)}


class Argument(NamedTuple):
    """What a program takes."""

    number: int
    name: str
    """As our program calls it, such as `state.ema` or `flat_args[3]`."""
    stored: int
    """Bytes on a device, padding included."""


def parameters(module: Module) -> list[Argument]:
    """The program's arguments in order; those that nothing reads were left out."""
    found = [
        Argument(
            int(x.text.partition(")")[0]), x.op_name, sum(s.stored for s in x.shapes)
        )
        for x in module.computations[module.entry].instructions.values()
        if x.opcode == "parameter"
    ]
    return sorted(found)


def wide_products(work: Work) -> list[Product]:
    """The products that read float32, for what should compute narrower."""
    return [x for x in work.products if "f32" in x.operands]

"""Computes the cost of a compiled step from its text."""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from jaxgan.performance.hlo.collectives import (
    COLLECTIVES,
    Message,
    between_slices,
    is_between_slices,
    messages,
)
from jaxgan.performance.hlo.matmuls import Product, is_product, product
from jaxgan.performance.hlo.parser import Computation, Instruction, Module, Shape
from jaxgan.performance.hlo.trip_counts import Visit, called, turns, visits

TRANSFERS = ("infeed", "outfeed", "send", "recv")
FREE = {
    *("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while"),
    *("conditional", "call", "after-all", "partition-id", "replica-id", "iota"),
    *("opt-barrier", "add-dependency", "broadcast"),
}
"""Opcodes that move nothing to or from the HBM themselves."""
PARTS = ("slice", "dynamic-slice", "gather")
"""Opcodes that read a part of their first operand."""


class Work(NamedTuple):
    """The work of one step on one device."""

    products: list[Product]
    messages: dict[str, Message]
    hbm: int
    """Bytes read from and written to the HBM, including padding."""
    once: int
    """Bytes that are moved once per call, before the first step. A call runs many."""
    cycles: int
    """The compiler's estimate, for the instructions that have one."""
    transfers: list[str]
    """Instructions that exchange data with the host."""
    unknown: int
    """Loops of unknown trip count, which are counted once."""
    network: Mapping[str, Message] = MappingProxyType({})
    """Messages between slices, over the network of the data center."""
    hidden: int = 0
    """The cycles of other work that is scheduled while such a message is under way."""

    @property
    def flops(self) -> float:
        """The FLOPs of all products."""
        return sum(product.flops for product in self.products)

    @property
    def padding(self) -> float:
        """The share of padding in the products' padded FLOPs."""
        padded = sum(product.padded for product in self.products)
        return 1 - self.flops / padded if padded else 0.0

    @property
    def sent(self) -> float:
        """The bytes that each device sends to others of its slice."""
        return sum(message.sent for message in self.messages.values())

    @property
    def sent_between_slices(self) -> float:
        """The bytes that each device sends to other slices."""
        return sum(message.sent for message in self.network.values())


def work_of(module: Module, devices: int, slices: int = 1) -> Work:
    """Computes the work of a program.

    Args:
      module: a program that runs one step.
      devices: the number of devices that it runs on.
      slices: the number of slices of the devices.
    """
    # All instructions that run, including those within fusions and loops.
    seen = list(visits(module))
    # Only instructions outside of fusions use the HBM, and some only once per call.
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
        network=between_slices(seen, slices),
        hidden=hidden_cycles(steady),
    )


def hidden_cycles(seen: Iterable[Visit]) -> int:
    """Returns the cycles that are scheduled between a `recv` and its end.

    Args:
      seen: the instructions outside of fusions, in the order of the schedule.
    """
    # Names of the messages between slices that are under way.
    pending: set[str] = set()
    total = 0
    for visit in seen:
        line = visit.instruction
        if is_between_slices(line) and line.opcode == "recv":
            pending.add(line.name)
        elif line.opcode == "recv-done":
            pending.difference_update(line.operands)
        elif pending:
            total += visit.times * cycles(line)
    return total


def at_start(module: Module, visit: Visit) -> bool:
    """Returns True if an instruction runs once per call, not once per step.

    These are prefetches to the chip before the program starts, and copies of arguments
    (such as the dataset) to another layout.
    """
    line, here = visit.instruction, visit.within
    # A prefetch for the program, which runs before it starts.
    if "cross_program_prefetch_index" in line.text:
        return True
    # Otherwise it is a copy, in the entry computation, of arguments only.
    if line.opcode != "copy" or here.name != module.entry:
        return False
    return all(here.instructions[x].opcode == "parameter" for x in line.operands)


def moved(module: Module, visit: Visit) -> int:
    """Returns the bytes that one unfused instruction moves to and from the HBM."""
    line, here = visit.instruction, visit.within
    kind = line.opcode
    # Collectives are counted as messages, asynchronous instructions at their start.
    if kind in FREE or kind.endswith("-done") or kind.startswith(COLLECTIVES):
        return 0
    if is_between_slices(line):
        return 0
    # A fusion's computation shows how much of each operand is read.
    inner = None
    if kind == "fusion" and called(line)[0] in module.computations:
        inner = module.computations[called(line)[0]]
    if kind == "slice-start":  # its shapes: the source, the part, and a flag
        return _crossing(line.shapes[0], line.shapes[1])
    # Bytes written. An asynchronous copy has its source among its shapes.
    shapes = line.shapes[:1] if kind.endswith("-start") else line.shapes
    total = sum(s.stored for s in shapes if s.space == 0 and s.dims)
    # An update in place writes only the updated part.
    if inner and inner.root.opcode == "dynamic-update-slice":
        total = _first(inner, inner.root.operands[1]).stored
    # Bytes read.
    for number, name in enumerate(line.operands):
        operand = here.instructions.get(name)
        if operand is None or len(operand.shapes) != 1:
            continue
        whole = operand.shapes[0]
        if whole.space == 0 and whole.dims:  # scalars are kept on the chip
            total += read(line, inner, number, whole)
    return total


def _crossing(source: Shape, part: Shape) -> int:
    """Returns the bytes that the copy of a part reads from and writes to the HBM."""
    return part.stored * ((source.space == 0) + (part.space == 0))


def read(
    line: Instruction, inner: Computation | None, number: int, whole: Shape
) -> int:
    """Returns the bytes that an instruction reads of an operand.

    Args:
      line: the instruction.
      inner: the computation of a fusion, else None.
      number: the index of the operand.
      whole: the shape of the operand. A slice or gather reads only parts of it.
    """
    # A slice or gather reads as much as it returns.
    if line.opcode in PARTS and number == 0:
        return line.shapes[0].stored
    if inner is None:
        return whole.stored
    # The parameter of the fusion that stands for the operand.
    names = [
        x.name
        for x in inner.instructions.values()
        if x.opcode == "parameter" and x.text.startswith(f"{number})")
    ]
    if not names:
        return whole.stored
    name = names[0]
    # In a fusion, the users of the parameter decide.
    users = [x for x in inner.instructions.values() if name in x.operands]
    # Its users read parts: their sum counts, but at most the whole.
    if users and all(x.opcode in PARTS and x.operands[0] == name for x in users):
        return min(sum(x.shapes[0].stored for x in users), whole.stored)
    if users and all(x.opcode == "dynamic-update-slice" for x in users):
        return 0  # written in place
    return whole.stored


def _first(here: Computation, name: str) -> Shape:
    return here.instructions[name].shapes[0]


def cycles(line: Instruction) -> int:
    """Returns the compiler's estimate for an instruction; 0 if it has none."""
    match = re.search(r'"estimated_cycles":"(\d+)"', line.text)
    return int(match.group(1)) if match else 0


def transfers(seen: Iterable[Visit]) -> list[str]:
    """Returns the instructions that exchange data with the host.

    These are `infeed`, `outfeed`, sends, receives and calls back into Python. A step
    should have none. Messages between slices are not among them.
    """
    result = []
    for visit in seen:
        line = visit.instruction
        # Python is called back by custom calls.
        target = re.search(r'custom_call_target="([^"]*)"', line.text)
        name = target.group(1) if target and line.opcode == "custom-call" else ""
        back = "callback" in name.lower() or "hostexecute" in name.lower()
        exchange = line.opcode in TRANSFERS and not is_between_slices(line)
        if exchange or back:
            result.append(f"{line.opcode} {name} {line.op_name}".replace("  ", " "))
    return result


def aliased(module: Module) -> set[int]:
    """Returns the numbers of the donated parameters, whose memory results reuse."""
    # An alias such as `{0}: (3, {}, may-alias)` has parameter 3 in result 0.
    match = re.search(r"input_output_alias=\{(.*?)\}, entry", module.head)
    text = match.group(1) if match else module.head
    return {int(n) for n in re.findall(r"\}: \((\d+), \{", text)}


class Argument(NamedTuple):
    """An argument of a program."""

    number: int
    name: str
    """Its name in the traced program, such as `state.ema` or `flat_args[3]`."""
    stored: int
    """Bytes on a device, including padding."""


def parameters(module: Module) -> list[Argument]:
    """Returns the arguments in order; XLA has left out those that nothing reads."""
    arguments = [
        # The text starts with the parameter's number.
        Argument(
            int(x.text.partition(")")[0]), x.op_name, sum(s.stored for s in x.shapes)
        )
        for x in module.computations[module.entry].instructions.values()
        if x.opcode == "parameter"
    ]
    return sorted(arguments)


def wide_products(work: Work) -> list[Product]:
    """Returns the products that read float32, for the check of mixed precision."""
    return [x for x in work.products if "f32" in x.operands]

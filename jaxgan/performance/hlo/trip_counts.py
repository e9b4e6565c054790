"""Which instructions of a program run, and how often: loops are followed."""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from jaxgan.performance.hlo.parser import Computation, Instruction, Module, bracket

CALLED = re.compile(
    r"(?:calls|to_apply|body|true_computation|false_computation)=%?([\w.\-]+)"
)


class Visit(NamedTuple):
    """An instruction, and how often a call of the program runs it."""

    instruction: Instruction
    times: int
    within: Computation
    fused: bool
    """Whether it is part of a fusion, whose values stay on the chip."""


class Side(NamedTuple):
    """One side of a comparison, as far as it is known."""

    number: int | None
    place: int | None


def visits(module: Module) -> Iterator[Visit]:
    """All instructions that a call runs, loops multiplied by their turns.

    Of branches all are visited: the result is what the dearest step takes at most.
    """
    yield from _visits(module, module.computations[module.entry], 1, False)


def _visits(
    module: Module, here: Computation, times: int, fused: bool
) -> Iterator[Visit]:
    for line in here.instructions.values():
        yield Visit(line, times, here, fused)
        inner = times
        if line.opcode == "while":
            inner *= turns(module, here, line) or 1
        if line.opcode in ("reduce", "all-reduce", "scatter", "sort", "reduce-window"):
            continue  # what they call is per element
        for name in called(line):
            if name in module.computations:
                inside = fused or line.opcode == "fusion"
                yield from _visits(module, module.computations[name], inner, inside)


def called(line: Instruction) -> list[str]:
    """The computations that an instruction runs; a loop's condition is left out."""
    names = CALLED.findall(line.text)
    branches = re.search(r"branch_computations=\{([^}]*)\}", line.text)
    return names + (re.findall(r"%?([\w.\-]+)", branches.group(1)) if branches else [])


def turns(module: Module, here: Computation, loop: Instruction) -> int | None:
    """How often a loop turns, None if its text does not tell.

    Either XLA wrote it down, or it is read from the counter: where it starts, what it
    is compared with, what is added.
    """
    known = re.search(r'known_trip_count":\{"n":"(\d+)"', loop.text)
    if known:
        return int(known.group(1))
    found = re.search(r"condition=%?([\w.\-]+), body=%?([\w.\-]+)", loop.text)
    if not found:
        return None
    condition, body = (module.computations.get(name) for name in found.groups())
    start = here.instructions.get(loop.operands[0])
    if condition is None or body is None or start is None or start.opcode != "tuple":
        return None

    def initial(place):
        return _constant(here, start.operands[place])

    sides = _sides(module, condition)
    if sides is None or sides[0].place is None:
        return None
    place, limit = sides[0].place, sides[1]
    first = initial(place)
    last = limit.number if limit.place is None else initial(limit.place)
    step = _added(module, body, place, initial)
    if first is None or last is None or not step:
        return None
    return max(-(-(last - first) // step), 0)


def _sides(module: Module, here: Computation) -> list[Side] | None:
    """Both sides of the condition `a < b`: a known number, or a place in the tuple."""
    line, inner = here.root, here
    if line.opcode == "fusion":
        inner = module.computations[called(line)[0]]
    test = inner.root
    if test.opcode != "compare" or "direction=LT" not in test.text:
        return None
    found = []
    for name in test.operands:
        given = inner.instructions[name]
        if inner is not here and given.opcode == "parameter":
            outer = line.operands[int(bracket(given.text))]
            found.append(Side(_constant(here, outer), _place(here, outer)))
        else:
            found.append(Side(_constant(inner, name), _place(inner, name)))
    return found


def _added(
    module: Module, body: Computation, place: int, initial: Callable
) -> int | None:
    """What a turn adds to the value at a place of the loop's tuple."""
    root = body.root
    if root.opcode != "tuple":
        return None
    line = body.instructions[root.operands[place]]
    while line.opcode in ("copy", "bitcast"):
        line = body.instructions[line.operands[0]]
    scope = body
    if line.opcode == "fusion":
        scope = module.computations[called(line)[0]]
        line = scope.root
    if line.opcode != "add":
        return None
    for name in line.operands:
        value = _constant(scope, name)
        if value is None and scope is body:
            where = _place(body, name)
            value = None if where in (None, place) else initial(where)
        if value is not None:
            return value
    return None


def _constant(here: Computation, name: str) -> int | None:
    """An integer that is known, through copies of it."""
    line = here.instructions.get(name)
    while line is not None and line.opcode in (
        *("copy", "bitcast", "copy-start", "copy-done", "convert", "reshape"),
    ):
        line = here.instructions.get(line.operands[0])
    if line is None or line.opcode != "constant":
        return None
    text = bracket(line.text).strip("{}")
    return int(text) if re.fullmatch(r"-?\d+", text) else None


def _place(here: Computation, name: str) -> int | None:
    """Which of the loop's values this is."""
    line = here.instructions.get(name)
    while line is not None and line.opcode in ("copy", "bitcast"):
        line = here.instructions.get(line.operands[0])
    if line is None or line.opcode != "get-tuple-element":
        return None
    found = re.search(r"index=(\d+)", line.text)
    return int(found.group(1)) if found else None

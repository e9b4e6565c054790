"""Walks the instructions of a program and counts how often each one runs."""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from jaxgan.performance.hlo.parser import Computation, Instruction, Module, bracket
from jaxgan.ranges import ceil_div

CALLED = re.compile(
    r"(?:calls|to_apply|body|true_computation|false_computation)=%?([\w.\-]+)"
)
"""Attributes that name a computation to run, but for `branch_computations`."""


class Visit(NamedTuple):
    """An instruction of a program."""

    instruction: Instruction
    times: int
    """Runs per call of the program."""
    within: Computation
    """The computation that holds the instruction."""
    fused: bool
    """True if it is part of a fusion, whose values stay on the chip."""


class Side(NamedTuple):
    """One side of a comparison; fields are None if unknown."""

    number: int | None
    """The value of a constant."""
    place: int | None
    """The index in the loop's tuple."""


def visits(module: Module) -> Iterator[Visit]:
    """Yields all instructions that a call runs, multiplied by the loops around them.

    All branches are visited, so the costs are those of the most expensive step.
    """
    yield from _visits(module, module.computations[module.entry], 1, False)


def _visits(
    module: Module, here: Computation, times: int, fused: bool
) -> Iterator[Visit]:
    for line in here.instructions.values():
        yield Visit(line, times, here, fused)
        inner = times
        if line.opcode == "while":
            # A loop of unknown trip count is counted once.
            inner *= turns(module, here, line) or 1
        if line.opcode in ("reduce", "all-reduce", "scatter", "sort", "reduce-window"):
            continue  # they call a computation per element
        for name in called(line):
            if name in module.computations:
                # All that a fusion calls is fused, at any depth.
                inside = fused or line.opcode == "fusion"
                yield from _visits(module, module.computations[name], inner, inside)


def called(line: Instruction) -> list[str]:
    """Returns the computations that an instruction runs, but no loop condition."""
    names = CALLED.findall(line.text)
    # The branches of a conditional are a list in braces.
    branches = re.search(r"branch_computations=\{([^}]*)\}", line.text)
    return names + (re.findall(r"%?([\w.\-]+)", branches.group(1)) if branches else [])


def turns(module: Module, here: Computation, loop: Instruction) -> int | None:
    """Returns the trip count of a loop; None if it cannot be read from the text.

    XLA may have written it down. Otherwise it follows from the counter: its initial
    value, its limit and its increment.
    """
    # The compiler's annotation, if there is one.
    known = re.search(r'known_trip_count":\{"n":"(\d+)"', loop.text)
    if known:
        return int(known.group(1))
    # Otherwise find the loop's computations and the tuple of its initial values.
    match = re.search(r"condition=%?([\w.\-]+), body=%?([\w.\-]+)", loop.text)
    if not match:
        return None
    condition, body = (module.computations.get(name) for name in match.groups())
    start = here.instructions.get(loop.operands[0])
    if condition is None or body is None or start is None or start.opcode != "tuple":
        return None

    def initial(place):
        return _constant(here, start.operands[place])

    # The loop runs while its counter, at `place` in the tuple, is below a limit.
    sides = _sides(module, condition)
    if sides is None or sides[0].place is None:
        return None
    place, limit = sides[0].place, sides[1]
    # The counter's initial value, its limit and its increment.
    first = initial(place)
    last = limit.number if limit.place is None else initial(limit.place)
    step = _added(module, body, place, initial)
    if first is None or last is None or not step:
        return None
    # ceil((last - first) / step), or 0 if the loop never runs.
    return max(ceil_div(last - first, step), 0)


def _sides(module: Module, here: Computation) -> list[Side] | None:
    """Reads both sides of the condition `a < b`; None for any other condition."""
    line, inner = here.root, here
    # XLA may have fused the comparison.
    if line.opcode == "fusion":
        inner = module.computations[called(line)[0]]
    test = inner.root
    if test.opcode != "compare" or "direction=LT" not in test.text:
        return None
    sides = []
    for name in test.operands:
        operand = inner.instructions[name]
        # A parameter of a fusion stands for an operand of the fusion.
        if inner is not here and operand.opcode == "parameter":
            outer = line.operands[int(bracket(operand.text))]
            sides.append(Side(_constant(here, outer), _place(here, outer)))
        else:
            sides.append(Side(_constant(inner, name), _place(inner, name)))
    return sides


def _added(
    module: Module, body: Computation, place: int, initial: Callable
) -> int | None:
    """Returns the increment per iteration of one value of the loop's tuple."""
    root = body.root
    if root.opcode != "tuple":
        return None
    # The value that the next iteration receives at `place`.
    line = body.instructions[root.operands[place]]
    # Follows copies and fusions to the addition.
    while line.opcode in ("copy", "bitcast"):
        line = body.instructions[line.operands[0]]
    scope = body
    # The addition may be the root of a fusion.
    if line.opcode == "fusion":
        scope = module.computations[called(line)[0]]
        line = scope.root
    if line.opcode != "add":
        return None
    # One addend is the counter, and the other one is the increment.
    for name in line.operands:
        value = _constant(scope, name)
        if value is None and scope is body:
            # A value of the loop's tuple is taken not to change between iterations.
            where = _place(body, name)
            value = None if where in (None, place) else initial(where)
        if value is not None:
            return value
    return None


def _constant(here: Computation, name: str) -> int | None:
    """Returns the value of an integer constant or of a copy of one, else None."""
    line = here.instructions.get(name)
    # Look through instructions that keep the value.
    while line is not None and line.opcode in (
        *("copy", "bitcast", "copy-start", "copy-done", "convert", "reshape"),
    ):
        line = here.instructions.get(line.operands[0])
    if line is None or line.opcode != "constant":
        return None
    # The value of an array stands in braces.
    text = bracket(line.text).strip("{}")
    return int(text) if re.fullmatch(r"-?\d+", text) else None


def _place(here: Computation, name: str) -> int | None:
    """Returns the index of a value in the loop's tuple, else None."""
    line = here.instructions.get(name)
    while line is not None and line.opcode in ("copy", "bitcast"):
        line = here.instructions.get(line.operands[0])
    if line is None or line.opcode != "get-tuple-element":
        return None
    match = re.search(r"index=(\d+)", line.text)
    return int(match.group(1)) if match else None

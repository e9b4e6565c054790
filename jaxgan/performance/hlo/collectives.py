"""What goes from chip to chip."""

import math
import re
from collections.abc import Iterable
from typing import NamedTuple

from jaxgan.performance.hlo.parser import Instruction
from jaxgan.performance.hlo.trip_counts import Visit

COLLECTIVES = (
    "all-reduce",
    "all-gather",
    "reduce-scatter",
    "all-to-all",
    "collective-permute",
    "collective-broadcast",
)


class Message(NamedTuple):
    """What a chip exchanges with the others, per step."""

    kind: str
    count: int
    nbytes: int
    """Of the larger of operand and result, without padding."""
    sent: float
    """Bytes that each device has to send, as by rings."""


def messages(seen: Iterable[Visit], devices: int) -> dict[str, Message]:
    """By kind, what goes from chip to chip. An asynchronous one counts at its start."""
    found: dict[str, Message] = {}
    channels: set[str] = set()
    for visit in seen:
        line = visit.instruction
        kind = line.opcode.removesuffix("-start")
        if kind not in COLLECTIVES:
            continue
        channel = re.search(r"channel_id=(\d+)", line.text)
        if channel and visit.fused:  # a fused one may be written in several fusions
            if channel.group(1) in channels:
                continue
            channels.add(channel.group(1))
        inputs = [
            s for name in line.operands for s in visit.within.instructions[name].shapes
        ]
        taken = sum(s.nbytes for s in inputs)
        given = taken if line.opcode.endswith("-start") else 0
        if kind in ("all-gather", "reduce-scatter") or not given:
            given = results(line, len(inputs))
        nbytes = max(taken, given)
        group = members(line.text, devices)
        old = found.get(kind, Message(kind, 0, 0, 0.0))
        found[kind] = Message(
            kind,
            old.count + visit.times,
            old.nbytes + visit.times * nbytes,
            old.sent + visit.times * sent(kind, nbytes, group),
        )
    return found


def results(line: Instruction, inputs: int) -> int:
    """Bytes of what a collective returns; its start returns what it takes as well."""
    shapes = line.shapes
    if line.opcode.endswith("-start") and len(shapes) >= 2 * inputs:
        shapes = shapes[inputs : 2 * inputs]
    return sum(shape.nbytes for shape in shapes)


def members(text: str, devices: int) -> int:
    """How many devices a collective joins.

    >>> members("replica_groups={{0,1},{2,3}},", 4)
    2
    >>> members("replica_groups=[2,8]<=[16]", 16)
    8
    """
    listed = re.search(r"replica_groups=\{\{([\d,]+)\}", text)
    if listed:
        return len(listed.group(1).split(","))
    counted = re.search(r"replica_groups=\[(\d+),(\d+)\]", text)
    if counted:
        return int(counted.group(2))
    meshed = re.search(r"replica_groups=mesh\[([^\]]*)\] \{([^}]*)\}", text)
    if meshed:
        sides = dict(re.findall(r"'(\w+)'=(\d+)", meshed.group(1)))
        return math.prod(
            int(sides[axis]) for axis in re.findall(r"'(\w+)'", meshed.group(2))
        )
    return devices


def sent(kind: str, nbytes: int, group: int) -> float:
    """Bytes that each of a group sends, at least: rings, as on a torus.

    >>> sent("all-reduce", 100, 4), sent("all-gather", 100, 4)
    (150.0, 75.0)
    """
    if kind.startswith("collective"):
        return float(nbytes)
    share = (group - 1) / group
    return nbytes * share * (2 if kind == "all-reduce" else 1)

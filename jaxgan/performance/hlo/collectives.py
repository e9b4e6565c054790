"""Counts the messages between chips."""

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


TRANSFERS = ("send", "send-done", "recv", "recv-done")
"""Transfers of a device, to and from the host or another slice."""

MEGASCALE = "xla_megascale_runtime"
"""The handler of transfers between slices, which XLA writes as host transfers."""

NETWORK_KINDS = {
    "ALL_REDUCE": "all-reduce",
    "REDUCE_SCATTER": "reduce-scatter",
    "ALL_GATHER": "all-gather",
    "ALL_TO_ALL": "all-to-all",
}
"""Kinds of messages between slices by `_xla_megascale_transfer_type`. Others are sent
once."""


class Message(NamedTuple):
    """The collectives of one kind that a device runs per step."""

    kind: str
    count: int
    nbytes: int
    """Bytes of the larger of operand and result, without padding."""
    sent: float
    """Bytes that each device sends, if the collectives run as rings."""


def messages(seen: Iterable[Visit], devices: int) -> dict[str, Message]:
    """Sums up the collectives by kind; an asynchronous one counts at its start."""
    totals: dict[str, Message] = {}
    channels: set[str] = set()
    for visit in seen:
        line = visit.instruction
        kind = line.opcode.removesuffix("-start")
        if kind not in COLLECTIVES:
            continue
        channel = re.search(r"channel_id=(\d+)", line.text)
        # XLA may write a fused collective into several fusions.
        if channel and visit.fused:
            if channel.group(1) in channels:
                continue
            channels.add(channel.group(1))
        # Bytes of all operands and of all results.
        inputs = [
            s for name in line.operands for s in visit.within.instructions[name].shapes
        ]
        bytes_in = sum(s.nbytes for s in inputs)
        # An asynchronous start is taken to return as much as it reads.
        bytes_out = bytes_in if line.opcode.endswith("-start") else 0
        # Others, and the kinds that change the size, are measured by their results.
        if kind in ("all-gather", "reduce-scatter") or not bytes_out:
            bytes_out = results(line, len(inputs))
        nbytes = max(bytes_in, bytes_out)
        # Add this collective, once per iteration of the loops around it.
        group = members(line.text, devices)
        _add(totals, kind, visit.times, nbytes, group)
    return totals


def between_slices(seen: Iterable[Visit], slices: int) -> dict[str, Message]:
    """Sums up the messages between slices by kind; each counts where it is sent.

    XLA reduces within each slice first, so that each device sends only its share.
    """
    totals: dict[str, Message] = {}
    for visit in seen:
        line = visit.instruction
        if not is_between_slices(line) or line.opcode != "send":
            continue
        found = re.search(r'_xla_megascale_transfer_type="(\w+)"', line.text)
        name = found.group(1) if found else ""
        kind = NETWORK_KINDS.get(name, "collective-permute")
        # A send returns its operand, a number and a token.
        nbytes = line.shapes[0].nbytes
        # An all-gather is measured by its result.
        if kind == "all-gather":
            nbytes *= slices
        _add(totals, kind, visit.times, nbytes, slices)
    return totals


def _add(
    totals: dict[str, Message], kind: str, times: int, nbytes: int, group: int
) -> None:
    """Adds a collective of a group, run several times, to the total of its kind."""
    total = totals.get(kind, Message(kind, 0, 0, 0.0))
    totals[kind] = Message(
        kind,
        total.count + times,
        total.nbytes + times * nbytes,
        total.sent + times * sent(kind, nbytes, group),
    )


def is_between_slices(line: Instruction) -> bool:
    """Returns True for a transfer to or from another slice."""
    return line.opcode in TRANSFERS and MEGASCALE in line.text


def results(line: Instruction, inputs: int) -> int:
    """Returns the bytes of a collective's results."""
    shapes = line.shapes
    # The start of an asynchronous collective returns its inputs first.
    if line.opcode.endswith("-start") and len(shapes) >= 2 * inputs:
        shapes = shapes[inputs : 2 * inputs]
    return sum(shape.nbytes for shape in shapes)


def members(text: str, devices: int) -> int:
    """Returns the number of devices in each group of a collective.

    Args:
      text: the attributes of the instruction.
      devices: the number of all devices, which is used if the text names no groups.

    >>> members("replica_groups={{0,1},{2,3}},", 4)
    2
    >>> members("replica_groups=[2,8]<=[16]", 16)
    8
    """
    # Listed groups.
    listed = re.search(r"replica_groups=\{\{([\d,]+)\}", text)
    if listed:
        return len(listed.group(1).split(","))
    # Counted groups: [groups, devices per group].
    counted = re.search(r"replica_groups=\[(\d+),(\d+)\]", text)
    if counted:
        return int(counted.group(2))
    # Groups along some axes of a named mesh.
    meshed = re.search(r"replica_groups=mesh\[([^\]]*)\] \{([^}]*)\}", text)
    if meshed:
        sides = dict(re.findall(r"'(\w+)'=(\d+)", meshed.group(1)))
        return math.prod(
            int(sides[axis]) for axis in re.findall(r"'(\w+)'", meshed.group(2))
        )
    return devices


def sent(kind: str, nbytes: int, group: int) -> float:
    """Returns the minimum of bytes that each device of a group sends, as on a ring.

    >>> sent("all-reduce", 100, 4), sent("all-gather", 100, 4)
    (150.0, 75.0)
    """
    # A permutation or a broadcast sends the data once.
    if kind.startswith("collective"):
        return float(nbytes)
    # A ring of n devices sends (n - 1) / n of the data per pass.
    share = (group - 1) / group
    # An all-reduce takes two passes: a reduce-scatter and an all-gather.
    return nbytes * share * (2 if kind == "all-reduce" else 1)

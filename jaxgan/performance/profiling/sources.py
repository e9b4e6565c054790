"""Maps the instructions of a compiled program to layers and source lines."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from jaxgan.performance.hlo.parser import Computation, Instruction, Module, parse

HEAVY = ("convolution", "dot", "custom-call")
"""Opcodes that dominate the time of a fusion."""
AROUND = ("while", "conditional", "call")
"""Opcodes of instructions that run other instructions."""


class Origin(NamedTuple):
    """The operation of an instruction and its place in the traced program."""

    what: str
    """The opcode; the product of a fusion that has one; the name of a custom call."""
    scope: str = ""
    """Layer and operation, such as `jvp(Generator)/Conv_0/conv_general_dilated`."""
    source: str = ""
    """File and line, such as `networks/small.py:40`."""


def module_name(text: str) -> str:
    """Returns the name of a program.

    >>> module_name("HloModule jit_call, is_scheduled=true")
    'jit_call'
    """
    return text.split(None, 2)[1].rstrip(",")


def origins(text: str) -> dict[str, Origin]:
    """Returns the origins of all instructions of a program, by name."""
    module, sources = parse(text), Sources(text)
    result = {}
    for line in every(module):
        # The instructions of the computations that this one names.
        inside = [x for c in called(line, module) for x in c.instructions.values()]
        # A fusion takes the name of the product in it.
        best = heavy([line, *inside]) if line.opcode == "fusion" else line
        # The fusion itself, its product, then any other instruction with a name.
        known = [x for x in (line, best, *inside) if x.op_name]
        # The part before the first slash is the name of the program.
        scope = known[0].op_name.partition("/")[2] if known else ""
        source = sources.of(known[0].text) if known else ""
        result[line.name] = Origin(name_of(best), scope, source)
    return result


def every(module: Module) -> Iterator[Instruction]:
    """Yields all instructions of a module."""
    for computation in module.computations.values():
        yield from computation.instructions.values()


def called(line: Instruction, module: Module) -> list[Computation]:
    """Returns the computations that an instruction names."""
    names = re.findall(r"%([\w.\-]+)", line.text)
    return [module.computations[x] for x in names if x in module.computations]


def heavy(lines: list[Instruction]) -> Instruction:
    """Returns the first product among instructions, else the first instruction."""
    return next((line for line in lines if line.opcode in HEAVY), lines[0])


def name_of(line: Instruction) -> str:
    """Returns the opcode, or the target of a custom call."""
    target = re.search(r'custom_call_target="([^"]*)"', line.text)
    return target.group(1) if target else line.opcode


def around(text: str, seen: Iterable[str]) -> set[str]:
    """Returns instructions, such as loops, whose time is that of others.

    Args:
      text: the program.
      seen: the names of the instructions in a trace. A loop is returned only if an
        instruction of its body is among them.
    """
    module, seen = parse(text), set(seen)
    return {
        line.name
        for line in every(module)
        if line.opcode in AROUND
        and any(seen & c.instructions.keys() for c in called(line, module))
    }


class Sources:
    """The tables of files, lines and stack frames at the head of a program's text."""

    def __init__(self, text: str) -> None:
        # Files by number.
        names = re.findall(r'^(\d+) "(.*)"$', section(text, "FileNames"), re.M)
        self.files = dict(names)
        # Places in files (file number, line) by number.
        location = r"^(\d+) \{file_name_id=(\d+) .*?line=(\d+)"
        locations = re.findall(location, section(text, "FileLocations"), re.M)
        self.locations = {number: (file, line) for number, file, line in locations}
        # Stack frames (number of the place, number of the caller) by number.
        frame = r"^(\d+) \{file_location_id=(\d+) parent_frame_id=(\d+)"
        frames = re.findall(frame, section(text, "StackFrames"), re.M)
        self.frames = {int(n): (place, int(parent)) for n, place, parent in frames}
        # The parent id of the first frame, which has no parent, offsets all parent ids.
        self.shift = self.frames.get(1, ("", 0))[1]

    def of(self, metadata: str) -> str:
        """Returns the innermost line that tells layers apart.

        Lines of installed packages, and of the functions that all layers share, are
        returned only if there are no others.
        """
        match = re.search(r"stack_frame_id=(\d+)", metadata)
        stack = list(self.walk(int(match.group(1)))) if match else []
        ours = [place for place in stack if "site-packages" not in place[0]]
        layers = [place for place in ours if "networks/ops/" not in place[0]]
        for file, line in layers or ours or stack:
            return f"{short(file)}:{line}"
        return ""

    def walk(self, number: int) -> Iterator[tuple[str, str]]:
        """Yields file and line of a frame and of its callers, the innermost first."""
        while number in self.frames:
            location, parent = self.frames[number]
            file, line = self.locations[location]
            yield self.files[file], line
            number = min(parent - self.shift, number - 1)  # always ends


def section(text: str, name: str) -> str:
    """Returns the lines below a heading, up to the next empty line."""
    return text.partition(f"\n{name}\n")[2].partition("\n\n")[0]


def short(file: str) -> str:
    """Returns the last folder and the file name of a path.

    >>> short("/home/me/jaxgan/networks/small.py")
    'networks/small.py'
    """
    return "/".join(Path(file).parts[-2:])

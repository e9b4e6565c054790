"""What the instructions of a compiled program are, and which lines they come from."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from jaxgan.performance.hlo.parser import Computation, Instruction, Module, parse

HEAVY = ("convolution", "dot", "custom-call")
AROUND = ("while", "conditional", "call")
"""Instructions that run other instructions."""


class Origin(NamedTuple):
    """What an instruction does, and for whom."""

    what: str
    """Its opcode; of a fusion the product within, of a foreign routine its name."""
    scope: str = ""
    """Layer and operation, such as `jvp(Generator)/Conv_0/conv_general_dilated`."""
    source: str = ""
    """File and line."""


def module_name(text: str) -> str:
    """The name of a program.

    >>> module_name("HloModule jit_call, is_scheduled=true")
    'jit_call'
    """
    return text.split(None, 2)[1].rstrip(",")


def origins(text: str) -> dict[str, Origin]:
    """Every instruction of a program's text, by name."""
    module, sources = parse(text), Sources(text)
    found = {}
    for line in every(module):
        inside = [x for c in called(line, module) for x in c.instructions.values()]
        best = heavy([line, *inside]) if line.opcode == "fusion" else line
        known = [x for x in (line, best, *inside) if x.op_name]
        scope = known[0].op_name.partition("/")[2] if known else ""
        source = sources.of(known[0].text) if known else ""
        found[line.name] = Origin(name_of(best), scope, source)
    return found


def every(module: Module) -> Iterator[Instruction]:
    """All instructions."""
    for computation in module.computations.values():
        yield from computation.instructions.values()


def called(line: Instruction, module: Module) -> list[Computation]:
    """The computations that an instruction names."""
    names = re.findall(r"%([\w.\-]+)", line.text)
    return [module.computations[x] for x in names if x in module.computations]


def heavy(lines: list[Instruction]) -> Instruction:
    """The product among some instructions, else the first."""
    return next((line for line in lines if line.opcode in HEAVY), lines[0])


def name_of(line: Instruction) -> str:
    """The opcode, or the routine that is called."""
    target = re.search(r'custom_call_target="([^"]*)"', line.text)
    return target.group(1) if target else line.opcode


def around(text: str, seen: Iterable[str]) -> set[str]:
    """Instructions whose time is that of others which were seen too, such as loops."""
    module, seen = parse(text), set(seen)
    return {
        line.name
        for line in every(module)
        if line.opcode in AROUND
        and any(seen & c.instructions.keys() for c in called(line, module))
    }


class Sources:
    """The tables of files, lines and frames at the head of a program's text."""

    def __init__(self, text: str) -> None:
        names = re.findall(r'^(\d+) "(.*)"$', section(text, "FileNames"), re.M)
        self.files = dict(names)
        place = r"^(\d+) \{file_name_id=(\d+) .*?line=(\d+)"
        places = re.findall(place, section(text, "FileLocations"), re.M)
        self.places = {number: (file, line) for number, file, line in places}
        frame = r"^(\d+) \{file_location_id=(\d+) parent_frame_id=(\d+)"
        frames = re.findall(frame, section(text, "StackFrames"), re.M)
        self.frames = {int(n): (place, int(parent)) for n, place, parent in frames}
        self.shift = self.frames.get(1, ("", 0))[1]  # the first has no parent

    def of(self, metadata: str) -> str:
        """The innermost line of an instruction that is not a library's."""
        found = re.search(r"stack_frame_id=(\d+)", metadata)
        stack = list(self.walk(int(found.group(1)))) if found else []
        own = [(file, line) for file, line in stack if "site-packages" not in file]
        return next((f"{short(file)}:{line}" for file, line in own or stack), "")

    def walk(self, number: int) -> Iterator[tuple[str, str]]:
        """File and line of a frame and of those that called it."""
        while number in self.frames:
            place, parent = self.frames[number]
            file, line = self.places[place]
            yield self.files[file], line
            number = min(parent - self.shift, number - 1)


def section(text: str, name: str) -> str:
    """The lines below a heading, to the next empty one."""
    return text.partition(f"\n{name}\n")[2].partition("\n\n")[0]


def short(file: str) -> str:
    """A path from its last folder on.

    >>> short("/home/me/jaxgan/networks/small.py")
    'networks/small.py'
    """
    return "/".join(Path(file).parts[-2:])

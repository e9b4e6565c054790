"""What a user asks of the planner: the flags of `python -m jaxgan.plan`."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jaxgan import config as training
from jaxgan.config import Config
from jaxgan.errors import UsageError
from jaxgan.parsing import Parser, no_flag

SWEEP = "v5e:2x2,v5e:4x4,v5e:8x8,v5e:16x16"
SIZES = "4,16,64"


class Question(NamedTuple):
    """What to compile, and for what."""

    config: Config
    topologies: tuple[str, ...]
    """One, or those of a sweep."""
    shape: tuple[int, ...] = ()
    """Of one example; () loads the data set."""
    classes: int = 10
    examples: int = 50_000
    sizes: tuple[int, ...] = ()
    """Of a sweep: examples per update on each chip. Else ()."""
    json: str = ""
    out: str = ""
    said: tuple[str, ...] = ()
    """The flags of training as they were given."""


def parse(argv: Sequence[str] | None = None) -> Question:
    """The question of a command line.

    Raises:
      UsageError: naming the flag, and a value that works.
    """
    parser = _parser()
    said, rest = parser.parse_known_args(argv)
    check_known(rest, parser)
    config = training.parse(rest)
    if not said.sweep and not said.topology:
        raise UsageError(
            "--topology=KIND:AxB is missing, such as --topology=v5e:4x4; local is this "
            "machine"
        )
    if said.out and (not said.sweep or Path(said.out).suffix != ".png"):
        raise UsageError(f"--out={said.out}: the plot of --sweep, must end in .png")
    chosen = said.topologies if said.sweep else said.topology
    return Question(
        config,
        topologies=tuple(chosen.split(",")),
        shape=shape_of(said.shape) if said.shape else (),
        classes=_least("classes", said.classes, 0),
        examples=_least("examples", said.examples, 1),
        sizes=sizes_of(said.batch_sizes) if said.sweep else (),
        json=said.json,
        out=said.out,
        said=tuple(rest),
    )


def _parser() -> Parser:
    parser = Parser(
        "python -m jaxgan.plan",
        description="Compile a training run for a TPU slice, without one, and tell "
        "what it takes. All flags of python -m jaxgan.train are flags here too.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--topology", default="", help="KIND:AxB[xC], such as v5e:4x4; or local")
    add("--shape", default="", help="of an example, as 32x32x3 [the data set's]")
    add("--classes", type=int, default=10, help="labels, with --shape [10]")
    add("--examples", type=int, default=50_000, help="with --shape [50000]")
    add("--sweep", action="store_true", help="a table over slices and batch sizes")
    add("--topologies", default=SWEEP, help=f"of the sweep [{SWEEP}]")
    add(
        "--batch_sizes",
        default=SIZES,
        help=f"of the sweep: examples per update on each chip [{SIZES}]",
    )
    add("--json", default="", help="where to write all figures")
    add("--out", default="", help="where to draw the sweep, a .png")
    return parser


def check_known(rest: Sequence[str], parser: Parser) -> None:
    """A flag that neither planning nor training has raises, with the nearest one."""
    known = parser.names() + [f"--{field.name}" for field in dataclasses.fields(Config)]
    for text in rest:
        name = text.partition("=")[0]
        if name.startswith("--") and name not in known:
            raise no_flag(name, known)


def shape_of(text: str) -> tuple[int, ...]:
    """The shape of an example.

    >>> shape_of("32x32x3"), shape_of("2")
    ((32, 32, 3), (2,))
    """
    if not re.fullmatch(r"[1-9]\d*(x[1-9]\d*x[1-9]\d*)?", text):
        raise UsageError(f"--shape={text}: write HxWxC, such as 32x32x3, or one number")
    return tuple(int(n) for n in text.split("x"))


def sizes_of(text: str) -> tuple[int, ...]:
    """The batch sizes of a sweep.

    >>> sizes_of("4,16")
    (4, 16)
    """
    if not re.fullmatch(r"[1-9]\d*(,[1-9]\d*)*", text):
        raise UsageError(f"--batch_sizes={text}: write numbers, such as {SIZES}")
    return tuple(int(n) for n in text.split(","))


def _least(name: str, value: int, least: int) -> int:
    if value < least:
        raise UsageError(f"--{name}={value}: must be at least {least}")
    return value

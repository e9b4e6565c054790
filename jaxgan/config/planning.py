"""What a user asks of the planner: the flags of `python -m jaxgan.plan`."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxgan.config import training
from jaxgan.config.flags import Parser, no_flag, parse_int, shorten
from jaxgan.config.foreign import TRAINING
from jaxgan.config.training import Config
from jaxgan.errors import UsageError
from jaxgan.files import check_writable, local_path

SWEEP = "v5e:2x2,v5e:4x4,v5e:8x8,v5e:16x16"
SIZES = "4,16,64"
MOST = {"classes": 1_000_000, "examples": 2**31 - 1}
GOES_WITH = {
    "classes": "--shape",
    "examples": "--shape",
    "topologies": "--sweep",
    "batch_sizes": "--sweep",
    "out": "--sweep",
}
"""Flags that say nothing without another one."""


class PlanConfig(NamedTuple):
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
    json: Path | None = None
    """Where all figures are written."""
    out: Path | None = None
    """The file of the sweep's plot."""
    said: tuple[str, ...] = ()
    """The flags of training as they were given."""


def parse_args(argv: Sequence[str] | None = None) -> PlanConfig:
    """The question of a command line.

    Raises:
      UsageError: naming the flag, and a value that works.
    """
    parser = _parser()
    said, rest = parser.parse_known_args(argv)
    check_known(rest, parser)
    config = training.parse_args(rest)
    if not said.sweep and not said.topology:
        raise UsageError(
            "--topology=KIND:AxB is missing, such as --topology=v5e:4x4; local is this "
            "machine"
        )
    if said.sweep and said.topology:
        raise UsageError(
            f"--topology={said.topology} is for one slice and --sweep for several: "
            "give one of them, such as --sweep --topologies=v5e:2x2,v5e:4x4"
        )
    if "," in said.topology:
        raise UsageError(
            f"--topology={said.topology} names several slices: use "
            f"--sweep --topologies={said.topology}"
        )
    _check_alone(said)
    chosen = _else(said.topologies, SWEEP) if said.sweep else said.topology
    given = {
        name: _within(name, getattr(said, name), least)
        for name, least in (("classes", 0), ("examples", 1))
        if getattr(said, name) is not None
    }
    return PlanConfig(
        config,
        topologies=tuple(chosen.split(",")),
        shape=parse_shape(said.shape) if said.shape else (),
        sizes=parse_sizes(_else(said.batch_sizes, SIZES)) if said.sweep else (),
        json=_place("json", said.json),
        out=_place("out", said.out, ".png"),
        said=tuple(rest),
        **given,
    )


def _else(text: str | None, usual: str) -> str:
    return usual if text is None else text


def _check_alone(said: Any) -> None:
    for name, other in GOES_WITH.items():
        if getattr(said, name) is not None and not getattr(said, other[2:]):
            raise UsageError(
                f"--{name}={getattr(said, name)} goes with {other}: add it, or leave "
                f"out --{name}"
            )


def _place(name: str, text: str | None, suffix: str = "") -> Path | None:
    """The file that a flag names, once it is known that it can be written."""
    if not text:
        return None
    path = local_path(f"--{name}", text)
    if suffix and path.suffix != suffix:
        raise UsageError(f"--{name}={text}: must end in {suffix}")
    check_writable(f"--{name}", path)
    return path


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
    add("--classes", type=parse_int, help="labels, with --shape [10]")
    add("--examples", type=parse_int, help="with --shape [50000]")
    add("--sweep", action="store_true", help="a table over slices and batch sizes")
    add("--topologies", help=f"of the sweep [{SWEEP}]")
    add(
        "--batch_sizes",
        help=f"of the sweep: examples per update on each chip [{SIZES}]",
    )
    add("--json", help="where to write all figures")
    add("--out", help="where to draw the sweep, a .png")
    return parser


def check_known(rest: Sequence[str], parser: Parser) -> None:
    """A flag that neither planning nor training has raises, with the nearest one."""
    known = parser.names() + [f"--{field.name}" for field in dataclasses.fields(Config)]
    for text in rest:
        name = text.partition("=")[0]
        if name.startswith("--") and name not in known:
            raise no_flag(name, known, TRAINING)


def parse_shape(text: str) -> tuple[int, ...]:
    """The shape of an example.

    >>> shape_of("32x32x3"), shape_of("2")
    ((32, 32, 3), (2,))
    """
    number = "[1-9][0-9]{0,5}"
    if not re.fullmatch(f"{number}(x{number}x{number})?", text):
        raise UsageError(
            f"--shape={shorten(text)}: write HxWxC, such as 32x32x3, or one number"
        )
    return tuple(int(n) for n in text.split("x"))


def parse_sizes(text: str) -> tuple[int, ...]:
    """The batch sizes of a sweep.

    >>> sizes_of("4,16")
    (4, 16)
    """
    if not re.fullmatch("[1-9][0-9]{0,8}(,[1-9][0-9]{0,8})*", text):
        raise UsageError(
            f"--batch_sizes={shorten(text)}: write numbers, such as {SIZES}"
        )
    return tuple(int(n) for n in text.split(","))


def _within(name: str, value: int, least: int) -> int:
    if not least <= value <= MOST[name]:
        raise UsageError(f"--{name}={value}: must be from {least} to {MOST[name]:,}")
    return value

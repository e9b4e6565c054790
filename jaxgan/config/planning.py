"""The flags of `python -m jaxgan.plan`."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from jaxgan.config import resolve
from jaxgan.config.flags import Parser, flag_name, no_flag, parse_int, shorten
from jaxgan.config.foreign import TRAINING
from jaxgan.config.training import Config
from jaxgan.errors import UsageError
from jaxgan.files import check_writable, local_path

SWEEP = "v5e:2x2,v5e:4x4,v5e:8x8,v5e:16x16"
SIZES = "4,16,64"
MAXIMA = {"classes": 1_000_000, "examples": 2**31 - 1, "slices": 256}
REQUIRES = {
    "classes": "--shape",
    "examples": "--shape",
    "topologies": "--sweep",
    "batch_sizes": "--sweep",
    "out": "--sweep",
}
"""Flags that have no effect without another one."""


class PlanConfig(NamedTuple):
    """A run to compile, and the slices to compile it for."""

    config: Config
    topologies: tuple[str, ...]
    """One slice, or those of a sweep."""
    shapes: Mapping[str, tuple[int, ...]] = MappingProxyType({})
    """Of an example's fields; empty to load the data set and use its fields."""
    classes: int = 10
    examples: int = 50_000
    sizes: tuple[int, ...] = ()
    """Examples per update and chip of a sweep; () without one."""
    json: Path | None = None
    """The file for all figures."""
    out: Path | None = None
    """The file for the plot of a sweep."""
    slices: int = 1
    """Slices of each topology, connected by the network of the data center."""
    flags: tuple[str, ...] = ()
    """The flags of `python -m jaxgan.train`, as the user wrote them."""


def parse_args(argv: Sequence[str] | None = None) -> PlanConfig:
    """Returns the configuration of a command line.

    Args:
      argv: arguments; those of the program if None.

    Raises:
      UsageError: naming the flag and a value that works.
    """
    parser = make_parser()
    # The flags that the parser does not know are those of training.
    args, rest = parser.parse_known_args(argv)
    check_known(rest, parser)
    config = resolve.parse_args(rest)
    if config.budget:
        raise UsageError(
            f"--budget={config.budget} times steps of training on this machine: leave "
            "it out, and name the flags that training chose"
        )
    if not args.sweep and not args.topology:
        raise UsageError(
            "--topology=KIND:AxB is missing, such as --topology=v5e:4x4; local is this "
            "machine"
        )
    if args.sweep and args.topology:
        raise UsageError(
            f"--topology={args.topology} is for one slice and --sweep for several: "
            "use one of them, such as --sweep --topologies=v5e:2x2,v5e:4x4"
        )
    if "," in args.topology:
        raise UsageError(
            f"--topology={args.topology} names several slices: use "
            f"--sweep --topologies={args.topology}"
        )
    _check_required(args)
    # The slices to compile for, separated by commas.
    chosen = _default(args.topologies, SWEEP) if args.sweep else args.topology
    topologies = tuple(chosen.split(","))
    if args.slices not in (None, 1) and "local" in topologies:
        raise UsageError(
            f"--slices={args.slices}: local has the slices of this machine; name a TPU "
            "slice, such as --topology=v5e:4x4, or leave out --slices"
        )
    # Only numbers that the user gave; the others keep their defaults.
    sizes = {
        name: _checked(name, getattr(args, name), low)
        for name, low in (("classes", 0), ("examples", 1), ("slices", 1))
        if getattr(args, name) is not None
    }
    return PlanConfig(
        config,
        topologies=topologies,
        shapes=parse_shapes(args.shape) if args.shape else {},
        sizes=parse_sizes(_default(args.batch_sizes, SIZES)) if args.sweep else (),
        json=_output_file("json", args.json),
        out=_output_file("out", args.out, ".png"),
        flags=tuple(rest),
        **sizes,
    )


def _default(text: str | None, default: str) -> str:
    return default if text is None else text


def _check_required(args: Any) -> None:
    for name, other in REQUIRES.items():
        # other[2:] is the flag without its dashes.
        if getattr(args, name) is not None and not getattr(args, other[2:]):
            raise UsageError(
                f"--{name}={getattr(args, name)} needs {other}: add it, or remove "
                f"--{name}"
            )


def _output_file(name: str, text: str | None, suffix: str = "") -> Path | None:
    """Returns the file of a flag, and checks that it can be written."""
    if not text:
        return None
    path = local_path(f"--{name}", text)
    if suffix and path.suffix != suffix:
        raise UsageError(f"--{name}={text}: must end in {suffix}")
    check_writable(f"--{name}", path)
    return path


def make_parser() -> Parser:
    parser = Parser(
        "python -m jaxgan.plan",
        description="Compile a training run for a TPU slice, without TPUs, and print "
        "its memory, work and time. Takes all flags of python -m jaxgan.train, too.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--topology", default="", help="KIND:AxB[xC], such as v5e:4x4, or local")
    add(
        "--slices",
        type=parse_int,
        help="number of such slices, connected by the data-center network (default: 1)",
    )
    add(
        "--shape",
        default="",
        help="shape of an example, such as 32x32x3, or of several fields, such as "
        "image:64x64x3,source:16x16x3 or image:32x32x3,attributes:8 (default: the data "
        "set's)",
    )
    add(
        "--classes", type=parse_int, help="number of labels, with --shape (default: 10)"
    )
    add(
        "--examples",
        type=parse_int,
        help="number of examples, with --shape (default: 50000)",
    )
    add(
        "--sweep",
        action="store_true",
        help="make a table of several slices and batch sizes",
    )
    add("--topologies", help=f"slices of the sweep (default: {SWEEP})")
    add(
        "--batch_sizes",
        help=f"examples per update and chip of the sweep (default: {SIZES})",
    )
    add("--json", help="file for all figures")
    add("--out", help=".png file for the plot of the sweep")
    return parser


def check_known(rest: Sequence[str], parser: Parser) -> None:
    """Raises UsageError for a flag of neither planning nor training."""
    known = parser.names() + [flag_name(field) for field in dataclasses.fields(Config)]
    for text in rest:
        # Arguments without dashes are values.
        name = text.partition("=")[0]
        if name.startswith("--") and name not in known:
            raise no_flag(name, known, TRAINING)


def parse_shapes(text: str) -> dict[str, tuple[int, ...]]:
    """Parses the shape of an example, or the shapes of several fields.

    >>> parse_shapes("32x32x3"), parse_shapes("2")
    ({'image': (32, 32, 3)}, {'image': (2,)})
    >>> parse_shapes("image:64x64x3,source:16x16x3")
    {'image': (64, 64, 3), 'source': (16, 16, 3)}
    """
    # Up to three positive numbers of up to six digits.
    number = "[1-9][0-9]{0,5}"
    parts = text.split(",")
    names = [part.rpartition(":")[0] for part in parts]
    pattern = f"([a-z_]+:)?{number}(x{number}){{0,2}}"
    known = all(re.fullmatch(pattern, part) for part in parts)
    # A single image or vector needs no name.
    plain = names == [""] and text.count("x") != 1
    if not known or not (plain or all(names)) or len(set(names)) < len(names):
        raise UsageError(
            f"--shape={shorten(text)}: write HxWxC, such as 32x32x3, or one number, or "
            "several fields, such as image:64x64x3,source:16x16x3"
        )
    shapes = [part.rpartition(":")[2].split("x") for part in parts]
    return {
        name or "image": tuple(map(int, shape))
        for name, shape in zip(names, shapes, strict=True)
    }


def parse_sizes(text: str) -> tuple[int, ...]:
    """Parses the batch sizes of a sweep.

    >>> parse_sizes("4,16")
    (4, 16)
    """
    if not re.fullmatch("[1-9][0-9]{0,8}(,[1-9][0-9]{0,8})*", text):
        raise UsageError(
            f"--batch_sizes={shorten(text)}: write numbers, such as {SIZES}"
        )
    return tuple(int(n) for n in text.split(","))


def _checked(name: str, value: int, low: int) -> int:
    if not low <= value <= MAXIMA[name]:
        raise UsageError(f"--{name}={value}: must be from {low} to {MAXIMA[name]:,}")
    return value

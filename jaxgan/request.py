"""What a user asks of the sampler: the flags of `python -m jaxgan.sample`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxgan.errors import UsageError
from jaxgan.parsing import Parser


class Request(NamedTuple):
    """What to draw, and from where."""

    workdir: str
    out: str
    n: int
    seeds: tuple[int, ...]
    which: Any
    """`last`, `best` or a step."""
    interpolate: bool
    raw: bool
    run: int = 0
    """Of several runs side by side, whose."""
    label: str = ""
    """The class to draw, by name; all in turn if empty."""


def parse(argv: Sequence[str] | None = None) -> Request:
    """The request of a command line.

    Raises:
      UsageError: naming the flag, and a value that works.
    """
    parser = Parser(
        "python -m jaxgan.sample",
        description="Draw samples from a checkpoint.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--workdir", required=True, help="the run's folder")
    add("--out", default="samples.png", help="a .png (grid) or .npz [samples.png]")
    add("--n", type=int, default=64, help="samples per seed [64]")
    add("--seed", default="0", help="seeds, such as 7 or 0,2,5-8; a file each [0]")
    add("--checkpoint", default="last", help="which one: last or best [last]")
    add("--step", type=int, help="the checkpoint of this step instead")
    add(
        "--interpolate",
        action="store_true",
        help="each row of the grid walks from one latent to another",
    )
    add("--raw", action="store_true", help="the newest parameters, not their mean")
    add("--run", type=int, default=0, help="of several runs, which: 0, 1, ... [0]")
    add("--label", default="", help="the class to draw, by name [all in turn]")
    said = parser.parse_flags(argv)
    if said.n < 1:
        raise UsageError(f"--n={said.n}: must be at least 1, such as --n=64")
    if Path(said.out).suffix not in (".png", ".npz"):
        raise UsageError(f"--out={said.out}: must end in .png or .npz")
    if said.checkpoint not in ("last", "best"):
        raise UsageError(f"--checkpoint={said.checkpoint}: choose last or best")
    which = said.checkpoint if said.step is None else said.step
    drawn = (said.n, seeds_of(said.seed), which)
    options = (said.interpolate, said.raw, said.run, said.label)
    return Request(said.workdir, said.out, *drawn, *options)


def seeds_of(text: str) -> tuple[int, ...]:
    """Seeds from text.

    >>> seeds_of("0,2,5-8")
    (0, 2, 5, 6, 7, 8)
    """
    seeds: list[int] = []
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            seeds += range(int(first), int(last or first) + 1)
    except ValueError as error:
        raise UsageError(f"--seed={text}: write seeds as 7 or 0,2,5-8") from error
    if not seeds:
        raise UsageError(f"--seed={text}: names no seed, write 7 or 0,2,5-8")
    return tuple(seeds)

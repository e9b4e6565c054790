"""The flags of `python -m jaxgan.sample` that look into the space of latents."""

import argparse
from pathlib import Path
from typing import NamedTuple

from jaxgan.config.flags import Parser, parse_float, parse_int, shorten
from jaxgan.config.seeds import parse_seeds
from jaxgan.errors import UsageError

WAYS = ("spherical", "linear")
"""Ways of interpolation; the first is that of the bare flag."""
ANIMATIONS = (".gif", ".webp")
"""Suffixes of files of walks."""
MOST_TRUNCATION = 10.0
MOST_FRAMES = 2_000
MOST_DIRECTIONS = 64
MOST_SOURCES = 64
"""Maximum sources of a sheet: seeds or labels of a path, and pictures of a mixture."""
MOST_TILES = 256
"""Maximum pictures in a row of a path, or in a frame of a walk."""
USUAL_FRAMES = 60
USUAL_WALK = "0-4"
"""Seeds of a walk."""
SHEETS = ("between", "between_labels", "directions", "style_mixing")
"""Flags that draw a sheet instead of samples; one of them at a time."""
USUAL_N = {"between": 8, "between_labels": 8, "style_mixing": 4, "walk": 9}
"""The default of `--n` of sheets and walks."""


class LatentFlags(NamedTuple):
    """Truncation, and sheets and walks through the space of latents."""

    truncation: float | None = None
    """Threshold of normal latents, or factor of w around its mean; None for neither."""
    between: tuple[int, ...] = ()
    """Seeds with pictures between neighbors."""
    between_labels: tuple[str, ...] = ()
    """Names of classes with pictures between neighbors."""
    directions: int = 0
    """Number of principal directions of a sheet."""
    style_mixing: int = 0
    """Number of layers with the style of another picture."""
    frames: int = 0
    """Of a walk."""

    @property
    def sheet(self) -> str:
        """The flag of the sheet, `walk` for a walk through seeds, or empty."""
        found = [name for name in SHEETS if getattr(self, name)]
        return found[0] if found else "walk" if self.frames else ""


def latent_flags(args: argparse.Namespace, *, writes: bool = True) -> LatentFlags:
    """Returns the checked flags of a command line.

    Args:
      args: all flags of the program; `seed` and `n` are None unless they are given.
      writes: False if there is no output, so that `--frames` alone make a walk.

    Raises:
      UsageError: naming the flag and a value that works.
    """
    if args.interpolate and args.interpolate not in WAYS:
        raise UsageError(
            f"--interpolate={shorten(args.interpolate)}: choose {' or '.join(WAYS)}"
        )
    flags = LatentFlags(
        truncation=check_truncation(args.truncation),
        between=_seeds(args.between),
        between_labels=_labels(args.between_labels),
        directions=_count("directions", args.directions, 1, MOST_DIRECTIONS, 8),
        style_mixing=_count("style_mixing", args.style_mixing, 1, MOST_SOURCES, 4),
        frames=_frames(args, writes=writes),
    )
    if flags.sheet:
        _check_sheet(args, flags)
    return flags


def check_truncation(value: float | None) -> float | None:
    """Returns a truncation; raises UsageError if it is out of range."""
    if value is not None and not 0 <= value <= MOST_TRUNCATION:  # NaN too
        raise UsageError(
            f"--truncation={value:g}: must be from 0 to {MOST_TRUNCATION:g}, such as "
            "--truncation=0.7"
        )
    return value


def _seeds(text: str | None) -> tuple[int, ...]:
    """Returns the seeds of `--between`."""
    if text is None:
        return ()
    seeds = parse_seeds(text, "--between")
    if not 2 <= len(seeds) <= MOST_SOURCES:
        raise UsageError(
            f"--between={shorten(text)}: name from 2 to {MOST_SOURCES} seeds, such as "
            "--between=3,17"
        )
    return seeds


def _labels(text: str | None) -> tuple[str, ...]:
    """Returns the names of `--between_labels`."""
    if text is None:
        return ()
    names = tuple(x.strip() for x in text.split(","))
    if not 2 <= len(names) <= MOST_SOURCES or not all(names):
        raise UsageError(
            f"--between_labels={shorten(text)}: name from 2 to {MOST_SOURCES} classes, "
            "such as --between_labels=3,7"
        )
    return names


def _count(name: str, value: int | None, low: int, high: int, example: int) -> int:
    """Returns the value of a flag, 0 if it is not given."""
    if value is None:
        return 0
    if not low <= value <= high:
        raise UsageError(
            f"--{name}={value}: must be from {low} to {high:,}, such as "
            f"--{name}={example}"
        )
    return value


def _frames(args: argparse.Namespace, *, writes: bool) -> int:
    """Returns the number of frames, 0 if the output is no animation."""
    is_walk = Path(args.out or "").suffix in ANIMATIONS
    if not writes:
        is_walk = args.frames is not None
    if not is_walk and args.frames is not None:
        raise UsageError(
            f"--frames={args.frames} is for walks: add --out=walk.gif or "
            "--out=walk.webp, or leave it out"
        )
    frames = USUAL_FRAMES if args.frames is None else args.frames
    return _count("frames", frames, 2, MOST_FRAMES, USUAL_FRAMES) if is_walk else 0


def _check_sheet(args: argparse.Namespace, flags: LatentFlags) -> None:
    """Raises UsageError if flags do not go together with a sheet or a walk."""
    sheet, out = flags.sheet, Path(args.out or "")
    shown = f"--{sheet}"
    if sheet == "walk":
        shown = "--out=walk.gif" if args.out else "--frames"
    is_path = sheet not in ("directions", "style_mixing")
    given = {
        **{x: bool(getattr(flags, x)) for x in SHEETS if x != sheet},
        "per_class": args.per_class is not None,
        "temperature": args.temperature != 1,
        "prompt": bool(args.prompt),
        "reject": args.reject not in (None, "none"),
        "seed": sheet == "between" and args.seed is not None,
        "label": sheet == "between_labels" and bool(args.label),
        "labels": bool(args.labels),
        "sheet": bool(args.sheet),
        "n": sheet == "directions" and args.n is not None,
        "interpolate": sheet in ("directions", "style_mixing", "between_labels")
        and bool(args.interpolate),
    }
    for name, is_given in given.items():
        if is_given:
            raise UsageError(f"{shown} has no use for --{name}: leave it out")
    if out.suffix not in (".png", ".npz", *ANIMATIONS) and args.out is not None:
        more = ", walk.gif or walk.webp" if is_path else ""
        raise UsageError(
            f"{shown} writes one file: use --out=sheet.png or sheet.npz{more}"
        )
    if flags.frames and not is_path:
        remedy = "leave out --frames"
        if args.out:
            remedy = "use --out=sheet.png or sheet.npz"
        raise UsageError(f"{shown} is one picture: {remedy}")
    if args.n is not None and not 1 + (not flags.frames) <= args.n <= MOST_TILES:
        raise UsageError(
            f"--n={args.n}: {shown} needs from {1 + (not flags.frames)} to "
            f"{MOST_TILES}, such as --n={USUAL_N[sheet]}"
        )
    if sheet == "style_mixing" and args.n is not None and args.n > MOST_SOURCES:
        raise UsageError(f"--n={args.n}: {shown} needs at most {MOST_SOURCES}")
    if sheet == "walk" and args.seed is not None:
        count = len(parse_seeds(args.seed))
        if not 2 <= count <= MOST_SOURCES:
            raise UsageError(
                f"--seed={shorten(args.seed)}: a walk needs from 2 to {MOST_SOURCES} "
                f"seeds, such as --seed={USUAL_WALK}"
            )


def add_latent_flags(parser: Parser) -> None:
    """Adds the flags, without defaults."""
    add = parser.add_argument
    add(
        "--truncation",
        type=parse_float,
        help="less variety for better samples, such as 0.7: numbers of normal latents "
        "beyond it are drawn again; of networks with a mapping, the factor of w around "
        "its mean",
    )
    add(
        "--interpolate",
        nargs="?",
        const=WAYS[0],
        default="",
        help="interpolate between two latents along each row of the grid, or between "
        "seeds: spherical (that of the flag alone) or linear (in w, of networks with a "
        "mapping)",
    )
    add(
        "--between",
        help="draw a sheet of the pictures between seeds, such as 3,17, with --n in "
        "each row",
    )
    add(
        "--between_labels",
        help="draw a sheet of the pictures between classes, such as 3,7",
    )
    add(
        "--directions",
        type=parse_int,
        help="draw a sheet of as many principal directions of the latents, a row for "
        "each, from -3 to 3 standard deviations",
    )
    add(
        "--style_mixing",
        type=parse_int,
        help="draw a sheet of mixed styles: as many layers, the coarse ones, have the "
        "style of the first column, others that of the first row",
    )
    add(
        "--frames",
        type=parse_int,
        help="pictures of a walk through all --seed (or --between, --between_labels) "
        f"and back, in --out=walk.gif or walk.webp (default: {USUAL_FRAMES})",
    )

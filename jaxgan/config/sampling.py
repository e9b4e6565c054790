"""The flags of `python -m jaxgan.sample`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxgan.config.flags import Parser, add_run_flags, parse_int, shorten
from jaxgan.config.foreign import SAMPLING
from jaxgan.errors import UsageError
from jaxgan.files import local_path

MAX_SEEDS = 10_000
"""Maximum seeds of one call; each has its own file."""
MAX_IN_GRID = 65_536
MAX_SEED = 2**63 - 1


class SampleConfig(NamedTuple):
    """The samples to draw from a run, and their file."""

    workdir: Path
    out: Path
    n: int
    seeds: tuple[int, ...]
    which: Any
    """`last`, `best` or a step."""
    interpolate: bool
    raw: bool
    run: int = 0
    """The number of the run, if several were trained side by side."""
    label: str = ""
    """The name of the class to draw; empty for all classes in turn."""
    single_files: bool = False
    """True if `out` is a folder that gets one file per sample."""


def parse_args(argv: Sequence[str] | None = None) -> SampleConfig:
    """Returns the configuration of a command line.

    Args:
      argv: arguments; those of the program if None.

    Raises:
      UsageError: naming the flag and a value that works.
    """
    args = _parser().parse_flags(argv)
    if args.checkpoint is not None and args.step is not None:
        raise UsageError(
            f"--checkpoint={args.checkpoint} and --step={args.step} name two "
            "checkpoints: use one of them"
        )
    which = "last" if args.checkpoint is None else args.checkpoint
    if which not in ("last", "best"):
        raise UsageError(f"--checkpoint={which}: choose last or best")
    seeds = parse_seeds(args.seed)
    out, single_files = output_path(args.out, seeds)
    # A grid is one picture, which limits the number of its tiles.
    most = MAX_IN_GRID if out.suffix == ".png" else 2**31 - 1
    if not 1 <= args.n <= most:
        raise UsageError(f"--n={args.n}: must be from 1 to {most:,}, such as --n=64")
    if args.interpolate and args.n < 5:
        raise UsageError(
            f"--interpolate with --n={args.n}: needs at least 5 samples, such as --n=9"
        )
    return SampleConfig(
        workdir=local_path("--workdir", args.workdir),
        out=out,
        n=args.n,
        seeds=seeds,
        # A step replaces the name of a checkpoint.
        which=which if args.step is None else args.step,
        interpolate=args.interpolate,
        raw=args.raw,
        run=args.run,
        label=args.label,
        single_files=single_files,
    )


def _parser() -> Parser:
    parser = Parser(
        "python -m jaxgan.sample",
        description="Draw samples from a checkpoint.",
        allow_abbrev=False,
        foreign=SAMPLING,
    )
    add = parser.add_argument
    add("--workdir", required=True, help="folder of the run")
    add(
        "--out",
        default="samples.png",
        help=".png (a grid), .npz, or FOLDER/ (one file per sample, with labels.csv) "
        "(default: samples.png)",
    )
    add("--n", type=parse_int, default=64, help="samples per seed (default: 64)")
    add(
        "--seed",
        default="0",
        help="seeds, such as 7 or 0,2,5-8; one file each (default: 0)",
    )
    add("--checkpoint", help="checkpoint: last or best (default: last)")
    add(
        "--step", type=parse_int, help="step of the checkpoint, instead of --checkpoint"
    )
    add(
        "--interpolate",
        action="store_true",
        help="interpolate between two latents along each row of the grid",
    )
    add_run_flags(parser, 0, "0")
    add("--label", default="", help="name of the class to draw (default: all in turn)")
    return parser


def output_path(text: str, seeds: Sequence[int]) -> tuple[Path, bool]:
    """Returns the path for samples, and True if it is a folder of single files.

    Raises:
      UsageError: naming `--out`.

    >>> output_path("digits/", (0,))
    (PosixPath('digits'), True)
    """
    if not text:
        raise UsageError("--out is empty: name a file, such as --out=samples.png")
    out = local_path("--out", text)
    # Path drops the final slash.
    if text.endswith("/") or (not out.suffix and out.is_dir()):
        return out, True
    if out.suffix not in (".png", ".npz"):
        raise UsageError(
            f"--out={text}: must end in .png or .npz, or in / for one file per sample"
        )
    if out.is_dir():
        raise UsageError(
            f"--out={text} is a folder; write {text}/ for one file per sample"
        )
    # Raises if the name with a seed is too long.
    for seed in seeds:
        local_path("--out", seed_path(out, seed, seeds))
    return out, False


def seed_path(out: Path, seed: int, seeds: Sequence[int]) -> Path:
    """Returns the file for the samples of a seed; `out` itself for a single seed.

    >>> seed_path(Path("digits.png"), 3, (1, 3)).name
    'digits-seed3.png'
    """
    return out if len(seeds) == 1 else out.with_stem(f"{out.stem}-seed{seed}")


def parse_seeds(text: str) -> tuple[int, ...]:
    """Parses seeds, without repetitions.

    >>> parse_seeds("0,2,5-8")
    (0, 2, 5, 6, 7, 8)
    """
    # A dict keeps the order and drops repetitions.
    seeds: dict[int, None] = {}
    for part in text.split(","):
        first, _, last = part.partition("-")
        try:
            # A single seed is a range of one.
            found = range(parse_int(first), parse_int(last or first) + 1)
        except Exception as error:
            raise UsageError(
                f"--seed={shorten(text)}: write seeds as 7 or 0,2,5-8"
            ) from error
        # An empty range, such as 8-5, adds no seeds.
        if found and not 0 <= found[0] <= found[-1] <= MAX_SEED:
            raise UsageError(
                f"--seed={shorten(text)}: seeds must be from 0 to {MAX_SEED}, such as 7"
            )
        # Before the range is expanded; len(found) could overflow.
        if len(seeds) + max(found.stop - found.start, 0) > MAX_SEEDS:
            raise UsageError(
                f"--seed={shorten(text)}: at most {MAX_SEEDS:,} seeds at once, such as "
                "0-99"
            )
        seeds.update(dict.fromkeys(found))
    if not seeds:
        raise UsageError(f"--seed={text}: names no seed: write 7 or 0,2,5-8")
    return tuple(seeds)

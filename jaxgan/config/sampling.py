"""What a user asks of the sampler: the flags of `python -m jaxgan.sample`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxgan.config.flags import Parser, parse_int, shorten
from jaxgan.config.foreign import SAMPLING
from jaxgan.errors import UsageError
from jaxgan.files import local_path

MOST_SEEDS = 10_000
"""Seeds of one call; each has a file."""
MOST_IN_GRID = 65_536
LARGEST_SEED = 2**63 - 1


class SampleConfig(NamedTuple):
    """What to draw, and from where."""

    workdir: Path
    out: Path
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
    single_files: bool = False
    """True if `out` is a folder for a picture each."""


def parse_args(argv: Sequence[str] | None = None) -> SampleConfig:
    """The request of a command line.

    Raises:
      UsageError: naming the flag, and a value that works.
    """
    said = _parser().parse_flags(argv)
    if said.checkpoint is not None and said.step is not None:
        raise UsageError(
            f"--checkpoint={said.checkpoint} and --step={said.step} name two "
            "checkpoints: give one of them"
        )
    which = "last" if said.checkpoint is None else said.checkpoint
    if which not in ("last", "best"):
        raise UsageError(f"--checkpoint={which}: choose last or best")
    seeds = parse_seeds(said.seed)
    out, single_files = output_path(said.out, seeds)
    most = MOST_IN_GRID if out.suffix == ".png" else 2**31 - 1
    if not 1 <= said.n <= most:
        raise UsageError(f"--n={said.n}: must be from 1 to {most:,}, such as --n=64")
    if said.interpolate and said.n < 5:
        raise UsageError(
            f"--interpolate with --n={said.n}: rows of a walk have 3 samples or more, "
            "such as --n=9"
        )
    return SampleConfig(
        workdir=local_path("--workdir", said.workdir),
        out=out,
        n=said.n,
        seeds=seeds,
        which=which if said.step is None else said.step,
        interpolate=said.interpolate,
        raw=said.raw,
        run=said.run,
        label=said.label,
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
    add("--workdir", required=True, help="the run's folder")
    add(
        "--out",
        default="samples.png",
        help="a .png (grid), a .npz, or FOLDER/ for a picture each, with labels.csv "
        "[samples.png]",
    )
    add("--n", type=parse_int, default=64, help="samples per seed [64]")
    add("--seed", default="0", help="seeds, such as 7 or 0,2,5-8; a file each [0]")
    add("--checkpoint", help="which one: last or best [last]")
    add("--step", type=parse_int, help="the checkpoint of this step instead")
    add(
        "--interpolate",
        action="store_true",
        help="each row of the grid walks from one latent to another",
    )
    add("--raw", action="store_true", help="the newest parameters, not their mean")
    add(
        "--run", type=parse_int, default=0, help="of several runs, which: 0, 1, ... [0]"
    )
    add("--label", default="", help="the class to draw, by name [all in turn]")
    return parser


def output_path(text: str, seeds: Sequence[int]) -> tuple[Path, bool]:
    """Where samples go, and whether that is a folder of single files.

    Raises:
      UsageError: naming `--out`.

    >>> place_of("digits/", (0,))
    (PosixPath('digits'), True)
    """
    if not text:
        raise UsageError("--out is empty: name a file, such as --out=samples.png")
    out = local_path("--out", text)
    if text.endswith("/") or (not out.suffix and out.is_dir()):
        return out, True
    if out.suffix not in (".png", ".npz"):
        raise UsageError(
            f"--out={text}: must end in .png or .npz, or in / for a picture each"
        )
    if out.is_dir():
        raise UsageError(f"--out={text} is a folder; write {text}/ for a picture each")
    for seed in seeds:
        local_path("--out", seed_path(out, seed, seeds))
    return out, False


def seed_path(out: Path, seed: int, seeds: Sequence[int]) -> Path:
    """Returns the file for the samples of a seed; `out` itself for a single seed.

    >>> file_of(Path("digits.png"), 3, (1, 3)).name
    'digits-seed3.png'
    """
    return out if len(seeds) == 1 else out.with_stem(f"{out.stem}-seed{seed}")


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds from text, each once.

    >>> seeds_of("0,2,5-8")
    (0, 2, 5, 6, 7, 8)
    """
    seeds: dict[int, None] = {}
    for part in text.split(","):
        first, _, last = part.partition("-")
        try:
            found = range(parse_int(first), parse_int(last or first) + 1)
        except Exception as error:
            raise UsageError(
                f"--seed={shorten(text)}: write seeds as 7 or 0,2,5-8"
            ) from error
        if found and not 0 <= found[0] <= found[-1] <= LARGEST_SEED:
            raise UsageError(
                f"--seed={shorten(text)}: seeds are from 0 to {LARGEST_SEED}, such as 7"
            )
        if len(seeds) + max(found.stop - found.start, 0) > MOST_SEEDS:
            raise UsageError(
                f"--seed={shorten(text)}: at most {MOST_SEEDS:,} seeds at once, a file "
                "each, such as 0-99"
            )
        seeds.update(dict.fromkeys(found))
    if not seeds:
        raise UsageError(f"--seed={text}: names no seed, write 7 or 0,2,5-8")
    return tuple(seeds)

"""The flags of `python -m jaxgan.sample`."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxgan import storage
from jaxgan.config.conditions import (
    USUAL_COLUMNS,
    ConditionFlags,
    add_conditions,
    conditions_of,
)
from jaxgan.config.flags import Parser, add_run_flags, parse_float, parse_int, shorten
from jaxgan.config.foreign import SAMPLING
from jaxgan.config.labeled_sets import set_path
from jaxgan.config.latents import (
    ANIMATIONS,
    USUAL_WALK,
    LatentFlags,
    add_latent_flags,
    check_truncation,
    latent_flags,
)
from jaxgan.config.latents import USUAL_N as SHEETS_N
from jaxgan.config.rejecting import RejectFlags, add_rejection, rejection_of
from jaxgan.config.seeds import MAX_SEED as MAX_SEED
from jaxgan.config.seeds import parse_seeds as parse_seeds
from jaxgan.config.vocoding import add_vocoder, vocoder_folder
from jaxgan.errors import UsageError
from jaxgan.files import first_free, local_path

MAX_IN_GRID = 65_536
MAX_N = 2**31 - 1
MAX_PER_CLASS = 10_000_000
MAX_TEMPERATURE = 100.0
USUAL_N = 64
"""The default of `--n`."""

CONDITION_FLAGS = ("label", "labels", "attributes", "sheet")
"""Flags that choose classes or attributes, which a labeled set has all of."""


class SampleConfig(NamedTuple):
    """The samples to draw from a run, and their file."""

    workdir: Path
    out: Path
    n: int
    seeds: tuple[int, ...]
    which: Any
    """`last`, `best` or a step."""
    interpolate: Any
    """`spherical` or `linear` along rows; False or empty for neither."""
    raw: bool
    run: int = 0
    """The number of the run, if several were trained side by side."""
    label: str = ""
    """The name or number of the class to draw; empty for all classes in turn."""
    single_files: bool = False
    """True if `out` is a folder that gets one file per sample."""
    per_class: int = 0
    """Number of samples of each class of a labeled set; 0 for `n` samples instead."""
    format: str = ""
    """One of `labeled_sets.FORMATS`."""
    overwrite: bool = False
    """True to replace a file, or an earlier labeled set."""
    temperature: float = 1.0
    """Divides the logits of tokens, for texts."""
    prompt: str = ""
    """The start of all texts."""
    rejection: RejectFlags = RejectFlags()
    """The way in which samples are rejected."""
    latents: LatentFlags = LatentFlags()
    """Truncation, and sheets and walks through the space of latents."""
    conditions: ConditionFlags = ConditionFlags()
    """Other conditions; with rows of them, `n` is the number of samples in a row."""
    vocoder: Path | None = None
    """Folder of a run that inverts spectrograms, in place of Griffin-Lim."""


def parse_args(argv: Sequence[str] | None = None) -> SampleConfig:
    """Returns the configuration of a command line.

    Args:
      argv: arguments; those of the program if None.

    Raises:
      UsageError: naming the flag and a value that works.
    """
    args = make_parser().parse_flags(argv)
    which = _checkpoint(args)
    latents = latent_flags(args)
    seeds = _seeds(args, latents)
    if args.per_class is not None:
        return _labeled_set(args, which, seeds)
    if args.format:
        raise UsageError(
            "--format is for labeled sets: add --per_class=1000, or leave it out"
        )
    conditions, output = conditions_of(args), _output_of(args, seeds)
    return _samples(args, which, seeds, latents, conditions, output)


def sheet_config(
    workdir: str | Path, which: str | int, seed: int | None, **flags: Any
) -> SampleConfig:
    """Returns the configuration of samples in rows, which are not written.

    Args:
      workdir: folder of the run.
      which: `last`, `best` or a step.
      seed: of the samples; None for the default.
      **flags: values of other flags of the program.

    Raises:
      UsageError: naming the flag and a value that works.
    """
    args = make_parser().parse_flags([f"--workdir={workdir}"])
    vars(args).update(flags, seed=None if seed is None else str(int(seed)))
    is_path = args.between or args.between_labels
    if args.frames and not is_path and seed is not None:
        raise UsageError(
            f"--seed={seed}: a walk goes through several seeds: use between=(0, 1, 2)"
        )
    latents, conditions = latent_flags(args, writes=False), conditions_of(args)
    if not (latents.sheet or conditions.rows or args.interpolate):
        raise UsageError(
            "there is nothing to show in rows: name it, such as labels='all', "
            "between=(3, 17) or directions=8, or use sample_run"
        )
    seeds = _seeds(args, latents)
    return _samples(args, which, seeds, latents, conditions, (Path(), False))


def _seeds(args: argparse.Namespace, latents: LatentFlags) -> tuple[int, ...]:
    """Returns the seeds of samples, or the default ones."""
    usual = USUAL_WALK if latents.sheet == "walk" else "0"
    return parse_seeds(usual if args.seed is None else args.seed)


def _samples(
    args: argparse.Namespace,
    which: Any,
    seeds: tuple[int, ...],
    latents: LatentFlags,
    conditions: ConditionFlags,
    output: tuple[Path, bool],
) -> SampleConfig:
    """Returns the configuration of samples, whose numbers are checked.

    Raises:
      UsageError: naming the flag and a value that works.
    """
    out, single_files = output
    if args.n is None:
        usual = USUAL_COLUMNS if conditions.rows else USUAL_N
        args.n = SHEETS_N.get(latents.sheet, usual)
    # A grid is one picture, which limits the number of its tiles.
    check_n(args.n, MAX_IN_GRID if out.suffix == ".png" else MAX_N)
    if not 0 <= args.temperature <= MAX_TEMPERATURE:
        raise UsageError(
            f"--temperature={args.temperature:g}: must be from 0 to "
            f"{MAX_TEMPERATURE:g}, such as --temperature=0.8"
        )
    if args.interpolate and not latents.sheet and args.n < 5:
        raise UsageError(
            f"--interpolate with --n={args.n}: needs at least 5 samples, such as --n=9"
        )
    rejection = rejection_of(args)
    others = {"reject": rejection.reject != "none", "walks and sheets": latents.sheet}
    return SampleConfig(
        workdir=storage.run_folder("--workdir", args.workdir),
        out=out,
        n=args.n,
        seeds=seeds,
        which=which,
        interpolate=args.interpolate,
        raw=args.raw,
        run=args.run,
        label=args.label,
        single_files=single_files,
        overwrite=args.overwrite,
        temperature=args.temperature,
        prompt=args.prompt,
        rejection=rejection,
        latents=latents,
        conditions=conditions,
        vocoder=vocoder_folder(args.vocoder, others),
    )


def _checkpoint(args: argparse.Namespace) -> Any:
    """Returns `last`, `best` or the step of a checkpoint."""
    if args.checkpoint is not None and args.step is not None:
        raise UsageError(
            f"--checkpoint={args.checkpoint} and --step={args.step} name two "
            "checkpoints: use one of them"
        )
    which = "last" if args.checkpoint is None else args.checkpoint
    if which not in ("last", "best"):
        raise UsageError(f"--checkpoint={which}: choose last or best")
    return which if args.step is None else args.step


def _labeled_set(
    args: argparse.Namespace, which: Any, seeds: tuple[int, ...]
) -> SampleConfig:
    """Returns the configuration of a labeled set."""
    for name, is_given in (
        ("n", args.n is not None),
        *((x, bool(getattr(args, x))) for x in CONDITION_FLAGS),
        ("interpolate", bool(args.interpolate)),
        ("temperature", args.temperature != 1),
        ("prompt", bool(args.prompt)),
        ("vocoder", args.vocoder is not None),
    ):
        if is_given:
            raise UsageError(
                f"--per_class={args.per_class} draws as many samples of every class: "
                f"leave out --{name}"
            )
    if not 1 <= args.per_class <= MAX_PER_CLASS:
        raise UsageError(
            f"--per_class={args.per_class}: must be from 1 to {MAX_PER_CLASS:,}, such "
            "as --per_class=1000"
        )
    if len(seeds) > 1:
        raise UsageError(
            f"--seed={shorten(args.seed)}: a labeled set has one seed, such as --seed=0"
        )
    out, form = set_path(args.out or "", args.format or "")
    return SampleConfig(
        workdir=storage.run_folder("--workdir", args.workdir),
        out=out,
        n=0,
        seeds=seeds,
        which=which,
        interpolate=False,
        raw=args.raw,
        run=args.run,
        per_class=args.per_class,
        format=form,
        overwrite=args.overwrite,
        rejection=rejection_of(args),
        latents=LatentFlags(check_truncation(args.truncation)),
    )


def check_n(n: int, most: int = MAX_N) -> int:
    """Returns a number of samples; raises UsageError if it is out of range."""
    if not 1 <= n <= most:
        raise UsageError(f"--n={n}: must be from 1 to {most:,}, such as --n=64")
    return n


def make_parser() -> Parser:
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
        help=".png (a grid), .npz, .wav (sounds, one after the other), .txt (texts), "
        ".gif or .webp (a walk through latents), or FOLDER/ (one file per sample, with "
        "labels.csv) (default: samples.png, or samples-2.png if that exists)",
    )
    add("--n", type=parse_int, help=f"samples per seed (default: {USUAL_N})")
    add(
        "--per_class",
        type=parse_int,
        help="samples of each class, as a labeled set in --out=FOLDER/ or FILE.npz, "
        "instead of --n",
    )
    add(
        "--format",
        help="of a labeled set: folder (one per class, as ImageFolder reads them), "
        "npz, or tfds (default: npz for --out=FILE.npz, else folder)",
    )
    add(
        "--overwrite",
        action="store_true",
        help="replace a file that exists, or an earlier labeled set",
    )
    add(
        "--seed",
        help="seeds, such as 7 or 0,2,5-8; one file each (default: 0; of a walk: "
        f"{USUAL_WALK})",
    )
    add("--checkpoint", help="checkpoint: last or best (default: last)")
    add(
        "--step", type=parse_int, help="step of the checkpoint, instead of --checkpoint"
    )
    add_run_flags(parser, 0, "0")
    add_conditions(parser)
    add(
        "--temperature",
        type=parse_float,
        default=1.0,
        help="of texts: below 1 likelier tokens, 0 always the likeliest (default: 1)",
    )
    add("--prompt", default="", help="the start of all texts")
    add_vocoder(parser)
    add_latent_flags(parser)
    add_rejection(parser)
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
    if out.suffix not in (".png", ".npz", ".wav", ".txt", *ANIMATIONS):
        raise UsageError(
            f"--out={text}: must end in .png, .npz, .wav (for sounds) or .txt (for "
            "texts), .gif or .webp (for walks), or in / for one file per sample"
        )
    if out.is_dir():
        raise UsageError(
            f"--out={text} is a folder; write {text}/ for one file per sample"
        )
    # Raises if the name with a seed is too long.
    for file in seed_paths(out, seeds):
        local_path("--out", file)
    return out, False


def _output_of(args: argparse.Namespace, seeds: Sequence[int]) -> tuple[Path, bool]:
    """Returns the path for samples, and True if it is a folder of single files."""
    given = args.out
    if given is None:
        given = str(first_free("samples.png", lambda x: seed_paths(x, seeds)))
    out, single_files = output_path(given, seeds)
    if single_files and args.overwrite:
        raise UsageError(
            f"--overwrite replaces files and labeled sets, and --out={shorten(given)} "
            "is a folder of files: leave it out, and use a new folder"
        )
    return out, single_files


def seed_path(out: Path, seed: int, seeds: Sequence[int]) -> Path:
    """Returns the file for the samples of a seed; `out` itself for a single seed.

    >>> seed_path(Path("digits.png"), 3, (1, 3)).name
    'digits-seed3.png'
    """
    return out if len(seeds) == 1 else out.with_stem(f"{out.stem}-seed{seed}")


def seed_paths(out: Path, seeds: Sequence[int]) -> list[Path]:
    """Returns the files for the samples of all seeds."""
    return [seed_path(out, seed, seeds) for seed in seeds]

"""The flags of `python -m jaxgan.evaluate`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxgan.config.flags import Parser, parse_int
from jaxgan.config.foreign import SAMPLING
from jaxgan.config.sampling import MAX_SEED
from jaxgan.errors import UsageError
from jaxgan.files import check_writable, local_path

METRICS = "fd(classifier)|kid(classifier)|precision_recall(classifier)"
"""The default of `--metrics`."""

MAX_N, MAX_DRAWS = 1_000_000, 100


class EvaluateConfig(NamedTuple):
    """A checkpoint, the metrics to compute, and the samples to compute them from."""

    workdir: Path
    metrics: str
    n: int
    """Number of samples."""
    n_real: int
    """Number of held-out examples, 0 for at most `n`."""
    split: str
    """`auto`, or the split that is held out."""
    seed: int
    """Of the first set of samples."""
    draws: int
    """Number of sets of samples."""
    which: Any
    """`last`, `best` or a step."""
    raw: bool
    run: int | None
    """The number of the run, None for all of several."""
    out: Path
    """The file for the values."""


def parse_args(argv: Sequence[str] | None = None) -> EvaluateConfig:
    """Returns the configuration of a command line.

    Args:
      argv: arguments; those of the program if None.

    Raises:
      UsageError: naming the flag and a value that works.
    """
    args = _parser().parse_flags(argv)
    which = args.checkpoint
    if which.isascii() and which.isdigit() and len(which) < 19:
        which = int(which)
    elif which not in ("last", "best"):
        raise UsageError(f"--checkpoint={which}: choose last, best or a step")
    _check("n", args.n, 2, MAX_N, 10_000)
    _check("n_real", args.n_real, 0, MAX_N, 10_000)
    _check("seeds", args.seeds, 1, MAX_DRAWS, 3)
    _check("seed", args.seed, 0, MAX_SEED, 0)
    if args.n_real == 1:
        raise UsageError("--n_real=1: one example has no spread; use --n_real=10000")
    workdir = local_path("--workdir", args.workdir)
    out = workdir / "evaluation.json"
    if args.out is not None:
        out = local_path("--out", args.out)
        check_writable("--out", out)
    return EvaluateConfig(
        workdir=workdir,
        metrics=args.metrics,
        n=args.n,
        n_real=args.n_real,
        split=args.split,
        seed=args.seed,
        draws=args.seeds,
        which=which,
        raw=args.raw,
        run=args.run,
        out=out,
    )


def _check(name: str, value: int, low: int, high: int, usual: int) -> None:
    """Raises UsageError unless a number is in its range."""
    if not low <= value <= high:
        raise UsageError(
            f"--{name}={value}: must be from {low} to {high:,}, such as "
            f"--{name}={usual}"
        )


def _parser() -> Parser:
    parser = Parser(
        "python -m jaxgan.evaluate",
        description="Compare samples of a checkpoint with held-out examples.",
        allow_abbrev=False,
        foreign=SAMPLING,
    )
    add = parser.add_argument
    add("--workdir", required=True, help="folder of the run")
    add(
        "--metrics",
        default=METRICS,
        help="metrics of features, joined by |: fd, kid, score, precision_recall, "
        f"density_coverage, memorization (default: {METRICS})",
    )
    add("--n", type=parse_int, default=10_000, help="samples (default: 10000)")
    add(
        "--n_real",
        type=parse_int,
        default=0,
        help="held-out examples (default: at most --n)",
    )
    add(
        "--split",
        default="auto",
        help="split that the run was not trained on; auto finds one (default: auto)",
    )
    add("--seed", type=parse_int, default=0, help="seed of the samples (default: 0)")
    add(
        "--seeds",
        type=parse_int,
        default=1,
        help="number of sets of samples; their mean and spread are shown (default: 1)",
    )
    add(
        "--checkpoint",
        default="last",
        help="checkpoint: last, best or a step (default: last)",
    )
    add(
        "--raw",
        action="store_true",
        help="use the newest parameters instead of their moving average",
    )
    add(
        "--run",
        type=parse_int,
        help="number of the run if several were trained (default: all of them)",
    )
    add("--out", help="file for the values (default: WORKDIR/evaluation.json)")
    return parser

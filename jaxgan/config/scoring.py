"""The flags of `python -m jaxgan.score`."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxgan import storage
from jaxgan.config.anomalies import (
    USUAL_RATE,
    add_anomaly_flags,
    check_rate,
    parse_weights,
)
from jaxgan.config.evaluating import checkpoint_of
from jaxgan.config.flags import Parser, add_run_flags, parse_names
from jaxgan.config.foreign import SCORING
from jaxgan.errors import UsageError, printable
from jaxgan.files import check_writable, local_path

EXAMPLE = "python -m jaxgan.score --workdir=runs/1 photos/ --out=scores.csv"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoreConfig:
    """A checkpoint, the images to score, and the places for the results."""

    workdir: Path
    images: tuple[str, ...]
    """Files, folders and patterns."""
    out: Path | None = None
    """The table, None to print it."""
    heatmaps: Path | None = None
    """The folder for heat maps."""
    false_alarms: float = USUAL_RATE
    """Share of normal images that may count as anomalies."""
    weights: dict[str, float] = dataclasses.field(default_factory=dict)
    """Of the parts of the score; 1 for those that are not named."""
    which: Any = "last"
    """`last`, `best` or a step."""
    raw: bool = False
    run: int = 0
    resize: bool = False
    """True to resize and convert pictures that are not like those of training."""
    overwrite: bool = False
    on_bad_example: str = "skip"
    """`stop`, or `skip` to score the other pictures."""
    import_: str = ""


def parse_args(argv: Sequence[str] | None = None) -> ScoreConfig:
    """Returns the configuration of a command line.

    Args:
      argv: arguments; those of the program if None.

    Raises:
      UsageError: naming the flag and a value that works.
    """
    parser = make_parser()
    what = "the pictures to score"
    args, images = parse_names(parser, argv, least=1, what=what, example=EXAMPLE)
    if args.on_bad_example not in ("stop", "skip"):
        raise UsageError(f"--on_bad_example={args.on_bad_example}: choose stop or skip")
    rate = args.false_alarms
    same = ("raw", "run", "resize", "overwrite", "on_bad_example")
    return ScoreConfig(
        workdir=storage.run_folder("--workdir", args.workdir),
        images=tuple(images),
        out=_table(args.out, overwrite=args.overwrite),
        heatmaps=_folder(args.heatmaps),
        false_alarms=check_rate(USUAL_RATE if rate is None else rate),
        weights=parse_weights(args.weights or ""),
        which=checkpoint_of(args.checkpoint),
        import_=vars(args)["import"],
        **{name: getattr(args, name) for name in same},
    )


def _table(text: str | None, *, overwrite: bool) -> Path | None:
    """Returns the file for the table; raises UsageError if it cannot be written."""
    if text is None:
        return None
    path = local_path("--out", text)
    if path.suffix.lower() != ".csv":
        raise UsageError(
            f"--out={printable(text)}: must end in .csv, such as --out=scores.csv"
        )
    check_writable("--out", path)
    if path.exists() and not overwrite:
        raise UsageError(
            f"--out={printable(text)} exists: use --overwrite, or another name"
        )
    return path


def _folder(text: str | None) -> Path | None:
    """Returns the folder for heat maps; raises UsageError for an empty name."""
    if text is None:
        return None
    if not text:
        raise UsageError("--heatmaps= names no folder; use --heatmaps=heatmaps")
    return local_path("--heatmaps", text)


def make_parser() -> Parser:
    parser = Parser(
        "python -m jaxgan.score",
        usage="%(prog)s --workdir=RUN [--FLAG=VALUE ...] PATH [PATH ...]",
        description="Score how unusual pictures are, by a run that was trained on "
        "normal ones with --task=anomaly. PATH is a picture, a folder, a pattern such "
        "as 'photos/*.jpg', or an .npz or .npy file of images.",
        allow_abbrev=False,
        foreign=SCORING,
    )
    add = parser.add_argument
    add("--workdir", required=True, help="folder of the run")
    add("--out", help=".csv file for the scores (default: they are printed)")
    add_anomaly_flags(parser)
    add("--heatmaps", help="folder for a picture of where each one is unusual")
    _add_options(parser)
    return parser


def _add_options(parser: Parser) -> None:
    """Adds the flags that are seldom needed."""
    add_picture_options(parser)
    add = parser.add_argument
    add(
        "--on_bad_example",
        default="skip",
        help="what to do if a picture cannot be read: stop, or skip (score the others, "
        "and exit with code 1) (default: skip)",
    )
    add("--import", default="", help="modules that register networks or tasks")


def add_picture_options(parser: Parser) -> None:
    """Adds the checkpoint, and what is done with pictures and files that exist."""
    add = parser.add_argument
    add(
        "--checkpoint",
        default="last",
        help="checkpoint: last, best or a step (default: last)",
    )
    add_run_flags(parser, 0, "0")
    add(
        "--resize",
        action="store_true",
        help="resize and convert pictures that are not like those of training",
    )
    add("--overwrite", action="store_true", help="replace outputs that exist")

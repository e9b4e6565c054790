"""The flags of `python -m jaxgan.invert`."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxgan import storage
from jaxgan.config.evaluating import check_range, checkpoint_of
from jaxgan.config.flags import (
    Parser,
    parse_float,
    parse_int,
    parse_names,
    shorten,
)
from jaxgan.config.foreign import INVERTING
from jaxgan.config.scoring import add_picture_options
from jaxgan.config.seeds import MAX_SEED
from jaxgan.errors import UsageError, printable
from jaxgan.files import check_writable, local_path

SPACES = ("auto", "z", "w")
MOST_STEPS = 1_000_000
MOST_RESTARTS = 64
MOST_RATE = 10.0
MOST_WEIGHT = 1e6
EXAMPLE = "python -m jaxgan.invert --workdir=runs/1 photo.png --out=inverted.png"


@dataclasses.dataclass(frozen=True, kw_only=True)
class InversionOptions:
    """The way in which latents of pictures are found."""

    space: str = "auto"
    """`z`, `w`, or `auto` for w where the network has it."""
    steps: int = 400
    restarts: int = 4
    """Number of latents to start from, for each picture."""
    learning_rate: float = 0.1
    """Of Adam, in standard deviations of a latent; it falls to 0 by a cosine."""
    pixel_weight: float = 1.0
    feature_weight: float = 0.1
    label: str = ""
    """Name or number of the class of all pictures."""
    attributes: str = ""
    """Attributes of all pictures, such as `smiling=1,hair=dark`."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises UsageError for a value that is out of range."""
        if self.space not in SPACES:
            raise UsageError(f"--space={shorten(self.space)}: choose auto, z or w")
        check_range("steps", self.steps, 1, MOST_STEPS, 400)
        check_range("restarts", self.restarts, 1, MOST_RESTARTS, 4)
        check_range("seed", self.seed, 0, MAX_SEED, 0)
        if not 0 < self.learning_rate <= MOST_RATE:  # NaN too
            raise UsageError(
                f"--learning_rate={self.learning_rate:g}: must be above 0 and at most "
                f"{MOST_RATE:g}, such as --learning_rate=0.1"
            )
        for name, usual in (("pixel_weight", 1), ("feature_weight", 0.1)):
            value = getattr(self, name)
            if not 0 <= value <= MOST_WEIGHT:
                raise UsageError(
                    f"--{name}={value:g}: must be from 0 to {MOST_WEIGHT:g}, such as "
                    f"--{name}={usual}"
                )
        if not self.pixel_weight and not self.feature_weight:
            raise UsageError(
                "--pixel_weight=0 and --feature_weight=0 leave nothing to compare: "
                "use --pixel_weight=1"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class InvertConfig:
    """A checkpoint, the pictures to invert, and the places for the results."""

    workdir: Path
    pictures: tuple[str, ...]
    """Files, folders and patterns."""
    out: Path
    """The picture; latents are written beside it as .npz."""
    options: InversionOptions
    which: Any = "last"
    """`last`, `best` or a step."""
    raw: bool = False
    run: int = 0
    resize: bool = False
    """True to resize and convert pictures that are not like those of training."""
    overwrite: bool = False
    import_: str = ""

    @property
    def latents(self) -> Path:
        """The file of the latents."""
        return self.out.with_suffix(".npz")


def parse_args(argv: Sequence[str] | None = None) -> InvertConfig:
    """Returns the configuration of a command line.

    Args:
      argv: arguments; those of the program if None.

    Raises:
      UsageError: naming the flag and a value that works.
    """
    parser = make_parser()
    what = "the pictures to invert"
    args, pictures = parse_names(parser, argv, least=1, what=what, example=EXAMPLE)
    names = [x.name for x in dataclasses.fields(InversionOptions)]
    same = ("raw", "run", "resize", "overwrite")
    config = InvertConfig(
        workdir=storage.run_folder("--workdir", args.workdir),
        pictures=tuple(pictures),
        out=local_path("--out", args.out),
        options=InversionOptions(**{name: getattr(args, name) for name in names}),
        which=checkpoint_of(args.checkpoint),
        import_=vars(args)["import"],
        **{name: getattr(args, name) for name in same},
    )
    if config.out.suffix != ".png":
        raise UsageError(
            f"--out={printable(args.out)}: must end in .png, such as --out=inverted.png"
        )
    for file in (config.out, config.latents):
        check_writable("--out", file)
        if os.path.lexists(file) and not config.overwrite:
            raise UsageError(
                f"--out={printable(args.out)}: {printable(str(file))} exists: use "
                "--overwrite, or another name"
            )
    return config


def make_parser() -> Parser:
    """Returns the parser of the flags."""
    parser = Parser(
        "python -m jaxgan.invert",
        usage="%(prog)s --workdir=RUN [--FLAG=VALUE ...] PICTURE [PICTURE ...]",
        description="Find the latents from which a generator makes your pictures, or "
        "comes nearest to them. PICTURE is a file, a folder, a pattern such as "
        "'photos/*.jpg', or an .npz or .npy file of images.",
        allow_abbrev=False,
        foreign=INVERTING,
    )
    add, usual = parser.add_argument, InversionOptions()
    add("--workdir", required=True, help="folder of the run")
    add(
        "--out",
        default="inverted.png",
        help=".png file for the given and the recovered pictures, side by side; their "
        "latents are written beside it as .npz (default: inverted.png)",
    )
    add(
        "--space",
        default=usual.space,
        help="z, w (of networks with a mapping), or auto for w where there is one "
        "(default: auto)",
    )
    add("--label", default="", help="class of the pictures, for a run with labels")
    add(
        "--attributes",
        default="",
        help="of the pictures, such as smiling=1,hair=dark, for a run with attributes",
    )
    numbers = {
        "steps": (parse_int, "steps of Adam"),
        "restarts": (parse_int, "latents to start from for each picture"),
        "learning_rate": (parse_float, "of Adam, in standard deviations of a latent"),
        "pixel_weight": (parse_float, "weight of the squared error of pixels"),
        "feature_weight": (
            parse_float,
            "weight of the relative squared error of the discriminator's features",
        ),
        "seed": (parse_int, "of the latents to start from"),
    }
    for name, (kind, text) in numbers.items():
        value = getattr(usual, name)
        add(
            f"--{name}",
            type=kind,
            default=value,
            help=f"{text} (default: {value})",
        )
    add_picture_options(parser)
    add("--import", default="", help="modules that register networks or tasks")
    return parser

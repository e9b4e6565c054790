"""The flags of `python -m jaxgan.apply`."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxgan import storage
from jaxgan.config.evaluating import check_range, checkpoint_of
from jaxgan.config.flags import (
    Parser,
    add_run_flags,
    parse_int,
    parse_names,
    parse_numbers,
)
from jaxgan.config.foreign import APPLYING
from jaxgan.config.sampling import MAX_SEED
from jaxgan.errors import UsageError
from jaxgan.files import local_path

AUTO = "auto"
"""The text of a flag whose value is chosen by the network."""

MAX_TILE = 2**14

MAX_PIXELS = 2**30 // 4 // 3
"""Pixels of a picture, height times width: the limit of Pillow, 256 MiB in RGB."""

EXAMPLE = "python -m jaxgan.apply --workdir=runs/1 photo.jpg result.png"


@dataclasses.dataclass(frozen=True, kw_only=True)
class MapOptions:
    """The options of a network that maps pictures, beside its checkpoint."""

    tile: int = 0
    """Side of the tiles of larger pictures, 0 to choose it by the network."""
    overlap: int = -1
    """Pixels that neighboring tiles share, -1 to choose them by the tile."""
    label: str = ""
    """Name of the domain to map to."""
    attributes: dict[str, float] = dataclasses.field(default_factory=dict)
    """Values in [0, 1] by name."""
    reverse: bool = False
    """True to map from the domain of `image` to that of `source`."""
    seed: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class ApplyConfig(MapOptions):
    """A checkpoint, the pictures to map, and the place for the results."""

    workdir: Path
    pictures: tuple[str, ...]
    """Files, folders and patterns."""
    out: str
    """A file or a folder."""
    which: Any = "last"
    """`last`, `best` or a step."""
    raw: bool = False
    run: int = 0
    mask: Path | None = None
    """A picture that is white in holes, or a folder of them."""
    overwrite: bool = False
    on_bad_example: str = "skip"
    """`stop`, or `skip` to map the other pictures."""
    max_pixels: int = MAX_PIXELS
    """Largest height times width of a picture."""
    import_: str = ""


def parse_args(argv: Sequence[str] | None = None) -> ApplyConfig:
    """Returns the configuration of a command line.

    Args:
      argv: arguments; those of the program if None.

    Raises:
      UsageError: naming the flag and a value that works.
    """
    parser = make_parser()
    what = "the pictures and the output"
    args, names = parse_names(parser, argv, least=2, what=what, example=EXAMPLE)
    *pictures, out = names
    if args.on_bad_example not in ("stop", "skip"):
        raise UsageError(f"--on_bad_example={args.on_bad_example}: choose stop or skip")
    check_range("seed", args.seed, 0, MAX_SEED, 0)
    check_range("max_pixels", args.max_pixels, 1, 2**40, MAX_PIXELS)
    return ApplyConfig(
        workdir=storage.run_folder("--workdir", args.workdir),
        pictures=tuple(pictures),
        out=out,
        which=checkpoint_of(args.checkpoint),
        tile=parse_tile(args.tile),
        overlap=parse_overlap(args.overlap),
        label=args.label,
        attributes=parse_attributes(args.attributes),
        mask=local_path("--mask", args.mask) if args.mask is not None else None,
        import_=vars(args)["import"],
        **{
            name: getattr(args, name)
            for name in (
                *("raw", "run", "reverse", "seed", "overwrite", "on_bad_example"),
                "max_pixels",
            )
        },
    )


def parse_tile(text: str | int) -> int:
    """Returns the side of a tile, 0 for `auto`.

    >>> parse_tile("auto"), parse_tile("256")
    (0, 256)
    """
    return _or_auto("tile", text, 0, 1, MAX_TILE, 256)


def parse_overlap(text: str | int) -> int:
    """Returns the overlap of tiles in pixels, -1 for `auto`.

    >>> parse_overlap("auto"), parse_overlap("32")
    (-1, 32)
    """
    return _or_auto("overlap", text, -1, 0, MAX_TILE // 2, 32)


def _or_auto(
    name: str, text: str | int, auto: int, low: int, high: int, usual: int
) -> int:
    if str(text) == AUTO:
        return auto
    try:
        value = parse_int(str(text))
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"--{name}: {error}: use auto, or {usual}") from None
    check_range(name, value, low, high, usual)
    return value


def parse_attributes(text: str) -> dict[str, float]:
    """Returns the values of attributes by name.

    Raises:
      UsageError: for another form, or a value that is not from 0 to 1.

    >>> parse_attributes("glasses=1, beard=0")
    {'glasses': 1.0, 'beard': 0.0}
    """
    return parse_numbers("attributes", text, 1, "glasses=1,beard=0")


def make_parser() -> Parser:
    parser = Parser(
        "python -m jaxgan.apply",
        usage="%(prog)s --workdir=RUN [--FLAG=VALUE ...] IN [IN ...] OUT",
        description="Map pictures with a checkpoint of an image-to-image run, or "
        "sounds with one of a vocoder. IN is a file, a folder or a pattern such as "
        "'photos/*.jpg'. OUT is a file (.png, .jpg or .webp; .wav for sounds) for one "
        "input, or a folder, which gets .png or .wav files. A vocoder also reads "
        "spectrograms, in .npz files with their settings, and writes that of a sound.",
        allow_abbrev=False,
        foreign=APPLYING,
    )
    add = parser.add_argument
    add("--workdir", required=True, help="folder of the run")
    add(
        *("--checkpoint",),
        default="last",
        help="checkpoint: last, best or a step (default: last)",
    )
    add_run_flags(parser, 0, "0")
    _add_options(parser)
    add("--overwrite", action="store_true", help="replace outputs that exist")
    add(
        "--on_bad_example",
        default="skip",
        help="what to do if a picture cannot be read: stop, or skip (map the others, "
        "and exit with code 1) (default: skip)",
    )
    add(
        "--max_pixels",
        type=parse_int,
        default=MAX_PIXELS,
        help="largest number of pixels of a picture, its height times its width "
        "(default: %(default)s)",
    )
    add("--import", default="", help="modules that register networks or tasks")
    return parser


def _add_options(parser: Parser) -> None:
    """Adds the flags of the mapping."""
    add = parser.add_argument
    add(
        "--tile",
        default=AUTO,
        help="side of the tiles that larger pictures are mapped in, or auto "
        "(default: auto)",
    )
    add(
        "--overlap",
        default=AUTO,
        help="pixels that neighboring tiles share, where they are blended, or auto "
        "(default: auto)",
    )
    add(
        "--mask", help="picture that is white in the holes to fill, or a folder of them"
    )
    add("--label", default="", help="name of the domain to map to")
    add(
        "--attributes",
        default="",
        help="values of all attributes, such as glasses=1,beard=0",
    )
    add(
        "--reverse",
        action="store_true",
        help="map in the other direction, of a run that learned both",
    )
    add(
        "--seed",
        type=parse_int,
        default=0,
        help="seed of networks with noise (default: 0)",
    )

"""The flags of `python -m jaxgan.augment`."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxgan import storage
from jaxgan.config.data_flags import DataFlags
from jaxgan.config.flags import (
    Parser,
    add_fields,
    check_field,
    convert_fields,
    flag,
    parse_float,
    shorten,
)
from jaxgan.config.foreign import TRAINING
from jaxgan.errors import UsageError
from jaxgan.files import check_writable, local_path

CLASSIC = ("shift", "flip")
"""Names of the classic augmentations, in the order in which they are applied."""

CANDIDATES = ("shift", "shift|flip")
"""The sets of classic augmentations that `auto` chooses from."""

REJECTS = ("none", "classifier", "discriminator")


@dataclasses.dataclass(frozen=True)
class AugmentConfig(DataFlags):
    """A data set, the GAN and the classifiers that are trained on a part of it."""

    per_class_real: int = flag(
        50,
        "comparison",
        "real images per class; smaller classes give all of theirs",
        minimum=2,
    )
    seeds: int = flag(
        3,
        "comparison",
        "number of repetitions, each with its own real images, GAN and classifiers",
        minimum=1,
        maximum=100,
    )
    ratios: str = flag(
        "0.125,0.25,0.5",
        "comparison",
        "shares of generated images in a batch, of which a validation part of the real "
        "images chooses one",
    )
    classic: str = flag(
        "auto",
        "comparison",
        "classic augmentation: shift, flip, shift|flip, or auto (shift or shift|flip, "
        "chosen by the validation part)",
    )
    reject: str = flag(
        "classifier",
        "comparison",
        "generated images to leave out: none, classifier (those that classifiers of "
        "the real images see in another class), or discriminator (about half, rather "
        "those that it judges to be generated)",
        choices=REJECTS,
    )
    classifier_steps: int = flag(
        600,
        "comparison",
        "updates of each classifier, in batches of 64, the same for all",
        minimum=1,
    )
    generated: int = flag(
        1_000, "comparison", "generated images per class", minimum=1, maximum=100_000
    )
    steps: int = flag(1_500, "GAN", "training steps of a GAN", minimum=1)
    networks: str = flag("small(8)", "GAN", "generator and discriminator")
    batch_size: int = flag(64, "GAN", "examples per update, at most all", minimum=1)
    augment: str = flag(
        "geometric", "GAN", "augmentations of everything the discriminator sees"
    )
    augment_p: str = flag(
        "ada(0.6, images=50000, relative=True)",
        "GAN",
        "their probability: a number, a schedule, or ada(target) to adapt it",
    )
    import_: str = flag(
        "",
        "GAN",
        "modules to import first, separated by commas, which register networks, "
        "augmentations or data sources of your own",
    )
    workdir: str = flag(
        "",
        "output",
        "folder of the GANs and of finished classifiers, from which the same command "
        "resumes; empty for runs/augment-DATASET-PER_CLASS_REAL",
    )
    out: str = flag(
        "", "output", "file of the table; empty for WORKDIR/augmentation.json"
    )
    overwrite: bool = flag(False, "output", "replace the file of --out")


def parse_args(argv: Sequence[str] | None = None) -> AugmentConfig:
    """Returns the configuration of a command line.

    Args:
      argv: arguments; those of the program if None.

    Raises:
      UsageError: naming the flag and a value that works.
    """
    return make_augment_config(**vars(make_parser().parse_flags(argv)))


def make_parser() -> Parser:
    """Returns the parser of the program."""
    parser = Parser(
        "python -m jaxgan.augment",
        description="Measure how much generated images help a classifier of few real "
        "ones.",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        foreign=TRAINING,
    )
    add_fields(parser, AugmentConfig)
    return parser


def make_augment_config(**fields: Any) -> AugmentConfig:
    """Returns a configuration with the given fields, and defaults for the others.

    Raises:
      UsageError: for an unknown field, or an invalid value.

    >>> make_augment_config(dataset="mnist", per_class_real=10).workdir
    'runs/augment-mnist-10'
    """
    config = AugmentConfig(**convert_fields(AugmentConfig, fields))
    for field in dataclasses.fields(AugmentConfig):
        check_field(field, getattr(config, field.name))
    parse_ratios(config.ratios)
    classic_candidates(config.classic)
    name = "".join(c if c.isalnum() or c in "-_" else "-" for c in config.dataset)
    default = f"runs/augment-{name.strip('-')[:100]}-{config.per_class_real}"
    folder = local_path("--workdir", config.workdir or default)
    out = config.out
    if out:
        out = str(output_path(out, overwrite=config.overwrite))
    data_dir = config.data_dir and storage.location("--data_dir", config.data_dir)
    return dataclasses.replace(config, workdir=str(folder), out=out, data_dir=data_dir)


def output_path(text: str, *, overwrite: bool) -> Path:
    """Returns the path of the table.

    Raises:
      UsageError: if it cannot be written, or exists and may not be replaced.
    """
    path = local_path("--out", text)
    if path.suffix != ".json":
        raise UsageError(f"--out={shorten(text)}: must end in .json, such as a.json")
    check_writable("--out", path)
    if path.exists() and not overwrite:
        raise UsageError(f"--out={shorten(text)} exists: add --overwrite to replace it")
    return path


def parse_ratios(text: str) -> tuple[float, ...]:
    """Returns shares of generated images, in increasing order.

    Raises:
      UsageError: naming `--ratios`.

    >>> parse_ratios("0.5,0.25")
    (0.25, 0.5)
    """
    example = "write shares between 0 and 1, such as --ratios=0.25,0.5"
    try:
        ratios = {parse_float(part.strip()) for part in text.split(",")}
    except argparse.ArgumentTypeError:
        raise UsageError(f"--ratios={shorten(text)}: {example}") from None
    if not all(0 < ratio < 1 for ratio in ratios) or len(ratios) > 20:
        raise UsageError(f"--ratios={shorten(text)}: {example}")
    return tuple(sorted(ratios))


def classic_candidates(text: str) -> tuple[str, ...]:
    """Returns the sets of classic augmentations to choose from.

    Raises:
      UsageError: naming `--classic`.

    >>> classic_candidates("auto"), classic_candidates("flip")
    (('shift', 'shift|flip'), ('flip',))
    """
    if text == "auto":
        return CANDIDATES
    names = text.split("|")
    if not set(names) <= set(CLASSIC) or len(set(names)) < len(names):
        raise UsageError(
            f"--classic={shorten(text)}: choose auto, shift, flip or shift|flip"
        )
    return (text,)

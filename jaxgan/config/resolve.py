"""From flags, presets and defaults to a checked `Config`, and from config.json."""

import argparse
import dataclasses
import hashlib
import re
from collections.abc import Sequence
from typing import Any

from jaxgan import storage
from jaxgan.config.budgets import parse_time
from jaxgan.config.flags import Parser, add_fields, check_field, convert_fields
from jaxgan.config.foreign import TRAINING
from jaxgan.config.presets import PRESETS, dataset_preset
from jaxgan.config.training import Config
from jaxgan.errors import UsageError
from jaxgan.files import local_path
from jaxgan.spec import unknown

EARLIER = {"score_weights": "task"}
"""Values of flags that earlier versions did not have, if they are no defaults."""


def parse_args(argv: Sequence[str] | None = None) -> Config:
    """Returns the configuration of a command line.

    Args:
      argv: arguments; those of the program if None.

    Raises:
      UsageError: for an unknown flag or preset, or an invalid value.
    """
    return make_config(**vars(make_parser().parse_flags(argv)))


def make_parser() -> Parser:
    """Returns the parser of the program."""
    parser = Parser(
        "python -m jaxgan.train",
        description="Train a generative adversarial network.",
        allow_abbrev=False,
        # Flags that are not given stay absent, so that a preset can set them.
        argument_default=argparse.SUPPRESS,
        foreign=TRAINING,
    )
    add_fields(parser, Config)
    return parser


def make_config(**fields: Any) -> Config:
    """Returns a configuration with the given fields.

    The other fields come from the preset, then from the defaults. Numbers are converted
    to the types of their fields, and `~` is expanded in paths.

    Args:
      **fields: values of fields of `Config`, such as `dataset="mnist"`.

    Raises:
      UsageError: for an unknown field, a value of another type, or an invalid value.

    >>> make_config(dataset="mnist", preset="wgan").loss
    'wasserstein'
    """
    config = _with_preset(convert_fields(Config, fields))
    _check_budget(config, str(fields.get("preset", "auto")))
    paths = {
        "workdir": config.workdir or _default_workdir(config),
        "data_dir": config.data_dir,
        "init_from": config.init_from,
        "inception_weights": config.inception_weights,
    }
    # Empty paths stay empty.
    places = {name: _place(name, path) for name, path in paths.items() if path}
    return dataclasses.replace(config, **places)


def _place(name: str, path: str) -> str:
    """Returns a path or a URL in its usual form, with `~` expanded."""
    if name == "inception_weights":
        return str(local_path(f"--{name}", path))
    # The URL of --init_from may end in the name of a checkpoint.
    match = re.fullmatch(r"(\w+://.*?)(:\w+)?", path) if name == "init_from" else None
    url, which = match.groups("") if match else (path, "")
    return storage.location(f"--{name}", url) + which


def config_from_json(fields: dict[str, Any], file: str = "config.json") -> Config:
    """Returns the configuration that a config.json holds.

    Fields of other versions are ignored. So are paths, since the folder may have been
    moved.

    Raises:
      UsageError: naming `file`, for invalid values.
    """
    known = {f.name for f in dataclasses.fields(Config)} - {"workdir", "data_dir"}
    kept = {name: value for name, value in fields.items() if name in known}
    kept = {**EARLIER, **kept}
    try:
        return _with_preset(convert_fields(Config, kept))
    except UsageError as error:
        raise UsageError(f"{file} is damaged: {error}; restore its backup") from error


def to_dict(config: Config) -> dict[str, Any]:
    """Returns all flags by name, as config.json stores them."""
    return dataclasses.asdict(config)


def _with_preset(fields: dict[str, Any]) -> Config:
    """Adds the preset's fields to those given, and checks all of them."""
    name = fields.get("preset", "auto")
    if name == "auto":
        name = dataset_preset(fields.get("dataset", Config.dataset))
    if name not in PRESETS:
        raise UsageError(f"--preset: {unknown(name, PRESETS, 'preset')}")
    # The user's fields override the preset, which overrides the defaults.
    config = Config(**{**PRESETS[name], **fields, "preset": name})
    # Presets and defaults are checked like the user's values.
    for field in dataclasses.fields(Config):
        check_field(field, getattr(config, field.name))
    # The runs have the seeds seed, seed + 1, ..., all below 2**63.
    if config.seed + config.runs > 2**63:
        raise UsageError(
            f"--seed={config.seed} with --runs={config.runs}: the largest seed is "
            f"{2**63 - 1}, such as --seed=0"
        )
    return config


def _check_budget(config: Config, preset: str) -> None:
    """Raises UsageError if a time is no time, or if a preset was named beside it."""
    if not config.budget:
        return
    parse_time("--budget", config.budget)
    # The fields of a run that is opened again name what was resolved.
    if preset not in ("auto", "default"):
        raise UsageError(
            f"--budget={config.budget} chooses the recipe, and so does "
            f"--preset={preset}: leave out one of them"
        )


def _default_workdir(config: Config) -> str:
    """Returns `runs/DATASET-PRESET`; long names are replaced by a hash."""
    # Other characters may be special in paths.
    name = "".join(c if c.isalnum() or c in "-_" else "-" for c in config.dataset)
    place = f"{name.strip('-')}-{config.preset}"
    # File systems limit a name to 255 bytes.
    if len(place.encode(errors="replace")) > 200:
        digest = hashlib.sha256(config.dataset.encode(errors="replace")).hexdigest()
        place = f"{name.strip('-')[:40]}-{digest[:16]}-{config.preset}"
    return f"runs/{place}"

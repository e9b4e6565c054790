"""Builds parts from the texts of flags, and names the flag in errors."""

import dataclasses
import logging
import shlex
from collections.abc import Callable
from typing import Any

from jaxgan import spec
from jaxgan.config.presets import PRESETS, UNLABELED
from jaxgan.config.training import Config
from jaxgan.errors import FieldError, UsageError
from jaxgan.networks.conditions import condition_field
from jaxgan.schedules import SCHEDULES
from jaxgan.types import ExampleSpec, image_example

log = logging.getLogger("jaxgan")

CHECKED_EXAMPLE = image_example((8, 8, 1), classes=2)
"""Small pictures with labels, to check flags before there are data."""


def build_one(name: str, config: Config, table: spec.Table, **given: Any) -> Any:
    """Builds the only part that a text names; its arguments may be schedules."""

    def read(text):
        return spec.build_one(text, table, SCHEDULES, **given)

    return build_from(name, config, read)


def build_value(name: str, config: Config, more: spec.Table | None = None) -> Any:
    """Returns a number, or the schedule that a text names."""

    def read(value):
        # Numbers need no parsing.
        if not isinstance(value, str):
            return value
        return spec.build_one(value, {**SCHEDULES, **(more or {})}, SCHEDULES)

    return build_from(name, config, read)


def build_from(name: str, config: Config, build: Callable[[Any], Any]) -> Any:
    """Builds from the text of a flag, and names the flag in errors."""
    try:
        return build(getattr(config, name))
    except UsageError as error:
        kind = FieldError if isinstance(error, FieldError) else UsageError
        raise kind(f"--{name}: {error}") from error


def without_labels(config: Config, example: ExampleSpec) -> Config:
    """Returns the flags of a preset of `UNLABELED` for examples without a condition.

    Flags with another value than that of the preset are kept. Logs those that change.

    Args:
      config: the configuration.
      example: the fields of an example.
    """
    if condition_field(example) is not None:
        return config
    usual, flags = PRESETS[config.preset], UNLABELED.get(config.preset, {})
    changed = {x: y for x, y in flags.items() if getattr(config, x) == usual[x]}
    if changed:
        texts = (
            f"--{name}={shlex.quote(x) if x else x}" for name, x in changed.items()
        )
        log.info("examples have no labels, so that %s", " ".join(texts))
    return dataclasses.replace(config, **changed)

"""Builds parts from the texts of flags, and names the flag in errors."""

import contextlib
import dataclasses
import logging
import shlex
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import flax.errors

from jaxgan import spec
from jaxgan.config.presets import PRESETS, TASK_PRESETS, UNLABELED
from jaxgan.config.training import Config
from jaxgan.errors import (
    BatchSizeError,
    BuildError,
    ChannelsError,
    ConditionError,
    FieldError,
    ImageSizeError,
    KindError,
    LabelError,
    LengthError,
    UsageError,
    first_line,
)
from jaxgan.networks.conditions import condition_field
from jaxgan.ranges import ceil_div
from jaxgan.schedules import SCHEDULES, schedules_of
from jaxgan.types import Augment, ExampleSpec, Task, Term, image_example

log = logging.getLogger("jaxgan")

CHECKED_EXAMPLE = image_example((8, 8, 1), classes=2)
"""Small pictures with labels, to check flags before there are data."""


def build_one(name: str, config: Config, table: spec.Table, **given: Any) -> Any:
    """Builds the only part that a text names; its arguments may be schedules."""

    def read(text):
        return spec.build_one(text, table, schedules_of(config.steps), **given)

    return build_from(name, config, read)


def build_value(name: str, config: Config, more: spec.Table | None = None) -> Any:
    """Returns a number, or the schedule that a text names."""

    def read(value):
        # Numbers need no parsing.
        if not isinstance(value, str):
            return value
        table = {**SCHEDULES, **(more or {})}
        return spec.build_one(value, table, schedules_of(config.steps))

    return build_from(name, config, read)


def build_from(name: str, config: Config, build: Callable[[Any], Any]) -> Any:
    """Builds from the text of a flag, and names the flag in errors."""
    try:
        return build(getattr(config, name))
    except UsageError as error:
        kind = FieldError if isinstance(error, FieldError) else UsageError
        raise kind(f"--{name}: {with_flags(error)}") from error


MISFITS = (AssertionError, TypeError, ValueError, flax.errors.FlaxError)
"""Errors of jax, flax and chex for arrays that do not fit. Built-in networks are never
traced with a task of others, see `data_checks.check_networks`."""
PRESETS_OF = {"tokens": "language_model", "waveform": "wavegan"}
"""Presets by the kind of the examples that they generate."""


def with_flags(error: UsageError) -> str:
    """Returns the message of an error, with the flags that help.

    >>> with_flags(KindError("small needs images, not texts", "tokens"))
    'small needs images, not texts: use --preset=language_model'
    >>> with_flags(LengthError("vocoder needs a multiple of 256", 256, 8_000))
    'vocoder needs a multiple of 256: use --seconds=0.032'
    """
    if isinstance(error, KindError):
        return f"{error.problem}: use --preset={PRESETS_OF[error.kind]}"
    if isinstance(error, ConditionError):
        return f"{error.problem}: use {SETS_WITH['label']}, or --preset=default"
    if isinstance(error, LengthError):
        hop = f", or hop={error.hop} in --task and --networks" if error.hop else ""
        return f"{error.problem}: use --seconds={error.seconds}{hop}"
    return str(error)


def with_image_size(error: ImageSizeError) -> str:
    """Returns the message for images that do not fit, with the flag that helps.

    >>> with_image_size(ImageSizeError("32x64 is too small", (48, 64)))
    '32x64 is too small: resize with --image_size=48x64'
    """
    height, width = error.size
    size = f"{height}" if height == width else f"{height}x{width}"
    return f"{error}: resize with --image_size={size}"


def with_batch_size(error: BatchSizeError, config: Config) -> str:
    """Returns the message for a batch that does not fit, with the flag that helps.

    >>> error = BatchSizeError("pack(2) takes 2 examples at a time", 5, 2)
    >>> with_batch_size(error, Config(batch_size=20))
    'pack(2) takes 2 examples at a time: use --batch_size=24'
    """
    # A network has the same part of any batch, by devices, micro-batches and terms.
    flag = "batch_per_device" if config.batch_per_device else "batch_size"
    size = ceil_div(getattr(config, flag) * error.fits, error.count)
    return f"{error.problem}: use --{flag}={size}"


@contextlib.contextmanager
def shape_errors(config: Config) -> Iterator[None]:
    """Turns errors of shapes that do not fit into those that name the flags."""
    try:
        yield
    except ImageSizeError as error:
        raise FieldError(f"--networks: {with_image_size(error)}") from error
    except BatchSizeError as error:
        raise UsageError(with_batch_size(error, config)) from error
    except ChannelsError as error:
        white = ", or put pictures on white with --alpha=white" * (error.channels == 4)
        raise FieldError(f"--g_terms: {error}{white}") from error
    except LabelError as error:
        advice = "use --generator_wrap=embed, or --preset=conditional"
        raise UsageError(f"{error.problem}: {advice}") from error
    # A UsageError is a ValueError, but its message is clear already.
    except UsageError:
        raise
    except MISFITS as error:
        raise BuildError(
            f"--networks={config.networks}, --task={config.task} and the terms do not "
            f"fit the data: {first_line(error)}{with_preset(config)}"
        ) from error


Traced = TypeVar("Traced", Term, Augment)


def with_flag(name: str, part: Traced) -> Traced:
    """Returns a part whose errors while tracing begin with the name of its flag."""

    def apply(*args):
        try:
            return part.apply(*args)
        except UsageError as error:
            # Those of a network that a term calls are of other types, or named.
            if type(error) is not UsageError or str(error).startswith("--"):
                raise
            raise UsageError(f"--{name}: {error}") from error

    return part._replace(apply=apply)


SETS_WITH = {
    "image": "a data set of images, such as --dataset=mnist or folder:PATH",
    "label": "a data set with labels, such as --dataset=folder:PATH with a folder per "
    "class",
    "tokens": "a data set of texts, such as --dataset=text:PATH",
    "waveform": "a data set of sounds, such as --dataset=audio:PATH",
}
"""Data sets by a field that they have."""


def with_field(name: str, task: Task, config: Config) -> str:
    """Returns advice on data with a field that the task reads, or on another task.

    >>> with_field("label", Task(None), Config()).partition(", or ")[2]
    '--task=generate'
    """
    if name == "label":
        # The flags of a preset belong together.
        embeds = "embed" in config.generator_wrap
        other = "--preset=default" if embeds else "--task=generate"
        return f"use {SETS_WITH[name]}, or {other}"
    if name == "source":
        pairs = "pairs", "pairs:PATH"
        kind, path = pairs if task.aligned else ("two domains", "unpaired:PATH,PATH")
        return f"use a data set of {kind}, such as --dataset={path}"
    return f"use {SETS_WITH.get(name, 'a data set that has it')}"


def with_preset(config: Config) -> str:
    """Returns advice to use the preset of a task, if the networks are of another.

    >>> with_preset(Config(task="inpainting('any')"))
    '; --preset=inpaint has networks for this task'
    >>> with_preset(Config(task="inpainting", networks="image_to_image(unet)"))
    ''
    """
    preset = TASK_PRESETS.get(name_of(config.task))
    flags = PRESETS[preset] if preset else {}
    if name_of(flags.get("networks", "")) in ("", name_of(config.networks)):
        return ""
    return f"; --preset={preset} has networks for this task"


def preset_for(config: Config, example: ExampleSpec) -> str:
    """Returns the preset with networks for the task, and for examples of this kind.

    >>> preset_for(Config(), image_example((2,)))
    'toy'
    >>> preset_for(Config(task="paired"), image_example((8, 8, 3)))
    'pix2pix'
    """
    kinds = {"waveform": "wavegan", "vector": "toy"}
    of_kind = kinds.get(example[example.generated].kind, "default")
    name = name_of(config.task)
    if name == "conditional" and of_kind == "wavegan":
        return of_kind
    return TASK_PRESETS.get(name, of_kind)


def name_of(text: str) -> str:
    """Returns the name before the arguments.

    >>> name_of("inpainting('any')")
    'inpainting'
    """
    return text.partition("(")[0].strip()


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
        log.info("examples have no labels: %s", " ".join(texts))
    return dataclasses.replace(config, **changed)

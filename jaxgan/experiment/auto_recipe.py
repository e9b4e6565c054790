"""Recipes that choose themselves, by the data and by the time: `--budget=20m`."""

import dataclasses
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import data
from jaxgan.config.budgets import parse_time
from jaxgan.config.flags import flag_name
from jaxgan.config.presets import PRESETS
from jaxgan.config.training import Config
from jaxgan.errors import UsageError
from jaxgan.gan import builder
from jaxgan.gan.gan import example_batch
from jaxgan.losses.gamma import unclipped_gamma
from jaxgan.networks.conditions import condition_size
from jaxgan.networks.ops.platform import platform
from jaxgan.types import ExampleSpec

log = logging.getLogger("jaxgan")

TRAINING = 0.8
"""Share of the time after compilation for steps; previews and scores take the rest."""
LEAST_LEFT = 0.1
"""Share of the time that is left at least, however long compilation takes."""

FEW = 5_000
"""Examples below which a discriminator learns them by heart without augmentation."""

EPOCHS = 100
"""Times that examples should be seen, within `LEAST_SEEN` and `MOST_SEEN` images."""
LEAST_SEEN, MOST_SEEN = 100_000, 768_000

WIDTHS = (8, 16, 24, 32, 48, 64)
MEASURED = 16
"""The width whose step is timed."""
WIDTH_POWER = 1.5
"""Exponent of the width in the time of a step: between 1, of memory, and 2."""

AUGMENTATIONS = "color|translation|cutout"

PER_CLASS = 50
"""Examples per class from which labels are used, on average."""

CONDITIONAL = ("task", "generator_wrap", "discriminator_wrap")
"""Flags of the preset `conditional` that do not depend on the number of steps."""


class Facts(NamedTuple):
    """The facts by which a recipe is chosen."""

    shape: tuple[int, ...]
    """`(H, W, C)`."""
    examples: int
    seconds: float
    """Of the whole run."""
    classes: int = 0
    """Number of class names; 0 if examples have no labels."""


class Choice(NamedTuple):
    """The value of a flag, and the reason for it."""

    name: str
    value: Any
    reason: str


def choose_batch_size(facts: Facts) -> Choice:
    """Returns the batch size: smaller for large images, and for few examples.

    >>> choose_batch_size(Facts((28, 28, 1), 60_000, 1200.0)).value
    64
    >>> choose_batch_size(Facts((64, 64, 3), 1_900, 1200.0)).value
    32
    """
    height, width = facts.shape[:2]
    side = math.sqrt(height * width)
    size = 64 if side <= 40 else 32 if side <= 80 else 16
    reason = f"for images of {height} x {width}"
    while size > 8 and size > facts.examples / 8:
        size //= 2
        reason = f"for {facts.examples:,} examples"
    return Choice("batch_size", size, reason)


def choose_labels(facts: Facts) -> list[Choice]:
    """Returns the flags of a conditional GAN if there are enough examples per class.

    >>> choose_labels(Facts((28, 28, 1), 60_000, 1200.0, classes=10))[0].value
    'conditional(64)'
    >>> choose_labels(Facts((64, 64, 3), 1_900, 1200.0, classes=100))
    []
    """
    if facts.classes < 2 or facts.examples < PER_CLASS * facts.classes:
        return []
    reason = f"as examples have labels of {facts.classes:,} classes"
    preset = PRESETS["conditional"]
    return [Choice(name, preset[name], reason) for name in CONDITIONAL]


def log_unused(facts: Facts, example: ExampleSpec) -> None:
    """Logs that a recipe does not use the labels or the attributes of the data."""
    if facts.classes > 1:
        log.info("  labels are not used: there are fewer than %d of each", PER_CLASS)
    elif condition_size(example):
        log.info(
            "  attributes are not used: --preset=attributes uses them, with --steps in "
            "place of --budget"
        )


def choose_rates(steps: int) -> list[Choice]:
    """Returns optimizers whose rates fall to the end.

    >>> choose_rates(500)[0].value
    'adam(cosine(2e-3, 1e-5, 500), b1=0.0, b2=0.99)'
    """
    optimizer = f"adam(cosine(2e-3, 1e-5, {steps}), b1=0.0, b2=0.99)"
    reason = "falls to the end, as constant rates lose variety or explode"
    return [Choice(x, optimizer, reason) for x in ("g_optimizer", "d_optimizer")]


def without(facts: Facts, seconds: float) -> Facts:
    """Returns facts with less time, but not less than a share of it.

    >>> without(Facts((28, 28, 1), 60_000, 100.0), 30).seconds
    70.0
    """
    left = max(facts.seconds - seconds, LEAST_LEFT * facts.seconds)
    return facts._replace(seconds=left)


def images_wanted(facts: Facts) -> int:
    """Returns the number of images that training should see.

    >>> images_wanted(Facts((64, 64, 3), 1_900, 1200.0))
    190000
    """
    return min(max(EPOCHS * facts.examples, LEAST_SEEN), MOST_SEEN)


def choose_width(facts: Facts, batch_size: int, step_seconds: float) -> Choice:
    """Returns the width of the networks: the largest for which there is time.

    Args:
      facts: the facts.
      batch_size: examples per step.
      step_seconds: of a step at the width `MEASURED`.
    """
    wanted = images_wanted(facts)
    # Wide networks learn few examples by heart.
    most = 16 if facts.examples < 1_000 else 32 if facts.examples < FEW else WIDTHS[-1]
    fits = [w for w in WIDTHS if w <= most]
    seen = {w: images_seen(facts, batch_size, step_seconds, w) for w in fits}
    enough = [w for w in fits if seen[w] >= wanted] or fits[:1]
    width = enough[-1]
    reason = f"the widest that sees {wanted:,} images in this time"
    if seen[width] < wanted:
        reason = "the narrowest, as there is time for few images"
    elif width == most:
        reason = f"the widest for {facts.examples:,} examples"
    return Choice("networks", f"small({width})", reason)


def images_seen(
    facts: Facts, batch_size: int, step_seconds: float, width: int = MEASURED
) -> float:
    """Returns the number of images that a width sees in the time of a run."""
    longer = (width / MEASURED) ** WIDTH_POWER
    return TRAINING * facts.seconds / (step_seconds * longer) * batch_size


def round_down(steps: float) -> int:
    """Returns a number of at least 1 with two digits that are not zero.

    >>> round_down(12_345.6), round_down(98.7), round_down(0.4)
    (12000, 98, 1)
    """
    zeros = max(len(str(int(steps))) - 2, 0)
    return max(int(steps) // 10**zeros * 10**zeros, 1)


def choose_rest(facts: Facts, batch_size: int, step_seconds: float) -> list[Choice]:
    """Returns steps, gamma, moving average and augmentation.

    Args:
      facts: the facts.
      batch_size: examples per step.
      step_seconds: of a step of the chosen networks.
    """
    steps = round_down(TRAINING * facts.seconds / step_seconds)
    seen = steps * batch_size
    rate = f"at {1 / step_seconds:,.3g} steps/s, {seen:,} images"
    gamma = f"{unclipped_gamma(facts.shape, batch_size):.3g}"
    half_life = float(min(max(seen // 24, 1_000), 32_000))
    shape = " x ".join(map(str, facts.shape))
    choices = [
        Choice("steps", steps, f"{rate}, in {TRAINING:.0%} of the time left"),
        Choice(
            "d_terms",
            f"r1({gamma})|r2({gamma})",
            f"gamma by the size of images, {shape}, and of batches, {batch_size}",
        ),
        Choice("ema_half_life", half_life, "images, 1 in 24 of those seen"),
    ]
    if facts.examples >= FEW:
        reason = f"no augmentation, as {facts.examples:,} examples are {FEW:,} or more"
        return [*choices, Choice("augment", "", reason)]
    # A fifth of training is enough to get to a probability of 1.
    images = min(max(seen // 5, 10_000), 500_000)
    few = f"{facts.examples:,} examples are fewer than {FEW:,}"
    return [
        *choices,
        Choice("augment", AUGMENTATIONS, few),
        Choice(
            "augment_p",
            f"ada(0.6, images={images}, relative=True)",
            "adapted to over-fitting, as the loss is relativistic",
        ),
    ]


CHOSEN = (
    *("batch_size", "networks", "steps", "d_terms", "ema_half_life"),
    *("augment", "augment_p", "g_optimizer", "d_optimizer"),
    *CONDITIONAL,
)
"""The flags that are chosen, as config.json records them."""


def choose_recipe(config: Config, dataset: data.Dataset) -> Config:
    """Returns the configuration with a recipe for the data and `--budget`.

    Flags with another value than their default are kept. Logs each choice.

    Args:
      config: the configuration, whose preset is the default one.
      dataset: the examples to train on.

    Raises:
      UsageError: if the data are no images, or have a preset of their own.
    """
    if not config.budget:
        return config
    example = dataset.example
    is_image = example[example.generated].kind == "image"
    if not is_image or config.preset != "default":
        other = ", or add --preset=default to draw images from noise"
        raise UsageError(
            f"--budget={config.budget} chooses a recipe for data sets of images "
            f"without a preset of their own, and --dataset={config.dataset} has "
            f"--preset={config.preset}: leave it out, and use --steps"
            + (other if is_image else "")
        )
    seconds = parse_time("--budget", config.budget)
    facts = Facts(example.shape, dataset.size, seconds, len(dataset.classes))
    log.info(
        "recipe for %s images of %s in %s:",
        *(f"{facts.examples:,}", " x ".join(map(str, facts.shape)), config.budget),
    )
    config = apply(config, [choose_batch_size(facts)])
    # Other networks may read labels in their own ways, or none.
    free = all(is_default(config, name) for name in ("networks", *CONDITIONAL))
    labels = choose_labels(facts) if free else []
    config = apply(config, labels)
    if free and not labels:
        log_unused(facts, example)
    if not is_default(config, "steps") and not is_default(config, "networks"):
        step_seconds = facts.seconds * TRAINING / config.steps
    else:
        config, facts, step_seconds = choose_networks(config, example, facts)
    config = apply(config, choose_rest(facts, config.batch_size, step_seconds))
    return apply(config, choose_rates(config.steps))


def choose_networks(
    config: Config, example: ExampleSpec, facts: Facts
) -> tuple[Config, Facts, float]:
    """Times steps, and chooses networks unless they are given.

    Returns:
      The configuration, the facts with the time that compiling leaves, and the seconds
      of a step.
    """
    start = time.monotonic()
    usual = dataclasses.replace(config, networks=f"small({MEASURED})")
    given = not is_default(config, "networks")
    step_seconds = time_step(config if given else usual, example)
    # The step of the run is compiled once more.
    again = int(time.monotonic() - start)
    left = without(facts, 2 * again)
    if given:
        return config, left, step_seconds
    width = choose_width(left, config.batch_size, step_seconds)
    config = apply(config, [width])
    if config.networks != usual.networks:
        step_seconds = time_step(config, example)
        left = without(facts, int(time.monotonic() - start) + again)
    return config, left, step_seconds


def recorded_recipe(config: Config, recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the choices of a run that is resumed, for flags that are not given.

    Args:
      config: the configuration of the command.
      recorded: the flags of the run.
    """
    if recorded.get("budget") != config.budget:
        return {}
    known = [name for name in CHOSEN if name in recorded and is_default(config, name)]
    return {name: recorded[name] for name in known}


def is_default(config: Config, name: str) -> bool:
    """Returns True if a flag has its default value."""
    return getattr(config, name) == getattr(Config(), name)


def apply(config: Config, choices: Sequence[Choice]) -> Config:
    """Returns the configuration with the choices, of which each is logged."""
    fields = {field.name: field for field in dataclasses.fields(Config)}
    for name, value, reason in choices:
        kept = getattr(config, name)
        if is_default(config, name):
            config = dataclasses.replace(config, **{name: value})
            log.info("  %s=%s: %s", flag_name(fields[name]), value, reason)
        else:
            log.info("  %s=%s: as given", flag_name(fields[name]), kept)
    return config


def time_step(config: Config, example: ExampleSpec) -> float:
    """Returns the seconds of a train step on one device, after it has been compiled."""
    gan = builder.build_gan(config, example, unroll=platform() == "cpu")
    # Zeros take as long as other numbers.
    shapes = jax.eval_shape(gan.init, jax.random.key(0))
    state = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    batch = example_batch(example, config.d_updates * config.batch_size)
    parts = (config.d_updates, config.batch_size)
    batches = jax.tree.map(lambda x: x.reshape(*parts, *x.shape[1:]), batch)
    step = jax.jit(gan.train_step).lower(state, batches, jax.random.key(0)).compile()

    def run() -> float:
        start = time.perf_counter()
        jax.block_until_ready(step(state, batches, jax.random.key(0)))
        return time.perf_counter() - start

    run()
    return median_time(run) * config.runs


def median_time(run: Callable[[], float], most: int = 9, seconds: float = 3.0) -> float:
    """Returns the median of some times, of which there are fewer if they are long.

    >>> median_time(iter([0.5, 2.0, 0.75]).__next__, most=3)
    0.75
    """
    times = [run()]
    while len(times) < most and sum(times) < seconds:
        times.append(run())
    return float(np.median(times))

"""From a config to a game: the only module that sees all tables."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgan import augment, spec
from jaxgan.arguments import out_of_range
from jaxgan.augment import AUGMENTATIONS, PROBABILITIES
from jaxgan.config.training import Config
from jaxgan.gan import objective
from jaxgan.gan.train_step import init_state, make_step, with_checked_batches
from jaxgan.losses import REGULARIZERS
from jaxgan.losses.adversarial import LOSSES
from jaxgan.networks import NETWORKS, WRAPPERS
from jaxgan.networks.precision import PRECISIONS, with_precision
from jaxgan.optimizers import chain
from jaxgan.ranges import NON_NEGATIVE
from jaxgan.schedules import SCHEDULES, Value, ema_decay
from jaxgan.tasks import TASKS
from jaxgan.types import (
    Augment,
    Batch,
    Players,
    Task,
    Term,
    TrainState,
    Tree,
    UsageError,
)


class GAN(NamedTuple):
    """All that a run is made of, built but not yet run."""

    task: Task
    nets: Players[nn.Module]
    terms: Players[dict[str, Term]]
    optimizers: Players[optax.GradientTransformation]
    init: Callable[[jax.Array], TrainState]
    """key to a new state; compile it."""
    step: Callable[..., tuple[TrainState, dict[str, jax.Array]]]
    """(state, batches `[k, B, ...]`, key) to (state, metrics)."""
    draw: Callable[..., Tree]
    """(generator's variables, batch, keys `[n]`) to samples; compile it.

    A fourth argument may change what the generator is called with, such as latents.
    """


def build(
    config: Config,
    shape: tuple[int, ...],
    *,
    classes: int = 0,
    axis: str | None = None,
    devices: int = 1,
    unroll: bool = False,
    around: Callable[[Callable], Callable] = lambda gradient: gradient,
) -> GAN:
    """The game of a config on examples of a shape.

    Args:
      config: names and numbers.
      shape: of one example, `(H, W, C)` or `(d,)`.
      classes: how many labels there are; 0 if batches do not hold `label`.
      axis: name of the device axis, if there are several devices.
      devices: over how many a batch is split.
      unroll: write D's updates out instead of looping.
      around: put around each gradient, see `make_step`.

    Raises:
      UsageError: naming the flag, for whatever cannot be built.
    """
    facts = {"classes": classes, "axis_name": axis, "shape": shape}
    nets = build_networks(config, facts)
    task = _build_one("task", config, TASKS)
    changes = build_augment(config)
    terms = build_terms(config, changes)
    optimizers = Players(
        _build("g_optimizer", config, chain), _build("d_optimizer", config, chain)
    )
    local, parts = config.batch_size // devices, config.accumulate

    def init(key):
        batch = example_batch(shape, local // parts, classes)
        return init_state(key, task, nets, terms, optimizers, batch)

    loss = objective.make_loss(
        task, nets, terms, augment=changes, axis=axis, parts=parts
    )
    half_life = _build_half_life(config)
    decay = ema_decay(half_life, config.batch_size, config.ema_ramp)
    step_of = functools.partial(
        make_step,
        loss,
        optimizers,
        decay=decay,
        axis=axis,
        unroll=unroll,
        parts=parts,
        same_latents=config.g_latents == "same",
    )
    batches = example_batch(shape, config.d_updates * local, classes)
    check_step(config, init, step_of(), batches, axis)
    train_step = with_checked_batches(step_of(around=around), shape)
    return GAN(task, nets, terms, optimizers, init, train_step, _draw(task, nets))


def check_texts(config: Config) -> None:
    """Builds all that needs no data, so that a wrong text costs no download.

    Networks are made for a small picture with labels, but not initialized.

    Raises:
      UsageError: naming the flag.
    """
    build_networks(config, {"classes": 2, "axis_name": None, "shape": (8, 8, 1)})
    _build_one("task", config, TASKS)
    build_terms(config, build_augment(config))
    for name in ("g_optimizer", "d_optimizer"):
        _build(name, config, chain)
    _build_half_life(config)


def build_networks(config: Config, facts: dict[str, Any]) -> Players[nn.Module]:
    """The pair of networks with what is put around each, in float32."""
    pair = _build_one("networks", config, NETWORKS, remat=config.remat, **facts)
    dtype = PRECISIONS[config.precision]
    pair = Players(*(with_precision(net, dtype, config.remat) for net in pair))
    for player in Players._fields:
        name = f"{player}_wrap"

        def read(text):
            return spec.build(text, WRAPPERS, **facts)

        for wrap in _build(name, config, read).values():
            pair = pair._replace(**{player: wrap(getattr(pair, player))})
    return pair


def build_augment(config: Config) -> Augment | None:
    """What happens to samples before D sees them, None for nothing."""
    parts = _build("augment", config, lambda text: spec.build(text, AUGMENTATIONS))
    if not parts:
        return None
    strength = _build_value("augment_p", config, PROBABILITIES)
    return _build(
        "augment_p", config, lambda _: augment.build(list(parts.values()), strength)
    )


def build_terms(config: Config, augment: Augment | None) -> Players[dict[str, Term]]:
    """Each player's loss and what is added to it."""
    if config.precision != "float32" and "approximate_r" in config.d_terms:
        raise UsageError(
            f"--precision={config.precision}: approximate_r1 and approximate_r2 are "
            "differences that bfloat16 rounds off: use r1 and r2, or float32"
        )
    loss = _build_one("loss", config, LOSSES)
    memory = {} if augment is None else {"augment": objective.augment_term(augment)}
    return Players(
        generator={"loss": loss.generator, **_build_terms("g_terms", config)},
        discriminator={
            "loss": loss.discriminator,
            **_build_terms("d_terms", config),
            **memory,
        },
    )


def example_batch(shape: tuple[int, ...], count: int, classes: int) -> Batch:
    """A batch of zeros, for initialisation and for sampling.

    The labels are all there are, in turn.
    """
    batch = {"image": jnp.zeros((count, *shape))}
    labels = {"label": jnp.arange(count, dtype=jnp.int32) % max(classes, 1)}
    return batch | (labels if classes else {})


def check_step(
    config: Config,
    init: Callable[[jax.Array], TrainState],
    train_step: Callable,
    examples: Batch,
    axis: str | None = None,
) -> None:
    """Traces the first step without compiling it, so that what does not fit is said.

    Args:
      config: whose flags are named.
      init: a key to a state.
      train_step: (state, batches, key) to (state, metrics).
      examples: of all updates of a step, one after the other.
      axis: where the step runs on several devices, the name of their axis.
    """
    k = config.d_updates
    key = jax.random.key(0)

    def first(examples):
        batches = jax.tree.map(lambda x: x.reshape(k, -1, *x.shape[1:]), examples)
        if axis is None:
            return train_step(init(key), batches, key)
        one = jax.tree.map(lambda x: x[None], batches)
        mapped = jax.vmap(train_step, (None, 0, None), axis_name=axis)
        return mapped(init(key), one, key)

    try:
        jax.eval_shape(first, examples)
    except KeyError as error:
        raise UsageError(
            f"--task={config.task} wants {error} with each example, "
            f"which --dataset={config.dataset} does not have"
        ) from error
    except UsageError:
        raise
    except Exception as error:  # shapes that do not fit come in many types
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(
            f"--networks={config.networks}, --task={config.task} and the terms do not "
            f"fit the data: {reason}"
        ) from error


def _draw(task: Task, nets: Players[nn.Module]) -> Callable:
    def draw(variables, batch, keys, change=lambda z: z):
        unused = jax.random.key(0)  # nothing is dropped when sampling
        generator, _ = objective.bind(nets.generator, variables, unused, train=False)
        return task(lambda z, *args: generator(change(z), *args), batch, keys).fake

    return draw


def _build_one(name: str, config: Config, table: spec.Table, **given: Any) -> Any:
    return _build(name, config, lambda text: spec.build_one(text, table, **given))


def _build_terms(name: str, config: Config) -> dict[str, Term]:
    nested = {**SCHEDULES, **REGULARIZERS, **AUGMENTATIONS}
    return _build(name, config, lambda text: spec.build(text, REGULARIZERS, nested))


def _build_value(name: str, config: Config, more: spec.Table | None = None) -> Any:
    """A number, or what a text makes one of at a step."""

    def read(said):
        if not isinstance(said, str):
            return said
        return spec.build_one(said, {**SCHEDULES, **(more or {})}, SCHEDULES)

    return _build(name, config, read)


def _build_half_life(config: Config) -> Value:
    """The half-life of the running mean, in images."""
    value = _build_value("ema_half_life", config)
    if not NON_NEGATIVE.holds(value):
        message = out_of_range("the half-life", value, NON_NEGATIVE)
        raise UsageError(f"--ema_half_life: {message}: take 32000")
    return value


def _build(name: str, config: Config, build: Callable[[Any], Any]) -> Any:
    """Builds what a flag says; an error names the flag."""
    try:
        return build(getattr(config, name))
    except UsageError as error:
        raise UsageError(f"--{name}: {error}") from error

"""From a config to a game: the only module that sees all tables."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgan import objective, spec, step
from jaxgan.config import Config
from jaxgan.core import Batch, Players, Task, Term, TrainState, Tree, UsageError
from jaxgan.losses import LOSSES
from jaxgan.networks import NETWORKS
from jaxgan.optimizers import chain
from jaxgan.regularizers import REGULARIZERS
from jaxgan.schedules import SCHEDULES, ema_decay
from jaxgan.tasks import TASKS


class Game(NamedTuple):
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
    labelled: bool = False,
    axis: str | None = None,
    unroll: bool = False,
) -> Game:
    """The game of a config on examples of a shape.

    Args:
      config: names and numbers.
      shape: of one example, `(H, W, C)` or `(d,)`.
      labelled: whether batches hold `label`.
      axis: name of the device axis, if there are several devices.
      unroll: write D's updates out instead of looping.

    Raises:
      UsageError: naming the flag, for whatever cannot be built.
    """
    nets = _flag("networks", config, NETWORKS, shape=shape, axis_name=axis)
    task = _flag("task", config, TASKS)
    loss = _flag("loss", config, LOSSES)
    terms = Players(
        generator={"loss": loss.generator, **_terms("g_terms", config)},
        discriminator={"loss": loss.discriminator, **_terms("d_terms", config)},
    )
    optimizers = Players(
        _said("g_optimizer", config, chain), _said("d_optimizer", config, chain)
    )
    example = example_batch(shape, config.batch_size, labelled)

    def init(key):
        return step.init_state(key, task, nets, terms, optimizers, example())

    check(init, config)
    train_step = step.make_step(
        objective.make_loss(task, nets, terms, axis=axis),
        optimizers,
        decay=ema_decay(config.ema_half_life, config.batch_size, config.ema_ramp),
        axis=axis,
        unroll=unroll,
    )
    return Game(task, nets, terms, optimizers, init, train_step, _draw(task, nets))


def example_batch(
    shape: tuple[int, ...], count: int, labelled: bool
) -> Callable[[], Batch]:
    """A function that makes a batch of zeros, for initialisation and for sampling."""

    def make():
        batch = {"image": jnp.zeros((count, *shape))}
        return batch | ({"label": jnp.zeros(count, jnp.int32)} if labelled else {})

    return make


def check(init: Callable[[jax.Array], TrainState], config: Config) -> None:
    """Traces the game without compiling it, so that what does not fit is said first."""
    try:
        jax.eval_shape(init, jax.random.key(0))
    except KeyError as error:
        raise UsageError(
            f"--task={config.task} wants {error} with each example, "
            f"which --dataset={config.dataset} does not have"
        ) from error
    except Exception as error:  # shapes that do not fit come in many types
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(
            f"--networks={config.networks} and --task={config.task} do not fit the "
            f"data: {reason}"
        ) from error


def _draw(task: Task, nets: Players[nn.Module]) -> Callable:
    def draw(variables, batch, keys, change=lambda z: z):
        unused = jax.random.key(0)  # nothing is dropped when sampling
        generator, _ = objective.bind(nets.generator, variables, unused, train=False)
        return task(lambda z, *args: generator(change(z), *args), batch, keys).fake

    return draw


def _flag(name: str, config: Config, table: spec.Table, **given: Any) -> Any:
    return _said(name, config, lambda text: spec.build_one(text, table, **given))


def _terms(name: str, config: Config) -> dict[str, Term]:
    return _said(name, config, lambda text: spec.build(text, REGULARIZERS, SCHEDULES))


def _said(name: str, config: Config, build: Callable[[str], Any]) -> Any:
    """Builds what a flag says; an error names the flag."""
    try:
        return build(getattr(config, name))
    except UsageError as error:
        raise UsageError(f"--{name}: {error}") from error

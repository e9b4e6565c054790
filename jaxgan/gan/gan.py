"""The `GAN` type: networks, losses and optimizers, and the functions that use them."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgan import data
from jaxgan.errors import UsageError
from jaxgan.gan import objective
from jaxgan.types import (
    Batch,
    ExampleSpec,
    Players,
    Samples,
    Task,
    Term,
    TrainState,
    Tree,
)


class GAN(NamedTuple):
    """Networks, losses and optimizers of a GAN, and the functions that train it.

    >>> GAN._fields[-4:]
    ('init', 'train_step', 'generate', 'play')
    """

    task: Task
    networks: Players[nn.Module]
    terms: Players[dict[str, Term]]
    optimizers: Players[optax.GradientTransformation]
    init: Callable[[jax.Array], TrainState]
    """Maps a PRNG key to a new state."""
    train_step: Callable[..., tuple[TrainState, dict[str, jax.Array]]]
    """Maps (state, batches `[k, B, ...]`, key) to (state, metrics).

    Images are uint8, uint16, or float32 in [-1, 1].
    """
    generate: Callable[..., Tree]
    """Maps (generator's variables, batch, keys `[n]`) to n samples.

    An optional fourth argument is a function of the generator's input.
    """
    play: Callable[..., Samples]
    """Like `generate`, but returns `Samples`: also the real ones and the condition."""

    def sample(
        self,
        variables: Tree,
        key: jax.Array,
        n: int,
        batch: Mapping[str, Any] | None = None,
    ) -> Tree:
        """Draws samples.

        Args:
          variables: the generator's, such as `state.ema`.
          key: a PRNG key.
          n: the number of samples.
          batch: examples to generate from, normalized, `[n, ...]` per field, such as
            the `label` of a conditional task. Tasks that start from noise alone need
            none.

        Returns:
          `[n, *shape]` float32 in [-1, 1].

        Raises:
          UsageError: if the task needs a field that `batch` does not have.
        """
        batch = dict(batch or {})
        for field in self.task.inputs:
            if field not in batch:
                raise UsageError(f"sample needs batch={{{field!r}: ...}} for this task")
        # Fields that samples do not depend on are only passed on.
        for field in self.task.requires:
            batch.setdefault(field, jnp.zeros((n, 1)))
        return self.generate(variables, batch, objective.example_keys(key, n))


def example_batch(example: ExampleSpec, count: int) -> Batch:
    """Returns a normalized batch of zeros, with all labels in turn."""

    def zeros(field):
        if field.kind == "label":
            return jnp.arange(count, dtype=jnp.int32) % len(field.names)
        dtype = jnp.int32 if data.KINDS[field.kind].is_integer else jnp.float32
        return jnp.zeros((count, *field.shape), dtype)

    return {name: zeros(field) for name, field in example.items()}


LAST_STEP = 2**31 - 1
"""The step at which schedules of a task are read for sampling: their end."""


def make_play(task: Task, networks: Players[nn.Module]) -> Callable[..., Samples]:
    """Returns play(variables, batch, keys, change) -> Samples, for sampling."""

    def play(variables, batch, keys, change=lambda inputs: inputs):
        generator, _ = objective.bind(networks.generator, variables, keys)

        def changed(inputs, condition=None):
            return generator(change(inputs), condition)

        samples = task.play(changed, batch, keys, jnp.int32(LAST_STEP))
        return task.finish(samples) if task.finish else samples

    return play


def make_generate(task: Task, networks: Players[nn.Module]) -> Callable[..., Tree]:
    """Returns generate(variables, batch, keys, change) -> fakes, for sampling."""
    play = make_play(task, networks)
    return lambda *args: play(*args).fake

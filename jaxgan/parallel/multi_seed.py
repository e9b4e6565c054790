"""Several runs, each of its own seed, in one compiled program.

Their state is one `TrainState` whose leaves have the runs as axis 0, all but `step`,
which they share. Nothing passes from run to run, so each is the run of its seed.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxgan.types import TrainState, Tree

AXES: Any = TrainState(
    step=None,  # type: ignore[arg-type]
    params=0,  # type: ignore[arg-type]
    stats=0,  # type: ignore[arg-type]
    opt_state=0,  # type: ignore[arg-type]
    term_state=0,  # type: ignore[arg-type]
    ema=0,
)
"""The axes of a state that are runs, as `jax.vmap` takes them."""


def key_of(seed: int) -> jax.Array:
    """The PRNG key of a seed from 0 to 2**63 - 1; another one for each.

    `jax.random.key` reads the lower 32 bits of a seed. What is above them is folded in,
    so that seeds below 2**32 have the key that jax gives them.
    """
    high, low = divmod(seed, 2**32)
    key = jax.random.key(low)
    return jax.random.fold_in(key, high) if high else key


def stack_runs(states: Sequence[TrainState]) -> TrainState:
    """One state of several runs that are at the same step."""
    together = jax.tree.map(lambda *x: jnp.stack(x), *states)
    return together.replace(step=states[0].step)


def run_state(state: TrainState, number: int) -> TrainState:
    """The state of one of several runs."""
    return take_run(state, AXES, number)


def take_run(tree: Tree, axes: Tree, number: int) -> Tree:
    """One run's part of a tree; `axes` is a prefix of it, None for what is shared."""

    def part(axis, below):
        return below if axis is None else jax.tree.map(lambda x: x[number], below)

    return jax.tree.map(part, axes, tree, is_leaf=lambda axis: axis is None)


def vmap_seeds(call: Callable, axes: tuple, unroll: bool) -> Callable:
    """Returns call(state, passed, keys) -> (state, metrics `[count, runs]`).

    Args:
      call: the same for one run, with metrics `[count]`.
      axes: of the arguments, 0 where the runs are and None where they share.
      unroll: write the runs out one after the other instead of `jax.vmap`: XLA for CPU
        has no fast form of the grouped convolutions that runs side by side become.
    """
    if not unroll:
        return jax.vmap(call, in_axes=axes, out_axes=(AXES, 1))

    def written_out(state, passed, keys):
        given = (state, passed, keys)
        done = [call(*take_run(given, axes, i)) for i in range(len(keys))]
        states, metrics = zip(*done, strict=True)
        return stack_runs(states), jax.tree.map(lambda *x: jnp.stack(x, 1), *metrics)

    return written_out


def freeze_if_not_finite(step: Callable) -> Callable:
    """A step that leaves all but its count alone where a metric is not finite.

    So a run that diverges stands still, and the others go on.
    """

    def careful(state, batches, key):
        new, metrics = step(state, batches, key)
        fine = jnp.array([jnp.isfinite(x).all() for x in jax.tree.leaves(metrics)])
        kept = jax.tree.map(lambda a, b: jnp.where(fine.all(), a, b), new, state)
        return kept.replace(step=new.step), metrics

    return careful

"""Trains several runs with different seeds in one compiled program.

Their state is a single `TrainState` whose leaves have the seeds as axis 0, except
`step`, which they share. The runs are independent: each gives the result of its seed.

The arrays of a single seed have no such axis, on the devices and in checkpoints. Only
`seed_axis` knows. Host code has a list with one entry per seed, or metrics `[seeds]`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxgan.performance.profiling.flops import contains
from jaxgan.types import TrainState, Tree

AXES: Any = TrainState(
    step=None,  # type: ignore[arg-type]
    params=0,  # type: ignore[arg-type]
    stats=0,  # type: ignore[arg-type]
    opt_state=0,  # type: ignore[arg-type]
    term_state=0,  # type: ignore[arg-type]
    ema=0,
)
"""The axes of the runs in a state, in the format of `jax.vmap`'s in_axes."""


def key_of(seed: int) -> jax.Array:
    """Returns a PRNG key that is different for each seed.

    `jax.random.key` reads only the lower 32 bits of a seed. The higher bits are folded
    in here. A seed below 2**32 has the same key as in `jax.random.key`.

    Args:
      seed: from 0 to 2**63 - 1.
    """
    # The higher and the lower 32 bits.
    high, low = divmod(seed, 2**32)
    key = jax.random.key(low)
    return jax.random.fold_in(key, high) if high else key


def seed_axis(seeds: int) -> int | None:
    """Returns the axis of the seeds in arrays, None for a single seed without one."""
    return 0 if seeds > 1 else None


def split_seeds(tree: Tree, seeds: int, axes: Tree = 0) -> list[Tree]:
    """Returns the part of each seed in a tree of all of them.

    Args:
      tree: arrays, such as a state or the generator's variables.
      seeds: number of seeds in the tree.
      axes: a tree prefix of `tree`, 0 for arrays per seed and None for shared ones.

    >>> split_seeds(["ab", "cd"], 2), split_seeds(["ab", "cd"], 1)
    ([['a', 'c'], ['b', 'd']], [['ab', 'cd']])
    """
    if seed_axis(seeds) is None:
        axes = None
    return [take_run(tree, axes, number) for number in range(seeds)]


def split_states(state: TrainState, seeds: int) -> list[TrainState]:
    """Returns the state of each seed."""
    return split_seeds(state, seeds, AXES)


def join_seeds(
    parts: Sequence[Tree], seeds: int, stack: Callable[..., Any] = jnp.stack
) -> Tree:
    """Returns one tree of trees per seed, the inverse of `split_seeds`.

    Args:
      parts: one per seed, or per seed of this process.
      seeds: number of seeds of the run.
      stack: `np.stack` for arrays that stay on the host.
    """
    if seed_axis(seeds) is None:
        return parts[0]
    return jax.tree.map(lambda *x: stack(x), *parts)


def join_states(states: Sequence[TrainState]) -> TrainState:
    """Returns the state of all seeds, which are at the same step."""
    return states[0] if seed_axis(len(states)) is None else stack_runs(states)


def stack_runs(states: Sequence[TrainState]) -> TrainState:
    """Stacks the states of several runs, all at the same step, into one state."""
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *states)
    # The runs share their step, which has no axis of runs.
    return stacked.replace(step=states[0].step)


def take_run(tree: Tree, axes: Tree, number: int) -> Tree:
    """Returns the part of run `number` in a tree.

    Args:
      tree: arrays, with the runs as axis 0 where `axes` is 0.
      axes: a tree prefix of `tree`, 0 for arrays per run and None for shared ones.
      number: the index of the run, which may be traced.
    """

    def part(axis, subtree):
        return subtree if axis is None else jax.tree.map(lambda x: x[number], subtree)

    # Without `is_leaf`, None would be an empty tree.
    return jax.tree.map(part, axes, tree, is_leaf=lambda axis: axis is None)


def put_run(states: TrainState, state: TrainState, number: jax.Array) -> TrainState:
    """Returns the state of all runs with that of run `number` replaced.

    Args:
      states: of all runs, with the runs as axis 0 where `AXES` is 0.
      state: the new state of one run, whose step becomes that of all.
      number: the index of the run.
    """

    def put(axis, subtree, new):
        if axis is None:
            return new
        return jax.tree.map(lambda x, y: x.at[number].set(y), subtree, new)

    return jax.tree.map(put, AXES, states, state, is_leaf=lambda axis: axis is None)


def vmap_seeds(call: Callable, axes: tuple, on_cpu: bool) -> Callable:
    """Returns call(state, passed, keys) -> (state, metrics `[count, runs]`).

    With `jax.vmap`, convolutions become grouped ones, which XLA for CPU runs slowly,
    and all runs have their temporary memory at once. So the runs follow each other on a
    CPU: in a loop, or written out if there are convolutions, which are slow in loops.

    Args:
      call: the same function for a single run, with metrics `[count]`.
      axes: for each argument, 0 where the runs are stacked and None where shared.
      on_cpu: if True, the runs follow each other, each with the bits of a single run.
    """
    if not on_cpu:
        return jax.vmap(call, in_axes=axes, out_axes=(AXES, 1))

    def one_by_one(state, passed, keys):
        first = take_run((state, passed, keys), axes, 0)
        convolves = contains(jax.make_jaxpr(call)(*first), "conv_general_dilated")
        form = _write_out if convolves else _loop
        return form(call, axes, state, passed, keys)

    return one_by_one


def _write_out(call, axes, state, passed, keys):
    arguments = (state, passed, keys)
    # The part of run i, with what the runs share.
    results = [call(*take_run(arguments, axes, i)) for i in range(len(keys))]
    states, metrics = zip(*results, strict=True)
    # Metrics of a run are `[count]`, and those of all runs `[count, runs]`.
    return stack_runs(states), jax.tree.map(lambda *x: jnp.stack(x, 1), *metrics)


def _loop(call, axes, state, passed, keys):
    def body(carry, i):
        # All runs start at the step that they share.
        own = take_run((carry.replace(step=state.step), passed, keys), axes, i)
        new, metrics = call(*own)
        # XLA writes the new state of the run over its old one.
        return put_run(carry, new, i), metrics

    state, metrics = jax.lax.scan(body, state, jnp.arange(len(keys)))
    # `[runs, count]` to `[count, runs]`.
    return state, jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), metrics)


def freeze_if_not_finite(step: Callable) -> Callable:
    """Wraps a step so that it keeps the state if a metric is not finite.

    Only `state.step` still counts. So a run that diverges is frozen at its last finite
    state, and the others continue.

    Args:
      step: (state, batches, key) -> (state, metrics) of a single run.

    Returns:
      A function with the same signature.
    """

    def guarded(state, batches, key):
        new, metrics = step(state, batches, key)
        finite = jnp.array([jnp.isfinite(x).all() for x in jax.tree.leaves(metrics)])
        # The new state if all metrics are finite, else the old one, leaf by leaf.
        kept = jax.tree.map(lambda a, b: jnp.where(finite.all(), a, b), new, state)
        return kept.replace(step=new.step), metrics

    return guarded

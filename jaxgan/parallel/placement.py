"""Puts arrays on the devices, replicated or sharded, and gathers them again."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.networks.ops.platform import jit_once
from jaxgan.parallel.layout import Layout
from jaxgan.parallel.multi_seed import AXES, join_states
from jaxgan.types import TrainState, Tree


def put(tree: Tree, layout: Layout, axis: int | None = None) -> Tree:
    """Puts arrays on all devices. Every process has the whole arrays.

    Args:
      tree: arrays.
      layout: the devices.
      axis: the axis to split over the devices, or None to replicate.
    """
    sharding = layout.spread(axis)
    return jax.tree.map(lambda x: _put(x, sharding), tree)


def _put(x: Any, sharding: jax.sharding.NamedSharding) -> jax.Array:
    """Puts a single array, or a PRNG key, on the devices of a sharding."""
    if jax.process_count() == 1:
        # A single process reaches all devices.
        return jax.device_put(x, sharding)
    # PRNG keys have no NumPy form, so put their data and wrap it again.
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        data = _put(jax.random.key_data(x), sharding)
        return jax.jit(jax.random.wrap_key_data)(data)
    # Each process copies only to its own devices.
    x = np.asarray(x)
    return jax.make_array_from_callback(x.shape, sharding, lambda part: x[part])


def replicated(state: TrainState, layout: Layout) -> TrainState:
    """Returns the shardings of a state that all devices have."""
    return jax.tree.map(lambda _: layout.spread(None), state)


def sharded(state: TrainState, layout: Layout) -> TrainState:
    """Returns the shardings of a state of which each device has a part."""
    return jax.tree.map(layout.shards, state)


def split_by_seed(state: TrainState, layout: Layout) -> TrainState:
    """Returns the shardings of a state whose seeds are divided over the devices."""

    def of_subtree(axis, subtree):
        return jax.tree.map(lambda _: layout.spread(axis), subtree)

    # None in `AXES` stands for a subtree that the seeds share.
    return jax.tree.map(of_subtree, AXES, state, is_leaf=lambda x: x is None)


def place(state: TrainState, layout: Layout) -> TrainState:
    """Puts a state on the devices. Every process has the whole state."""
    return jax.tree.map(_put, state, layout.strategy.state_sharding(state, layout))


def init_and_place(
    init: Callable[[jax.Array], TrainState], keys: Sequence[jax.Array], layout: Layout
) -> TrainState:
    """Initializes the state of each seed on one device, then places them.

    Args:
      init: maps a PRNG key to a state.
      keys: one key per seed.
      layout: the devices.

    Returns:
      The state of all seeds.
    """
    return place(join_states([jit_once(init)(key) for key in keys]), layout)


def init_in_place(
    init: Callable[[jax.Array], TrainState], keys: Sequence[jax.Array], layout: Layout
) -> TrainState:
    """Initializes a sharded state, so that no device ever holds it whole."""
    # A sharded state is of a single seed.
    [key] = keys
    # The shardings follow from shapes, before any array exists.
    where = sharded(jax.eval_shape(init, key), layout)
    return jit_once(init, out_shardings=where)(put(key, layout))


def from_processes(tree: Tree, layout: Layout, axis: int | None) -> Tree:
    """Joins the parts of arrays that the processes have along an axis.

    With a single process the arrays stay on the host: the compiled call copies them to
    the devices.

    Args:
      tree: this process's parts.
      layout: the devices of all processes.
      axis: the axis that is split, or None if every process has the whole arrays.
    """
    if layout.processes == 1:
        return tree
    if axis is None:
        return put(tree, layout)
    sharding = layout.spread(axis)

    def join(x):
        x = np.asarray(x)
        # The shape of the global array.
        shape = list(x.shape)
        shape[axis] *= layout.processes
        return jax.make_array_from_process_local_data(sharding, x, tuple(shape))

    return jax.tree.map(join, tree)


def fetch_metrics(metrics: Tree, seeds: int) -> Tree:
    """Copies the metrics of a call to the host, as NumPy arrays `[count, seeds]`.

    All processes call it. The metrics of a single seed have no axis of seeds before.
    """
    local = jax.device_get(to_local(metrics))
    return jax.tree.map(lambda x: x.reshape(-1, seeds), local)


def to_local(tree: Tree) -> Tree:
    """Gathers a tree on a single device of this process. All processes call it."""

    def is_replicated(x):
        return not isinstance(x, jax.Array) or x.is_fully_replicated

    # Replicate what is sharded: a collective operation of all processes.
    sharded = [x for x in jax.tree.leaves(tree) if not is_replicated(x)]
    if sharded:
        mesh = sharded[0].sharding.mesh
        replicated = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
        tree = jax.jit(lambda tree: tree, out_shardings=replicated)(tree)
    return jax.tree.map(_first_copy, tree)


def _first_copy(x: Any) -> Any:
    """Returns the copy of a replicated array on the first device of this process."""
    return x.addressable_data(0) if isinstance(x, jax.Array) else x

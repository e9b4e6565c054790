"""Where arrays lie: on all devices alike, in parts, or on one of this process."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.parallel.layout import Layout
from jaxgan.parallel.multi_seed import AXES, stack_runs
from jaxgan.types import TrainState, Tree


def put(tree: Tree, layout: Layout, axis: int | None = None) -> Tree:
    """Arrays that every process has, onto the devices: alike, or an axis spread."""
    sharding = layout.spread(axis)
    return jax.tree.map(lambda x: _put(x, sharding), tree)


def _put(x: Any, sharding: jax.sharding.NamedSharding) -> jax.Array:
    if jax.process_count() == 1:
        return jax.device_put(x, sharding)
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        data = _put(jax.random.key_data(x), sharding)
        return jax.jit(jax.random.wrap_key_data)(data)
    x = np.asarray(x)
    return jax.make_array_from_callback(x.shape, sharding, lambda part: x[part])


def shardings(state: TrainState, layout: Layout) -> TrainState:
    """Where each leaf of a state lies, for arrays or for their shapes."""
    if layout.way == "runs":

        def same(axis, below):
            return jax.tree.map(lambda _: layout.spread(axis), below)

        return jax.tree.map(same, AXES, state, is_leaf=lambda x: x is None)
    if layout.way == "shards":
        return jax.tree.map(layout.shards, state)
    return jax.tree.map(lambda _: layout.spread(None), state)


def place(state: TrainState, layout: Layout) -> TrainState:
    """A state that every process has, onto the devices."""
    return jax.tree.map(_put, state, shardings(state, layout))


def init_on_devices(
    init: Callable[[jax.Array], TrainState], keys: Sequence[jax.Array], layout: Layout
) -> TrainState:
    """A new state on the devices, for each key where there are several runs.

    Shards come into being in their places, so that no device ever has the whole.
    """
    if layout.way != "shards":
        states = [jax.jit(init)(key) for key in keys]
        return place(stack_runs(states) if layout.runs > 1 else states[0], layout)
    [key] = keys
    where = shardings(jax.eval_shape(init, key), layout)
    return jax.jit(init, out_shardings=where)(put(key, layout))


def from_processes(tree: Tree, layout: Layout, axis: int | None) -> Tree:
    """Arrays of which each process has its own part along an axis, as one array.

    With one process they stay on the host, whose copy to the devices is the call's.
    """
    if layout.processes == 1:
        return tree
    if axis is None:
        return put(tree, layout)
    sharding = layout.spread(axis)

    def joined(x):
        x = np.asarray(x)
        shape = list(x.shape)
        shape[axis] *= layout.processes
        return jax.make_array_from_process_local_data(sharding, x, tuple(shape))

    return jax.tree.map(joined, tree)


def to_local(tree: Tree) -> Tree:
    """The tree on one device of this process; of several, all of them call this."""

    def alike(x):
        return not isinstance(x, jax.Array) or x.is_fully_replicated

    if not all(alike(x) for x in jax.tree.leaves(tree)):
        meshes = [x.sharding.mesh for x in jax.tree.leaves(tree) if not alike(x)]
        whole = jax.sharding.NamedSharding(meshes[0], jax.sharding.PartitionSpec())
        tree = jax.jit(lambda tree: tree, out_shardings=whole)(tree)
    return jax.tree.map(_first, tree)


def _first(x: Any) -> Any:
    return x.addressable_data(0) if isinstance(x, jax.Array) else x

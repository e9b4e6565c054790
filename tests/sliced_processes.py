"""Trains a linear model in one of several processes, each in one of two slices.

    python tests/sliced_processes.py ADDRESS COUNT NUMBER

Process i is in slice i % 2. Process 0 prints the parameters as JSON.
"""

import json
import sys
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import parallel
from jaxgan.parallel import topology

BATCH, STEPS = 8, 3


class State(NamedTuple):
    """Weights `[5, 3]` and the number of steps."""

    weights: Any
    step: Any


def step(axis):
    """SGD on the mean squared error, with noise that depends on the example."""

    def loss(weights, x, first, key):
        numbers = first + jnp.arange(len(x))
        keys = jax.vmap(lambda n: jax.random.fold_in(key, n))(numbers)
        noise = jax.vmap(lambda k: jax.random.normal(k, (3,)))(keys)
        return jnp.mean((x @ weights - noise) ** 2)

    def train_step(state, batches, key):
        (x,) = batches["x"]
        first = jax.lax.axis_index(axis) * len(x)
        gradient = jax.grad(loss)(state.weights, x, first, key)
        gradient = jax.lax.pmean(gradient, axis)
        new = State(state.weights - 0.1 * gradient, state.step + 1)
        return new, {"sum": jax.lax.pmean(jnp.sum(x), axis)}

    return train_step


def batches(part, parts):
    """This process's rows of each batch."""
    for number in range(STEPS):
        rng = np.random.default_rng(number)
        whole = rng.normal(size=(1, BATCH, 5)).astype(np.float32)
        size = BATCH // parts
        yield {"x": whole[:, part * size : (part + 1) * size]}


def trained(devices):
    """The layout, and the parameters after all steps."""
    layout = parallel.layout_of(devices, parallel="mesh")
    part = layout.place, layout.sharing_processes
    feed = parallel.streamed(batches(*part), layout=layout)
    state = parallel.put(State(np.zeros((5, 3), np.float32), np.int32(0)), layout)
    program = parallel.make_compiler(step(layout.axis), feed, layout)
    for number in range(STEPS):
        passed = (state, feed.at(number, 1), jax.random.key(0))
        state, _ = program(1, *passed)(*passed)
    return layout, np.asarray(parallel.to_local(state).weights)


def main(address, count, number):
    topology.slice_of = lambda device: device.process_index % 2
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(address, count, number)
    layout, weights = trained(parallel.choose_devices(0))
    if number == 0:
        order = [device.process_index for device in layout.devices]
        print(json.dumps([order, weights.tolist()]))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))

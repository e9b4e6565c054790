"""Feeds batches to compiled train steps, from device memory or from the host."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.parallel.layout import Layout
from jaxgan.parallel.placement import from_processes, put
from jaxgan.types import Batch, Tree


class Feed(NamedTuple):
    """The source of the batches of a compiled call of several train steps."""

    at: Callable[[int, int], Tree]
    """at(step, count) returns the argument `passed` of the call that runs `count` steps
    from `step`."""
    select: Callable[[Tree, jax.Array, jax.Array], Batch]
    """select(passed, step, i) returns the raw batches `[k, B, ...]` of the i-th step of
    the call. It is traced."""
    axis: Any = None
    """Axes of `passed` to split over the devices, in the format of `pmap`'s in_axes."""
    runs: Any = None
    """Axes of `passed` with several runs, in the format of `vmap`'s in_axes."""
    close: Callable[[], None] = lambda: None
    """Releases the source of the batches."""
    failure: Callable[[], Exception | None] = lambda: None
    """Returns the error that has to stop the run before its next call, or None."""


def resident(
    arrays: Tree,
    order: Callable[[int], np.ndarray],
    *,
    updates: int,
    batch: int,
    layout: Layout,
) -> Feed:
    """Returns a feed of a dataset in device memory.

    The host sends only the order of the examples, once per epoch.

    Args:
      arrays: all examples, `[N, ...]` per field, in every process.
      order: maps an epoch to its permutation `[N]`, or `[runs, N]` for several runs.
      updates: batches per step, `k`.
      batch: examples per batch, over all devices.
      layout: the devices. Each keeps the whole dataset and gathers its part of a batch.
    """
    size = len(jax.tree.leaves(arrays)[0])
    per_epoch = size // (updates * batch)
    # Examples of a batch on each device.
    local = batch // layout.parts if layout.strategy.splits_batch else batch
    data = put(arrays, layout)
    # The place in the batch at which each device's part begins.
    if layout.strategy.splits_batch:
        firsts = put(local * np.arange(layout.parts), layout, 0)
    else:
        firsts = put(np.int32(0), layout)
    cached: dict[int, Any] = {}

    def at(step, count):
        del count  # at most an epoch, so that the orders of two epochs are enough
        epoch = step // per_epoch
        if epoch not in cached:
            # The orders of this epoch and the next: `[2, N]` or `[runs, 2, N]`.
            orders = np.stack([order(epoch), order(epoch + 1)], axis=-2)
            # Steps only advance, so earlier epochs are not needed again.
            cached.clear()
            cached[epoch] = put((orders, np.int32(epoch)), layout)
        return data, cached[epoch], firsts

    def select(passed, step, i):
        del i  # the step determines the position
        data, (orders, first), part = passed
        # The first example of this device, counted from the start of the epoch.
        start = (step % per_epoch) * updates * batch + part
        # [k, b]
        places = start + jnp.arange(updates)[:, None] * batch + jnp.arange(local)
        # Row 0 is the epoch in which the call started, row 1 the next one.
        numbers = orders[step // per_epoch - first, places]
        # [k, b, ...]
        return jax.tree.map(lambda x: x[numbers], data)

    # Only `firsts` differs between the devices.
    axis = (None, None, 0) if layout.strategy.splits_batch else None
    return Feed(at, select, axis=axis, runs=(None, (0, None), None))


def streamed(batches: Any, *, layout: Layout) -> Feed:
    """Returns a feed of a dataset that the host reads step by step.

    If the generator raises an error, it becomes the feed's `failure`, and `at` repeats
    the newest batch: other processes may run a few more calls until all agree to stop.
    An error before the first batch is raised immediately.

    Args:
      batches: a generator with an item per step, `[k, b, ...]` per field, where `b` is
        this process's part of the batch; or `[runs, k, B, ...]` for the runs that this
        process trains.
      layout: the devices over which axis `b`, or the axis of the runs, is split.
    """
    # The newest item, in a list so that the functions below can replace it.
    newest: list[Tree] = []
    failures: list[Exception] = []
    strategy, axis = layout.strategy, layout.strategy.batch_axis

    def split(x):  # [k, b, ...] -> [k, devices, b / devices, ...]
        if not strategy.splits_batch:
            return x
        k, b, *shape = x.shape
        # The devices of this process.
        parts = layout.parts // layout.processes
        return x.reshape(k, parts, b // parts, *shape)

    def next_steps(count):
        try:
            several = [next(batches) for _ in range(count)]
        except Exception as error:
            if not newest:
                raise
            failures.append(error)
            # Repeat the newest batches until all processes stop.
            return newest * count
        newest[:] = several[-1:]
        return several

    def at(step, count):
        del step  # the generator already starts at the right step
        several = newest * count if failures else next_steps(count)
        # [count, k, ...], or [runs, count, k, ...].
        joined = jax.tree.map(
            lambda *x: np.stack([split(y) for y in x], strategy.steps_axis), *several
        )
        return from_processes(joined, layout, axis)

    def select(passed, step, i):
        del step
        return jax.tree.map(lambda x: x[i], passed)

    def failure():
        return next(iter(failures), None)

    return Feed(at, select, axis=axis, runs=0, close=batches.close, failure=failure)

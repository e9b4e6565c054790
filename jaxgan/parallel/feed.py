"""How a compiled call comes by its batches: from the devices, or from the host."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.parallel.layout import Layout
from jaxgan.parallel.placement import from_processes, put
from jaxgan.types import Batch, Tree


class Feed(NamedTuple):
    """How a compiled call comes by the batches of its steps."""

    at: Callable[[int, int], Tree]
    """(step, count) to what is passed to the call of so many steps from there."""
    select: Callable[[Tree, jax.Array, jax.Array], Batch]
    """Traced: (passed, step, i) to raw batches `[k, B, ...]` of the i-th step."""
    axis: Any = None
    """The axes of what is passed that are split over devices, as `pmap` takes them."""
    runs: Any = None
    """The axes of what is passed that are runs, as `vmap` takes them."""
    close: Callable[[], None] = lambda: None
    failure: Callable[[], Exception | None] = lambda: None
    """The error for which the run has to stop before its next call, None for none."""


def resident(
    arrays: Tree,
    order: Callable[[int], np.ndarray],
    *,
    updates: int,
    batch: int,
    layout: Layout,
) -> Feed:
    """A data set that lies on the devices; the host sends one order per epoch.

    Args:
      arrays: all examples, `[N, ...]` per field, in every process.
      order: the permutation `[N]` of an epoch, one row for each of several runs.
      updates: batches per step.
      batch: examples per batch, over all devices.
      layout: the devices; each keeps the whole set and gathers its own part.
    """
    size = len(jax.tree.leaves(arrays)[0])
    per_epoch = size // (updates * batch)
    local = batch // layout.parts if layout.splits else batch
    data = put(arrays, layout)
    if layout.splits:
        firsts = put(local * np.arange(layout.parts), layout, 0)
    else:
        firsts = put(np.int32(0), layout)
    kept: dict[int, Any] = {}

    def at(step, count):
        del count  # at most an epoch: two orders serve
        epoch = step // per_epoch
        if epoch not in kept:
            orders = np.stack([order(epoch), order(epoch + 1)], axis=-2)
            kept.clear()
            kept[epoch] = put((orders, np.int32(epoch)), layout)
        return data, kept[epoch], firsts

    def select(passed, step, i):
        del i  # the step alone says where we are
        data, (orders, first), part = passed
        start = (step % per_epoch) * updates * batch + part
        places = start + jnp.arange(updates)[:, None] * batch + jnp.arange(local)
        numbers = orders[step // per_epoch - first, places]
        return jax.tree.map(lambda x: x[numbers], data)

    axis = (None, None, 0) if layout.splits else None
    return Feed(at, select, axis=axis, runs=(None, (0, None), None))


def streamed(batches: Any, *, layout: Layout) -> Feed:
    """A data set that comes from the host, step by step.

    Args:
      batches: a generator of `[k, b, ...]` per field and step, the part of the batch
        that this process reads, or of `[runs, k, B, ...]` for the runs it trains.
      layout: the devices over which axis b is split, or the runs are.

    An error of the generator is the feed's `failure`; `at` then gives the newest batch
    again, as other processes may go on for a few calls until they learn of it. Raised
    at once if there is no batch yet.
    """
    newest: list[Tree] = []
    failures: list[Exception] = []
    processes, steps_axis = layout.processes, 1 if layout.way == "runs" else 0
    axis = {"runs": 0, "one": None}.get(layout.way, 2)

    def split(x):
        if not layout.splits:
            return x
        k, b, *shape = x.shape
        parts = layout.parts // processes
        return x.reshape(k, parts, b // parts, *shape)

    def take(count):
        try:
            several = [next(batches) for _ in range(count)]
        except Exception as error:
            if not newest:
                raise
            failures.append(error)
            return newest * count
        newest[:] = several[-1:]
        return several

    def at(step, count):
        del step  # the generator was started at the right one
        several = newest * count if failures else take(count)
        joined = jax.tree.map(
            lambda *x: np.stack([split(y) for y in x], steps_axis), *several
        )
        return from_processes(joined, layout, axis)

    def select(passed, step, i):
        del step
        return jax.tree.map(lambda x: x[i], passed)

    def failure():
        return next(iter(failures), None)

    return Feed(at, select, axis=axis, runs=0, close=batches.close, failure=failure)

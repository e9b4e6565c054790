"""The batches of a run, from the devices or from the host."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import data, parallel
from jaxgan.experiment.setup import Experiment, seeds_of, state_shapes
from jaxgan.parallel import multi_seed
from jaxgan.types import Tree


@contextmanager
def open_feed(plan: Experiment, step: int) -> Iterator[parallel.Feed]:
    """The batches from a step on; closing it ends the threads that decode."""
    feed = make_feed(plan, step)
    try:
        yield feed
    finally:
        feed.close()


def make_feed(plan: Experiment, step: int) -> parallel.Feed:
    """The batches from a step on: as the plan has it, on the devices or decoded."""
    config, dataset = plan.config, plan.dataset
    seeds = seeds_of(config)
    if not plan.resident:
        return streamed_feed(plan, step)

    def order(epoch):
        orders = [data.epoch_order(seed, epoch, dataset.size) for seed in seeds]
        return np.stack(orders) if config.runs > 1 else orders[0]

    return parallel.resident(
        data.read_all(dataset),
        order,
        updates=config.d_updates,
        batch=config.batch_size,
        layout=plan.layout,
    )


def streamed_feed(plan: Experiment, step: int) -> parallel.Feed:
    """Decoded batches; all examples are checked in the background meanwhile.

    A run that is past its first epoch has read them all.
    """
    config, dataset = plan.config, plan.dataset
    feed = parallel.streamed(
        open_streams(plan, local_seeds(plan), step), layout=plan.layout
    )
    if step >= data.steps_per_epoch(dataset.size, config.d_updates, config.batch_size):
        return feed
    check = data.BackgroundCheck(dataset, (jax.process_index(), plan.layout.processes))

    def close():
        check.close()
        feed.close()

    return feed._replace(close=close, failure=lambda: feed.failure() or check.failure)


def local_seeds(plan: Experiment) -> range:
    """The seeds whose runs the devices of this process train."""
    seeds, processes = seeds_of(plan.config), plan.layout.processes
    if len(seeds) == 1 or processes == 1:
        return seeds
    count, number = len(seeds) // processes, jax.process_index()
    return seeds[number * count : (number + 1) * count]


def open_streams(plan: Experiment, seeds: range, step: int) -> Any:
    """Decoded batches of a seed, or of several seeds side by side.

    Of several processes that share a batch, each reads a part of its own.
    """
    config = plan.config
    sharing = plan.layout.processes if config.runs == 1 else 1
    each = [
        data.stream(
            plan.dataset,
            seed=seed,
            updates=config.d_updates,
            batch=config.batch_size,
            first_step=step,
            shard=(jax.process_index() if sharing > 1 else 0, sharing),
        )
        for seed in seeds
    ]
    return each[0] if config.runs == 1 else zip_streams(each)


def zip_streams(each: list[Any]) -> Iterator[Any]:
    """Items of several generators at once; closing it closes them all."""
    try:
        for items in zip(*each, strict=True):
            yield jax.tree.map(lambda *x: np.stack(x), *items)
    finally:
        for one in each:
            one.close()


def make_train_step(plan: Experiment) -> Callable:
    """The game's step on raw batches: they become [-1, 1] on the device."""

    def step(state, batches, key):
        return plan.game.step(state, data.normalize(batches), key)

    return multi_seed.freeze_if_not_finite(step) if plan.config.runs > 1 else step


def argument_shapes(
    plan: Experiment, count: int
) -> tuple[Tree, Tree, parallel.Feed, Tree]:
    """Shapes of state and key, the feed, and shapes of what it passes to `count` steps.

    No example is put on a device, nor decoded if they are streamed.
    """
    config = plan.config
    keys = jax.eval_shape(lambda: [jax.random.key(i) for i in range(config.runs)])
    state = state_shapes(plan)
    if config.runs > 1:
        keys = [jax.eval_shape(lambda x: jnp.stack(x), keys)]
    made: list[parallel.Feed] = []

    def passed():
        made.append(make_feed(plan, 0))
        return made[0].at(0, count)

    if plan.resident:
        given = jax.eval_shape(passed)
    else:
        made.append(make_feed(plan, 0))
        given = _streamed_shapes(plan, count)
    return state, keys[0], made[0], given


def _streamed_shapes(plan: Experiment, count: int) -> Tree:
    """Shapes of the batches of `count` steps that come from the host."""
    config, dataset, parts = plan.config, plan.dataset, plan.layout.parts
    batch = (config.batch_size,)
    if plan.layout.axis:
        batch = (parts, config.batch_size // parts)
    lead = (count, config.d_updates, *batch)
    lead = (config.runs, *lead) if config.runs > 1 else lead
    shapes = {"image": jax.ShapeDtypeStruct((*lead, *dataset.shape), dataset.dtype)}
    if dataset.classes:
        shapes["label"] = jax.ShapeDtypeStruct(lead, np.int32)
    return shapes

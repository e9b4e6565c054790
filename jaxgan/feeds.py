"""The batches of a run, from the devices or from the host."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np

from jaxgan import data, parallel, runs
from jaxgan.prepare import Plan, seeds_of


@contextmanager
def open_feed(plan: Plan, step: int) -> Iterator[parallel.Feed]:
    """The batches from a step on; closing it ends the threads that decode."""
    feed = feed_of(plan, step)
    try:
        yield feed
    finally:
        feed.close()


def feed_of(plan: Plan, step: int) -> parallel.Feed:
    """The batches from a step on: as the plan has it, on the devices or decoded."""
    config, dataset = plan.config, plan.dataset
    seeds = seeds_of(config)
    if not plan.resident:
        return checked(plan, step)

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


def checked(plan: Plan, step: int) -> parallel.Feed:
    """Decoded batches; all examples are checked in the background meanwhile.

    A run that is past its first epoch has read them all.
    """
    config, dataset = plan.config, plan.dataset
    feed = parallel.streamed(streams(plan, own_seeds(plan), step), layout=plan.layout)
    if step >= data.steps_per_epoch(dataset.size, config.d_updates, config.batch_size):
        return feed
    check = data.BackgroundCheck(dataset, (jax.process_index(), plan.layout.processes))

    def close():
        check.close()
        feed.close()

    return feed._replace(close=close, failure=lambda: feed.failure() or check.failure)


def own_seeds(plan: Plan) -> range:
    """The seeds whose runs the devices of this process train."""
    seeds, processes = seeds_of(plan.config), plan.layout.processes
    if len(seeds) == 1 or processes == 1:
        return seeds
    count, number = len(seeds) // processes, jax.process_index()
    return seeds[number * count : (number + 1) * count]


def streams(plan: Plan, seeds: range, step: int) -> Any:
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
    return each[0] if config.runs == 1 else side_by_side(each)


def side_by_side(each: list[Any]) -> Iterator[Any]:
    """Items of several generators at once; closing it closes them all."""
    try:
        for items in zip(*each, strict=True):
            yield jax.tree.map(lambda *x: np.stack(x), *items)
    finally:
        for one in each:
            one.close()


def step_of(plan: Plan) -> Callable:
    """The game's step on raw batches: they become [-1, 1] on the device."""

    def step(state, batches, key):
        return plan.game.step(state, data.normalise(batches), key)

    return runs.standing(step) if plan.config.runs > 1 else step

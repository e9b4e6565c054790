"""The batches of a run, gathered on the devices or decoded on the host."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from jaxgan import data, parallel
from jaxgan.config.training import Config
from jaxgan.experiment.keys import seeds_of
from jaxgan.parallel import multi_seed
from jaxgan.types import Tree


def batches(dataset: data.Dataset, config: Config) -> Iterator[data.Examples]:
    """Yields the batches of every train step, decoded by background threads.

    These are the batches of `python -m jaxgan.train` with this configuration.

    Args:
      dataset: the training examples.
      config: selects the seed, the batch size, the discriminator updates per step and
        the number of steps.

    Yields:
      `[d_updates, batch_size, *shape]` for each field, in its dtype.

    >>> from jaxgan.config.resolve import make_config
    >>> config = make_config(dataset="ring8", batch_size=8, steps=2)
    >>> [batch["image"].shape for batch in batches(data.load("ring8"), config)]
    [(1, 8, 2), (1, 8, 2)]
    """
    return data.stream(
        dataset,
        seed=config.seed,
        updates=config.d_updates,
        batch=config.batch_size,
        steps=config.steps,
    )


def resident_feed(
    config: Config, dataset: data.Dataset, layout: parallel.Layout
) -> parallel.Feed:
    """Returns the batches of a data set that is kept on the devices."""

    def order(epoch):
        orders = [
            data.epoch_order(seed, epoch, dataset.size) for seed in seeds_of(config)
        ]
        return multi_seed.join_seeds(orders, len(orders), np.stack)

    return parallel.resident(
        data.read_all(dataset),
        order,
        updates=config.d_updates,
        batch=config.batch_size,
        layout=layout,
    )


def streamed_feed(
    config: Config, dataset: data.Dataset, layout: parallel.Layout, step: int
) -> parallel.Feed:
    """Returns streamed batches, and starts a thread that checks all examples.

    A run past its first epoch has read all examples, so they are not checked again.
    """
    streams = open_streams(config, dataset, layout, step)
    feed = parallel.streamed(join_streams(streams, config.runs), layout=layout)
    if step >= data.steps_per_epoch(dataset.size, config.d_updates, config.batch_size):
        return feed
    # Each process checks a part of the examples.
    check = data.BackgroundCheck(dataset, (layout.place, layout.processes))

    def close():
        check.close()
        feed.close()

    # The first error of either stops the run.
    return feed._replace(close=close, failure=lambda: feed.failure() or check.failure)


def open_streams(
    config: Config, dataset: data.Dataset, layout: parallel.Layout, step: int
) -> list[Any]:
    """Opens the decoded batches of each seed that this process trains.

    Processes that share a batch train the same seeds, and read different parts of it.
    """
    number, sharing = layout.place, layout.sharing_processes
    # Consecutive seeds, in the order of the processes.
    seeds = seeds_of(config)
    count = len(seeds) * sharing // layout.processes
    first = number // sharing * count
    return [
        data.stream(
            dataset,
            seed=seed,
            updates=config.d_updates,
            batch=config.batch_size,
            first_step=step,
            shard=(number % sharing, sharing),
        )
        for seed in seeds[first : first + count]
    ]


def join_streams(streams: list[Any], seeds: int) -> Iterator[Any]:
    """Yields the items of one generator per seed. Closing closes all of them."""
    try:
        for items in zip(*streams, strict=True):
            yield multi_seed.join_seeds(items, seeds, np.stack)
    finally:
        for stream in streams:
            stream.close()


def streamed_shapes(
    config: Config, dataset: data.Dataset, layout: parallel.Layout, count: int
) -> Tree:
    """Returns the shapes of streamed batches of `count` steps."""
    batch = (config.batch_size,)
    if layout.strategy.splits_batch:
        batch = (layout.parts, config.batch_size // layout.parts)  # one per device
    # Axes of steps, updates and examples.
    lead = (count, config.d_updates, *batch)
    shapes = {
        name: jax.ShapeDtypeStruct((*lead, *field.shape), field.dtype)
        for name, field in dataset.example.items()
    }
    return jax.eval_shape(
        lambda parts: multi_seed.join_seeds(parts, config.runs), [shapes] * config.runs
    )

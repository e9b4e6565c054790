"""The batches of a run, gathered on the devices or decoded on the host."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import data, parallel
from jaxgan.config.training import Config
from jaxgan.experiment.setup import Experiment, seeds_of, state_shapes
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


@contextmanager
def open_feed(experiment: Experiment, step: int) -> Iterator[parallel.Feed]:
    """Opens the batches from a step on. Closing ends the decoding threads."""
    feed = make_feed(experiment, step)
    try:
        yield feed
    finally:
        feed.close()


def make_feed(experiment: Experiment, step: int) -> parallel.Feed:
    """Returns the batches from a step on, resident on the devices or streamed."""
    config, dataset = experiment.config, experiment.dataset
    seeds = seeds_of(config)
    if not experiment.resident:
        return streamed_feed(experiment, step)

    def order(epoch):
        orders = [data.epoch_order(seed, epoch, dataset.size) for seed in seeds]
        # [runs, N], or [N] for a single run.
        return np.stack(orders) if config.runs > 1 else orders[0]

    return parallel.resident(
        data.read_all(dataset),
        order,
        updates=config.d_updates,
        batch=config.batch_size,
        layout=experiment.layout,
    )


def streamed_feed(experiment: Experiment, step: int) -> parallel.Feed:
    """Returns streamed batches, and starts a thread that checks all examples.

    A run past its first epoch has read all examples, so they are not checked again.
    """
    config, dataset = experiment.config, experiment.dataset
    layout, seeds = experiment.layout, local_seeds(experiment)
    feed = parallel.streamed(open_streams(experiment, seeds, step), layout=layout)
    if step >= data.steps_per_epoch(dataset.size, config.d_updates, config.batch_size):
        return feed
    # Each process checks a part of the examples.
    check = data.BackgroundCheck(dataset, (jax.process_index(), layout.processes))

    def close():
        check.close()
        feed.close()

    # The first error of either stops the run.
    return feed._replace(close=close, failure=lambda: feed.failure() or check.failure)


def local_seeds(experiment: Experiment) -> range:
    """Returns the seeds that the devices of this process train."""
    seeds, processes = seeds_of(experiment.config), experiment.layout.processes
    if len(seeds) == 1 or processes == 1:
        return seeds
    # Consecutive seeds, in the order of the processes.
    count, number = len(seeds) // processes, jax.process_index()
    return seeds[number * count : (number + 1) * count]


def open_streams(experiment: Experiment, seeds: range, step: int) -> Any:
    """Opens the decoded batches of one seed, or of several side by side.

    Processes that share a batch read different parts of it.
    """
    config = experiment.config
    # Several runs do not share a batch: each process reads whole ones.
    sharing = experiment.layout.processes if config.runs == 1 else 1
    streams = [
        data.stream(
            experiment.dataset,
            seed=seed,
            updates=config.d_updates,
            batch=config.batch_size,
            first_step=step,
            shard=(jax.process_index() if sharing > 1 else 0, sharing),
        )
        for seed in seeds
    ]
    return streams[0] if config.runs == 1 else zip_streams(streams)


def zip_streams(streams: list[Any]) -> Iterator[Any]:
    """Yields the items of several generators, stacked. Closing closes all of them."""
    try:
        for items in zip(*streams, strict=True):
            yield jax.tree.map(lambda *x: np.stack(x), *items)
    finally:
        for stream in streams:
            stream.close()


def make_train_step(experiment: Experiment) -> Callable:
    """Returns the train step. If one of several runs diverges, it is frozen."""
    step = experiment.gan.train_step
    return multi_seed.freeze_if_not_finite(step) if experiment.config.runs > 1 else step


def argument_shapes(
    experiment: Experiment, count: int
) -> tuple[Tree, Tree, parallel.Feed, Tree]:
    """Returns the shapes of the arguments of a compiled call.

    No example is put on a device. Streamed examples are not decoded either.

    Args:
      experiment: the experiment.
      count: steps in one call.

    Returns:
      The shapes of state and key, the feed, and the shapes of its batches.
    """
    config = experiment.config
    # Only the shapes of keys.
    keys = jax.eval_shape(lambda: [jax.random.key(i) for i in range(config.runs)])
    state = state_shapes(experiment)
    if config.runs > 1:
        # [runs]
        keys = [jax.eval_shape(lambda x: jnp.stack(x), keys)]
    feeds: list[parallel.Feed] = []

    def first_batches():
        # A side effect of tracing: the feed is needed besides its shapes.
        feeds.append(make_feed(experiment, 0))
        return feeds[0].at(0, count)

    if experiment.resident:
        shapes = jax.eval_shape(first_batches)
    else:
        # Streamed batches are not traced: their shapes follow from the config.
        feeds.append(make_feed(experiment, 0))
        shapes = _streamed_shapes(experiment, count)
    return state, keys[0], feeds[0], shapes


def _streamed_shapes(experiment: Experiment, count: int) -> Tree:
    """Returns the shapes of streamed batches of `count` steps."""
    config = experiment.config
    parts = experiment.layout.parts
    batch = (config.batch_size,)
    if experiment.layout.splits:
        batch = (parts, config.batch_size // parts)  # one part per device
    # Axes of steps, updates and examples, behind those of several runs.
    lead = (count, config.d_updates, *batch)
    lead = (config.runs, *lead) if config.runs > 1 else lead
    return {
        name: jax.ShapeDtypeStruct((*lead, *field.shape), field.dtype)
        for name, field in experiment.dataset.example.items()
    }

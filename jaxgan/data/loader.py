"""Batch loading from disk, with threads that decode a few steps ahead."""

import itertools
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from jaxgan.data.dataset import Dataset, Examples
from jaxgan.data.shuffle import step_indices, steps_per_epoch
from jaxgan.errors import UsageError
from jaxgan.ranges import ceil_div

THREADS = min(8, os.cpu_count() or 1)


def stream(
    dataset: Dataset,
    *,
    seed: int,
    updates: int,
    batch: int,
    first_step: int = 0,
    steps: int | None = None,
    shard: tuple[int, int] = (0, 1),
    threads: int = THREADS,
    ahead: int = 4,
) -> Iterator[Examples]:
    """Yields the examples of train steps `first_step`, `first_step + 1`, ... in order.

    The output does not depend on `threads` or `ahead`. `close()` ends the threads.

    Args:
      dataset: the data set to read.
      seed: the seed of the order of the examples.
      updates: batches in each step.
      batch: examples in each global batch.
      first_step: the first step to yield.
      steps: the number of steps; endless if None.
      shard: `(i, n)` reads the `i`-th of `n` contiguous parts of every global batch,
        the part of process `i` of `n`.
      threads: the number of decoding threads.
      ahead: the largest number of decoded steps beside the one in use.

    Yields:
      `[updates, batch / n, *shape]` for each field, in its dtype.

    Raises:
      UsageError: immediately if the batch cannot be split, and during iteration if an
        example cannot be read.
    """
    part, parts = shard
    if batch % parts:
        raise UsageError(
            f"--batch_size={batch} does not split over {parts} processes: "
            f"use --batch_size={ceil_div(batch, parts) * parts}"
        )
    steps_per_epoch(dataset.size, updates, batch)  # raises if no step fits
    # Consecutive processes read consecutive parts of each batch.
    columns = slice(part * batch // parts, (part + 1) * batch // parts)
    step_numbers = itertools.count(first_step)
    if steps is not None:
        step_numbers = range(first_step, first_step + steps)
    # Each step has the example numbers [updates, batch], computed on demand.
    numbers = (
        step_indices(s, seed=seed, size=dataset.size, updates=updates, batch=batch)
        for s in step_numbers
    )
    # [updates, batch / parts] for this process.
    return _decode_ahead(
        dataset, (n[:, columns] for n in numbers), threads, max(ahead, 1)
    )


def _decode_ahead(
    dataset: Dataset, numbers: Iterator[np.ndarray], threads: int, ahead: int
) -> Iterator[Examples]:
    pool = ThreadPoolExecutor(threads, thread_name_prefix="jaxgan-data")
    pending: deque[Future[Examples]] = deque()
    try:
        for step_numbers in numbers:
            pending.append(pool.submit(_read_step, dataset, step_numbers))
            # Results are taken in the order of submission, so threads cannot reorder.
            if len(pending) > ahead:
                yield pending.popleft().result()
        # All steps are submitted; wait for the last ones.
        while pending:
            yield pending.popleft().result()
    finally:
        # Also when the consumer closes the generator early.
        pool.shutdown(cancel_futures=True)


def _read_step(dataset: Dataset, numbers: np.ndarray) -> Examples:
    # One read for all updates; then [updates * batch, ...] is split in two axes.
    examples = dataset.read(numbers.ravel())
    return {k: a.reshape(*numbers.shape, *a.shape[1:]) for k, a in examples.items()}

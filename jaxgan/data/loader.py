"""Batches of data sets that stay on disk, decoded by threads a few steps ahead."""

import itertools
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from jaxgan.data.dataset import Dataset, Examples
from jaxgan.data.shuffle import step_indices, steps_per_epoch
from jaxgan.errors import UsageError

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
    """The examples of train steps `first_step`, `first_step + 1`, ..., in order.

    Each item is `image` `[updates, batch / n, *shape]`, in the set's own dtype, and
    `label` `[updates, batch / n]`. Process `i` of `n`, `shard = (i, n)`, reads the
    `i`-th of `n` contiguous parts of every global batch. At most `ahead` steps are
    decoded beside the one in use; the output does not depend on `threads` or `ahead`.

    Endless unless `steps` is given; `close()` ends the threads. Raises UsageError at
    once if the batch cannot be split, and in turn if an example cannot be read.
    """
    part, parts = shard
    if batch % parts:
        raise UsageError(
            f"--batch_size={batch} does not split over {parts} processes: "
            f"use --batch_size={-(-batch // parts) * parts}"
        )
    steps_per_epoch(dataset.size, updates, batch)
    own = slice(part * batch // parts, (part + 1) * batch // parts)
    wanted = itertools.count(first_step)
    if steps is not None:
        wanted = range(first_step, first_step + steps)
    numbers = (
        step_indices(s, seed=seed, size=dataset.size, updates=updates, batch=batch)
        for s in wanted
    )
    return _decode_ahead(dataset, (n[:, own] for n in numbers), threads, max(ahead, 1))


def _decode_ahead(
    dataset: Dataset, numbers: Iterator[np.ndarray], threads: int, ahead: int
) -> Iterator[Examples]:
    pool = ThreadPoolExecutor(threads, thread_name_prefix="jaxgan-data")
    pending: deque[Future[Examples]] = deque()
    try:
        for step_numbers in numbers:
            pending.append(pool.submit(_read_step, dataset, step_numbers))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _read_step(dataset: Dataset, numbers: np.ndarray) -> Examples:
    examples = dataset.read(numbers.ravel())
    return {k: a.reshape(*numbers.shape, *a.shape[1:]) for k, a in examples.items()}

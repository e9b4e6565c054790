"""Batch loading from disk, with threads or processes that decode a few steps ahead."""

import contextlib
import itertools
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from jaxgan.data.dataset import Dataset, Decoding, Examples
from jaxgan.data.shuffle import step_indices, steps_per_epoch
from jaxgan.data.workers import Undecodable, Workers, supported
from jaxgan.errors import UsageError
from jaxgan.ranges import ceil_div

THREADS = min(8, os.cpu_count() or 1)
LEAST_PART = 16
"""Examples of a step that a process reads at least, to keep the overhead small."""


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
    workers: int = 0,
) -> Iterator[Examples]:
    """Yields the examples of train steps `first_step`, `first_step + 1`, ... in order.

    The output does not depend on `threads`, `ahead` or `workers`. `close()` ends the
    threads and processes.

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
      ahead: most decoded steps beside the one in use, which bounds the memory.
      workers: the number of processes that decode pictures in place of the threads; 0
        for none. They start with the first step. Examples that are no pictures, and
        those of sets without `decoding`, are read in threads.

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
    step_numbers = itertools.islice(itertools.count(first_step), steps)
    # Each step has the example numbers [updates, batch], computed on demand.
    numbers = (
        step_indices(s, seed=seed, size=dataset.size, updates=updates, batch=batch)
        for s in step_numbers
    )
    # [updates, batch / parts] for this process.
    own = (n[:, columns] for n in numbers)
    if workers and dataset.decoding is not None and supported():
        return _by_processes(dataset, dataset.decoding, own, workers, max(ahead, 1))
    return _by_threads(dataset, own, threads, max(ahead, 1))


_Task = tuple[Any, list[Future[Any]]]
"""A step: what is known of it already, and its parts, which are being read."""


class _Part(NamedTuple):
    """Examples of a step that are read together."""

    numbers: np.ndarray
    image: np.ndarray
    """The array that the images are written to."""


def _by_threads(
    dataset: Dataset, numbers: Iterator[np.ndarray], threads: int, ahead: int
) -> Iterator[Examples]:
    """Yields steps that are read by threads, each by one of them."""
    with ThreadPoolExecutor(threads, thread_name_prefix="jaxgan-data") as pool:
        tasks = ((None, [pool.submit(_read_step, dataset, n)]) for n in numbers)
        for _, (step,) in _in_order(pool, tasks, ahead):
            yield step


def _by_processes(
    dataset: Dataset,
    decoding: Decoding,
    numbers: Iterator[np.ndarray],
    count: int,
    ahead: int,
) -> Iterator[Examples]:
    """Yields steps whose images are decoded by processes, which share each step."""
    field, shape = dataset.example["image"], tuple(dataset.example["image"].shape)
    # One thread waits for each process.
    with (
        contextlib.closing(Workers(decoding.decoder, count)) as workers,
        ThreadPoolExecutor(count, thread_name_prefix="jaxgan-data") as pool,
    ):

        def read(part: _Part) -> Examples:
            try:
                workers(decoding.locate(part.numbers), part.image)
            except Undecodable:
                # Read here, so that the error is the same, or a substitute is found.
                examples = dataset.read(part.numbers)
                part.image[:] = examples.pop("image")
                return examples
            return decoding.others(part.numbers)

        def submit(step: np.ndarray) -> _Task:
            flat = step.ravel()
            image = np.empty((len(flat), *shape), field.dtype)
            pieces = min(count, ceil_div(len(flat), LEAST_PART))
            both = np.array_split(flat, pieces), np.array_split(image, pieces)
            futures = [pool.submit(read, _Part(*x)) for x in zip(*both, strict=True)]
            return (step.shape, image), futures

        try:
            for (lead, image), parts in _in_order(pool, map(submit, numbers), ahead):
                step = {k: np.concatenate([x[k] for x in parts]) for k in parts[0]}
                step = {"image": image, **step}
                yield {k: x.reshape(*lead, *x.shape[1:]) for k, x in step.items()}
        finally:
            # Ends the waits of the threads.
            workers.close()


def _in_order(
    pool: ThreadPoolExecutor, tasks: Iterator[_Task], ahead: int
) -> Iterator[tuple[Any, list[Any]]]:
    """Yields what is known of each task and the results of its parts, in order."""
    pending: deque[_Task] = deque()

    def first() -> tuple[Any, list[Any]]:
        known, parts = pending.popleft()
        return known, [part.result() for part in parts]

    try:
        for task in tasks:
            pending.append(task)
            # Results are taken in the order of submission, so threads cannot reorder.
            if len(pending) > ahead:
                yield first()
        # All steps are submitted; wait for the last ones.
        while pending:
            yield first()
    finally:
        # Also when the consumer closes the generator early.
        pool.shutdown(wait=False, cancel_futures=True)


def _read_step(dataset: Dataset, numbers: np.ndarray) -> Examples:
    # One read for all updates; then [updates * batch, ...] is split in two axes.
    examples = dataset.read(numbers.ravel())
    return {k: a.reshape(*numbers.shape, *a.shape[1:]) for k, a in examples.items()}

"""Example order: the examples of a train step as a pure function of seed and step.

No state is carried between steps. A run that resumes at step `s` reads the same
examples as an uninterrupted one, and every process computes the same order by itself.
"""

from functools import lru_cache

import numpy as np

from jaxgan.errors import UsageError


@lru_cache(maxsize=4)
def epoch_order(seed: int, epoch: int, size: int) -> np.ndarray:
    """Returns the order of one epoch: a permutation of `0 .. size - 1`, `[size]` int32.

    Sorts the raw words of the counter-based generator Philox (Salmon et al., SC 2011).
    The paper fixes that stream, so the order does not depend on the version of NumPy.
    The array is cached and shared between calls, hence read-only.

    >>> epoch_order(seed=0, epoch=0, size=6)
    array([0, 2, 1, 5, 4, 3], dtype=int32)
    """
    # Seed and epoch are the two words of the key: each epoch has its own stream.
    key = np.array([seed % 2**64, epoch], np.uint64)
    words = np.random.Philox(key=key).random_raw(size)
    # Stable, so that equal words have a defined order.
    order = np.argsort(words, kind="stable").astype(np.int32)
    # The cache returns this very array to every caller.
    order.flags.writeable = False
    return order


def evenly(size: int, count: int) -> np.ndarray:
    """Returns up to `count` evenly spaced example numbers, int64, with both ends.

    >>> evenly(10, 4).tolist(), evenly(3, 4).tolist()
    ([0, 3, 6, 9], [0, 1, 2])
    """
    return np.linspace(0, size - 1, min(size, count)).astype(np.int64)


def steps_per_epoch(size: int, updates: int, batch: int) -> int:
    """Returns the number of train steps in one pass over the data.

    Args:
      size: the number of examples.
      updates: batches in each step.
      batch: examples in each batch.

    Raises:
      UsageError: if not even one step fits.

    >>> steps_per_epoch(60_000, updates=1, batch=128)
    468
    """
    steps = size // (updates * batch)
    if steps < 1:
        times = "" if updates == 1 else f" x {updates} updates"
        # The largest batch with which one step fits.
        fits = size // updates
        raise UsageError(
            f"--batch_size={batch}{times} needs more than the {size} examples available"
            + (f": use --batch_size={fits} or less" if fits else "")
        )
    return steps


def step_indices(
    step: int, *, seed: int, size: int, updates: int, batch: int
) -> np.ndarray:
    """Returns the example numbers of one train step, `[updates, batch]` int32.

    No example repeats within an epoch. The remainder that does not fill a step is
    dropped, and differs from epoch to epoch.

    Raises:
      UsageError: if not even one step fits.

    >>> step_indices(1, seed=0, size=6, updates=1, batch=2)
    array([[1, 5]], dtype=int32)
    """
    # Steps are counted across epochs.
    epoch, position = divmod(int(step), steps_per_epoch(size, updates, batch))
    first = position * updates * batch
    order = epoch_order(seed, epoch, size)
    return order[first : first + updates * batch].reshape(updates, batch)

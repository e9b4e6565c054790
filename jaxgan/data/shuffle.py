"""Which examples a train step sees: a pure function of the seed and the step.

Nothing is carried from step to step, so a run that resumes at step `s` reads what it
would have read, and every process of a pod computes the same order by itself.
"""

from functools import lru_cache

import numpy as np

from jaxgan.errors import UsageError


@lru_cache(maxsize=4)
def epoch_order(seed: int, epoch: int, size: int) -> np.ndarray:
    """The order of one epoch: a permutation of `0 .. size - 1`, `[size]` int32.

    Made by sorting the raw words of the counter-based generator Philox (Salmon et al.,
    SC 2011), whose stream is fixed by its paper: no version of numpy can change it.
    The array is shared between calls and cannot be written to.

    >>> epoch_order(seed=0, epoch=0, size=6)
    array([0, 2, 1, 5, 4, 3], dtype=int32)
    """
    key = np.array([seed % 2**64, epoch], np.uint64)
    words = np.random.Philox(key=key).random_raw(size)
    order = np.argsort(words, kind="stable").astype(np.int32)
    order.flags.writeable = False
    return order


def evenly(size: int, count: int) -> np.ndarray:
    """At most `count` of the numbers of `size` examples, spread evenly, both ends too.

    >>> evenly(10, 4).tolist(), evenly(3, 4).tolist()
    ([0, 3, 6, 9], [0, 1, 2])
    """
    return np.linspace(0, size - 1, min(size, count)).astype(np.int64)


def steps_per_epoch(size: int, updates: int, batch: int) -> int:
    """How many train steps of `updates` batches one pass over `size` examples gives.

    Raises UsageError if not even one step fits.

    >>> steps_per_epoch(60_000, updates=1, batch=128)
    468
    """
    steps = size // (updates * batch)
    if steps < 1:
        each = "" if updates == 1 else f" x {updates} updates"
        fits = size // updates
        raise UsageError(
            f"--batch_size={batch}{each} needs more than the {size} examples there are"
            + (f": use --batch_size={fits} or less" if fits else "")
        )
    return steps


def step_indices(
    step: int, *, seed: int, size: int, updates: int, batch: int
) -> np.ndarray:
    """Example numbers of one train step, `[updates, batch]` int32.

    No example comes twice within an epoch; the remainder that fills no step is left
    out, another one in every epoch. Raises UsageError if the set is too small.

    >>> step_indices(1, seed=0, size=6, updates=1, batch=2)
    array([[1, 5]], dtype=int32)
    """
    epoch, position = divmod(int(step), steps_per_epoch(size, updates, batch))
    first = position * updates * batch
    order = epoch_order(seed, epoch, size)
    return order[first : first + updates * batch].reshape(updates, batch)

"""Examples that are kept from training, to tell whether D learns them by heart."""

from collections.abc import Callable

import numpy as np

from jaxgan.data.dataset import Dataset
from jaxgan.data.order import epoch_order
from jaxgan.errors import UsageError

MOST, SHARE, LEAST = 256, 20, 16
"""Without a test split: at most so many, one in so many, none if fewer than so many."""


def hold_out(
    dataset: Dataset, said: str, split: str, other: Callable[[str], Dataset]
) -> tuple[Dataset, Dataset | None]:
    """What to train on, and what to keep from training, None for nothing.

    Args:
      dataset: the examples of `split`.
      said: `none`, a count to take out of `dataset`, the name of another split, or
        `auto`: the split `test` if there is one, else 1 in 20, at most 256.
      split: what `dataset` is.
      other: loads another split; raises UsageError if there is none.

    Raises:
      UsageError: if the count leaves nothing, or there is no such split.
    """
    if said == "none":
        return dataset, None
    if said.isdigit():
        return split_off(dataset, int(said))
    if said != "auto":
        return dataset, other(said)
    count = min(MOST, dataset.size // SHARE)
    if not dataset.name.startswith(("npz:", "folder:")) and "test" not in split:
        try:
            return dataset, other("test")
        except UsageError:  # then there is none
            pass
    return split_off(dataset, count) if count >= LEAST else (dataset, None)


def split_off(dataset: Dataset, count: int) -> tuple[Dataset, Dataset | None]:
    """The data set without `count` of its examples, and those; the same every time.

    >>> from jaxgan.data.dataset import from_arrays
    >>> points = from_arrays("p", {"image": np.arange(6.0)[:, None]}, origin="")
    >>> rest, held = split_off(points, 2)
    >>> rest.size, held.size, sorted([*rest.arrays["image"][:, 0].tolist(),
    ...     *held.arrays["image"][:, 0].tolist()])
    (4, 2, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    """
    if count == 0:
        return dataset, None
    if count >= dataset.size:
        raise UsageError(
            f"--held_out={count} leaves nothing of the {dataset.size} examples to "
            f"train on: use --held_out={dataset.size // SHARE}, or none"
        )
    order = epoch_order(2**63, 0, dataset.size)
    held, rest = np.sort(order[:count]), np.sort(order[count:])
    return _part(dataset, rest, f"less{count}"), _part(dataset, held, f"held{count}")


def _part(dataset: Dataset, numbers: np.ndarray, name: str) -> Dataset:
    arrays, cache = dataset.arrays, dataset.cache
    return dataset._replace(
        size=len(numbers),
        read=lambda wanted: dataset.read(numbers[wanted]),
        arrays=arrays and {field: a[numbers] for field, a in arrays.items()},
        cache=cache and cache.with_name(f"{cache.name}-{name}"),
    )

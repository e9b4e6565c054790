"""Examples that are kept from training, to tell whether D learns them by heart."""

from collections import defaultdict
from collections.abc import Callable

import numpy as np

from jaxgan.data.dataset import Dataset, Range
from jaxgan.data.listing import NoSuchSplit
from jaxgan.data.shuffle import epoch_order
from jaxgan.errors import UsageError, printable

MOST, SHARE, LEAST = 256, 20, 16
"""Without a test split: at most so many, one in so many, none if fewer than so many."""


def hold_out(
    dataset: Dataset, said: str, split: str, other: Callable[[str], Dataset]
) -> tuple[Dataset, Dataset | None]:
    """What to train on, and what to keep from training, None for nothing.

    Args:
      dataset: the examples of `split`.
      said: `none`, a count to take out of `dataset`, the name of another split, or
        `auto`: the split `test` if there is one that shares no example with `dataset`,
        else 1 in 20, at most 256.
      split: what `dataset` is.
      other: loads another split; raises UsageError if there is none.

    Raises:
      UsageError: if the count leaves nothing, if there is no such split, or if it
        shares examples with `split`.
    """
    if said == "none":
        return dataset, None
    if said.isascii() and said.isdigit() and len(said) < 19:
        return split_off(dataset, int(said))
    if said != "auto":
        return dataset, _named(dataset, said, split, other)
    for name in ("test", "val") if _is_folder(dataset) else ("test",):
        try:
            held = other(name)
        except UsageError as error:
            if _is_folder(dataset) and not isinstance(error, NoSuchSplit):
                raise  # it is there, and cannot be read
            continue
        if not _mismatch(dataset, held, name, split):
            return dataset, held
    count = min(MOST, dataset.size // SHARE)
    return split_off(dataset, count) if count >= LEAST else (dataset, None)


def _named(
    dataset: Dataset, said: str, split: str, other: Callable[[str], Dataset]
) -> Dataset:
    """Another split, which training does not see."""
    flag = f"--held_out={printable(said)}"
    try:
        held = other(said)
    except UsageError as error:
        text = str(error).replace(f"--split={printable(said)}", flag)
        raise UsageError(text) from error
    if problem := _mismatch(dataset, held, said, split):
        raise UsageError(f"{flag} {problem}")
    return held


def _mismatch(dataset: Dataset, held: Dataset, said: str, split: str) -> str:
    """Why a split cannot be held out, empty if it can."""
    other_classes = dataset.classes and held.classes != dataset.classes
    if (held.shape, held.dtype) != (dataset.shape, dataset.dtype) or other_classes:
        return (
            f"has examples of {list(held.shape)} {held.dtype} and {len(held.classes)} "
            f"classes, --split={printable(split)} of {list(dataset.shape)} "
            f"{dataset.dtype} and {len(dataset.classes)}: use --held_out=auto"
        )
    count = count_shared(dataset, held)
    # Several names mean one folder: valid may be what is trained on.
    same = said == split or (_is_folder(dataset) and held.origin == dataset.origin)
    if same and not (dataset.ranges and held.ranges):
        count = held.size
    if not count:
        return ""
    return (
        f"shares {count:,} of its {held.size:,} examples with "
        f"--split={printable(split)}: use a part that is not trained on, or "
        "--held_out=auto, which takes one out"
    )


def count_shared(one: Dataset, other: Dataset) -> int:
    """Counts the examples of `other` that are examples of `one`, by place in storage.

    0 if that is unknown.
    """
    own, count = defaultdict(list), 0
    for part in one.ranges:
        own[part.source].append(part)
    for part in other.ranges:
        found = np.zeros(part.stop - part.start, bool)
        for mine in own[part.source]:
            both = _both(mine, part)
            found[both.start - part.start : both.stop - part.start] = True
        count += int(found.sum())
    return count


def count_repeated(dataset: Dataset) -> int:
    """Counts repeated examples, as in the split `train+train`."""
    seen, count = defaultdict(list), 0
    for part in dataset.ranges:
        count += sum(len(_both(before, part)) for before in seen[part.source])
        seen[part.source].append(part)
    return count


def _both(one: Range, other: Range) -> range:
    start = max(one.start, other.start)
    return range(start, max(start, min(one.stop, other.stop)))


def _is_folder(dataset: Dataset) -> bool:
    return dataset.name.startswith("folder:")


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
    if again := count_repeated(dataset):
        raise UsageError(
            f"--split takes {again:,} examples more than once, so that none can be "
            "kept from training: take each part once, or use --held_out=none"
        )
    order = epoch_order(2**63, 0, dataset.size)
    held, rest = np.sort(order[:count]), np.sort(order[count:])
    return _part(dataset, rest, f"less{count}"), _part(dataset, held, f"held{count}")


def _part(dataset: Dataset, numbers: np.ndarray, name: str) -> Dataset:
    arrays, cache, encoded = dataset.arrays, dataset.cache, dataset.encoded
    return dataset._replace(
        size=len(numbers),
        read=lambda wanted: dataset.read(numbers[wanted]),
        arrays=arrays and {field: a[numbers] for field, a in arrays.items()},
        cache=cache and cache.with_name(f"{cache.name}-{name}"),
        ranges=(),
        encoded=encoded and (lambda wanted: encoded(numbers[wanted])),
    )

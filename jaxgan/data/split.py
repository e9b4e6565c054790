"""Held-out examples: those kept from training, to detect overfitting."""

from collections import defaultdict
from collections.abc import Callable

import numpy as np

from jaxgan.data.dataset import Dataset, Range
from jaxgan.data.listing import FOLDERS, SHARDED, NoSuchSplit
from jaxgan.data.shuffle import epoch_order
from jaxgan.data.unpaired import combine
from jaxgan.errors import UsageError, printable

MOST, SHARE, LEAST = 256, 20, 16
"""Without a test split: 1 in SHARE examples, at most MOST, none if fewer than LEAST."""
PART_MOST, PART_SHARE = 1000, 10
"""The choice `part`: 1 in PART_SHARE examples, at most PART_MOST."""


def hold_out(
    dataset: Dataset, choice: str, split: str, other: Callable[[str], Dataset]
) -> tuple[Dataset, Dataset | None]:
    """Splits a data set into training and held-out examples.

    Args:
      dataset: the examples of `split`.
      choice: `none`, a number of examples to take from `dataset`, `part` for 1 in 10 of
        them, at most 1,000, the name of another split, or `auto`: the split `test` if
        there is one that shares no example with `dataset`, else 1 in 20 examples, at
        most 256.
      split: the split that `dataset` is.
      other: loads another split; raises UsageError if there is none.

    Returns:
      The training examples, and the held-out examples or None.

    Raises:
      UsageError: if no training examples remain, if there is no such split, or if it
        shares examples with `split`.
    """
    if choice == "none":
        return dataset, None
    if choice == "part":
        return split_off(dataset, part_size(dataset.size))
    # isdigit alone also accepts other scripts; 18 digits fit int64.
    if choice.isascii() and choice.isdigit() and len(choice) < 19:
        return split_off(dataset, int(choice))
    if choice != "auto":
        return dataset, _named(dataset, choice, split, other)
    # auto: the first other split that fits and shares no example with training.
    for name in ("test", "val") if _is_folder(dataset) else ("test",):
        try:
            held = other(name)
        except UsageError as error:
            if _is_folder(dataset) and not isinstance(error, NoSuchSplit):
                raise  # the split exists, but cannot be read
            continue
        if not _mismatch(dataset, held, name, split):
            return dataset, held
    # No usable split: hold out a sample of the examples themselves.
    count = min(MOST, dataset.size // SHARE)
    return split_off(dataset, count) if count >= LEAST else (dataset, None)


def part_size(size: int) -> int:
    """Returns the number of held-out examples of the choice `part`, of `size`.

    >>> part_size(45), part_size(60_000)
    (4, 1000)
    """
    return min(PART_MOST, size // PART_SHARE)


def _named(
    dataset: Dataset, name: str, split: str, other: Callable[[str], Dataset]
) -> Dataset:
    """Loads the split `name`, and checks that training does not use it."""
    flag = f"--held_out={printable(name)}"
    try:
        held = other(name)
    except UsageError as error:
        # The loader names --split, a flag that the user did not set.
        text = str(error).replace(f"--split={printable(name)}", flag)
        raise UsageError(text) from error
    if problem := _mismatch(dataset, held, name, split):
        raise UsageError(f"{flag} {problem}")
    return held


def _mismatch(dataset: Dataset, held: Dataset, name: str, split: str) -> str:
    """Returns the reason why a split cannot be held out, empty if it can."""
    # Without labels to train on, those that are held out are not read.
    used = {k: x for k, x in held.example.items() if k in dataset.example}
    if used != dataset.example:
        return (
            f"has examples of {list(held.shape)} {held.dtype} and {len(held.classes)} "
            f"classes, but --split={printable(split)} has {list(dataset.shape)} "
            f"{dataset.dtype} and {len(dataset.classes)}: use --held_out=auto"
        )
    count = count_shared(dataset, held)
    # Several names can mean one folder, such as val and valid.
    same = name == split or (_is_folder(dataset) and held.origin == dataset.origin)
    # Without storage locations, a split shares all examples with itself.
    if same and not (dataset.ranges and held.ranges):
        count = held.size
    if not count:
        return ""
    return (
        f"shares {count:,} of its {held.size:,} examples with "
        f"--split={printable(split)}: use a part that is not trained on, or "
        "--held_out=auto, which chooses one"
    )


def count_shared(one: Dataset, other: Dataset) -> int:
    """Counts the examples of `other` that are also in `one`, by storage location.

    Returns:
      The number of shared examples, 0 if the locations are unknown.
    """
    # The ranges of `one` by file.
    ranges, count = defaultdict(list), 0
    for part in one.ranges:
        ranges[part.source].append(part)
    for part in other.ranges:
        # The ranges of `one` may overlap: mark examples, so that each counts once.
        shared = np.zeros(part.stop - part.start, bool)
        for candidate in ranges[part.source]:
            both = _both(candidate, part)
            shared[both.start - part.start : both.stop - part.start] = True
        count += int(shared.sum())
    return count


def count_repeated(dataset: Dataset) -> int:
    """Counts repeated examples, such as those of the split `train+train`."""
    seen, count = defaultdict(list), 0
    for part in dataset.ranges:
        # Compares each range with the earlier ones of its file.
        count += sum(len(_both(before, part)) for before in seen[part.source])
        seen[part.source].append(part)
    return count


def _both(one: Range, other: Range) -> range:
    """Returns the example numbers in both ranges."""
    start = max(one.start, other.start)
    return range(start, max(start, min(one.stop, other.stop)))


def _is_folder(dataset: Dataset) -> bool:
    prefixes = (*FOLDERS, *SHARDED)
    return dataset.name.startswith(tuple(f"{prefix}:" for prefix in prefixes))


def split_off(dataset: Dataset, count: int) -> tuple[Dataset, Dataset | None]:
    """Splits off `count` examples, the same ones every time.

    Returns:
      The remaining examples, and those split off, or None if `count` is 0.

    Raises:
      UsageError: if no examples remain, or if the data set repeats examples.

    >>> from jaxgan.data.dataset import from_fields
    >>> points = from_fields("p", {"image": np.arange(6.0)[:, None]}, origin="")
    >>> rest, held = split_off(points, 2)
    >>> rest.size, held.size, sorted([*rest.arrays["image"][:, 0].tolist(),
    ...     *held.arrays["image"][:, 0].tolist()])
    (4, 2, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    """
    if count == 0:
        return dataset, None
    if count >= dataset.size:
        raise UsageError(
            f"--held_out={count} leaves none of the {dataset.size} examples for "
            f"training: use --held_out={dataset.size // SHARE}, or none"
        )
    if dataset.domains:
        return _split_domains(dataset, count)
    if again := count_repeated(dataset):
        raise UsageError(
            f"--split includes {again:,} examples more than once, so none can be held "
            "out: include each part once, or use --held_out=none"
        )
    # No run has the seed 2**63, so the order is independent of every run's.
    order = epoch_order(2**63, 0, dataset.size)
    # Sorted, so that the examples stay in the order of their storage.
    held, rest = np.sort(order[:count]), np.sort(order[count:])
    if dataset.example[dataset.example.generated].kind == "tokens":
        rest = _other_texts(dataset, rest, held)
    return part_of(dataset, rest, f"less{count}"), part_of(
        dataset, held, f"held{count}"
    )


def _other_texts(dataset: Dataset, rest: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Returns the examples of `rest` without the texts of `held`, which may repeat.

    Raises:
      UsageError: if no examples remain.
    """
    name = dataset.example.generated
    known = {row.tobytes() for row in dataset.read(held)[name]}
    texts = dataset.read(rest)[name]
    kept = rest[[row.tobytes() not in known for row in texts]]
    if not len(kept):
        raise UsageError(
            "--held_out: all texts are equal to ones that are held out: use "
            "--held_out=none"
        )
    return kept


def _split_domains(dataset: Dataset, count: int) -> tuple[Dataset, Dataset]:
    """Splits off the same share of each domain, at least one image."""
    rests: list[Dataset] = []
    helds: list[Dataset] = []
    for domain in dataset.domains:
        share = round(count * domain.size / dataset.size)
        rest, held = split_off(domain, max(1, min(share, domain.size - 1)))
        rests.append(rest)
        helds.append(held or domain)  # a share is never 0
    return combine(dataset.name, *rests), combine(dataset.name, *helds)


def part_of(dataset: Dataset, numbers: np.ndarray, name: str) -> Dataset:
    """Returns the data set of the examples `numbers`; `name` marks its cache."""
    arrays, cache, encoded = dataset.arrays, dataset.cache, dataset.encoded
    labels, attributes = dataset.labels, dataset.attributes
    decoding = dataset.decoding
    if decoding is not None:
        locate, others = decoding.locate, decoding.others
        decoding = decoding._replace(
            locate=lambda part: locate(numbers[part]),
            others=lambda part: others(numbers[part]),
        )
    # `part` counts within the new set, `numbers[part]` within the old one.
    return dataset._replace(
        size=len(numbers),
        read=lambda part: dataset.read(numbers[part]),
        arrays=arrays and {field: a[numbers] for field, a in arrays.items()},
        cache=cache and cache.with_name(f"{cache.name}-{name}"),
        # The examples are scattered, not in a few ranges.
        ranges=(),
        encoded=encoded and (lambda part: encoded(numbers[part])),
        labels=labels and (lambda part: labels(numbers[part])),
        attributes=attributes and (lambda part: attributes(numbers[part])),
        decoding=decoding,
    )

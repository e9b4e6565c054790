"""Checks that there are enough examples for the metrics, before any are drawn."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from jaxgan import data
from jaxgan.config.evaluating import Request
from jaxgan.errors import UsageError, printable
from jaxgan.metrics.comparison import Comparison, Least


class Side(NamedTuple):
    """The examples of one side of a comparison."""

    name: str
    """The kind of examples, for messages, such as `real examples`."""
    flag: str
    """The flag that chooses their number."""
    count: int
    """Their number."""
    available: int | None = None
    """The largest number that there can be; None if they are drawn."""
    labels: np.ndarray | None = None
    """Their classes, `[count]`; None if they are unknown or have no meaning."""
    names: tuple[str, ...] = ()
    """Of the classes."""


def side_of(name: str, flag: str, dataset: data.Dataset, numbers: np.ndarray) -> Side:
    """Returns a side that has some examples of a data set.

    Args:
      name: the kind of examples, for messages.
      flag: the flag that chooses their number.
      dataset: the data set.
      numbers: of the examples.
    """
    found = labels_of(dataset, numbers), dataset.classes
    return Side(name, flag, len(numbers), dataset.size, *found)


def real_flag(config: Request) -> str:
    """Returns the flag that chooses the number of real examples."""
    return "n_real" if config.n_real else "n"


def labels_of(dataset: data.Dataset, numbers: np.ndarray) -> np.ndarray | None:
    """Returns labels without decoding images, None if that is not possible."""
    if dataset.arrays is not None:
        labels = dataset.arrays.get("label")
        return None if labels is None else labels[numbers]
    return None if dataset.labels is None else dataset.labels(numbers)


def check(comparisons: Sequence[Comparison], real: Side, *fakes: Side) -> None:
    """Raises UsageError, naming a flag, if a metric needs more examples.

    Args:
      comparisons: the metrics.
      real: the real side.
      *fakes: the examples to judge, and real ones in their place.
    """
    for least in (x.least for x in comparisons):
        if least is None:
            continue
        _check_side(least, real, least.real)
        for side in fakes:
            _check_side(least, side, least.fake)
        _check_classes(least, real, *fakes)


def _check_side(least: Least, side: Side, needed: int) -> None:
    if side.count >= needed:
        return
    use = f"use --{side.flag}={needed}"
    if side.available is not None and side.available < needed:
        use = "leave it out, or use more of them"
    raise UsageError(
        f"--metrics: {least.metric} needs {needed} {side.name} or more, and there are "
        f"{side.count}: {use}"
    )


def _check_classes(least: Least, *sides: Side) -> None:
    """Checks the classes that occur on any side."""
    if not least.of_class:
        return
    known = [(x, dict(_counts(x))) for x in sides if x.labels is not None]
    every = sorted({label for _, counts in known for label in counts})
    for side, counts in known:
        for label in every:
            if counts.get(label, 0) < least.of_class:
                name = side.names[label] if label < len(side.names) else label
                raise UsageError(
                    f"--metrics: {least.metric} needs {least.of_class} {side.name} of "
                    f"each class, and there are {counts.get(label, 0)} of class "
                    f"{printable(str(name))}: {_use_more(side, len(every))}"
                )


def _use_more(side: Side, classes: int) -> str:
    """Returns advice to use more examples, of which each class has some."""
    likely = max(10 * classes, 2 * side.count)
    if side.available is not None:
        likely = min(likely, side.available)
    if likely <= side.count:
        return "leave it out, or use more of them"
    return f"use a larger number, such as --{side.flag}={likely}"


def _counts(side: Side) -> Iterator[tuple[int, int]]:
    """Yields each class of a side with its number of examples."""
    labels, counts = np.unique(np.asarray(side.labels), return_counts=True)
    yield from zip(labels.tolist(), counts.tolist(), strict=True)

"""Normal classes of a labeled data set, for detectors of all others."""

import contextlib
import hashlib

import numpy as np

from jaxgan.data.cache import LIMIT, read_all
from jaxgan.data.dataset import Dataset
from jaxgan.data.split import part_of
from jaxgan.errors import UsageError, printable
from jaxgan.spec import unknown

AT_ONCE = 1024
"""Examples that are read at a time for their labels."""


def keep_normal(dataset: Dataset, normal: str) -> Dataset:
    """Returns the examples of the normal classes; their labels do not change.

    Args:
      dataset: examples with labels.
      normal: names or numbers of classes, `0,1,2` or `cat,dog`; empty for all examples.

    Raises:
      UsageError: if there are no labels or no such class, or if no example remains.

    >>> from jaxgan.data.dataset import from_fields
    >>> arrays = {"image": np.zeros((3, 2), "f4"), "label": np.array([1, 0, 1], "i4")}
    >>> points = from_fields("points", arrays, classes=("a", "b"), origin="zeros")
    >>> keep_normal(points, "b").size, keep_normal(points, "1").size
    (2, 2)
    """
    if not normal:
        return dataset
    numbers = np.flatnonzero(is_normal(dataset, normal))
    if not len(numbers):
        raise UsageError(
            f"{_flag(normal)}: none of the {dataset.size:,} examples of "
            f"{printable(dataset.origin)} is of these classes: choose others"
        )
    # One name per choice of classes, as names of files are short.
    name = "-".join(map(str, normal_classes(dataset, normal)))
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    part = part_of(dataset, numbers, f"normal{digest}")
    # The same storage, so that splits can still be compared.
    return part._replace(ranges=dataset.ranges)


def is_normal(dataset: Dataset, normal: str) -> np.ndarray:
    """Returns True for each example of a normal class, `[n]` bool.

    Args:
      dataset: examples with labels, or without if `normal` is empty.
      normal: as in `keep_normal`; empty if all examples are normal.

    Raises:
      UsageError: if there are no labels, or no such class.
    """
    if not normal:
        return np.ones(dataset.size, bool)
    # The names first, as reading labels may take long.
    classes = normal_classes(dataset, normal)
    return np.isin(read_labels(dataset), classes)


def normal_classes(dataset: Dataset, normal: str) -> tuple[int, ...]:
    """Returns the numbers of classes that a text names, in ascending order.

    A text that is both a name and a number is the name.

    Raises:
      UsageError: if there are no labels or no such class, or if the text has no name.
    """
    names = dataset.classes
    if not names:
        raise UsageError(
            f"{_flag(normal)}: {printable(dataset.name)} has no labels: leave out "
            "--normal, as all of its examples are normal"
        )
    found = set()
    for text in filter(None, (x.strip() for x in normal.split(","))):
        if text in names:
            found.add(names.index(text))
        # 18 digits fit int64.
        elif text.isascii() and text.isdigit() and int(text[:18]) < len(names):
            found.add(int(text[:18]))
        else:
            raise UsageError(f"{_flag(normal)}: {unknown(text, names, 'class')}")
    if not found:
        raise UsageError(
            f"{_flag(normal)} names no class: use --normal={printable(names[0])}"
        )
    return tuple(sorted(found))


def read_labels(dataset: Dataset) -> np.ndarray:
    """Reads the labels of all examples, `[n]` int32, without images if possible."""
    if dataset.arrays is not None:
        return np.asarray(dataset.arrays["label"])
    if dataset.cache and dataset.nbytes <= LIMIT:
        # A bad example may be of another class.
        with contextlib.suppress(UsageError):
            return np.asarray(read_all(dataset)["label"])
    read = dataset.labels or (lambda numbers: dataset.read(numbers)["label"])
    starts = range(0, dataset.size, AT_ONCE)
    blocks = [np.arange(i, min(i + AT_ONCE, dataset.size)) for i in starts]
    return np.concatenate([read(block) for block in blocks])


def _flag(normal: str) -> str:
    return f"--normal={printable(normal)}"

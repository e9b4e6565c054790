"""Conversion of labels in any common form to class numbers."""

import logging
from collections.abc import Sequence

import numpy as np

from jaxgan.errors import UsageError

LOG = logging.getLogger("jaxgan")
WAYS = "use class numbers 0, 1, 2 ... or names"


def classify(
    where: str, labels: np.ndarray, size: int, others: Sequence[np.ndarray] = ()
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Numbers the distinct values of `labels`, in sorted order.

    Args:
      where: the name of the array, for errors.
      labels: `[n]` or `[n, 1]` integers, integral floats, booleans, strings or bytes,
        or one-hot rows `[n, k]`.
      size: n.
      others: labels of other splits in the same forms. Their values are classes too,
        so that a class has the same number in every split.

    Returns:
      Class numbers, `[n]` int32, and class names: the values as text.

    Raises:
      UsageError: for labels of another form.

    >>> numbers, names = classify("y", np.array([7, -2, 7]), 3)
    >>> numbers.tolist(), names
    ([1, 0, 1], ('-2', '7'))
    """
    values = _values(where, labels, size)
    splits = [values, *(_values(where, other, len(other)) for other in others)]
    # The number 1 and the name "1" would otherwise be one class.
    if len({split.dtype.kind for split in splits}) > 1:
        raise UsageError(f"{where} and those of other splits differ in kind; {WAYS}")
    # The distinct values, sorted; the position of a value is its class number.
    names = np.unique(np.concatenate(splits))
    return np.searchsorted(names, values).astype(np.int32), tuple(map(str, names))


def present(
    where: str, labels: np.ndarray, size: int, others: Sequence[np.ndarray] = ()
) -> tuple[np.ndarray, tuple[str, ...]] | None:
    """Returns what `classify` does, None if no example has a label.

    Logs a warning for -1 among several classes, which often means unlabeled.

    Args:
      where: the name of the array, for messages.
      labels: in the forms that `classify` accepts.
      size: the number of examples.
      others: labels of other splits.

    Raises:
      UsageError: for labels of another form.
    """
    if are_absent(labels):
        LOG.info("%s is -1 throughout: there are no labels", where)
        return None
    numbers, classes = classify(where, labels, size, others)
    # A -1 may be a class of two (-1 and 1); among more it often means unlabeled.
    if labels.dtype.kind in "if" and classes[0] == "-1" and len(classes) > 2:
        LOG.warning(
            "%s has the value -1, which counts as a class; if it means no label, leave "
            "out those examples, or all labels with --label_field=none",
            where,
        )
    return numbers, classes


def are_absent(labels: np.ndarray) -> bool:
    """Returns True if all labels are -1, which stands for no label."""
    return labels.dtype.kind in "if" and bool((labels == -1).all())


def are_several(splits: Sequence[np.ndarray]) -> bool:
    """Returns True if examples have several labels at once: rows that are not one-hot.

    Args:
      splits: the labels of each split. Rows `[n, k]` of 0 and 1 (or -1 and 1) have
        several labels, unless all rows of all splits are one-hot.

    >>> are_several([np.eye(3)]), are_several([np.eye(3), np.ones((2, 3))])
    (False, True)
    """
    for rows in splits:
        if rows.ndim != 2 or rows.shape[1] < 2 or rows.dtype.kind not in "biuf":
            return False
        if not (np.isin(rows, (0, 1)).all() or np.isin(rows, (-1, 1)).all()):
            return False
        if are_absent(rows):
            return False
    return not all((rows.sum(1) == 1).all() and (rows >= 0).all() for rows in splits)


def _values(where: str, labels: np.ndarray, size: int) -> np.ndarray:
    """Returns one value per example, `[n]`: int64, bool or strings."""
    shape = list(labels.shape)
    # A single column holds labels, several are one-hot.
    if labels.ndim == 2 and len(labels) == size and shape[1] > 1:
        return _hot(where, labels)
    if labels.shape not in ((size,), (size, 1)):
        raise UsageError(f"{where} is {shape}; use one label per example, [{size}]")
    # [n, 1] to [n].
    labels = labels.reshape(size)
    if labels.dtype.kind in "Ub":
        return labels
    if labels.dtype.kind == "S":
        return _decoded(where, labels)
    if labels.dtype.kind == "f":
        return _integral(where, labels)
    if labels.dtype.kind not in "iu":
        raise UsageError(f"{where} is {labels.dtype}; {WAYS}")
    # Larger unsigned integers would wrap around.
    if labels.max() > np.iinfo(np.int64).max:
        raise UsageError(f"{where} has the value {labels.max()}; {WAYS}")
    return labels.astype(np.int64)


def _hot(where: str, rows: np.ndarray) -> np.ndarray:
    """Returns the column of the 1 in each one-hot row, `[n]`."""
    is_number = rows.dtype.kind in "biuf"
    # One-hot rows consist of zeros and a single one.
    if not is_number or not (np.isin(rows, (0, 1)) & (rows.sum(1) == 1)[:, None]).all():
        raise UsageError(
            f"{where} is {list(rows.shape)} and not one-hot; use one label per "
            f"example, [{len(rows)}], or leave labels out with --label_field=none"
        )
    return rows.argmax(1)


def _decoded(where: str, labels: np.ndarray) -> np.ndarray:
    try:
        return np.char.decode(labels, "utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{where} has bytes that are not UTF-8; {WAYS}") from error


def _integral(where: str, labels: np.ndarray) -> np.ndarray:
    """Converts float labels to int64; raises UsageError for fractions and NaN."""
    # From 2**53 on, floats skip integers, so that labels may have been rounded.
    whole = np.isfinite(labels) & (labels == np.rint(labels)) & (abs(labels) < 2**53)
    if not whole.all():
        raise UsageError(f"{where} has the value {labels[~whole][0]:g}; {WAYS}")
    return labels.astype(np.int64)

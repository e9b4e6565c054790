"""Labels of any usual form to class numbers: a class is a value that occurs."""

from collections.abc import Sequence

import numpy as np

from jaxgan.errors import UsageError

WAYS = "give class numbers 0, 1, 2 ... or names"


def classify(
    where: str, labels: np.ndarray, size: int, others: Sequence[np.ndarray] = ()
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Numbers the values that occur in `labels`, in their order.

    Args:
      where: named in errors.
      labels: `[n]` or `[n, 1]` integers, integral floats, booleans, strings or bytes,
        or one-hot rows `[n, k]`.
      size: n.
      others: labels of other splits, of the same forms; their values are classes too,
        so that a class has the same number in each split.

    Returns:
      Class numbers, `[n]` int32, and the names of the classes: the values' text.

    Raises:
      UsageError: for labels of another form.

    >>> numbers, names = classify("y", np.array([7, -2, 7]), 3)
    >>> numbers.tolist(), names
    ([1, 0, 1], ('-2', '7'))
    """
    own = _values(where, labels, size)
    every = [own, *(_values(where, other, len(other)) for other in others)]
    if len({values.dtype.kind for values in every}) > 1:
        raise UsageError(f"{where} and those of other splits differ in kind; {WAYS}")
    names = np.unique(np.concatenate(every))
    return np.searchsorted(names, own).astype(np.int32), tuple(str(x) for x in names)


def are_absent(labels: np.ndarray) -> bool:
    """True if all labels are -1, which stands for no label."""
    return labels.dtype.kind in "if" and bool((labels == -1).all())


def _values(where: str, labels: np.ndarray, size: int) -> np.ndarray:
    """One value per example, `[n]`: int64, bool or strings."""
    shape = list(labels.shape)
    if labels.ndim == 2 and len(labels) == size and shape[1] > 1:
        return _hot(where, labels)
    if labels.shape not in ((size,), (size, 1)):
        raise UsageError(f"{where} is {shape}; give one label per example, [{size}]")
    labels = labels.reshape(size)
    if labels.dtype.kind in "Ub":
        return labels
    if labels.dtype.kind == "S":
        return _decoded(where, labels)
    if labels.dtype.kind == "f":
        return _integral(where, labels)
    if labels.dtype.kind not in "iu":
        raise UsageError(f"{where} is {labels.dtype}; {WAYS}")
    if labels.max() > np.iinfo(np.int64).max:
        raise UsageError(f"{where} has the value {labels.max()}; {WAYS}")
    return labels.astype(np.int64)


def _hot(where: str, rows: np.ndarray) -> np.ndarray:
    """The column of the only one in each row, `[n]`."""
    is_number = rows.dtype.kind in "biuf"
    if not is_number or not (np.isin(rows, (0, 1)) & (rows.sum(1) == 1)[:, None]).all():
        raise UsageError(
            f"{where} is {list(rows.shape)} and not one-hot; give one label per "
            f"example, [{len(rows)}], or leave labels out with --label_field=none"
        )
    return rows.argmax(1)


def _decoded(where: str, labels: np.ndarray) -> np.ndarray:
    try:
        return np.char.decode(labels, "utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{where} has bytes that are not UTF-8; {WAYS}") from error


def _integral(where: str, labels: np.ndarray) -> np.ndarray:
    whole = np.isfinite(labels) & (labels == np.rint(labels)) & (abs(labels) < 2**53)
    if not whole.all():
        raise UsageError(f"{where} has the value {labels[~whole][0]:g}; {WAYS}")
    return labels.astype(np.int64)

"""Attributes and labels of pictures from `metadata.csv` or `metadata.jsonl`."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgan.data import metadata_rows
from jaxgan.data.metadata_rows import Column, Rows
from jaxgan.errors import UsageError, printable
from jaxgan.types import Field

LOG = logging.getLogger("jaxgan")

MOST_VALUES = 64
"""Largest number of values of a categorical column."""
MOST_ATTRIBUTES = 4_096
LABEL = "label"
"""The column of the class, which is no attribute."""
BINARY = (("0", "1"), ("-1", "1"), ("false", "true"), ("no", "yes"))
"""Pairs of the values of a binary column, in lower case: absent and present."""
SHOWN = 5
"""Largest number of names that a message lists."""


class Metadata(NamedTuple):
    """The attributes and the labels of all pictures of a split."""

    names: tuple[str, ...]
    """Of attributes: `smiling` of a binary column, `hair=dark` of a categorical one."""
    attributes: np.ndarray
    """`[n, k]` bool."""
    classes: tuple[str, ...] = ()
    labels: np.ndarray | None = None
    """`[n]` int32, None if no column is the label."""

    @property
    def field(self) -> Field:
        """The attributes as a field of an example."""
        return Field((len(self.names),), np.dtype(bool), "attributes", self.names)


class Source(NamedTuple):
    """The file of a split, and the folder that its names are relative to."""

    path: Path
    folder: Path


def find_source(name: str, root: Path, above: Path) -> Source | None:
    """Returns the file of a split: in its folder, or in that of all splits.

    Args:
      name: the name of the data set, for messages.
      root: the folder of the split.
      above: the folder of the data set.
    """
    for folder in dict.fromkeys((root, above)):
        if path := metadata_rows.find(name, folder):
            return Source(path, folder)
    return None


def load(
    name: str,
    source: Source,
    files: Sequence[Path],
    train: Source | None = None,
    label: str = "",
) -> Metadata | None:
    """Reads the attributes of pictures.

    A column of two values such as 0 and 1, or yes and no, is one attribute. Another
    column of 2 to 64 values, of two pictures each on average, is one attribute per
    value, of which a picture has one. All other columns are left out, with a log line.

    Args:
      name: the name of the data set, for messages.
      source: the file.
      files: the pictures.
      train: the file of the split `train`, whose columns and values all splits have.
      label: the column that is the class; `label` if empty, and `none` for no column.

    Returns:
      The attributes, or None if no column is of use.

    Raises:
      UsageError: in one line, for a file that is damaged, or does not fit the pictures.
    """
    rows = metadata_rows.read(name, source.path)
    numbers = _numbers(name, rows, source, files)
    known = rows
    if train is not None and train.path != source.path:
        known = metadata_rows.read(name, train.path)
    where = f"{name}: {printable(rows.path.name)}"
    return of_columns(where, known, rows, label, numbers)


def of_columns(
    where: str,
    known: Rows,
    rows: Rows,
    label: str = "",
    numbers: np.ndarray | slice = slice(None),
) -> Metadata | None:
    """Returns attributes and labels from the columns of rows.

    Args:
      where: the name of the rows, for messages.
      known: the rows of the split `train`, whose columns and values all splits have.
      rows: those of the split.
      label: the column that is the class; `label` if empty, and `none` for no column.
      numbers: the row of each picture, `[n]`.

    Returns:
      As `load` does.

    Raises:
      UsageError: for values that `known` does not have, and missing values.
    """
    label_column = _label_column(where, known, label)
    used, left_out = [], []
    for key, column in known.columns.items():
        if key == (label_column or LABEL):
            continue
        why = _reason(column, len(known.lines))
        left_out += [f"{printable(key)} ({why})"] if why else []
        used += [] if why else [key]
    if left_out:
        LOG.info("%s: left out the columns %s", where, _listed(left_out))
    if not used and not label_column:
        LOG.info("%s: no column holds attributes", where)
        return None
    parts = [_attributes(where, key, known, rows) for key in used]
    names = tuple(x for own, _ in parts for x in own)
    _check_names(where, names)
    table = np.zeros((len(rows.lines), 0), bool)
    if parts:
        table = np.concatenate([values for _, values in parts], 1)
    found = Metadata(names, table[numbers])
    if label_column:
        classes, codes = _codes(where, label_column, known, rows)
        found = found._replace(classes=classes, labels=codes[numbers].astype(np.int32))
    _log(where, found)
    return found


def _log(where: str, found: Metadata) -> None:
    text = f"{len(found.names)} attributes ({_listed(found.names)})"
    if found.classes:
        text += f"; {len(found.classes)} classes ({_listed(found.classes)})"
    LOG.info("%s: %s", where, text)


def _listed(names: Sequence[str]) -> str:
    shown = [printable(x) for x in names[:SHOWN]]
    more = [f"{len(names) - SHOWN:,} more"] if len(names) > SHOWN else []
    return ", ".join(shown + more)


def _numbers(
    name: str, rows: Rows, source: Source, files: Sequence[Path]
) -> np.ndarray:
    """Returns the row of each picture, `[n]`; raises UsageError if both differ."""
    where = f"{name}: {printable(rows.path.name)}"
    numbers, missing = [], []
    for file in files:
        row = rows.files.get(file.relative_to(source.folder).as_posix())
        if row is None:
            missing.append(file)
        else:
            numbers.append(row)
    if missing:
        raise UsageError(
            f"{where} has no row for {len(missing):,} of {len(files):,} pictures, such "
            f"as {printable(str(missing[0]))}; add rows, or move these away"
        )
    if len(numbers) < len(rows.lines):
        # A file above the splits has rows of other splits too.
        given = set(numbers)
        for file, row in rows.files.items():
            if row not in given and not _exists(source.folder / file):
                raise UsageError(
                    f"{where}, line {rows.lines[row]}: there is no file "
                    f"{printable(file)}; remove the row, or correct its file_name"
                )
    return np.array(numbers)


def _exists(file: Path) -> bool:
    try:
        return file.is_file()
    except OSError:  # such as a name that is too long
        return False


def _label_column(where: str, rows: Rows, label: str) -> str:
    """Returns the column that is the class, empty if there is none."""
    if label == "none":
        return ""
    column = rows.columns.get(label or LABEL)
    if label and column is None:
        listed = ", ".join(printable(x) for x in rows.columns)
        raise UsageError(
            f"--label_field={printable(label)}: {where} has no such column; choose "
            f"from {listed}"
        )
    if column is None:
        return ""
    if column.reason or len(column.values) < 2:
        if not label:
            return ""
        held = column.reason or f"{len(column.values)} value"
        raise UsageError(
            f"--label_field={printable(label)}: this column of {where} holds {held}; "
            "choose a column of classes"
        )
    return label or LABEL


def _reason(column: Column, rows: int) -> str:
    """Returns the reason why a column is left out, empty if it is used."""
    count = len(column.values)
    if column.reason:
        return column.reason
    if count < 2:
        return "one value" if count else "no values"
    if count > MOST_VALUES:
        return f"{count:,} values"
    # A category has two pictures of each value on average, unlike captions.
    if count > 2 and 2 * count > rows:
        return f"{count:,} values in {rows:,} rows"
    return ""


def _codes(
    where: str, key: str, known: Rows, rows: Rows
) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns the sorted values of a column, and the number of that of each row."""
    values = tuple(sorted(known.columns[key].values, key=_order))
    column = rows.columns.get(key, Column(len(rows.lines)))
    # Codes follow the order of rows; places follow that of the sorted values.
    places = {value: i for i, value in enumerate(values)}
    if column.reason or set(column.values) - set(places):
        odd = next((x for x in column.values if x not in places), column.reason)
        raise UsageError(
            f"{where}: the column {printable(key)} has the value {printable(odd)}, "
            "which the split train does not have; correct it, or add it there"
        )
    codes = np.array(column.codes)
    if (codes < 0).any():
        line = rows.lines[int((codes < 0).argmax())]
        raise UsageError(
            f"{where}, line {line}: the column {printable(key)} has no value; fill it "
            "in, or remove the column"
        )
    return values, np.array([places[x] for x in column.values])[codes]


def _order(value: str) -> tuple[bool, float, str]:
    """Sorts whole numbers by value, before other texts."""
    digits = value.removeprefix("-")
    whole = digits.isascii() and digits.isdigit() and len(digits) < 16
    return not whole, int(value) if whole else 0, value


def _attributes(
    where: str, key: str, known: Rows, rows: Rows
) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns the attributes of a column: names, and values `[rows, k]` bool."""
    values, codes = _codes(where, key, known, rows)
    lower = [value.lower() for value in values]
    for absent, present in BINARY:
        if sorted(lower) == sorted((absent, present)):
            return (key,), (codes == lower.index(present))[:, None]
    names = tuple(f"{key}={value}" for value in values)
    return names, codes[:, None] == np.arange(len(values))


def _check_names(where: str, names: tuple[str, ...]) -> None:
    if len(set(names)) < len(names):
        raise UsageError(
            f"{where}: two columns give attributes of the same name; rename one"
        )
    if len(names) > MOST_ATTRIBUTES:
        raise UsageError(
            f"{where} has {len(names):,} attributes; leave columns out, as at most "
            f"{MOST_ATTRIBUTES:,} are read"
        )

"""Rows of `metadata.csv` and `metadata.jsonl`: values of files, column by column.

The layout is that of image folders of Hugging Face: a column `file_name`, and others.
"""

import csv
import io
import json
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from jaxgan.errors import UsageError, printable
from jaxgan.files import open_regular, reason

NAMES = ("metadata.csv", "metadata.jsonl")
"""Names of the file, of which a folder has one at most."""
KEY = "file_name"
"""The column that names the pictures, relative to the folder of the file."""
MOST_BYTES = 2**30
"""Largest size of the file."""
MOST_COLUMNS = 4_096
MOST_VALUES = 10_000
"""Number of different values above which a column is left out."""
LONGEST = 255
"""Characters above which a value is a text, such as a caption."""
NONE = -1
"""The code of a missing value."""


class Column:
    """The values of a column, as codes in the order of their first occurrence."""

    def __init__(self, rows: int) -> None:
        """Creates a column whose first `rows` values are missing."""
        self.codes = array("i", [NONE]) * rows
        """One per row, `NONE` for a missing value."""
        self.values: dict[str, int] = {}
        """Codes by value."""
        self.reason = ""
        """The reason why the column holds no attributes, empty if it may."""

    def add(self, value: Any) -> None:
        """Appends a value, unless the column is left out already."""
        if self.reason:
            return
        # Most values are known texts, of which files may have millions.
        if isinstance(value, str) and (code := self.values.get(value)) is not None:
            return self.codes.append(code)
        text = _text(value)
        if text is None:
            return self.leave_out("lists or objects")
        if len(text) > LONGEST:
            return self.leave_out("texts")
        if not text:
            return self.codes.append(NONE)
        if len(self.values) >= MOST_VALUES and text not in self.values:
            return self.leave_out(f"more than {MOST_VALUES:,} values")
        return self.codes.append(self.values.setdefault(text, len(self.values)))

    def leave_out(self, why: str) -> None:
        """Drops all values, for a reason."""
        self.codes, self.values, self.reason = array("i"), {}, why


class Rows(NamedTuple):
    """The rows of a file."""

    path: Path
    files: dict[str, int]
    """Numbers of rows by the name of their file, relative to the folder."""
    lines: list[int]
    """The line of each row, for messages."""
    columns: dict[str, Column]
    """Without `file_name`."""


def find(name: str, folder: Path) -> Path | None:
    """Returns the file of a folder, None if there is none.

    Args:
      name: the name of the data set, for messages.
      folder: the folder.

    Raises:
      UsageError: if there are two.
    """
    found = [folder / one for one in NAMES if (folder / one).exists()]
    if len(found) > 1:
        raise UsageError(
            f"{name}: {' and '.join(NAMES)} are both in {printable(str(folder))}; "
            "remove one of them"
        )
    return found[0] if found else None


def read(name: str, path: Path) -> Rows:
    """Reads a file.

    Args:
      name: the name of the data set, for messages.
      path: `metadata.csv` or `metadata.jsonl`.

    Raises:
      UsageError: in one line, if the file cannot be read, is too large, is damaged, has
        no column `file_name`, or names a file twice.
    """
    where = f"{name}: {printable(path.name)}"
    text = _read_text(where, path)
    records = _of_csv if path.suffix == ".csv" else _of_jsonl
    rows = Rows(path, {}, [], {})
    for line, record in records(where, text):
        _add(where, rows, line, record)
    if not rows.files:
        raise UsageError(f"{where} has no rows; name each picture in one, or remove it")
    return rows


def _add(where: str, rows: Rows, line: int, record: dict[str, Any]) -> None:
    """Appends a record to the rows."""
    file = record.pop(KEY, None)
    if not isinstance(file, str) or not file:
        raise UsageError(
            f"{where}, line {line}: {KEY} is missing; name the picture of each row"
        )
    # Both separators, as the file may come from another system.
    file = str(Path(file.replace("\\", "/")))
    if file in rows.files:
        first = rows.lines[rows.files[file]]
        raise UsageError(
            f"{where}, lines {first} and {line} both describe {printable(file)}; "
            "remove one of them"
        )
    known = len(rows.lines)
    rows.files[file] = known
    rows.lines.append(line)
    # In the order of the file, which is that of the attributes.
    for key in [x for x in record if x not in rows.columns]:
        if len(rows.columns) >= MOST_COLUMNS:
            raise UsageError(f"{where} has more than {MOST_COLUMNS:,} columns")
        rows.columns[key] = Column(known)
    for key, column in rows.columns.items():
        column.add(record.get(key, ""))


def _text(value: Any) -> str | None:
    """Returns a value as text, empty for a missing one; None for lists and objects.

    >>> _text(True), _text(1.0), _text(" dark "), _text(None), _text([1])
    ('1', '1', 'dark', '', None)
    """
    # NaN differs from itself.
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, int) and value.bit_length() > 64:
        return "a huge number"
    return str(value).strip() if isinstance(value, str | int | float) else None


def _read_text(where: str, path: Path) -> str:
    """Returns the content of a file."""
    try:
        with open_regular(path) as file:
            content = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{where} cannot be read ({reason(error)}); make it readable, or remove it"
        ) from None
    if len(content) > MOST_BYTES:
        raise UsageError(
            f"{where} is larger than {MOST_BYTES >> 30} GiB; leave out long columns"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = 1 + content.count(b"\n", 0, error.start)
        raise UsageError(
            f"{where}, line {line} is not UTF-8; save the file as UTF-8"
        ) from None
    if "\0" in text:
        line = 1 + text.count("\n", 0, text.index("\0"))
        raise UsageError(f"{where}, line {line} has a NUL character; repair the file")
    return text


def _of_csv(where: str, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the line and the values of each row of a CSV file."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        _check_header(where, header)
        for cells in reader:
            if not cells:
                continue  # an empty line
            if len(cells) != len(header):
                raise UsageError(
                    f"{where}, line {reader.line_num} has {len(cells)} values for "
                    f"{len(header)} columns; write as many, and quote texts with commas"
                )
            yield reader.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise UsageError(
            f"{where}, line {reader.line_num} is damaged ({printable(str(error))}); "
            "repair it"
        ) from None


def _check_header(where: str, header: list[str]) -> None:
    """Raises UsageError for a header without `file_name`, or with a name twice."""
    if KEY not in header:
        shown = ", ".join(printable(x) for x in header[:8]) or "empty"
        raise UsageError(
            f"{where} has no column {KEY} (its first line is {shown[:200]}); name the "
            f"column of the pictures {KEY}"
        )
    twice = next((x for i, x in enumerate(header) if x in header[:i]), None)
    if twice is not None:
        raise UsageError(
            f"{where} has two columns {printable(twice)!r}; rename one of them"
        )


def _of_jsonl(where: str, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the line and the values of each row of a JSON Lines file."""
    for number, line in enumerate(io.StringIO(text), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        # Deep nesting, and integers of too many digits.
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise UsageError(
                f"{where}, line {number} is not a JSON object; write lines like "
                f'{{"{KEY}": "1.png", "smiling": 1}}'
            )
        yield number, record

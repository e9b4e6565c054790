"""Folders of parquet files in the layout of Hugging Face: a column `image`, a label.

A picture is `{bytes, path}`, or bytes. Pictures are read by row groups, each of which
is read whole for one picture of it; so row groups of about 100 pictures are best.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jaxgan.data.record_index import Record, Scan
from jaxgan.errors import UsageError, printable
from jaxgan.files import reason

SHARDS = r"\.parquet$"
"""Names of shards in a folder."""
IMAGES = ("image", "img", "picture", "png", "jpg")
"""Names of columns of pictures that a schema does not mark, most usual first."""
KEPT = 2**26
"""Bytes of row groups that a process keeps, for neighbors in a batch."""
MOST_OPEN = 64
"""Largest number of files that a process keeps open."""
INSTALL = "pip install 'jaxgan[parquet]'"


class RowGroups:
    """Fetches pictures from row groups."""

    def __init__(self, column: str) -> None:
        """Creates the function for a column of pictures."""
        self.column = column
        self._open()

    def _open(self) -> None:
        self._files: OrderedDict[str, Any] = OrderedDict()
        self._groups: OrderedDict[tuple[str, int], Any] = OrderedDict()
        # Files of pyarrow are not safe to read from several threads.
        self._lock = threading.Lock()

    def __getstate__(self) -> str:
        return self.column

    def __setstate__(self, column: str) -> None:
        self.column = column
        self._open()

    def __call__(self, places: Sequence[Any]) -> list[bytes | Path]:
        """Returns the pictures of `(file, row group, row)`."""
        found: list[bytes | Path] = [b""] * len(places)
        order = sorted(range(len(places)), key=places.__getitem__)
        with self._lock:
            for i in order:
                file, group, row = places[i]
                value = self._group(file, group)[row].as_py()
                found[i] = _source(Path(file).parent, value) or b""
        return found

    def _group(self, file: str, group: int) -> Any:
        """Returns the column of a row group."""
        known = self._groups.pop((file, group), None)
        if known is None:
            opened = self._files.pop(file, None) or _opened(Path(file))
            self._files[file] = opened
            while len(self._files) > MOST_OPEN:
                self._files.popitem(last=False)[1].close()
            table = opened.read_row_group(group, [self.column], use_threads=False)
            known = table.column(0)
        self._groups[file, group] = known
        # The newest one stays, whatever its size.
        while len(self._groups) > 1 and self._kept() > KEPT:
            self._groups.popitem(last=False)
        return known

    def _kept(self) -> int:
        return sum(group.nbytes for group in self._groups.values())


def _source(folder: Path, value: Any) -> bytes | Path | None:
    """Returns the content or the path of a picture; None for a missing one."""
    if isinstance(value, dict):
        path = value.get("path")
        content = value.get("bytes")
        # Without content, the path is that of a file beside the shard.
        return content or (folder / path if path else None)
    return value or None


def _opened(file: Path) -> Any:
    from pyarrow import parquet

    return parquet.ParquetFile(file, memory_map=True)


def check_library(name: str) -> None:
    """Raises UsageError if pyarrow is not installed."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise UsageError(
            f"--dataset={name}: parquet files need pyarrow: {INSTALL}"
        ) from None


def picture_column(name: str, file: Path, image_field: str) -> str:
    """Returns the column that holds pictures.

    Args:
      name: the name of the data set, for errors.
      file: a shard.
      image_field: the column that the user chose, if any.

    Raises:
      UsageError: if there is no such column, or it holds no pictures.
    """
    import pyarrow

    opened = _file(name, file)
    schema, marked = opened.schema_arrow, _features(opened.schema_arrow)
    columns = {x.name: x.type for x in schema}
    listed = ", ".join(f"{printable(k)} ({x})" for k, x in columns.items())
    fits = [k for k, x in columns.items() if _may_hold_pictures(pyarrow, x)]
    if image_field:
        if image_field not in fits:
            what = "no picture" if image_field in columns else "not there"
            raise UsageError(
                f"--image_field={printable(image_field)}: this column of {name} is "
                f"{what}; choose from {', '.join(map(printable, fits)) or listed}"
            )
        return image_field
    images = [k for k in fits if _type(marked.get(k)) == "Image"]
    images = images or [k for k in IMAGES if k in fits] or fits
    if len(images) == 1 or "image" in images:
        return "image" if "image" in images else images[0]
    if not images:
        raise UsageError(
            f"{name}: no column holds pictures ({listed[:300]}); a picture is "
            "{bytes, path}, or bytes"
        )
    raise UsageError(
        f"{name} has several columns with pictures: use one of "
        f"{', '.join(f'--image_field={printable(x)}' for x in images)}"
    )


def _may_hold_pictures(pyarrow: Any, kind: Any) -> bool:
    types = pyarrow.types
    if types.is_struct(kind):
        return any(field.name == "bytes" for field in kind)
    return types.is_binary(kind) or types.is_large_binary(kind)


def _features(schema: Any) -> dict[str, Any]:
    """Returns the features of Hugging Face's `datasets` in the metadata of a schema."""
    try:
        text = (schema.metadata or {})[b"huggingface"]
        return dict(json.loads(text)["info"]["features"])
    except (KeyError, TypeError, ValueError):
        return {}


def _type(feature: Any) -> str:
    return str(feature.get("_type", "")) if isinstance(feature, dict) else ""


def _file(name: str, file: Path) -> Any:
    try:
        return _opened(file)
    except Exception as error:  # truncated and foreign files
        why = printable(reason(error))
        raise UsageError(
            f"{name}: {printable(str(file))} is damaged, or no parquet file ({why}); "
            "copy it again"
        ) from None


def scan_parquet(name: str, file: Path, column: str) -> Scan:
    """Reads the rows of a shard.

    Args:
      name: the name of the data set, for errors.
      file: the shard.
      column: the column of pictures.

    Raises:
      UsageError: if the shard is damaged or has other columns.
    """
    opened = _file(name, file)
    if column not in opened.schema_arrow.names:
        raise UsageError(
            f"{name}: {printable(file.name)} has no column {printable(column)}, which "
            "other shards have; leave it out"
        )
    features = _features(opened.schema_arrow)
    names = {k: x["names"] for k, x in features.items() if _type(x) == "ClassLabel"}
    facts = {"names": names, "group_bytes": _group_bytes(opened)}
    return Scan(_records(opened, file, column), facts)


def _group_bytes(opened: Any) -> int:
    """Returns the size of the largest row group."""
    groups = map(opened.metadata.row_group, range(opened.num_row_groups))
    return max((group.total_byte_size for group in groups), default=0)


def _records(opened: Any, file: Path, column: str) -> Iterator[Record]:
    others = [
        x.name for x in opened.schema_arrow if x.name != column and _is_scalar(x.type)
    ]
    key = 0
    with opened:
        for group in range(opened.num_row_groups):
            table = opened.read_row_group(group, [column, *others], use_threads=False)
            values = {k: table.column(k).to_pylist() for k in others}
            for row, picture in enumerate(table.column(column)):
                source = _source(file.parent, picture.as_py())
                own = {k: x[row] for k, x in values.items()}
                yield Record((group, row), source, own, f"row {key}")
                key += 1


def _is_scalar(kind: Any) -> bool:
    """Returns True for types of numbers, truth values and texts."""
    from pyarrow import types

    tests = (types.is_integer, types.is_boolean, types.is_floating)
    tests += (types.is_string, types.is_large_string, types.is_dictionary)
    return any(test(kind) for test in tests)

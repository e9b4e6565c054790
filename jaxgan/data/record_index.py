"""Indexes of data sets in shards: places, headers and columns, kept between runs."""

import logging
import os
from array import array
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL

from jaxgan.data import index_cache
from jaxgan.data.metadata_rows import MOST_COLUMNS, Column, Rows
from jaxgan.data.picture_lists import HeaderBuilder, HeaderList, PathList
from jaxgan.data.pictures import cannot_be_read, try_header
from jaxgan.errors import UsageError, printable
from jaxgan.files import reason

LOG = logging.getLogger("jaxgan")


class Record(NamedTuple):
    """An example of a shard."""

    place: tuple[int, int]
    """Its position in the shard: an offset and a length, or a row group and a row."""
    source: bytes | Path | None
    """The encoded picture, None for a record without one."""
    values: dict[str, Any]
    """Other values by column: texts and numbers."""
    key: str
    """A text that identifies it in its shard."""


class Scan(NamedTuple):
    """The records of a shard."""

    records: Iterable[Record]
    facts: dict[str, Any]
    """Facts of the shard, such as names of classes, which are those of all shards."""


class RecordIndex(NamedTuple):
    """The records of all shards of a split, without their pictures."""

    files: tuple[Path, ...]
    shards: np.ndarray
    """Number of the shard of each record, `[n]` int32."""
    places: np.ndarray
    """`[n, 2]` int64."""
    headers: HeaderList
    keys: PathList
    rows: Rows
    facts: dict[str, Any]

    def locate(self, numbers: np.ndarray) -> list[tuple[str, int, int]]:
        """Returns file and position of records."""
        numbers = np.asarray(numbers)
        shards, places = self.shards[numbers].tolist(), self.places[numbers].tolist()
        return [
            (str(self.files[shard]), *place)
            for shard, place in zip(shards, places, strict=True)
        ]


class Names(Sequence[str]):
    """Texts that name records in messages."""

    def __init__(self, files: Sequence[Path], shards: Sequence[int], keys: Any):
        """Combines the name of each record's shard with its key."""
        self._files, self._shards, self._keys = files, shards, keys

    def __len__(self) -> int:
        return len(self._shards)

    def __getitem__(self, number: Any) -> Any:
        file = self._files[self._shards[number]].name
        return f"{file}, {self._keys(number)}"


def open_index(
    name: str,
    files: tuple[Path, ...],
    scan: Callable[[Path], Scan],
    key: tuple[Any, ...],
    *,
    skip_bad: bool,
) -> RecordIndex:
    """Reads the index of some shards, or makes it.

    It is valid while names, sizes and times of change of the shards are the same.

    Args:
      name: the name of the data set, for messages.
      files: the shards.
      scan: reads a shard.
      key: whatever else the index depends on, beginning with the kind of the source.
      skip_bad: keeps records whose header cannot be read if True.

    Raises:
      UsageError: if a shard cannot be read, or holds no pictures.
    """
    kind, *others = key
    try:
        stats = [os.stat(file) for file in files]
    except OSError as error:
        raise _unreadable(name, Path(error.filename), error) from None
    facts = [
        (os.path.realpath(file), status.st_size, status.st_mtime_ns)
        for file, status in zip(files, stats, strict=True)
    ]
    place = index_cache.place(kind, facts, others, PIL.__version__)
    found = index_cache.load(place)
    if found is not None:
        index = _restored(files, found)
        if skip_bad or not index.headers.bad():
            return index
    index = _made(name, files, scan, skip_bad=skip_bad)
    if index_cache.save(place, _stored(index)):
        LOG.info("the index of the records is kept for the next run in %s", place)
    return index


def _made(
    name: str, files: tuple[Path, ...], scan: Callable[[Path], Scan], *, skip_bad: bool
) -> RecordIndex:
    """Reads all shards."""
    shards, places, keys = array("i"), array("q"), []
    headers, rows = HeaderBuilder(), Rows(files[0], {}, [], {})
    facts: dict[str, Any] = {}
    empty = 0
    names = Names(files, shards, keys.__getitem__)
    for number, file in enumerate(files):
        try:
            scanned = scan(file)
            facts = facts or scanned.facts
            for one in scanned.records:
                if one.source is None:
                    empty += 1
                    continue
                shards.append(number)
                places.extend(one.place)
                keys.append(one.key)
                header = try_header(one.source)
                if isinstance(header, Exception) and not skip_bad:
                    raise cannot_be_read(name, names[-1], header)
                headers.add(None if isinstance(header, Exception) else header)
                _add(name, rows, one)
        except UsageError:
            raise
        except Exception as error:  # damaged shards raise many types
            raise _unreadable(name, file, error) from error
    if not shards:
        raise UsageError(
            f"{name}: {printable(files[0].name)} and the other shards hold no pictures"
        )
    if empty:
        LOG.info("%s: left out %s records without a picture", printable(name), empty)
    return RecordIndex(
        files,
        np.array(shards, np.int32),
        np.array(places, np.int64).reshape(-1, 2),
        headers.build(),
        PathList.of(Path(), keys),
        rows,
        facts,
    )


def _add(name: str, rows: Rows, one: Record) -> None:
    """Appends the values of a record to the columns."""
    known = len(rows.lines)
    rows.lines.append(known)
    for key in [x for x in one.values if x not in rows.columns]:
        if len(rows.columns) >= MOST_COLUMNS:
            raise UsageError(f"{name} has more than {MOST_COLUMNS:,} columns")
        rows.columns[key] = Column(known)
    for key, column in rows.columns.items():
        column.add(one.values.get(key, ""))


def _stored(index: RecordIndex) -> dict[str, Any]:
    """Returns an index as arrays and values of JSON."""
    columns = index.rows.columns
    codes = {
        f"codes{i}": np.array(x.codes, np.int32) for i, x in enumerate(columns.values())
    }
    return {
        "shards": index.shards,
        "places": index.places,
        "headers": index.headers.table,
        "keys": np.frombuffer(index.keys.blob, np.uint8),
        "ends": index.keys.ends,
        "columns": [(k, list(x.values), x.reason) for k, x in columns.items()],
        "own": index.facts,
        **codes,
    }


def _restored(files: tuple[Path, ...], found: dict[str, Any]) -> RecordIndex:
    """Returns the index from what `_stored` returned."""
    columns = {}
    for i, (key, values, why) in enumerate(found["columns"]):
        column = columns[key] = Column(0)
        column.codes = array("i", found[f"codes{i}"].tobytes())
        column.values = {value: code for code, value in enumerate(values)}
        column.reason = why
    size = len(found["shards"])
    return RecordIndex(
        files,
        found["shards"],
        found["places"],
        HeaderList(found["headers"]),
        PathList(Path(), found["keys"].tobytes(), found["ends"]),
        Rows(files[0], {}, range(size), columns),  # type: ignore[arg-type]
        found["own"],
    )


def _unreadable(name: str, file: Path, error: Exception) -> UsageError:
    return UsageError(
        f"{name}: {printable(str(file))} cannot be read ({printable(reason(error))}); "
        "copy it again, or leave it out"
    )

"""Data sets in shards: `array_record:`, `webdataset:` and `parquet:`."""

import functools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgan.data import array_records, metadata, parquet, tars
from jaxgan.data.dataset import Dataset, Decoding, Range
from jaxgan.data.folder import FIELD, fields_beside
from jaxgan.data.metadata import LABEL, Metadata
from jaxgan.data.metadata_rows import Rows
from jaxgan.data.picture_reader import Fetch
from jaxgan.data.pictures import Reading, examine
from jaxgan.data.record_index import Names, RecordIndex, Scan, open_index
from jaxgan.data.roles import Choice
from jaxgan.data.shards import find_shards
from jaxgan.errors import UsageError, printable
from jaxgan.types import image_example

LOG = logging.getLogger("jaxgan")

CLASSES = (LABEL, "labels", "cls", "class", "image/class/label", "fine_label", "txt")
"""Names of columns that are the class, the most usual first."""
LARGE_GROUP = 2**24
"""Bytes of a row group above which pictures are read slowly."""


class Format(NamedTuple):
    """A format of shards as used by one data set."""

    scan: Callable[[Path], Scan]
    fetch: Fetch
    key: tuple[str, ...]
    """The format, and all else that an index depends on beside the shards."""


def _webdataset(name: str, files: tuple[Path, ...], image_field: str) -> Format:
    if image_field:
        raise UsageError(
            f"--image_field={printable(image_field)}: {name} has one picture for each "
            "key; leave out --image_field"
        )
    return Format(functools.partial(tars.scan_tar, name), tars.Spans(), ("webdataset",))


def _array_record(name: str, files: tuple[Path, ...], image_field: str) -> Format:
    try:
        import array_record.python.array_record_module  # noqa: F401
    except ImportError:
        raise UsageError(
            f"--dataset={name}: ArrayRecord needs its library: "
            "pip install 'jaxgan[array_record]'"
        ) from None
    feature = array_records.picture_feature(name, files, image_field)

    def scan(file: Path) -> Scan:
        return array_records.scan_array_record(name, file, feature)

    fetch = array_records.ArrayRecords(feature)
    return Format(scan, fetch, ("array_record", feature))


def _parquet(name: str, files: tuple[Path, ...], image_field: str) -> Format:
    parquet.check_library(name)
    column = parquet.picture_column(name, files[0], image_field)

    def scan(file: Path) -> Scan:
        return parquet.scan_parquet(name, file, column)

    return Format(scan, parquet.RowGroups(column), ("parquet", column))


FORMATS: dict[str, tuple[str, Callable[[str, tuple[Path, ...], str], Format]]] = {
    "array_record": (array_records.SHARDS, _array_record),
    "webdataset": (tars.SHARDS, _webdataset),
    "parquet": (parquet.SHARDS, _parquet),
}
"""The names of shards in a folder, and the format, by prefix."""


def record_set(name: str, pattern: Path, reading: Reading, choice: Choice) -> Dataset:
    """Loads pictures in shards, with labels and attributes where there are some.

    Args:
      name: the name of the data set, `webdataset:PATTERN`.
      pattern: of the shards, see `find_shards`.
      reading: the frame, and the treatment of transparency and of damage.
      choice: the split, and the columns that the user chose.

    Raises:
      UsageError: if there are no shards, if one is missing or damaged, or if pictures
        differ in size and the frame does not equalize them.
    """
    known, make = FORMATS[name.partition(":")[0]]
    shards = find_shards(name, pattern, choice.split, known)
    form = make(name, shards.files, choice.image)
    opened = functools.partial(
        open_index, name, scan=form.scan, key=form.key, skip_bad=reading.skip_bad
    )
    index = opened(shards.files)
    # The classes of all splits are those of train.
    train = opened(shards.train) if shards.train else index
    found = _columns(name, index, train, choice.label)
    if index.facts.get("group_bytes", 0) > LARGE_GROUP:
        LOG.warning(
            "%s: each picture needs a whole row group, of up to %d MB here; write row "
            "groups of about 100 pictures, or convert them to another format",
            *(printable(name), index.facts["group_bytes"] >> 20),
        )
    return _dataset(name, pattern, reading, index, form.fetch, found)


def _dataset(
    name: str,
    pattern: Path,
    reading: Reading,
    index: RecordIndex,
    fetch: Fetch,
    found: Metadata,
) -> Dataset:
    """Returns the data set of an index."""
    names = Names(index.files, index.shards, index.keys.relative)  # type: ignore[arg-type]
    pictures = examine(
        name, names, index.headers, reading, places=index.locate, fetch=fetch
    )
    labels = found.labels
    values = found.attributes if found.names else None
    others = fields_beside(labels, values)

    def encoded(numbers: np.ndarray) -> list[bytes]:
        # A label that is corrected makes another data set, unlike in folders, whose
        # classes are the names of folders.
        beside = [x for _, x in sorted(others(numbers).items())]
        return [
            b"".join((content, *(x[i].tobytes() for x in beside)))
            for i, content in enumerate(pictures.encoded(numbers))
        ]

    example = image_example(pictures.field.shape, pictures.field.dtype, found.classes)
    if found.names:
        example[FIELD] = found.field
    size, counts = len(index.shards), np.bincount(index.shards)
    return Dataset(
        name,
        size,
        example,
        lambda numbers: {"image": pictures.read(numbers)[:, 0], **others(numbers)},
        origin=f"{size:,} pictures in {len(index.files):,} shards of "
        f"{printable(str(pattern))}",
        encoded=encoded,
        labels=None if labels is None else labels.__getitem__,
        attributes=None if values is None else values.__getitem__,
        ranges=tuple(
            Range(str(file), 0, count)
            for file, count in zip(index.files, counts.tolist(), strict=True)
        ),
        decoding=Decoding(pictures.locate, pictures.decoder, others),
    )


def _columns(name: str, index: RecordIndex, train: RecordIndex, label: str) -> Metadata:
    """Returns the labels and attributes of all records."""
    none = Metadata((), np.zeros((len(index.shards), 0), bool))
    chosen = label or _class_column(train.rows)
    if not train.rows.columns:
        if label and label != "none":
            raise UsageError(
                f"--label_field={printable(label)}: {name} has no columns beside the "
                "pictures; leave out --label_field"
            )
        return none
    known, rows = (_renamed(x.rows, "" if label else chosen) for x in (train, index))
    found = metadata.of_columns(name, known, rows, label)
    if found is None:
        return none
    names = train.facts.get("names", {}).get(chosen)
    return found if names is None else _named(name, found, tuple(names))


def _class_column(rows: Rows) -> str:
    """Returns the column that is the class, empty if there is none."""
    for key in CLASSES:
        column = rows.columns.get(key)
        # Captions are no classes.
        if column and (key != "txt" or 2 * len(column.values) <= len(rows.lines)):
            return key
    return ""


def _renamed(rows: Rows, label: str) -> Rows:
    """Returns rows in which a column is called `label`."""
    if not label or label == LABEL or label not in rows.columns:
        return rows
    columns = {LABEL if k == label else k: x for k, x in rows.columns.items()}
    return rows._replace(columns=columns)


def _named(name: str, found: Metadata, names: tuple[str, ...]) -> Metadata:
    """Returns labels that are numbers of names, with these names."""
    if found.labels is None:
        return found
    try:
        numbers = np.array([int(x) for x in found.classes], np.int32)
    except ValueError:
        return found  # they are names already
    if numbers.min() < 0 or numbers.max() >= len(names):
        raise UsageError(
            f"{name}: labels are from {numbers.min()} to {numbers.max()}, and "
            f"{len(names)} classes have names; use --label_field=none to train without"
        )
    return found._replace(classes=names, labels=numbers[found.labels])

"""Shards of ArrayRecord: each record is a `tf.train.Example`, or an encoded picture.

TFDS writes them with `file_format="array_record"`.
"""

import functools
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxgan.data.decode import open_picture
from jaxgan.data.record_index import Record, Scan
from jaxgan.errors import UsageError, printable

SHARDS = r"\.array_?record($|[-.])"
"""Names of shards in a folder."""
AT_ONCE = 256
"""Records that are read at once when a shard is scanned."""
MOST_OPEN = 256
"""Largest number of shards that a process keeps open."""
LABELS = ".labels.txt"
"""The end of the names of TFDS's files with class names, after that of a feature."""


class ArrayRecords:
    """Fetches pictures from records."""

    def __init__(self, feature: str) -> None:
        """Creates the function.

        Args:
          feature: the feature of the pictures; empty if records are pictures.
        """
        self.feature = feature

    def __call__(self, places: Sequence[Any]) -> list[bytes]:
        """Returns the pictures of `(file, position, 0)`."""
        shards = defaultdict(list)
        for i, (file, position, _) in enumerate(places):
            shards[file].append((i, position))
        found: list[bytes] = [b""] * len(places)
        for file, rows in shards.items():
            # The reader of a shard reads several positions in parallel.
            records = _reader(file).read([position for _, position in rows])
            for (i, _), record in zip(rows, records, strict=True):
                found[i] = self._picture(record)
        return found

    def _picture(self, record: bytes) -> bytes:
        return _features(record)[self.feature][0] if self.feature else record


def _reader(file: str) -> Any:
    """Opens a shard, or returns the open one if it has not changed."""
    status = os.stat(file)
    return _opened(file, status.st_mtime_ns, status.st_size)


@functools.lru_cache(MOST_OPEN)
def _opened(file: str, *version: int) -> Any:
    del version  # another version of a shard is another file
    from array_record.python import array_record_module  # type: ignore[attr-defined]

    # The whole of its index is read at once, 8 bytes for each record.
    return array_record_module.ArrayRecordReader(
        file, options="readahead_buffer_size:0,index_storage_option:in_memory"
    )


def _features(record: bytes) -> dict[str, Sequence[Any]]:
    """Returns the values of the features of a `tf.train.Example`."""
    from tensorflow_datasets.proto import tf_example_pb2

    example = tf_example_pb2.Example.FromString(record)  # type: ignore[attr-defined]
    found = {}
    for name, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        found[name] = list(getattr(feature, kind).value) if kind else []
    return found


def picture_feature(name: str, files: Sequence[Path], image_field: str) -> str:
    """Returns the feature that holds pictures; empty if records are pictures.

    Args:
      name: the name of the data set, for errors.
      files: the shards.
      image_field: the feature that the user chose, if any.

    Raises:
      UsageError: if there is no such feature, or several.
    """
    file = next((file for file in files if _count(name, file)), files[0])
    if not _count(name, file):
        raise UsageError(f"{name}: the shards hold no records")
    (record,) = _reader(str(file)).read([0])
    if _is_picture(record):
        return ""
    try:
        features = _features(record)
    except Exception:
        raise UsageError(
            f"{name}: the records of {printable(file.name)} are neither pictures (PNG, "
            "JPEG, ...) nor tf.train.Example; write one of them"
        ) from None
    found = [k for k, x in features.items() if len(x) == 1 and _is_picture(x[0])]
    listed = ", ".join(printable(x) for x in sorted(features))
    if image_field:
        if image_field in found:
            return image_field
        problem = "holds no encoded picture" if image_field in features else "is none"
        raise UsageError(
            f"--image_field={printable(image_field)}: {problem} of the features of "
            f"{name} ({listed}); choose from {', '.join(sorted(found)) or 'others'}"
        )
    if "image" in found or len(found) == 1:
        return "image" if "image" in found else found[0]
    if found:
        raise UsageError(
            f"{name} has several features with pictures: use one of "
            f"{', '.join(f'--image_field={printable(x)}' for x in sorted(found))}"
        )
    raise UsageError(f"{name}: no feature holds an encoded picture ({listed})")


def _is_picture(value: Any) -> bool:
    try:
        with open_picture(value):
            return isinstance(value, bytes)
    except Exception:
        return False


def _count(name: str, file: Path) -> int:
    """Returns the number of records; raises UsageError for damaged files."""
    try:
        reader = _reader(str(file))
        # A file whose end is missing seems to have no records.
        if reader.ok():
            return reader.num_records()
    except Exception:  # the library raises many types
        pass
    raise UsageError(
        f"{name}: {printable(str(file))} is damaged, or no file of ArrayRecord; copy "
        "it again"
    )


def scan_array_record(name: str, file: Path, feature: str) -> Scan:
    """Reads the records of a shard.

    Args:
      name: the name of the data set, for errors.
      file: the shard.
      feature: the feature that holds pictures; empty if records are pictures.

    Raises:
      UsageError: if the shard is damaged.
    """
    count = _count(name, file)
    facts = {"names": _class_names(file.parent)} if feature else {}
    return Scan(_records(file, count, feature), facts)


def _records(file: Path, count: int, feature: str) -> Iterator[Record]:
    for start in range(0, count, AT_ONCE):
        stop = min(start + AT_ONCE, count)
        for position, record in enumerate(_reader(str(file)).read(start, stop), start):
            key = f"record {position}"
            if not feature:
                yield Record((position, 0), record, {}, key)
                continue
            features = _features(record)
            source = (features.pop(feature, None) or [None])[0]
            values = {k: _value(x) for k, x in features.items()}
            yield Record((position, 0), source, values, key)


def _value(values: Sequence[Any]) -> Any:
    """Returns the single value of a feature as text or number; a list of several."""
    if len(values) != 1:
        return list(values) or ""
    (value,) = values
    # Other pictures and arrays of bytes are no texts.
    if isinstance(value, bytes):
        text = value.decode("utf-8", "replace")
        return [] if "\ufffd" in text or "\0" in text else text
    return float(np.float32(value)) if isinstance(value, float) else value


def _class_names(folder: Path) -> dict[str, list[str]]:
    """Returns the class names in files of TFDS beside the shards, by feature."""
    found = {}
    for file in folder.glob(f"*{LABELS}"):
        feature = file.name.removesuffix(LABELS)
        try:
            found[feature] = file.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            continue
    return found

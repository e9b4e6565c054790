"""Shards of WebDataset: tar files with `key.jpg`, `key.cls`, `key.json` and `key.txt`.

The library `webdataset` reads shards from front to back, shuffles within a buffer, and
cannot resume at a batch. Here the offsets of all pictures are indexed once, by the
standard library, so that any order is read.
"""

import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jaxgan.data.decode import suffixes
from jaxgan.data.record_index import Record, Scan
from jaxgan.errors import UsageError, printable

SHARDS = r"\.tar$"
"""Names of shards in a folder."""
MOST_BYTES = 2**20
"""Largest size of a label, a text or a JSON file."""
VALUES = ("cls", "json", "txt")
"""Suffixes of members that hold values."""


class Spans:
    """Fetches parts of files."""

    def __call__(self, places: Sequence[Any]) -> list[bytes]:
        """Returns the content of `(file, offset, length)`."""
        return [_read(*place) for place in places]


def _read(file: str, offset: int, length: int) -> bytes:
    # Opened each time, as there may be more shards than a process may open.
    with open(file, "rb", buffering=0) as opened:
        content = os.pread(opened.fileno(), length, offset)
    if len(content) < length:
        raise ValueError(f"{os.path.basename(file)} has become shorter")
    return content


def scan_tar(name: str, file: Path) -> Scan:
    """Reads the members of a shard.

    Args:
      name: the name of the data set, for errors.
      file: the shard.

    Raises:
      UsageError: during iteration, if it is damaged or compressed.
    """
    return Scan(_records(name, file), {})


def _records(name: str, file: Path) -> Iterator[Record]:
    picture_suffixes = tuple(suffix[1:] for suffix in suffixes())
    samples: dict[str, Record] = {}
    shown = f"{name}: {printable(str(file))}"
    with open(file, "rb") as opened:
        for member in _members(shown, file):
            folder, _, last = member.name.rpartition("/")
            stem, _, suffix = last.lower().partition(".")
            if not member.isfile() or not stem:  # folders, links and hidden files
                continue
            key = os.path.join(folder, last[: len(stem)])
            known = samples.get(key) or Record((0, 0), None, {}, key)
            if suffix in picture_suffixes:
                if known.source is not None:
                    raise UsageError(
                        f"{shown}: {printable(key)} has two pictures; keep one of them"
                    )
                place = member.offset_data, member.size
                source = os.pread(opened.fileno(), member.size, member.offset_data)
                known = known._replace(place=place, source=source)
            elif suffix in VALUES and member.size <= MOST_BYTES:
                content = os.pread(opened.fileno(), member.size, member.offset_data)
                values = _values(f"{shown}, {printable(member.name)}", suffix, content)
                known.values.update(values)
            # Members of a sample follow each other.
            for other in [x for x in samples if x != key]:
                yield samples.pop(other)
            samples[key] = known
    yield from samples.values()


def _members(shown: str, file: Path) -> Iterator[tarfile.TarInfo]:
    """Yields the members of an uncompressed tar file."""
    advice = "copy it again, or write it again"
    with open(file, "rb") as opened:
        start = opened.read(6)
    if start[:2] == b"\x1f\x8b" or start[:3] == b"BZh" or start == b"\xfd7zXZ\0":
        raise UsageError(
            f"{shown} is compressed, and pictures are read in any order; unpack it to "
            "a plain .tar, which is hardly larger"
        )
    end = 0
    try:
        with tarfile.open(file, "r:") as members:
            while (member := members.next()) is not None:
                end = member.offset_data + member.size
                yield member
                # It keeps all members, which would fill the memory.
                vars(members)["members"].clear()
    except tarfile.TarError as error:
        raise UsageError(f"{shown} is damaged ({error}); {advice}") from None
    # A whole file ends with blocks of zeros.
    with open(file, "rb") as opened:
        opened.seek(-(-end // 512) * 512)
        if opened.read(512) != bytes(512):
            raise UsageError(f"{shown} is truncated; {advice}")


def _values(where: str, suffix: str, content: bytes) -> dict[str, Any]:
    """Returns the values of a member by column."""
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise UsageError(f"{where} is not UTF-8; save it as UTF-8") from None
    if suffix != "json":
        return {suffix: text}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UsageError(f'{where} is not a JSON object such as {{"label": 3}}')
    return found

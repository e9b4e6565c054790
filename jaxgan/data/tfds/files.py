"""Files that a TFDS builder downloads, and the check of their checksums.

A file of any origin is accepted only if it has the sha256 that TFDS records.
"""

import hashlib
import os
from pathlib import Path
from typing import Any, NamedTuple


class Unavailable(Exception):
    """Raised if a source cannot provide the files; the message gives the reason."""


class RemoteFile(NamedTuple):
    """One file of a data set."""

    name: str
    """File name, such as `train-images-idx3-ubyte.gz`."""
    url: str
    info: Any
    """TFDS's record of the file: `size`, `checksum`."""
    place: Path
    """The path in TFDS's download cache."""
    others: tuple[str, ...] = ()
    """Other names under which users have the file."""


OTHER_NAMES = {"tiny_shakespeare": {"input.txt": ("tinyshakespeare.txt",)}}
"""Other names of files, by data set and file name."""


class Search(NamedTuple):
    """The files that a data set needs, and the folder of downloads."""

    dataset: str
    downloads: Path
    files: tuple[RemoteFile, ...]


def search_for(builder: Any, downloads: Path) -> Search:
    """Returns the files that a TFDS builder downloads, from its own records.

    Args:
      builder: a TFDS builder.
      downloads: the folder of downloads.
    """
    from tensorflow_datasets.core.download import resource

    # TFDS derives the names in its cache from URL and checksum.
    folder, others = downloads / builder.name, OTHER_NAMES.get(builder.name, {})
    files = tuple(
        RemoteFile(
            info.filename,
            url,
            info,
            folder / resource.get_dl_fname(url, info.checksum),
            others.get(info.filename, ()),
        )
        for url, info in builder.url_infos.items()
    )
    return Search(builder.name, downloads, files)


def has_checksum(file: RemoteFile, data: bytes) -> bool:
    """Returns True if `data` has the sha256 that TFDS records for the file."""
    return hashlib.sha256(data).hexdigest() == file.info.checksum


def read_verified(file: RemoteFile, place: Path) -> bytes | None:
    """Returns the content of `place` if its checksum is correct, None otherwise."""
    try:
        # Comparing sizes first avoids reading large files.
        if not place.is_file() or place.stat().st_size != file.info.size:
            return None
        data = place.read_bytes()
    except OSError:
        return None
    return data if has_checksum(file, data) else None


def put(search: Search, file: RemoteFile, data: bytes) -> None:
    """Writes a file to TFDS's download cache.

    Raises:
      Unavailable: if the checksum of `data` is wrong.
    """
    from etils import epath
    from tensorflow_datasets.core.download import resource

    if not has_checksum(file, data):
        raise Unavailable(f"{file.name} does not have the sha256 that TFDS records")
    file.place.parent.mkdir(parents=True, exist_ok=True)
    # Renaming is atomic: an interrupted write leaves no partial file.
    half = file.place.with_name(f"{file.place.name}.{os.getpid()}.incomplete")
    half.write_bytes(data)
    os.replace(half, file.place)
    # TFDS ignores files in its cache that lack this record.
    resource.write_info_file(
        file.url, epath.Path(file.place), search.dataset, file.name, file.info
    )

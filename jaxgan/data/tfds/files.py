"""One file of a data set that is looked for, and when it counts as found.

Whatever the route, a file counts only if its sha256 is the one that TFDS records.
"""

import hashlib
import os
from pathlib import Path
from typing import Any, NamedTuple


class Unavailable(Exception):
    """A route does not lead to the files; the message says why."""


class RemoteFile(NamedTuple):
    """One file, and where TFDS looks for it."""

    name: str
    """As `train-images-idx3-ubyte.gz`."""
    url: str
    info: Any
    """TFDS's record of the file: `size`, `checksum`."""
    place: Path


class Search(NamedTuple):
    """What is looked for, and below which folder."""

    dataset: str
    downloads: Path
    files: tuple[RemoteFile, ...]


def search_for(builder: Any, downloads: Path) -> Search:
    """The files that a TFDS builder downloads, by its own record of them."""
    from tensorflow_datasets.core.download import resource

    folder = downloads / builder.name
    files = tuple(
        RemoteFile(
            info.filename, url, info, folder / resource.get_dl_fname(url, info.checksum)
        )
        for url, info in builder.url_infos.items()
    )
    return Search(builder.name, downloads, files)


def has_checksum(file: RemoteFile, data: bytes) -> bool:
    """Whether these are the bytes that TFDS knows the file by."""
    return hashlib.sha256(data).hexdigest() == file.info.checksum


def read_verified(file: RemoteFile, place: Path) -> bytes | None:
    """Returns the content of `place` if it is the file's; None otherwise."""
    try:
        if not place.is_file() or place.stat().st_size != file.info.size:
            return None
        data = place.read_bytes()
    except OSError:
        return None
    return data if has_checksum(file, data) else None


def put(search: Search, file: RemoteFile, data: bytes) -> None:
    """Writes a file where TFDS will look for it.

    Raises Unavailable if it is not the right one.
    """
    from etils import epath
    from tensorflow_datasets.core.download import resource

    if not has_checksum(file, data):
        raise Unavailable(f"{file.name} has another sha256 than TFDS records")
    file.place.parent.mkdir(parents=True, exist_ok=True)
    half = file.place.with_name(f"{file.place.name}.{os.getpid()}.incomplete")
    half.write_bytes(data)
    os.replace(half, file.place)
    resource.write_info_file(
        file.url, epath.Path(file.place), search.dataset, file.name, file.info
    )

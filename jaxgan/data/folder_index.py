"""Indexes of large image folders: files, classes and headers, kept between runs.

An index is used while every folder below the root has the number of entries and the
time of change that it had. So it notices files and folders that are added, removed or
renamed. It does not notice pictures that are overwritten in place, nor changes in the
targets of links to files: those are found when a picture is read, if its size or depth
has changed, and by the fingerprint, if it is among the up to 2,048 pictures hashed.
"""

import logging
import os
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import PIL

from jaxgan.data import index_cache, pictures
from jaxgan.data.decode import suffixes
from jaxgan.data.index_cache import Index
from jaxgan.data.listing import Visit, Walk, pictures_below
from jaxgan.data.picture_lists import HeaderList
from jaxgan.data.pictures import Reading

LOG = logging.getLogger("jaxgan")

LEAST = 10_000
"""Smallest number of pictures of a folder with an index; fewer take a second or two."""
SETTLED = 2_000_000_000
"""Nanoseconds after which another change surely gives a folder another time of change.

File systems keep times in units of up to two seconds."""


def load(root: Path) -> Index | None:
    """Returns the index of an image folder, None if there is none or it changed."""
    index = index_cache.load(_place(root))
    if index is None:
        return None
    rows = zip(index["folders"], index["mtimes"], index["counts"], strict=True)
    known = [Visit(os.path.join(root, x), int(y), int(z)) for x, y, z in rows]
    return index if _are_unchanged(known) else None


def walk_below(name: str, root: Path, used: Path | None = None) -> Walk:
    """Returns the pictures below a folder, by its index if there is one.

    The arguments are those of `listing.pictures_below`.

    Raises:
      UsageError: if the folder holds no images, or cannot be read.
    """
    return pictures_below(name, root, used, load(root))


def read_headers(walk: Walk, reading: Reading) -> HeaderList:
    """Returns the headers of a walk's files; reads and keeps them if they are unknown.

    Raises:
      UsageError: if a file cannot be read.
    """
    known = walk.headers
    # Pictures that could not be read may have been fixed since.
    if known is None or (known.bad() and not reading.skip_bad):
        found = pictures.read_headers(walk.name, walk.files, reading.skip_bad)
        known = HeaderList.of(found)
        if walk.headers is None:
            save(walk, known)
    return known


def save(walk: Walk, headers: HeaderList) -> None:
    """Keeps the index of a folder of many pictures that no program is changing.

    Args:
      walk: the folder.
      headers: of its files.
    """
    if len(walk.files) < LEAST:
        return
    newest = max(visit.mtime for visit in walk.visits)
    # Another change in this moment might not be noticed.
    if newest > time.time_ns() - SETTLED or not _are_unchanged(walk.visits):
        return
    file = _place(walk.root)
    index = {
        "paths": np.frombuffer(walk.files.blob, np.uint8),
        "ends": walk.files.ends,
        "class_numbers": walk.class_numbers,
        "headers": headers.table,
        "mtimes": np.array([visit.mtime for visit in walk.visits], np.int64),
        "counts": np.array([visit.count for visit in walk.visits], np.int64),
        "folders": [os.path.relpath(visit.path, walk.root) for visit in walk.visits],
        "classes": list(walk.classes),
        "left_out": dict(walk.left_out),
        "ignored": sorted(walk.ignored),
    }
    if index_cache.save(file, index):
        LOG.info("the index of the pictures is kept for the next run in %s", file)


def _place(root: Path) -> Path | None:
    # Other versions of Pillow may read other formats and headers.
    return index_cache.place(
        "folder", os.path.realpath(root), PIL.__version__, suffixes()
    )


def _are_unchanged(visits: Iterable[Visit]) -> bool:
    """Returns True if folders have the entries and times that they had at a visit."""
    try:
        for visit in visits:
            if os.stat(visit.path).st_mtime_ns != visit.mtime:
                return False
            with os.scandir(visit.path) as entries:
                if sum(1 for _ in entries) != visit.count:
                    return False
    except OSError:  # removed
        return False
    return True

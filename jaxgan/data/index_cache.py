"""Indexes of large data sets, kept between runs in the user's cache folder."""

import hashlib
import io
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxgan.environment import cache_folder
from jaxgan.files import atomic_write

LOG = logging.getLogger("jaxgan")

FORMAT = 1
"""Version of the indexes; changing it invalidates older ones."""
MOST_FILES = 64
"""Largest number of indexes; the oldest ones are removed."""

Index = dict[str, Any]
"""Arrays, and values of JSON, by name."""


def folder() -> Path | None:
    """Returns the folder of all indexes, None if the user has no home folder."""
    base = cache_folder()
    return None if base is None else base / "index"


def place(kind: str, *key: Any) -> Path | None:
    """Returns the file of an index, None if there is no folder for it.

    Args:
      kind: the source, such as `folder`.
      *key: all that the index depends on, with a `repr` that identifies it.
    """
    base = folder()
    if base is None:
        return None
    digest = hashlib.sha256(repr((FORMAT, kind, *key)).encode("utf-8", "replace"))
    return base / f"{kind}-{digest.hexdigest()[:24]}.npz"


def load(file: Path | None) -> Index | None:
    """Reads an index.

    Returns:
      The index, or None if there is none that is whole.
    """
    if file is None:
        return None
    try:
        with open(file, "rb") as opened, np.load(opened, allow_pickle=False) as arrays:
            found: Index = {name: arrays[name] for name in arrays.files}
        facts = json.loads(found.pop("facts").tobytes())
        os.utime(file)  # the ones that are in use are removed last
        return {**found, **facts}
    except Exception:  # missing, truncated or foreign files raise many types
        return None


def save(file: Path | None, index: Mapping[str, Any]) -> bool:
    """Writes an index, completely or not at all.

    Args:
      file: from `place`.
      index: arrays, and values of JSON.

    Returns:
      True if it was written. A folder that cannot be written is only logged.
    """
    if file is None:
        return False
    arrays = {k: x for k, x in index.items() if isinstance(x, np.ndarray)}
    facts = {k: x for k, x in index.items() if k not in arrays}
    text = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        np.savez(content, facts=text, **arrays)  # type: ignore[arg-type]
        atomic_write(file, content.getvalue(), sync=False)
        _remove_oldest(file.parent)
    except OSError as error:
        LOG.info("the index is not kept for the next run: %s", error)
        return False
    return True


def _remove_oldest(base: Path) -> None:
    """Removes the indexes that were not used for longest."""
    known = sorted(base.glob("*.npz"), key=lambda x: x.stat().st_mtime_ns)
    for file in known[:-MOST_FILES]:
        file.unlink(missing_ok=True)

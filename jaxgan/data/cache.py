"""Whole data sets in memory: decoded once, kept beside the set, mapped from then on."""

import hashlib
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from jaxgan.data.bad_examples import skipped
from jaxgan.data.dataset import Dataset, Examples
from jaxgan.data.resize import Frame

LOG = logging.getLogger("jaxgan")
LIMIT = 2 * 2**30
"""Bytes; larger sets are decoded anew by every run."""
FORMAT = 1
"""Counts changes to how pictures are decoded: older files are then not used."""
USUAL = (("image", "label"), ("image", None))
CHUNK = 256
THREADS = min(8, os.cpu_count() or 1)


def read_all(dataset: Dataset) -> Examples:
    """All examples in order: `image` `[n, *shape]`, `label` `[n]` where there are any.

    Decoded in threads, and kept in `dataset.cache` if that is given, can be written,
    the images take no more than `LIMIT`, and none was replaced for being bad. Arrays
    out of the cache are memory-mapped, hence read-only. Raises UsageError if an example
    cannot be decoded.
    """
    if dataset.arrays is not None:
        return dataset.arrays
    keep = dataset.cache if dataset.nbytes <= LIMIT else None
    examples = _kept(dataset, keep) if keep else None
    if examples is None:
        examples = _decode_all(dataset)
        if keep and not skipped(dataset):  # or no run would ever miss the bad ones
            _keep(examples, keep)
    return examples


def place(
    prepared: Path, split: str, frame: Frame, fields: tuple[str, str | None]
) -> Path:
    """Where the decoded form of a prepared set is kept: the stem of its files.

    The name tells apart splits, frames, the features that hold image and label, and
    what else was ever prepared there.
    """
    files = sorted(f for f in prepared.iterdir() if f.is_file())
    stats = [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files]
    others = () if fields in USUAL else (fields,)  # the usual ones keep their old place
    key = repr((FORMAT, split, tuple(frame), stats, *others)).encode()
    words = re.sub(r"\W+", "_", split).strip("_")
    return prepared / "jaxgan" / f"{words}-{hashlib.sha256(key).hexdigest()[:16]}"


def _files(keep: Path, dataset: Dataset) -> Iterator[tuple[str, Path, tuple, np.dtype]]:
    """Field, file, shape and dtype of all that is kept of a data set."""
    shape = (dataset.size, *dataset.shape)
    yield "image", _file(keep, "image"), shape, dataset.dtype
    if dataset.classes:
        yield "label", _file(keep, "label"), (dataset.size,), np.dtype(np.int32)


def _file(keep: Path, field: str) -> Path:
    return keep.with_name(f"{keep.name}.{field}.npy")


def _kept(dataset: Dataset, keep: Path) -> Examples | None:
    """What an earlier run has kept, None unless it is whole."""
    examples = {}
    for field, file, shape, dtype in _files(keep, dataset):
        try:
            array = np.load(file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError):  # absent, cut short, or not ours
            return None
        if array.shape != shape or array.dtype != dtype:
            return None
        examples[field] = array
    return examples


def _decode_all(dataset: Dataset) -> Examples:
    first = dataset.read(np.arange(1))
    whole = {
        k: np.empty((dataset.size, *a.shape[1:]), a.dtype) for k, a in first.items()
    }

    def fill(start: int) -> None:
        stop = min(start + CHUNK, dataset.size)
        for field, part in dataset.read(np.arange(start, stop)).items():
            whole[field][start:stop] = part

    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(fill, range(0, dataset.size, CHUNK)):
            pass
    return whole


def _keep(examples: Examples, keep: Path) -> None:
    """Writes each array under another name first: no half file is ever found."""
    try:
        keep.parent.mkdir(exist_ok=True)
        for field, array in examples.items():
            handle, name = tempfile.mkstemp(dir=keep.parent, suffix=".incomplete")
            try:
                with os.fdopen(handle, "wb") as file:
                    np.save(file, array)
                os.chmod(name, 0o664)
                os.replace(name, _file(keep, field))
            except BaseException:
                os.unlink(name)
                raise
    except OSError as error:
        LOG.info("the decoded pictures are not kept for the next run: %s", error)

"""Decoding of whole data sets, with a memory-mapped cache beside the set."""

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
"""Largest number of decoded bytes that are cached; every run decodes larger sets."""
FORMAT = 1
"""Version of the decoding; changing it invalidates older caches."""
USUAL = (("image", "label"), ("image", None))
"""Features whose names are not part of the cache's key."""
CHUNK = 256
"""Examples that a thread decodes at a time."""
THREADS = min(8, os.cpu_count() or 1)


def read_all(dataset: Dataset) -> Examples:
    """Reads all examples in order.

    Decodes them in threads. The result is cached in `dataset.cache` if that is set and
    writable, the examples have at most `LIMIT` bytes, and no bad example was replaced.

    Returns:
      `[n, *shape]` for each field. Cached arrays are memory-mapped, hence read-only.

    Raises:
      UsageError: if an example cannot be decoded.
    """
    if dataset.arrays is not None:
        return dataset.arrays
    stem = _stem(dataset)
    examples = _load_cache(dataset, stem) if stem else None
    if examples is None:
        examples = _decode_all(dataset)
        # A cache of substitutes would hide the bad examples from later runs.
        if stem and not skipped(dataset):
            _save_cache(examples, stem)
    return examples


def read_some(dataset: Dataset, numbers: np.ndarray) -> Examples:
    """Reads examples, from the cache of `read_all` if an earlier call has filled it.

    Args:
      dataset: the examples.
      numbers: example numbers `[n]`.

    Raises:
      UsageError: if an example cannot be decoded.
    """
    stem = _stem(dataset)
    known = _load_cache(dataset, stem) if stem and dataset.arrays is None else None
    if known is None:
        return dataset.read(numbers)
    return {name: np.asarray(array[numbers]) for name, array in known.items()}


def _stem(dataset: Dataset) -> Path | None:
    """Returns the path prefix of the cache, None if the examples are not cached."""
    return dataset.cache if dataset.nbytes <= LIMIT else None


def place(
    prepared: Path, split: str, frame: Frame, fields: tuple[str | None, ...]
) -> Path:
    """Returns the path prefix of the cache of a prepared data set.

    The prefix identifies the split, the frame, the features, and the version of the
    prepared files.

    Args:
      prepared: the folder of the prepared data set.
      split: the split, such as `train[:50%]`.
      frame: the crop and the size.
      fields: the features that hold the image, the label, and attributes if any.
    """
    # Sub-folders are left out, as one of them, jaxgan/, holds the caches.
    files = sorted(f for f in prepared.iterdir() if f.is_file())
    stats = [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files]
    others = () if fields in USUAL else (fields,)  # keeps the keys of older caches
    key = repr((FORMAT, split, tuple(frame), stats, *others)).encode()
    # A readable part, and a hash that identifies the cache.
    words = re.sub(r"\W+", "_", split).strip("_")
    return prepared / "jaxgan" / f"{words}-{hashlib.sha256(key).hexdigest()[:16]}"


def _files(stem: Path, dataset: Dataset) -> Iterator[tuple[str, Path, tuple, np.dtype]]:
    """Yields field, file, shape and dtype of each cached array."""
    for name, field in dataset.example.items():
        shape = (dataset.size, *field.shape)
        yield name, _file(stem, name), shape, field.dtype


def _file(stem: Path, field: str) -> Path:
    return stem.with_name(f"{stem.name}.{field}.npy")


def _load_cache(dataset: Dataset, stem: Path) -> Examples | None:
    """Returns the cached examples, None unless all arrays are valid."""
    examples = {}
    for field, file, shape, dtype in _files(stem, dataset):
        try:
            # Maps the file, so that pages are read only when they are used.
            array = np.load(file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError):  # missing, truncated or foreign
            return None
        # A cache of another form is ignored.
        if array.shape != shape or array.dtype != dtype:
            return None
        examples[field] = array
    return examples


def _decode_all(dataset: Dataset) -> Examples:
    # The first example gives the shapes and dtypes.
    first = dataset.read(np.arange(1))
    # One array per field, [size, ...], which the threads fill in place.
    whole = {
        k: np.empty((dataset.size, *a.shape[1:]), a.dtype) for k, a in first.items()
    }

    def fill(start: int) -> None:
        stop = min(start + CHUNK, dataset.size)
        for field, part in dataset.read(np.arange(start, stop)).items():
            whole[field][start:stop] = part

    # Chunks do not overlap, so that no lock is needed.
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(fill, range(0, dataset.size, CHUNK)):
            pass  # raises the errors of the threads
    return whole


def _save_cache(examples: Examples, stem: Path) -> None:
    """Writes each array to a temporary file and renames it, which is atomic."""
    try:
        stem.parent.mkdir(exist_ok=True)
        for field, array in examples.items():
            # In the same folder, since renaming is atomic on one disk only.
            handle, name = tempfile.mkstemp(dir=stem.parent, suffix=".incomplete")
            try:
                with os.fdopen(handle, "wb") as file:
                    np.save(file, array)
                os.chmod(name, 0o664)  # mkstemp allows only the owner
                os.replace(name, _file(stem, field))
            except BaseException:
                os.unlink(name)
                raise
    except OSError as error:
        # The cache is optional, so that a read-only folder or a full disk is no error.
        LOG.info("the decoded pictures are not kept for the next run: %s", error)

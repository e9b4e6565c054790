"""Extracts the features of sets of images: streaming, cached, over all processes."""

import logging
import math
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxgan.distributed.consensus import all_succeed, is_main_process, run_on_main
from jaxgan.errors import UsageError
from jaxgan.evaluation.image_sets import ImageSet
from jaxgan.evaluation.progress_bar import Progress
from jaxgan.experiment.memory import format_bytes
from jaxgan.host_memory import host_bytes
from jaxgan.metrics.features import (
    Extractor,
    Features,
    StoredImages,
    feature_cache,
)
from jaxgan.metrics.features.base import check_features
from jaxgan.ranges import ceil_div

log = logging.getLogger("jaxgan")

MOST, LEAST = 1_024, 128
"""Bounds on the number of images in memory at a time."""

AT_ONCE = 2**28
"""Bytes of float32 images in memory at a time."""

GATHERED = 4_096
"""Rows that processes exchange at a time."""

ByExtractor = dict[str, Features]
"""Features by the name and digest of their extractor."""


def key_of(extractor: Extractor) -> str:
    """Returns the name and the digest of an extractor."""
    return f"{extractor.name}-{extractor.digest}"


def unique(extractors: Iterable[Extractor]) -> dict[str, Extractor]:
    """Returns the extractors by their name and digest, each once.

    Raises:
      UsageError: if two have one name, as their values would have one name too.
    """
    found = {key_of(x): x for x in extractors}
    names = [x.name for x in found.values()]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(
                f"--metrics has {name} with two settings, whose values would have one "
                "name: evaluate one after the other"
            )
    return found


def features_of(
    images: ImageSet,
    extractors: dict[str, Extractor],
    *,
    keep: bool = False,
    cache: bool = True,
) -> ByExtractor:
    """Returns the features of all images, with their labels. All processes call it.

    Each process reads or draws its part of the images, some at a time. The features of
    all images are kept as float32. Images of data are read again when a metric asks for
    them, and samples are kept in the dtype of the data.

    Args:
      images: the set.
      extractors: by their name and digest.
      keep: True to give the features their images, for metrics that need pixels.
      cache: True to read and write files of features, if the set has a place for them.

    Returns:
      The features by extractor. Only those of process 0 are complete.

    Raises:
      UsageError: in all processes, if the images cannot be read, or the features do
        not fit into memory.
    """
    names: dict[str, str] = {}
    if cache and images.folders:
        identity = run_on_main(images.identity)
        names = {k: feature_cache.name_of(identity, x) for k, x in extractors.items()}
    # Process 0 has the files, and tells the others which features are missing.
    found: ByExtractor = {}

    def read_files() -> list[str]:
        for key, name in names.items():
            rows = feature_cache.load(images.folders, name, images.count)
            if rows is not None:
                found[key] = rows
        return list(found)

    known = run_on_main(read_files)
    kept = ", kept by an earlier evaluation" if len(known) == len(extractors) else ""
    log.info("features of %s %s%s", f"{images.count:,}", images.name, kept)
    # Only the others are extracted.
    missing = {key: x for key, x in extractors.items() if key not in known}
    keep_raw = keep and images.stored is None
    table = _extract(images, missing, keep_raw) if missing else {}
    for key in missing:
        parts = table.get(f"{key}/probabilities"), table.get("labels")
        attributes = table.get("attributes")
        rows = table[f"{key}/features"]
        found[key] = Features(rows, *parts, attributes=attributes)
        if key in names and is_main_process():
            feature_cache.save(images.folders, names[key], found[key])
    if not keep:
        return found
    # Data are read again by number, samples are scaled again.
    read = images.stored or (lambda numbers: images.scale(table["raw"][numbers]))
    pixels = StoredImages(read, np.arange(images.count))
    return {key: x._replace(images=pixels) for key, x in found.items()}


def _extract(
    images: ImageSet, extractors: dict[str, Extractor], keep_raw: bool
) -> dict[str, np.ndarray]:
    """Returns the arrays of all images, by extractor and field, in process 0."""
    processes = jax.process_count()
    # Parts of one size, as arrays of all processes must have equal shapes. The last
    # ones overlap if the count is not divisible.
    size = ceil_div(images.count, processes)
    starts = [min(i * size, images.count - size) for i in range(processes)]
    start = starts[jax.process_index()]
    table = all_succeed(
        lambda: _rows(images, extractors, keep_raw, start, start + size)
    )
    return {name: _gather(part, starts, images.count) for name, part in table.items()}


class _Table:
    """Arrays of rows by name, which are filled part by part.

    Args:
      images: the set, for messages.
      start: the number of the first row.
      count: number of rows.
    """

    def __init__(self, images: ImageSet, start: int, count: int) -> None:
        self._images, self._start, self._count = images, start, count
        self.arrays: dict[str, np.ndarray] = {}

    def put(self, name: str, at: int, part: Any) -> None:
        """Sets the rows from number `at` on; None has no rows."""
        if part is None:
            return
        part = np.asarray(part)
        # Extractors of users may return float64.
        if part.dtype == np.float64:
            part = part.astype(np.float32)
        if name not in self.arrays:
            shape = (self._count, *part.shape[1:])
            self.arrays[name] = _empty(shape, part.dtype, self._images)
        first = at - self._start
        self.arrays[name][first : first + len(part)] = part


def images_at_once(shape: tuple[int, ...]) -> int:
    """Returns the number of images to read or draw at a time, a multiple of `LEAST`.

    >>> images_at_once((28, 28, 1)), images_at_once((256, 256, 3))
    (1024, 256)
    """
    fit = AT_ONCE // (4 * math.prod(shape))
    return min(max(fit // LEAST * LEAST, LEAST), MOST)


def _rows(
    images: ImageSet,
    extractors: dict[str, Extractor],
    keep_raw: bool,
    start: int,
    stop: int,
) -> dict[str, np.ndarray]:
    """Returns the arrays of some images, by extractor and field."""
    table, size = _Table(images, start, stop - start), images_at_once(images.shape)
    with Progress(images.name, stop - start, shown=is_main_process()) as progress:
        for at in range(start, stop, size):
            some = images.read(at, min(at + size, stop))
            for key, extractor in extractors.items():
                found = extractor.extract(some.images)
                check_rows(found, extractor, images.name, at, len(some.images))
                table.put(f"{key}/features", at, found.features)
                table.put(f"{key}/probabilities", at, found.probabilities)
            table.put("labels", at, some.labels)
            table.put("attributes", at, some.attributes)
            table.put("raw", at, some.raw if keep_raw else None)
            progress.advance(len(some.images))
    return table.arrays


def check_rows(
    found: Features, extractor: Extractor, name: str, at: int, count: int
) -> None:
    """Raises UsageError unless features are finite, with one row for each image.

    Args:
      found: the features.
      extractor: by which they were extracted.
      name: the kind of images, for messages.
      at: number of the first image.
      count: number of images.
    """
    features = check_features(found, extractor.name, count)
    bad = np.flatnonzero(~np.isfinite(features).all(1))
    if len(bad):
        raise UsageError(
            f"{extractor.name} has NaN or infinity in features of {len(bad)} "
            f"{name}, first in number {at + bad[0]}: remove such images, or "
            "use another extractor"
        )


def _empty(shape: tuple[int, ...], dtype: np.dtype, images: ImageSet) -> np.ndarray:
    """Returns an array for the rows of all images.

    Raises:
      UsageError: if it does not fit into the memory of the host.
    """
    needed, free = math.prod(shape) * dtype.itemsize, host_bytes()
    if needed > free:
        raise UsageError(
            f"the features or pixels of {images.count} {images.name} take "
            f"{format_bytes(needed)} of memory, and {format_bytes(free)} are free: use "
            f"--n={max(int(images.count * free / 4 / needed), 2)}"
        )
    return np.empty(shape, dtype)


def _gather(part: np.ndarray, starts: list[int], count: int) -> np.ndarray:
    """Returns the rows of all processes, `[count, ...]`, in process 0.

    Args:
      part: the rows of this process, equally many in all.
      starts: the numbers of the first rows of the processes.
      count: number of rows of all.
    """
    if len(starts) == 1:
        return part
    main = is_main_process()
    whole = np.empty((count, *part.shape[1:]), part.dtype) if main else part
    for first in range(0, len(part), GATHERED):
        block = part[first : first + GATHERED]
        # `[processes, rows, ...]`.
        blocks = np.asarray(multihost_utils.process_allgather(block))
        if main:
            for start, rows in zip(starts, blocks, strict=True):
                whole[start + first : start + first + len(rows)] = rows
    return whole

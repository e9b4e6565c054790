"""A short text that tells apart data sets by their examples."""

import hashlib

import numpy as np

from jaxgan.data.dataset import Dataset
from jaxgan.data.shuffle import evenly

BUDGET = 2**26
"""Bytes of examples that are looked at, decoded."""
MOST, LEAST = 2048, 64
"""Examples of a set on disk that are looked at."""


def fingerprint(dataset: Dataset) -> str | None:
    """Returns a digest of count, shape, dtype and a fixed sample of the examples.

    The sample is all examples of a set of up to 64 MiB in memory, else at most 2048 and
    at least 64 of them, spread evenly. Sets on disk are compared as they are stored,
    since decoders differ from version to version.

    Returns None for points that are computed: another machine rounds them otherwise.
    """
    if dataset.modes is not None:
        return None
    count = max(BUDGET // max(dataset.nbytes // dataset.size, 1), LEAST)
    numbers = evenly(dataset.size, count if dataset.resident else min(count, MOST))
    form = (dataset.size, dataset.shape, str(dataset.dtype))
    digest = hashlib.sha256(repr(form).encode())
    for part in _stored(dataset, numbers):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()[:16]


def _stored(dataset: Dataset, numbers: np.ndarray) -> list[bytes]:
    if dataset.encoded is not None:
        return dataset.encoded(numbers)
    examples = dataset.read(numbers)
    return [
        np.ascontiguousarray(examples[field]).tobytes() for field in sorted(examples)
    ]

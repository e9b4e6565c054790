"""Fingerprints that identify a data set by its examples."""

import hashlib

import numpy as np

from jaxgan.data.dataset import Dataset
from jaxgan.data.shuffle import evenly

BUDGET = 2**26
"""Bytes of decoded examples that are hashed."""
MOST, LEAST = 2048, 64
"""Bounds on the number of hashed examples of a set on disk."""


def fingerprint(dataset: Dataset) -> str | None:
    """Returns a digest of count, shape, dtype and a fixed sample of the examples.

    The sample is all examples of a set of up to 64 MiB in memory, else 64 to 2048
    evenly spaced examples. Sets on disk are hashed in their stored form, since decoded
    pixels depend on the version of the decoder.

    Returns:
      16 hexadecimal digits, or None for toy sets, whose points are computed and rounded
      differently on other machines.
    """
    if dataset.modes is not None:
        return None
    first, *others = dataset.example.items()
    # As many examples as the budget allows, for sets in memory.
    count = max(BUDGET // max(dataset.nbytes // dataset.size, 1), LEAST)
    numbers = evenly(dataset.size, count if dataset.resident else min(count, MOST))
    # The form is part of the digest, as equal bytes may have several shapes.
    form = (dataset.size, first[1].shape, str(first[1].dtype))
    # A label was never part of the form, and neither are attributes that earlier
    # versions did not read.
    unread = ("label",) if dataset.attributes is None else ("label", "attributes")
    form += tuple(x for x in others if x[1].kind not in unread)
    digest = hashlib.sha256(repr(form).encode())
    for part in _stored(dataset, numbers):
        # The length delimits the parts, so that no two lists hash alike.
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()[:16]


def _stored(dataset: Dataset, numbers: np.ndarray) -> list[bytes]:
    """Returns the bytes of each example, encoded where the set is on disk."""
    if dataset.encoded is not None:
        return dataset.encoded(numbers)
    examples = dataset.read(numbers)
    # One block of bytes per field, in a fixed order.
    return [
        np.ascontiguousarray(examples[field]).tobytes() for field in sorted(examples)
    ]

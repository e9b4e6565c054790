"""The range of a set's values, and what is odd about it."""

from typing import NamedTuple

import numpy as np

from jaxgan.data.dataset import Dataset
from jaxgan.data.shuffle import evenly

BUDGET = 2**26
"""Bytes of examples that are looked at."""
MOST, LEAST = 256, 16
"""Examples of a set on disk that are looked at."""
SHARE = 0.25
"""Images that use less of the range than this are warned of."""


class Values(NamedTuple):
    """Of a fixed sample of the examples, or of all."""

    low: float
    high: float
    mean: float
    count: int
    """Examples that were looked at."""


def measure_values(dataset: Dataset) -> Values:
    """Reads some examples, spread evenly, or all of a set of up to 64 MiB in memory."""
    count = max(BUDGET // max(dataset.nbytes // dataset.size, 1), LEAST)
    numbers = evenly(dataset.size, count if dataset.resident else min(count, MOST))
    images = dataset.read(numbers)["image"]
    mean = float(images.mean(dtype=np.float64))
    return Values(float(images.min()), float(images.max()), mean, len(numbers))


def format_values(dataset: Dataset, values: Values) -> str:
    """One line: how many examples of which form, and the range of their values.

    >>> from jaxgan.data.npz import from_arrays
    >>> dark = from_arrays(np.eye(8, dtype=np.uint8)[None].repeat(3, 0))
    >>> describe_values(dark, measure_values(dark))
    '3 examples of 8x8x1 uint8, values from 0 to 1, mean 0.125'
    """
    shape = "x".join(map(str, dataset.shape))
    low, high, mean, count = values
    part = "" if count == dataset.size else f" in {count:,} of them"
    return (
        f"{dataset.size:,} examples of {shape} {dataset.dtype}, values from {low:.5g} "
        f"to {high:.5g}, mean {mean:.5g}{part}"
    )


def range_warning(dataset: Dataset, values: Values) -> str:
    """Advises on images that leave most of the range unused; empty for others.

    Networks see the whole range of the dtype as [-1, 1], whatever part is in use; sets
    of one value alone are left to the monitor, and vectors have no range.
    """
    low, high, *_ = values
    if len(dataset.shape) != 3 or low == high:
        return ""
    if dataset.dtype.kind == "f":
        if low < 0 and (high - low) / 2 >= SHARE:
            return ""
        rest, remedy = "[-1, 1]", "scale them to it"
        if low >= 0:
            remedy = "give 2 * x - 1" if high > 0.5 else f"give 2 * x / {high:.3g} - 1"
    else:
        top = int(np.iinfo(dataset.dtype).max)
        if (high - low) / top >= SHARE:
            return ""
        rest, remedy = f"0 to {top}", _integer_remedy(int(high), top)
    return (
        f"the images reach only from {low:.5g} to {high:.5g} of {rest}, all that the "
        f"networks see: {remedy}"
    )


def _integer_remedy(high: int, top: int) -> str:
    """How to use the range up to `top` for values up to `high`.

    >>> _integer_remedy(4000, 65535), _integer_remedy(1, 255)
    ('multiply them by 65535 / 4095', 'multiply them by 255 / 1')
    """
    if top > 255 and 1 < high <= 255:
        return "save them as uint8"
    full = 2 ** high.bit_length() - 1
    if full >= top:
        return "spread them over it"
    return f"multiply them by {top} / {full}"

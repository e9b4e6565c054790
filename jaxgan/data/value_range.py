"""The value range of a data set, and warnings about unusual ranges."""

from typing import NamedTuple

import numpy as np

from jaxgan.data.cache import read_some
from jaxgan.data.dataset import Dataset
from jaxgan.data.shuffle import evenly

BUDGET = 2**26
"""Bytes of decoded examples that are measured."""
MOST, LEAST = 256, 16
"""Bounds on the number of measured examples of a set on disk."""
SHARE = 0.25
"""Images that use less than this share of the range trigger a warning."""


class Values(NamedTuple):
    """Statistics of all examples, or of a fixed sample of them."""

    low: float
    high: float
    mean: float
    count: int
    """Number of examples that were measured."""


MEASURED = ("image", "mask", "vector", "waveform")
"""Kinds of fields whose values have a range."""


def measure_values(dataset: Dataset) -> dict[str, Values]:
    """Measures the values of evenly spaced examples, for each field with a range.

    Reads all examples of a set of up to 64 MiB in memory.

    Raises:
      UsageError: if an example cannot be read.
    """
    # As many examples as the budget allows, for sets in memory.
    count = max(BUDGET // max(dataset.nbytes // dataset.size, 1), LEAST)
    numbers = evenly(dataset.size, count if dataset.resident else min(count, MOST))
    examples, fields = read_some(dataset, numbers), dataset.example
    return {k: _measure(x) for k, x in examples.items() if fields[k].kind in MEASURED}


def _measure(x: np.ndarray) -> Values:
    # In float64, as float32 loses digits in sums of many values.
    mean = float(x.mean(dtype=np.float64))
    return Values(float(x.min()), float(x.max()), mean, len(x))


def format_values(dataset: Dataset, values: dict[str, Values]) -> str:
    """Formats the size, shapes, dtypes and value ranges of a data set in one line.

    >>> from jaxgan.data.npz import from_arrays
    >>> dark = from_arrays(np.eye(8, dtype=np.uint8)[None].repeat(3, 0))
    >>> format_values(dark, measure_values(dark))
    '3 examples of 8x8x1 uint8, values from 0 to 1, mean 0.125'
    """
    lines = []
    for name, field in dataset.example.items():
        # Labels of images are no news.
        if field.kind == "label":
            continue
        text = f"{'x'.join(map(str, field.shape))} {field.dtype}"
        if name in values:
            low, high, mean, count = values[name]
            part = "" if count == dataset.size else f" in {count:,} of them"
            text += f", values from {low:.5g} to {high:.5g}, mean {mean:.5g}{part}"
        # A single field needs no name.
        lines.append(text if not lines else f"{name}: {text}")
    return f"{dataset.size:,} examples of {'; '.join(lines)}"


def range_warning(dataset: Dataset, values: dict[str, Values]) -> str:
    """Returns advice for images that leave most of the range unused, or an empty text.

    Networks receive the whole range of the dtype as [-1, 1], whichever part is in use.
    Constant images are left to the monitor, and vectors have no range.
    """
    fields = dataset.example.items()
    images = {name: field.dtype for name, field in fields if field.kind == "image"}
    advice = [_image_warning(images[k], values[k]) for k in values if k in images]
    return next(filter(None, advice), "")


def _image_warning(dtype: np.dtype, values: Values) -> str:
    """Returns advice for images of a dtype, or an empty text."""
    low, high, *_ = values
    if low == high:
        return ""
    if dtype.kind == "f":
        # Negative values: the images are meant for [-1, 1].
        if low < 0 and (high - low) / 2 >= SHARE:
            return ""
        full, remedy = "[-1, 1]", "scale them to that range"
        # No negative values: the images are probably in [0, 1].
        if low >= 0:
            remedy = "use 2 * x - 1" if high > 0.5 else f"use 2 * x / {high:.3g} - 1"
    else:
        top = int(np.iinfo(dtype).max)
        # The share of the dtype's range that is in use.
        if (high - low) / top >= SHARE:
            return ""
        full, remedy = f"0 to {top}", _integer_remedy(int(high), top)
    return (
        f"the images span only {low:.5g} to {high:.5g} of {full}, the range that the "
        f"networks see: {remedy}"
    )


def _integer_remedy(high: int, top: int) -> str:
    """Returns advice on how to use the range up to `top` for values up to `high`.

    >>> _integer_remedy(4000, 65535), _integer_remedy(1, 255)
    ('multiply them by 65535 / 4095', 'multiply them by 255 / 1')
    """
    # Values of 8 bits in 16-bit files.
    if top > 255 and 1 < high <= 255:
        return "save them as uint8"
    # The maximum is taken for that of a bit depth, such as 4095 for 12 bits.
    full = 2 ** high.bit_length() - 1
    if full >= top:
        return "rescale them to that range"
    return f"multiply them by {top} / {full}"

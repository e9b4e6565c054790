"""Outputs of an image-to-image task beside their inputs, and metrics of them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxgan.data.dataset import Dataset


class Pairs(NamedTuple):
    """Outputs of a method with their inputs and targets: uint8, one row per image."""

    fake: np.ndarray
    """The outputs, `[n, H, W, C]`."""
    source: np.ndarray
    """The inputs, `[n, h, w, c]`."""
    real: np.ndarray | None = None
    """The targets, `[n, H, W, C]`."""
    mask: np.ndarray | None = None
    """`[n, H, W, 1]` bool, True in holes."""
    cycle: np.ndarray | None = None
    """The inputs after they were mapped to the other domain and back."""
    asked: np.ndarray | None = None
    """Attributes that the outputs should have, `[n, k]` bool."""
    own: np.ndarray | None = None
    """Attributes of the inputs, `[n, k]` bool."""
    domain: np.ndarray | None = None
    """Labels of the domains that the outputs should be in, `[n]` int."""


Shape = tuple[int, ...]
"""`(H, W, C)` of an image."""


class PairComparison(NamedTuple):
    """A metric of an image and its target."""

    name: str
    """Of its value, such as `psnr_y`."""
    measure: Callable[[Pairs], np.ndarray]
    """Pairs to one value each, `[n]`; NaN where there is nothing to compare."""
    protocol: dict[str, str | int | float]
    """The settings that a value depends on, which are printed beside it."""
    needs: tuple[str, ...] = ("real",)
    """Fields of `Pairs` that it reads, beside the outputs."""
    more_is_better: bool = False
    summarize: Callable[[np.ndarray], dict[str, float]] | None = None
    """The values of `measure`, `[n, ...]`, to others by name; None for their mean."""
    fit: Callable[[Dataset, Dataset], "PairComparison"] | None = None
    """(training set, held-out examples) to the metric, if it must be trained first."""
    open: Callable[[], object] = lambda: None
    """Raises UsageError if something that it needs is not installed."""
    check: Callable[[Shape, Shape], object] = lambda source, fake: None
    """(shape of an input, of an output) raises UsageError if they cannot be compared.
    """

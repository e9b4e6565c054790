"""Checks and random subsets of the feature arrays that metrics read."""

import numpy as np

from jaxgan.errors import UsageError
from jaxgan.ranges import LARGEST


def as_features(
    features: np.ndarray, name: str = "features", least: int = 2
) -> np.ndarray:
    """Returns features as an array that a metric can compute with.

    Args:
      features: `[n, d]` numbers; float32 and float64 stay, others become float64.
      name: the features in messages.
      least: minimum number of examples.

    Raises:
      UsageError: unless it is a matrix with enough rows of finite numbers, which must
        be in the range of float32.

    >>> as_features(np.array([[1], [2]])).dtype
    dtype('float64')
    """
    array = np.asarray(features)
    if array.ndim != 2 or not array.shape[1]:
        shape = list(array.shape)
        raise UsageError(f"{name} must be [n, d], one row per example, not {shape}")
    if len(array) < least:
        raise UsageError(f"{name}: {len(array)} examples; use at least {least}")
    array = as_float(array, name)
    # False for NaN. Powers of larger numbers would overflow in float64.
    bad = np.flatnonzero(~(np.abs(array) <= LARGEST).all(1))
    if len(bad):
        raise UsageError(
            f"{name} have NaN or infinity in {len(bad)} of {len(array)} examples,"
            f" first in number {bad[0]}; use finite float32 numbers"
        )
    return array


def as_float(array: np.ndarray, name: str) -> np.ndarray:
    """Returns a float32 or float64 array as it is, and others as float64.

    Raises:
      UsageError: if the entries are not real numbers.
    """
    if array.dtype in (np.float32, np.float64):
        return array
    # Text converts to numbers, and complex numbers only with a warning.
    if array.dtype.kind in "USOcMm":
        raise UsageError(f"{name} must be real numbers, not {array.dtype}")
    return array.astype(np.float64)


def as_pair(
    real: np.ndarray, fake: np.ndarray, least: int = 2
) -> tuple[np.ndarray, np.ndarray]:
    """Checks features of two sets, `[n, d]` and `[m, d]`.

    Raises:
      UsageError: if one is invalid, or the dimensions differ.
    """
    real = as_features(real, "real features", least)
    fake = as_features(fake, "fake features", least)
    check_dimensions(real.shape[1], fake.shape[1])
    return real, fake


def check_dimensions(real: int, fake: int) -> None:
    """Raises `UsageError` unless both sets have the same number of features."""
    if real != fake:
        raise UsageError(
            f"real features have {real} dimensions, fake ones {fake};"
            " use one extractor for both"
        )


def subset(
    rng: np.random.Generator, available: int, count: int, name: str = "examples"
) -> np.ndarray:
    """Draws distinct numbers below `available` in random order, `[count]` int64.

    Raises:
      UsageError: if `count` is less than 1, or more than are available.

    >>> sorted(subset(np.random.default_rng(0), 3, 3).tolist())
    [0, 1, 2]
    """
    if not 1 <= count <= available:
        raise UsageError(f"{count} of {available} {name}; use 1 to {available}")
    return rng.choice(available, count, replace=False)

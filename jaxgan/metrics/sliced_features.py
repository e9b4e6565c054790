"""The sliced squared 2-Wasserstein distance of features, on the scale of Frechet's."""

from typing import NamedTuple

import numpy as np

from jaxgan.errors import UsageError
from jaxgan.metrics.arrays import as_pair

BLOCK = 2**22
"""Maximum number of projections that are in memory."""


class SlicedDistance(NamedTuple):
    """The sliced distance of two sets."""

    mean: float
    """d times the mean over directions of the squared 2-Wasserstein distance."""
    standard_error: float
    """Standard error of the mean that is due to the number of directions."""


def sliced_distance(
    real: np.ndarray, fake: np.ndarray, *, directions: int = 1000, seed: int = 0
) -> SlicedDistance:
    """Returns the sliced distance of features, for which no Gaussian is fitted.

    Sets are projected to random directions, where the optimal transport pairs sorted
    numbers. The factor d gives it the scale of the Frechet distance: it is |m|^2 for
    two sets that differ by a shift m, and d (s - t)^2 for two normal distributions with
    deviations s and t in every direction. It also sees differences that moments lack,
    and needs no covariance, so fewer samples do. The Monge inception distance
    (https://arxiv.org/abs/2605.06797) is of this kind. Its constants may differ, hence
    compare only values of this function.

    Samples of a perfect generator have a positive distance, which falls with the
    counts: compare with that of as many other real examples.

    Args:
      real: features of real examples, `[n, d]`.
      fake: features of samples, `[m, d]`; m and n may differ.
      directions: number of directions, which are uniform on the sphere.
      seed: seed of the directions.

    Raises:
      UsageError: if features are invalid, or there are fewer than two directions.

    >>> points = np.array([[0.0], [1.0], [2.0]])
    >>> sliced_distance(points, points[::-1] + 3.0).mean
    9.0
    """
    real, fake = as_pair(real, fake)
    if directions < 2:
        raise UsageError(f"{directions} directions; use at least 2")
    dim, rng = real.shape[1], np.random.default_rng(seed)
    axes = rng.normal(size=(dim, directions))
    axes /= np.linalg.norm(axes, axis=0)
    size = max(1, BLOCK // (len(real) + len(fake)))
    values = dim * np.concatenate(
        [
            transport(real @ part, fake @ part)
            for part in np.split(axes, range(size, directions, size), axis=1)
        ]
    )
    error = np.std(values, ddof=1) / np.sqrt(directions)
    return SlicedDistance(float(np.mean(values)), float(error))


def transport(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns squared 2-Wasserstein distances of columns, `[k]`.

    Args:
      x: numbers of equal weight, `[n, k]`.
      y: numbers of equal weight, `[m, k]`.
    """
    n, m = len(x), len(y)
    # Both quantile functions are constant between these shares, in units of 1 / nm.
    ends = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)
    weights = np.diff(ends, prepend=0) / (n * m)
    x, y = np.sort(x, axis=0)[(ends - 1) // m], np.sort(y, axis=0)[(ends - 1) // n]
    return weights @ np.square(x - y)

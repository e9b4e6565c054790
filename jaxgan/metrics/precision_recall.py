"""Precision and recall, density and coverage: fidelity and diversity apart."""

from typing import NamedTuple

import numpy as np

from jaxgan.errors import UsageError
from jaxgan.metrics.arrays import as_features, as_pair
from jaxgan.metrics.distances import balls_around, nearest


class PrecisionRecall(NamedTuple):
    """Shares of one set that lie in the estimated support of the other."""

    precision: float
    """Fraction of fakes in the support of the real examples: fidelity, in [0, 1]."""
    recall: float
    """Fraction of real examples in the support of the fakes: diversity, in [0, 1]."""


class DensityCoverage(NamedTuple):
    """Precision and recall that outliers change less."""

    density: float
    """Mean number of real balls around a fake, divided by k; about 1, may exceed it."""
    coverage: float
    """Fraction of real examples with a fake in their ball: diversity, in [0, 1]."""


def squared_radii(features: np.ndarray, k: int, name: str = "features") -> np.ndarray:
    """Returns the squared Euclidean distance of each example to its kth neighbor.

    An example is not its own neighbor.

    Args:
      features: `[n, d]`.
      k: number of neighbors, at most n - 1.
      name: the features in messages.

    Returns:
      `[n]` float64.

    Raises:
      UsageError: if features are invalid, or n is at most k.
    """
    features = as_features(features, name)
    if k < 1:
        raise UsageError(f"k = {k} neighbors; use at least 1")
    if len(features) <= k:
        count = len(features)
        raise UsageError(
            f"{name}: {count} examples have {count - 1} neighbors each, fewer than"
            f" k = {k}; use at least {k + 1} examples"
        )
    return nearest(features, features, k, same=True)[0][:, -1]


def precision_recall(
    real: np.ndarray,
    fake: np.ndarray,
    *,
    k: int = 3,
    real_radii: np.ndarray | None = None,
) -> PrecisionRecall:
    """Returns improved precision and recall, https://arxiv.org/abs/1904.06991.

    The support of a set is the union of closed balls around its examples, up to their
    kth neighbor. The paper compares 50,000 examples with as many fakes. Both values
    depend on the counts: compare only those of equal n, m and k.

    Args:
      real: features of real examples, `[n, d]`.
      fake: features of samples, `[m, d]`.
      k: neighbor that gives the radius of a ball.
      real_radii: `squared_radii(real, k)`, if computed before.

    Raises:
      UsageError: if features are invalid, or one set has at most k examples.

    >>> line = np.arange(8.0)[:, None]
    >>> precision_recall(line, line[:4], k=1)
    PrecisionRecall(precision=1.0, recall=0.625)
    """
    real, fake = as_pair(real, fake)
    # Real balls hold precise fakes; balls of fakes hold recalled examples.
    real_radii = known_radii(real, k, real_radii)
    fake_radii = squared_radii(fake, k, "fake features")
    return PrecisionRecall(
        precision=float(np.mean(balls_around(fake, real, real_radii) > 0)),
        recall=float(np.mean(balls_around(real, fake, fake_radii) > 0)),
    )


def density_coverage(
    real: np.ndarray,
    fake: np.ndarray,
    *,
    k: int = 5,
    real_radii: np.ndarray | None = None,
) -> DensityCoverage:
    """Returns density and coverage, https://arxiv.org/abs/2002.09797.

    Both use balls around the real examples only, up to their kth neighbor, so that
    outliers among the fakes do not count as diversity. Balls are closed; the authors'
    program excludes the sphere, which matters only for ties. Two samples of one
    distribution have an expected density of 1. With n = m their expected coverage is
    about 1 - 2^-k, which is 0.97 for k = 5.

    Args:
      real: features of real examples, `[n, d]`.
      fake: features of samples, `[m, d]`.
      k: neighbor that gives the radius of a ball.
      real_radii: `squared_radii(real, k)`, if computed before.

    Raises:
      UsageError: if features are invalid, or there are at most k real examples.

    >>> line = np.arange(8.0)[:, None]
    >>> density_coverage(line, line[:4], k=1)
    DensityCoverage(density=2.75, coverage=0.625)
    """
    real, fake = as_pair(real, fake, least=1)
    # Balls of real examples only, so outliers among the fakes recall nothing.
    radii = known_radii(real, k, real_radii)
    return DensityCoverage(
        density=float(np.mean(balls_around(fake, real, radii)) / k),
        coverage=float(np.mean(nearest(real, fake)[0][:, 0] <= radii)),
    )


def known_radii(real: np.ndarray, k: int, radii: np.ndarray | None) -> np.ndarray:
    """Returns the radii that are given, or else those of the examples, `[n]`.

    Raises:
      UsageError: if there are not as many radii as examples.
    """
    if radii is None:
        return squared_radii(real, k, "real features")
    if np.shape(radii) != (len(real),):
        shape = list(np.shape(radii))
        raise UsageError(f"radii are {shape}, one each of {len(real)} real examples")
    return np.asarray(radii, np.float64)

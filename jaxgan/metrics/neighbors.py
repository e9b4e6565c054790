"""Distances to the nearest training example: does a generator copy?"""

from typing import NamedTuple

import numpy as np

from jaxgan.errors import UsageError
from jaxgan.metrics.arrays import as_features, check_dimensions
from jaxgan.metrics.distances import nearest

COPIER = 0.5
"""Ratio of medians below which a generator is a copier."""

CLOSE = 0.01
"""Share of held-out examples that are called close to the training set."""

MANY = 0.1
"""Share of close fakes from which a generator is a copier."""


class NeighborRatio(NamedTuple):
    """Distances of fakes to the training set, relative to held-out examples."""

    median: float
    """Ratio of median distances: 0 for copies, about 1 for fresh samples."""
    mean: float
    """Ratio of mean distances."""
    close: float
    """Share of fakes that are closer than 99 % of the held-out examples."""


class NearestPairs(NamedTuple):
    """Fakes with their nearest training examples, from the closest pair."""

    fake: np.ndarray
    """Indices of fakes, `[count]` int64."""
    train: np.ndarray
    """Indices of their nearest training examples, `[count]` int64."""
    distances: np.ndarray
    """Euclidean distances, `[count]` float64, ascending."""


def nearest_pairs(
    train: np.ndarray, fake: np.ndarray, *, count: int | None = None
) -> NearestPairs:
    """Returns the fakes that are closest to the training set.

    Args:
      train: features of all training examples, `[n, d]`.
      fake: features of samples, `[m, d]`.
      count: number of pairs, each with another fake; None is all of them.

    Raises:
      UsageError: if features are invalid, or there are fewer than `count` fakes.

    >>> nearest_pairs(np.array([[0.0], [9.0]]), np.array([[5.0], [8.0]]), count=1)
    NearestPairs(fake=array([1]), train=array([1]), distances=array([1.]))
    """
    train = as_features(train, "training features")
    fake = as_features(fake, "fake features", least=1)
    check_dimensions(train.shape[1], fake.shape[1])
    count = len(fake) if count is None else count
    if not 1 <= count <= len(fake):
        raise UsageError(f"{count} pairs of {len(fake)} fakes; use 1 to {len(fake)}")
    squares, indices = nearest(fake, train)
    order = np.argsort(squares[:, 0], kind="stable")[:count]
    return NearestPairs(order, indices[order, 0], np.sqrt(squares[order, 0]))


def neighbor_ratio(
    train: np.ndarray, held_out: np.ndarray, fake: np.ndarray
) -> NeighborRatio:
    """Compares the distances of fakes to the training set with held-out examples.

    Each example has the Euclidean distance to its nearest training example. Held-out
    examples are fresh samples of the data: fakes that are closer are copied, and fakes
    that are farther are unlike the data. The idea is that of the three-sample test of
    https://arxiv.org/abs/2004.05675.

    Compare with all training examples, as a copy of one that is left out is not found.
    The numbers of held-out examples and fakes may differ, as both only estimate
    quantiles; use at least a few hundred of each. Features should tell examples of one
    class apart.

    Args:
      train: features of the training examples, `[n, d]`.
      held_out: features of examples that were not used in training, `[h, d]`.
      fake: features of samples, `[m, d]`.

    Raises:
      UsageError: if features are invalid, or half of the held-out examples are in the
        training set.
    """
    reals = nearest_pairs(train, as_features(held_out, "held-out features"))
    return ratio_of_distances(reals.distances, nearest_pairs(train, fake).distances)


def ratio_of_distances(reals: np.ndarray, fakes: np.ndarray) -> NeighborRatio:
    """Returns the result of `neighbor_ratio` for known distances.

    Args:
      reals: distances of held-out examples to their nearest training example, `[h]`.
      fakes: those of samples, `[m]`.

    Raises:
      UsageError: if half of the held-out examples are in the training set.

    >>> ratio_of_distances(np.array([2.0, 4.0, 6.0]), np.array([1.0, 3.0]))
    NeighborRatio(median=0.5, mean=0.5, close=0.5)
    """
    if not np.median(reals) > 0:
        raise UsageError(
            "half of the held-out examples are equal to training examples;"
            " use a split that was not used in training"
        )
    return NeighborRatio(
        median=float(np.median(fakes) / np.median(reals)),
        mean=float(np.mean(fakes) / np.mean(reals)),
        # Equal distances are not close, as those of duplicates in the data.
        close=float(np.mean(fakes < np.quantile(reals, CLOSE))),
    )


def is_copier(
    ratio: NeighborRatio, *, median: float = COPIER, close: float = MANY
) -> bool:
    """Returns True if a generator copies the training set.

    That is if the median ratio is below a half, so that most fakes are copies, or if
    at least a tenth of the fakes is as close as only a hundredth of the held-out
    examples, so that some are. Smooth or typical samples of an honest generator are
    also somewhat closer than real ones, which the first threshold allows. A generator
    without any variety can have many close fakes too: look at `nearest_pairs`.

    Args:
      ratio: result of `neighbor_ratio`.
      median: threshold of the ratio of medians.
      close: threshold of the share of close fakes.

    >>> is_copier(NeighborRatio(median=0.98, mean=1.0, close=0.012))
    False
    >>> is_copier(NeighborRatio(median=0.98, mean=0.9, close=0.2))
    True
    """
    return ratio.median < median or ratio.close >= close

"""Mode coverage: the modes of a known mixture that samples reach, and how evenly."""

from typing import NamedTuple

import numpy as np

NEAR = 3.0
"""Maximum distance of a high-quality sample from its mode, in standard deviations."""


class Coverage(NamedTuple):
    """Coverage of a mixture by samples."""

    modes: int
    """Number of modes with at least one high-quality sample."""
    quality: float
    """Fraction of samples within three sigma of the nearest center: high quality."""
    kl: float
    """KL(shares of the modes || uniform) of the high-quality samples, in nats.

    Without such samples it is log m, which is also its value for a single mode.
    """


class Floor(NamedTuple):
    """The expected KL of `n` perfect samples."""

    formula: float
    """(count - 1) / 2n, the limit for large n."""
    simulated: float
    """The mean over simulated draws, which is also correct for small n."""


def coverage(samples: np.ndarray, centers: np.ndarray, sigma: float) -> Coverage:
    """Counts modes by the protocol of PacGAN, https://arxiv.org/abs/1712.04086.

    Each sample is assigned to its nearest center, and has high quality if its Euclidean
    distance is at most three sigma (98.9 % of perfect samples in the plane). The KL
    counts these samples only, so that a sample between two modes lowers nothing but
    `quality`. `kl_floor` returns the KL of perfect samples for comparison.

    Args:
      samples: `[n, d]`.
      centers: `[m, d]`.
      sigma: standard deviation of each mode, the same in every direction.
    """
    centers = np.asarray(centers, np.float64)
    # `[n, m, d]`, and `[n, m]` distances.
    offsets = np.asarray(samples, np.float64)[:, None] - centers
    distances = np.linalg.norm(offsets, axis=-1)
    # Only high-quality samples count for modes and KL.
    good = distances.min(1) <= NEAR * sigma
    modes, kl = category_coverage(distances.argmin(1)[good], len(centers))
    return Coverage(modes, float(good.mean()), kl)


def category_coverage(labels: np.ndarray, count: int) -> tuple[int, float]:
    """Returns the number of categories that occur, and KL(shares || uniform) in nats.

    One sample is enough for a category to count. For Stacked MNIST the labels come from
    a classifier: three digits are one of 1000 categories
    (https://arxiv.org/abs/1712.04086).

    Args:
      labels: `[n]` int in [0, count).
      count: number of all categories.

    Raises:
      ValueError: if a label is `count` or more.

    >>> category_coverage(np.array([0, 1, 2, 3]), 4)
    (4, 0.0)
    """
    # Longer than `count` if a label is out of range.
    histogram = np.bincount(labels, minlength=count)
    if len(histogram) > count:
        raise ValueError(f"label {len(histogram) - 1} is not in [0, {count})")
    return int(np.count_nonzero(histogram)), float(divergence(histogram))


def divergence(histogram: np.ndarray) -> np.ndarray:
    """Returns KL(shares || uniform) along the last axis in nats; log m if all is 0.

    Args:
      histogram: counts, `[..., m]`.
    """
    count = histogram.shape[-1]
    total = histogram.sum(-1, keepdims=True)
    # KL(p || uniform) = log m - H(p); 0 log 0 is 0.
    shares = histogram / np.maximum(total, 1)
    entropy = -np.sum(shares * np.log(np.where(shares > 0, shares, 1)), -1)
    # If all counts are 0, the entropy is 0.
    return np.log(count) - entropy


def kl_floor(n: int, count: int, *, seed: int = 0, draws: int = 100) -> Floor:
    """Returns the expected KL of `n` perfect samples, to compare a measured KL with.

    For large n, 2n KL is chi-squared with count - 1 degrees of freedom (Wilks).

    Args:
      n: number of samples.
      count: number of equally frequent categories.
      seed: seed of the simulation.
      draws: number of simulations of n samples.

    >>> [round(x, 3) for x in kl_floor(10_000, 1000)]
    [0.05, 0.051]
    """
    # Samples of the uniform distribution over categories.
    random = np.random.default_rng(seed)
    # `[draws, count]`.
    counts = random.multinomial(n, np.full(count, 1 / count), size=draws)
    return Floor((count - 1) / (2 * n), float(np.mean(divergence(counts))))

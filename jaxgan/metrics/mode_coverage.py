"""How many modes of a known mixture samples reach, and how evenly."""

from typing import NamedTuple

import numpy as np

NEAR = 3.0
"""A sample belongs to a mode within so many standard deviations."""


class Coverage(NamedTuple):
    """What samples cover of a mixture."""

    modes: int
    """Modes with at least one sample of high quality."""
    quality: float
    """Share of samples of high quality: within three sigma of the nearest centre."""
    kl: float
    """Of the shares of the modes from equal ones, over high quality samples, in nats.

    log m, as for one mode alone, where no sample is of high quality.
    """


class Floor(NamedTuple):
    """The KL that is left when nothing is wrong: what `n` perfect samples have."""

    formula: float
    """(count - 1) / 2n, the limit for large n."""
    simulated: float
    """The mean over simulated draws; right for small n too."""


def coverage(samples: np.ndarray, centers: np.ndarray, sigma: float) -> Coverage:
    """Counts modes by the protocol of PacGAN, https://arxiv.org/abs/1712.04086.

    Each sample goes to its nearest centre, and is of high quality if it is within
    three sigma of it (Euclidean; 98.9 % of perfect samples are, in the plane). The
    KL(shares of the modes || uniform) looks at those only: a sample between two modes
    lowers `quality`, once. `kl_floor` says how small the KL can be.

    Args:
      samples: `[n, d]`.
      centers: `[m, d]`.
      sigma: standard deviation of each mode, the same in every direction.
    """
    centers = np.asarray(centers, np.float64)
    apart = np.asarray(samples, np.float64)[:, None] - centers
    distances = np.linalg.norm(apart, axis=-1)
    good = distances.min(1) <= NEAR * sigma
    modes, kl = category_coverage(distances.argmin(1)[good], len(centers))
    return Coverage(modes, float(good.mean()), kl)


def category_coverage(labels: np.ndarray, count: int) -> tuple[int, float]:
    """Categories that occur, and KL(their shares || uniform) in nats.

    For Stacked MNIST the labels are a classifier's, three digits as one of 1000
    (https://arxiv.org/abs/1712.04086); a category counts from its first sample on.

    Args:
      labels: `[n]` int in [0, count).
      count: of all categories.

    >>> category_coverage(np.array([0, 1, 2, 3]), 4)
    (4, 0.0)
    """
    histogram = np.bincount(labels, minlength=count)
    if len(histogram) > count:
        raise ValueError(f"a label is {len(histogram) - 1}: of {count} categories")
    return int(np.count_nonzero(histogram)), float(divergence(histogram))


def divergence(histogram: np.ndarray) -> np.ndarray:
    """KL(shares || uniform) in nats along the last axis; log m where all is 0."""
    count = histogram.shape[-1]
    total = histogram.sum(-1, keepdims=True)
    shares = histogram / np.maximum(total, 1)
    entropy = -np.sum(shares * np.log(np.where(shares > 0, shares, 1)), -1)
    return np.log(count) - entropy


def kl_floor(n: int, count: int, *, seed: int = 0, draws: int = 100) -> Floor:
    """The expected KL of `n` perfect samples, for a figure to be read against.

    2n KL is chi-squared with count - 1 degrees of freedom for large n (Wilks).

    Args:
      n: samples.
      count: of equally frequent categories.
      seed: of the simulation.
      draws: times that n samples are drawn.

    >>> [round(x, 3) for x in kl_floor(10_000, 1000)]
    [0.05, 0.051]
    """
    random = np.random.default_rng(seed)
    counts = random.multinomial(n, np.full(count, 1 / count), size=draws)
    return Floor((count - 1) / (2 * n), float(np.mean(divergence(counts))))

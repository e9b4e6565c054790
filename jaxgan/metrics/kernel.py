"""The kernel distance of two sets of features (KID), whose estimate has no bias."""

from typing import NamedTuple

import numpy as np

from jaxgan.errors import UsageError
from jaxgan.metrics.arrays import as_pair, subset

BLOCK = 1024
"""Side of a block of kernel values."""


class KernelDistance(NamedTuple):
    """The squared maximum mean discrepancy (MMD) of two sets."""

    mean: float
    """Mean over pairs of subsets; its expectation is 0 for equal distributions."""
    standard_error: float
    """Standard error of the mean over sets of fakes and of real examples.

    NaN with a single pair of subsets, or if they are whole sets.
    """
    std: float
    """Standard deviation over the pairs of subsets, which other tools print."""


def kernel_distance(
    real: np.ndarray,
    fake: np.ndarray,
    *,
    subsets: int = 100,
    size: int = 1000,
    seed: int = 0,
) -> KernelDistance:
    """Returns the kernel distance of https://arxiv.org/abs/1801.01401.

    It is called KID if the features are those of Inception. Pairs of random subsets are
    compared by `squared_mmd`. Examples of a subset are distinct. Unlike the Frechet
    distance, the mean does not depend on the counts, so small sets can be compared with
    large ones. It can be negative.

    Subsets of one set overlap, so that std / sqrt(subsets) would be too small an error.
    If subsets have the share f of the smaller set, their variance is about 1 - f times
    that of independent sets of their size, from which the standard error follows. For
    equal distributions it is too large rather than too small.

    Args:
      real: features of real examples, `[n, d]`.
      fake: features of samples, `[m, d]`.
      subsets: number of pairs of subsets.
      size: number of examples of a subset.
      seed: seed of the subsets.

    Raises:
      UsageError: if features are invalid, or a set has fewer than `size` examples.
    """
    real, fake = as_pair(real, fake)
    if subsets < 1 or size < 2:
        raise UsageError(
            f"{subsets} subsets of {size} examples; use at least 1 subset of 2 examples"
        )
    rng, values = np.random.default_rng(seed), []
    for _ in range(subsets):
        x, y = (
            of[subset(rng, len(of), size, f"{name} examples in a subset")]
            for of, name in ((real, "real"), (fake, "fake"))
        )
        values.append(squared_mmd(x, y))
    # The smaller set limits the certainty.
    share = size / min(len(real), len(fake))
    # One pair has no deviation.
    std = float(np.std(values, ddof=1)) if subsets > 1 else float("nan")
    certain = share / (1 - share) + 1 / subsets if share < 1 else float("nan")
    return KernelDistance(float(np.mean(values)), std * certain**0.5, std)


def squared_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """Returns the unbiased squared MMD with the kernel (x.y / d + 1)^3.

    This is the U-statistic of https://arxiv.org/abs/1801.01401: the kernel of a vector
    with itself is left out. Kernel values are in float64, a block at a time.

    Args:
      x: `[n, d]` with n > 1.
      y: `[m, d]` with m > 1.

    >>> squared_mmd(np.array([[0.0], [0.0]]), np.array([[1.0], [1.0]]))
    7.0
    """
    x, y = (np.asarray(part, np.float64) for part in (x, y))
    n, m = len(x), len(y)
    own = (within(part) / (len(part) * (len(part) - 1)) for part in (x, y))
    return float(sum(own) - 2 * kernel_sum(x, y) / (n * m))


def within(x: np.ndarray) -> float:
    """Returns the sum of the kernel over pairs of different rows."""
    return kernel_sum(x, x) - float(np.sum(kernel(np.sum(x * x, -1), x.shape[1])))


def kernel_sum(x: np.ndarray, y: np.ndarray) -> float:
    """Returns the sum of the kernel over all pairs of rows of two sets."""
    starts = [range(0, len(part), BLOCK) for part in (x, y)]
    return sum(
        float(np.sum(kernel(x[i : i + BLOCK] @ y[j : j + BLOCK].T, x.shape[1])))
        for i in starts[0]
        for j in starts[1]
    )


def kernel(products: np.ndarray, dim: int) -> np.ndarray:
    """Returns the polynomial kernel of products of vectors with `dim` entries."""
    base = products / dim + 1
    # Faster than a power.
    return base * base * base

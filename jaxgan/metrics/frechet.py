"""The Frechet distance of two sets of features, and its bias for few samples."""

from collections.abc import Callable, Iterable
from functools import reduce
from typing import NamedTuple

import numpy as np

from jaxgan.errors import UsageError
from jaxgan.metrics.arrays import as_features, check_dimensions

BLOCK = 4096
"""Number of rows that are converted to float64 at a time."""

ENOUGH = 2
"""Number of examples per dimension below which `bias_warning` warns."""


class Moments(NamedTuple):
    """Count, mean and scatter of features: all that the Frechet distance reads."""

    count: int
    mean: np.ndarray
    """`[d]` float64."""
    scatter: np.ndarray
    """Sum of the products of deviations from the mean, `[d, d]` float64."""


class FrechetFloor(NamedTuple):
    """The expected Frechet distance of samples of a perfect generator."""

    formula: float
    """The limit for counts that are large beside the dimension."""
    simulated: float
    """The mean over simulated sets, which is also correct for small counts."""


class ClassFrechet(NamedTuple):
    """Frechet distances within classes."""

    mean: float
    """Mean over classes."""
    worst: float
    """Largest distance of a class."""
    worst_class: int
    """Class of the largest distance."""
    distances: dict[int, float]
    """Distance by class."""


def moments(features: np.ndarray) -> Moments:
    """Returns the moments of features in float64.

    Args:
      features: `[n, d]` with n >= 1.

    Raises:
      UsageError: if features are empty or not finite.

    >>> moments(np.array([[0.0], [2.0]])).scatter.tolist()
    [[2.0]]
    """
    features = as_features(features, least=1)
    blocks = (features[i : i + BLOCK] for i in range(0, len(features), BLOCK))
    return merge(block_moments(np.asarray(x, np.float64)) for x in blocks)


def moments_of_latest() -> Callable[[np.ndarray], Moments]:
    """Returns `moments`, which computes those of one array after the other only once.

    Features may not change between calls. The latest ones are kept in memory.
    """
    latest: list[tuple[np.ndarray, Moments]] = []

    def of(features: np.ndarray) -> Moments:
        if not latest or latest[0][0] is not features:
            latest[:] = [(features, moments(features))]
        return latest[0][1]

    return of


def block_moments(x: np.ndarray) -> Moments:
    """Returns the moments of `[n, d]` float64, in two passes."""
    mean = x.mean(0)
    centered = x - mean
    return Moments(len(x), mean, centered.T @ centered)


def merge(parts: Iterable[Moments]) -> Moments:
    """Returns the moments of the union of disjoint parts, in any order.

    No precision is lost even if means are large (Chan, Golub and LeVeque, 1979), so
    batches of a stream and parts of several devices give what the whole set gives.

    Args:
      parts: one or more moments.

    Raises:
      UsageError: if there are no parts, or dimensions differ.
    """
    parts = list(parts)
    if not parts:
        raise UsageError("no moments to merge; give at least one part")
    return reduce(merge_two, parts)


def merge_two(a: Moments, b: Moments) -> Moments:
    """Returns the moments of the union of two disjoint parts."""
    if len(a.mean) != len(b.mean):
        dims = f"{len(a.mean)} and {len(b.mean)}"
        raise UsageError(f"parts have {dims} dimensions; use one extractor for all")
    count = a.count + b.count
    shift = b.mean - a.mean
    between = np.outer(shift, shift) * (a.count * b.count / count)
    return Moments(
        count, a.mean + shift * (b.count / count), a.scatter + b.scatter + between
    )


def covariance(of: Moments) -> np.ndarray:
    """Returns the unbiased covariance, `[d, d]` float64.

    Raises:
      UsageError: if there is only one example.
    """
    if of.count < 2:
        raise UsageError(f"a covariance of {of.count} example; use at least 2")
    return of.scatter / (of.count - 1)


def frechet_distance(real: Moments, fake: Moments) -> float:
    """Returns the squared Frechet distance of two Gaussians with these moments.

    It is |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), from
    https://arxiv.org/abs/1706.08500 (FID, if the features are those of its Inception
    network). The trace of the root is the sum of the singular values of A^T B for any
    S1 = A A^T and S2 = B B^T. Unlike a root of the product, these are real and exact
    for covariances without full rank, as those of fewer examples than dimensions.

    The usual protocol is 50,000 fakes against all real examples. Values of different
    counts cannot be compared: see `frechet_floor`.

    Args:
      real: moments of at least two examples.
      fake: moments of at least two samples.

    Raises:
      UsageError: if there are too few examples, or dimensions differ.

    >>> a, b = (moments(s * np.array([[-1.0], [1.0]])) for s in (1, 3))
    >>> round(frechet_distance(a, b), 6)  # deviations of sqrt(2) and 3 sqrt(2)
    8.0
    """
    check_dimensions(len(real.mean), len(fake.mean))
    shift = np.sum((real.mean - fake.mean) ** 2)
    a, b = (root(covariance(x)) for x in (real, fake))
    fidelity = np.linalg.svd(a.T @ b, compute_uv=False).sum()
    # The squared entries of a root add up to the trace.
    spread = np.sum(a**2) + np.sum(b**2) - 2 * fidelity
    return float(shift + max(spread, 0.0))


def root(matrix: np.ndarray) -> np.ndarray:
    """Returns A with A A^T equal to a covariance, `[d, rank]`."""
    values, vectors = np.linalg.eigh(matrix)
    # Others are rounding errors, whose roots would be far larger than themselves.
    kept = values > len(values) * np.finfo(np.float64).eps * max(values[-1], 0)
    return vectors[:, kept] * np.sqrt(values[kept])


def class_frechet(
    real: np.ndarray,
    real_labels: np.ndarray,
    fake: np.ndarray,
    fake_labels: np.ndarray,
) -> ClassFrechet:
    """Returns Frechet distances between the real examples and the fakes of each class.

    Their mean is also called intra-FID (https://arxiv.org/abs/1802.05637).

    Args:
      real: features of real examples, `[n, d]`.
      real_labels: classes, `[n]` int.
      fake: features of samples, `[m, d]`.
      fake_labels: classes that the samples were generated for, `[m]` int.

    Raises:
      UsageError: if a class has fewer than two examples on one side.
    """
    parts = [
        (as_features(x, f"{name} features"), as_labels(labels, len(x), name))
        for x, labels, name in (
            (real, real_labels, "real"),
            (fake, fake_labels, "fake"),
        )
    ]
    distances = {}
    for label in np.union1d(*(labels for _, labels in parts)).tolist():
        ours = [x[labels == label] for x, labels in parts]
        for x, name in zip(ours, ("real", "fake"), strict=True):
            if len(x) < 2:
                raise UsageError(
                    f"class {label} has {len(x)} {name} examples; use at least 2"
                )
        distances[label] = frechet_distance(*map(moments, ours))
    worst = max(distances, key=lambda label: distances[label])
    mean = float(np.mean(list(distances.values())))
    return ClassFrechet(mean, distances[worst], worst, distances)


def as_labels(labels: np.ndarray, count: int, name: str) -> np.ndarray:
    """Returns `[n]` integer labels.

    Raises:
      UsageError: if they are not integers, or not one per example.
    """
    labels = np.asarray(labels)
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        shape = f"{list(labels.shape)} {labels.dtype}"
        raise UsageError(f"{name} labels are {shape}; use [{count}] integers")
    return labels


def frechet_floor(
    real: Moments, count: int, *, draws: int = 1, seed: int = 0
) -> FrechetFloor:
    """Returns the distance that `count` samples of a perfect generator have.

    Sample moments differ from those of the distribution, and each difference adds to
    the distance. With covariance S of eigenvalues l_i, n real examples and m fakes, the
    expectation is (1/n + 1/m) (tr S + tr S / 4 + sum_ij l_i l_j / (2 l_i + 2 l_j)) for
    large n and m, which is about (1/n + 1/m) (d + 5) / 4 tr S for equal eigenvalues.
    The simulation draws both sets from a Gaussian of covariance S. If n is not large
    beside d, the eigenvalues of S are themselves estimates.

    Args:
      real: moments of the real examples.
      count: number of fakes.
      draws: number of simulations, each of n + m vectors; 0 leaves out the simulation,
        so that `simulated` is NaN.
      seed: seed of the simulation.

    Raises:
      UsageError: if a count is below 2.

    >>> real = moments(np.array([[-1.0], [1.0]] * 500))
    >>> round(frechet_floor(real, 100, draws=0).formula, 4)
    0.0165
    """
    if count < 2:
        raise UsageError(f"{count} samples; use at least 2")
    values = np.clip(np.linalg.eigvalsh(covariance(real)), 0, None)
    values = values[values > 0]
    pairs = values[:, None] * values / (values[:, None] + values)
    # Means add tr S, covariances tr S / 4 and the pairs.
    expected = 1.25 * values.sum() + pairs.sum() / 2
    rng = np.random.default_rng(seed)
    simulated = [
        frechet_distance(
            *(gaussian_moments(rng, n, values) for n in (real.count, count))
        )
        for _ in range(draws)
    ]
    return FrechetFloor(
        float((1 / real.count + 1 / count) * expected),
        float(np.mean(simulated)) if draws else float("nan"),
    )


def gaussian_moments(rng: np.random.Generator, n: int, values: np.ndarray) -> Moments:
    """Returns the moments of n Gaussian vectors with independent entries.

    Args:
      rng: random numbers.
      n: number of vectors.
      values: variances, `[d]`.
    """
    sizes = [min(BLOCK, n - i) for i in range(0, n, BLOCK)]
    scales = np.sqrt(values)
    return merge(
        block_moments(rng.normal(size=(size, len(values))) * scales) for size in sizes
    )


def features_warning(real: np.ndarray, count: int) -> str:
    """Returns `bias_warning` of features `[n, d]`, without moments if it is empty."""
    if min(len(real), count) >= ENOUGH * real.shape[1]:
        return ""
    return bias_warning(moments(real), count)


def bias_warning(real: Moments, count: int, *, seed: int = 0) -> str:
    """Returns a warning of one line if a distance is mostly due to small counts.

    That is if either set has fewer than two examples per dimension. The text has the
    simulated distance of a perfect generator. Otherwise, it is empty.

    Args:
      real: moments of the real examples.
      count: number of fakes.
      seed: seed of the simulation.

    Raises:
      UsageError: if a count is below 2.
    """
    dim, fewest = len(real.mean), min(real.count, count)
    if fewest >= ENOUGH * dim:
        return ""
    floor = frechet_floor(real, count, seed=seed).simulated
    return (
        f"{fewest:,} examples for {dim:,} dimensions bias the Frechet"
        f" distance: with {real.count:,} real and {count:,} fake examples, a perfect"
        f" generator would get about {floor:.3g}, not 0; use at least"
        f" {ENOUGH * dim:,} of both"
    )

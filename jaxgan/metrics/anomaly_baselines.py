"""Plain detectors of anomalies, which are fitted to pixels of normal images.

`DETECTORS` has all by name. Those of scikit-learn are there if it is installed.
"""

import functools
import importlib.util
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxgan.metrics.frechet import covariance, moments

Score = Callable[[np.ndarray], np.ndarray]
"""Maps images `[n, d]` float32 to scores `[n]`, which are high for anomalies."""

MOST_SVM = 5_000
"""Training images of the one-class SVM, whose cost grows with their square."""


def mean_distance(train: np.ndarray) -> Score:
    """Scores by the squared distance to the mean of the training images.

    Args:
      train: normal images `[n, d]` float32.

    >>> mean_distance(np.array([[0.0, 0.0], [2.0, 0.0]]))(np.array([[1.0, 3.0]]))
    array([9.])
    """
    mean = train.mean(0)
    return lambda images: np.square(images - mean).sum(-1)


def principal_components(count: int, train: np.ndarray) -> Score:
    """Scores by the squared distance to the plane of the first principal components.

    Args:
      count: number of components; at most one less than the images or dimensions.
      train: normal images `[n, d]` float32.
    """
    project = projection(count, train)
    return lambda images: np.square(images - project(images)).sum(-1)


def projection(count: int, train: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Returns the projection onto the plane of the first principal components.

    Args:
      count: number of components; at most one less than the images or dimensions.
      train: normal images `[n, d]` float32.

    Returns:
      A function from images `[m, d]` to images of the plane, `[m, d]`.
    """
    mean = train.mean(0)
    basis = _components(train - mean, min(count, len(train) - 1, train.shape[1] - 1))
    return lambda images: mean + ((images - mean) @ basis) @ basis.T


def _components(centered: np.ndarray, count: int) -> np.ndarray:
    """Returns the first principal directions of centered rows, `[d, count]`."""
    rows, dim = centered.shape
    if count < 1:
        return np.zeros((dim, 0), centered.dtype)
    if rows < dim:
        # The smaller of both products has the same eigenvalues.
        _, vectors = np.linalg.eigh(centered @ centered.T)
        basis, _ = np.linalg.qr(centered.T @ vectors[:, ::-1][:, :count])
    else:
        _, vectors = np.linalg.eigh(covariance(moments(centered)))
        basis = vectors[:, ::-1][:, :count]
    return basis.astype(centered.dtype)


def isolation_forest(train: np.ndarray) -> Score:
    """Scores by the depth at which 100 random trees isolate an image (Liu et al. 2008).

    Args:
      train: normal images `[n, d]` float32.
    """
    from sklearn.ensemble import (  # pyright: ignore[reportMissingImports]
        IsolationForest,
    )

    forest = IsolationForest(n_estimators=100, random_state=0).fit(train)
    return lambda images: -forest.score_samples(images)


def one_class_svm(train: np.ndarray) -> Score:
    """Scores by a support vector machine of one class (Schoelkopf et al. 2001).

    The kernel is Gaussian with scikit-learn's `gamma="scale"`, and nu is 0.1. At most
    `MOST_SVM` random training images are used.

    Args:
      train: normal images `[n, d]` float32.
    """
    from sklearn.svm import OneClassSVM  # pyright: ignore[reportMissingImports]

    if len(train) > MOST_SVM:
        rng = np.random.default_rng(0)
        train = train[rng.choice(len(train), MOST_SVM, replace=False)]
    machine = OneClassSVM(gamma="scale", nu=0.1).fit(train)
    return lambda images: -machine.score_samples(images)


class Detector(NamedTuple):
    """A detector, and the module that it needs."""

    fit: Callable[[np.ndarray], Score]
    """Maps normal images `[n, d]` float32 in [0, 1] to a function that scores."""
    module: str = ""
    """Empty if nothing beside the requirements of this package is needed."""

    @property
    def is_installed(self) -> bool:
        """True if its module can be imported."""
        return not self.module or importlib.util.find_spec(self.module) is not None


DETECTORS: dict[str, Detector] = {
    "mean distance": Detector(mean_distance),
    "PCA-16": Detector(functools.partial(principal_components, 16)),
    "PCA-32": Detector(functools.partial(principal_components, 32)),
    "isolation forest": Detector(isolation_forest, "sklearn"),
    "one-class SVM": Detector(one_class_svm, "sklearn"),
}
"""Detectors by name."""

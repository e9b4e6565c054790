"""The classification accuracy score: are fakes good examples to learn from?"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxgan.errors import UsageError
from jaxgan.metrics.features import Images

Predict = Callable[[Images], np.ndarray]
"""Maps examples `[n, ...]` to probabilities or logits of classes, `[n, k]`."""

Train = Callable[[Images, np.ndarray], Predict]
"""Trains a classifier on examples `[n, ...]` and their classes `[n]`."""


class ClassificationAccuracy(NamedTuple):
    """Accuracy on real examples of a classifier that was trained on fakes."""

    accuracy: float
    """Fraction of real examples that are classified correctly."""
    worst: float
    """Fraction in the class of the lowest accuracy."""
    worst_class: int
    """Class of the lowest accuracy; the first of equal ones."""


def classification_accuracy(
    train: Train,
    fake: Images,
    fake_labels: np.ndarray,
    real: Images,
    real_labels: np.ndarray,
) -> ClassificationAccuracy:
    """Trains a classifier on fakes and tests it on real examples.

    By https://arxiv.org/abs/1905.10887, with as many fakes of each class as there are
    real training examples, and held-out real examples. Compare with the accuracy of the
    same classifier after training on real examples.

    Args:
      train: trains a classifier and returns its predictions.
      fake: samples, `[n, ...]`.
      fake_labels: classes that they were generated for, `[n]` int.
      real: held-out real examples, `[m, ...]`, as the classifier reads them.
      real_labels: their classes, `[m]` int.

    Raises:
      UsageError: if there are no examples, or there is not one class for each.
    """
    for examples, labels, name in (
        (fake, fake_labels, "fake"),
        (real, real_labels, "real"),
    ):
        if not len(examples) or np.shape(labels) != (len(examples),):
            shape = list(np.shape(labels))
            raise UsageError(
                f"{name} labels are {shape} for {len(examples)} examples;"
                " use one class for each of at least one example"
            )
    # No real example is seen in training.
    scores = np.asarray(train(fake, fake_labels)(real))
    right = scores.argmax(-1) == np.asarray(real_labels)
    classes = np.unique(real_labels)
    shares = np.array([right[real_labels == label].mean() for label in classes])
    worst = int(shares.argmin())
    return ClassificationAccuracy(
        float(right.mean()), float(shares[worst]), int(classes[worst])
    )

"""The accuracy of a classifier that learns from fakes."""

import numpy as np
import pytest

from jaxgan.errors import UsageError
from jaxgan.metrics.classification_accuracy import classification_accuracy


def nearest_mean(examples, labels):
    """A classifier by the nearest mean of a class."""
    means = np.array([examples[labels == k].mean(0) for k in range(3)])
    return lambda x: -((x[:, None] - means) ** 2).sum(-1)


REAL = np.array([[0.0], [1.0], [10.0], [11.0], [20.0], [21.0]])
LABELS = np.array([0, 0, 1, 1, 2, 2])


def test_good_fakes_teach_all_and_bad_ones_less():
    fake = np.array([[0.4], [10.4], [20.4]])
    got = classification_accuracy(nearest_mean, fake, np.arange(3), REAL, LABELS)
    assert got == (1.0, 1.0, 0)
    # class 2 is thought to be far away: 20 is nearer to 10, 21 too
    got = classification_accuracy(
        nearest_mean, np.array([[0.4], [10.4], [99.0]]), np.arange(3), REAL, LABELS
    )
    assert got == (4 / 6, 0.0, 2)
    # mislabelled: only the middle class is right
    got = classification_accuracy(nearest_mean, fake[::-1], np.arange(3), REAL, LABELS)
    assert got == (2 / 6, 0.0, 0)


def test_bad_input():
    for fake, labels, text in (
        (REAL[:0], LABELS[:0], r"fake labels are \[0\] for 0 examples"),
        (REAL, LABELS[:5], r"fake labels are \[5\] for 6 examples"),
    ):
        with pytest.raises(UsageError, match=text):
            classification_accuracy(nearest_mean, fake, labels, REAL, LABELS)
    with pytest.raises(UsageError, match="real labels are"):
        classification_accuracy(nearest_mean, REAL, LABELS, REAL, LABELS[1:])

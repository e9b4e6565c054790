"""Classifier scores that are known."""

import numpy as np
import pytest
import scipy.stats

from jaxgan.errors import UsageError
from jaxgan.metrics.classifier_score import (
    as_requested,
    classifier_score,
    predicted_classes,
)


def softmax(seed, n, k):
    return np.random.default_rng(seed).dirichlet(np.full(k, 0.3), size=n)


@pytest.mark.parametrize("k", [2, 10])
def test_uniform_is_one_and_balanced_certainty_is_the_number_of_classes(k):
    assert classifier_score(np.full((50, k), 1 / k)) == pytest.approx((1.0, 0.0))
    certain = np.tile(np.eye(k), (30, 1))
    assert classifier_score(certain, splits=1).mean == pytest.approx(k)
    # one class only, however certain
    assert classifier_score(np.eye(k)[[0] * 20]).mean == 1.0


def test_by_hand():
    p = np.array([[0.5, 0.5], [1.0, 0.0]])
    # the mean is (3 / 4, 1 / 4)
    first = 0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(0.5 / 0.25)
    want = np.exp((first + np.log(1 / 0.75)) / 2)
    assert classifier_score(p, splits=1).mean == pytest.approx(want)


def test_it_is_the_mutual_information_of_classes_and_samples():
    p = softmax(0, 400, 7)
    # exp(H(mean) - mean H)
    entropy = scipy.stats.entropy(p.mean(0)) - np.mean(scipy.stats.entropy(p, axis=1))
    assert classifier_score(p, splits=1).mean == pytest.approx(np.exp(entropy))


def test_splits_have_their_own_mean_and_are_shuffled():
    p = softmax(0, 60, 5)
    order = np.random.default_rng(3).permutation(60)
    parts = [classifier_score(p[x], splits=1).mean for x in np.split(order, 4)]
    got = classifier_score(p, splits=4, seed=3)
    assert got == pytest.approx((np.mean(parts), np.std(parts)))
    # sorted by class, unshuffled splits would have one class each: a score of 1
    ordered = np.eye(10)[np.repeat(np.arange(10), 100)]
    assert classifier_score(ordered).mean > 9


def test_shares_by_hand():
    p = np.array([[0.91, 0.09, 0], [0.9, 0.1, 0], [0.2, 0.8, 0], [0, 0, 1]])
    assert predicted_classes(p) == (0.5, 3, 0.25, 1)
    assert predicted_classes(p, threshold=0.7).confident == 1.0
    assert predicted_classes(p[:3]) == (pytest.approx(1 / 3), 2, 0.0, 2)
    assert as_requested(p, np.array([0, 1, 1, 1])) == 0.5


def test_rounded_probabilities_are_scaled():
    p = softmax(0, 50, 4)
    rough = p.astype(np.float16)
    want = classifier_score(p, splits=1).mean
    assert classifier_score(rough, splits=1).mean == pytest.approx(want, rel=1e-3)
    assert classifier_score(1.01 * p, splits=1).mean == pytest.approx(want, rel=1e-12)


def test_bad_input():
    p = softmax(0, 8, 3)
    with pytest.raises(UsageError, match="10 splits of 8 samples; use 1 to 8"):
        classifier_score(p)
    for bad, text in (
        (p[:0], "0 examples"),
        (np.nan * p, "NaN"),
        (5 * p, "apply softmax"),
        (np.array([[1.2, -0.2]] * 9), "apply softmax"),
        (np.log(p + 1e-9), "apply softmax"),
        (p[0], "n, k|n, d"),
    ):
        for of in (classifier_score, predicted_classes):
            with pytest.raises(UsageError, match=text):
                of(bad)
    with pytest.raises(UsageError, match=r"labels are \[7\], one each of 8"):
        as_requested(p, np.zeros(7, int))

"""Metrics of anomaly scores, and plain detectors, against answers known by hand."""

import importlib.util

import numpy as np
import pytest
from anomaly_pools import split_rows

from jaxgan.errors import UsageError
from jaxgan.metrics import anomaly
from jaxgan.metrics.anomaly_baselines import (
    DETECTORS,
    mean_distance,
    principal_components,
)

RNG = np.random.default_rng(3)
LABELS = RNG.random(500) < 0.3


def by_pairs(scores, is_anomaly):
    """The AUROC as its definition says, pair by pair."""
    gaps = scores[is_anomaly][:, None] - scores[~is_anomaly]
    return float(np.mean((gaps > 0) + 0.5 * (gaps == 0)))


def by_thresholds(scores, is_anomaly):
    """The average precision threshold by threshold."""
    value, before = 0.0, 0.0
    for t in np.unique(scores)[::-1]:
        chosen = scores >= t
        recall = (chosen & is_anomaly).sum() / is_anomaly.sum()
        value += (recall - before) * (chosen & is_anomaly).sum() / chosen.sum()
        before = recall
    return value


def test_a_score_that_is_the_label_is_perfect_and_its_negative_the_worst():
    assert anomaly.auroc(LABELS.astype(float), LABELS) == 1
    assert anomaly.auroc(-LABELS.astype(float), LABELS) == 0
    assert anomaly.average_precision(LABELS.astype(float), LABELS) == 1


def test_noise_and_constants_say_nothing():
    noise = RNG.random(500)
    # Four standard deviations of the Mann-Whitney statistic.
    n, m = LABELS.sum(), (~LABELS).sum()
    sigma = np.sqrt((n + m + 1) / (12 * n * m))
    assert abs(anomaly.auroc(noise, LABELS) - 0.5) < 4 * sigma
    assert anomaly.auroc(np.ones(500), LABELS) == 0.5
    assert anomaly.average_precision(np.ones(500), LABELS) == pytest.approx(
        LABELS.mean()
    )


@pytest.mark.parametrize("levels", [3, 20, 10**6])
def test_ties_count_half(levels):
    scores = RNG.integers(0, levels, 500) + LABELS * levels / 4
    assert anomaly.auroc(scores, LABELS) == pytest.approx(by_pairs(scores, LABELS))
    assert anomaly.average_precision(scores, LABELS) == pytest.approx(
        by_thresholds(scores, LABELS)
    )


def test_the_values_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    scores = np.round(RNG.normal(size=500) + LABELS, 1)
    auroc, ap = metrics.roc_auc_score, metrics.average_precision_score
    assert anomaly.auroc(scores, LABELS) == pytest.approx(auroc(LABELS, scores))
    assert anomaly.average_precision(scores, LABELS) == pytest.approx(
        ap(LABELS, scores)
    )


def test_average_precision_by_hand():
    scores = np.array([5.0, 4.0, 3.0, 2.0, 1.0])
    labels = np.array([True, False, True, False, True])
    # Precision 1/1, 2/3 and 3/5 at the three anomalies.
    expected = (1 + 2 / 3 + 3 / 5) / 3
    assert anomaly.average_precision(scores, labels) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("scores", "labels", "word"),
    [
        ([1.0, np.nan], [True, False], "NaN"),
        ([1.0, 2.0], [True, True], "no normal"),
        ([1.0, 2.0], [False, False], "no anomalies"),
        ([1.0, 2.0], [False], "must be"),
    ],
)
def test_scores_that_cannot_be_judged(scores, labels, word):
    with pytest.raises(UsageError, match=word):
        anomaly.auroc(np.array(scores), np.array(labels))


def test_parts_are_scaled_by_normal_examples_and_add_up():
    normal = {"pixels": np.array([1.0, 3.0]), "features": np.array([10.0, 30.0])}
    scales = anomaly.scales_of(normal)
    assert scales == {"pixels": 2.0, "features": 20.0}
    # Each part of a normal example is 1 on average.
    shares = anomaly.weighted(normal, scales)
    assert {k: x.mean() for k, x in shares.items()} == {"pixels": 1, "features": 1}
    shares = anomaly.weighted(normal, scales, {"features": 0.5})
    np.testing.assert_allclose(anomaly.total(shares), [0.5 + 0.25, 1.5 + 0.75])


def test_heat_maps_add_up_to_the_scores():
    pixels = RNG.random((20, 5, 7)).astype(np.float32)
    pixels[3] = 0
    scores = 10 * RNG.random(20)
    maps = anomaly.heat_maps(pixels, scores)
    np.testing.assert_allclose(maps.sum((1, 2)), scores, rtol=1e-12)
    np.testing.assert_allclose(maps[0] / maps[0].max(), pixels[0] / pixels[0].max())
    assert np.ptp(maps[3]) == 0
    assert anomaly.heat_maps(pixels[:, 0], scores).shape == (20, 7)


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.5])
def test_a_threshold_keeps_its_rate_on_fresh_normal_examples(rate):
    tries, count, fresh = 400, 150, 50
    alarms = 0
    for _ in range(tries):
        threshold = anomaly.threshold_of(RNG.gamma(2, size=count), rate)
        alarms += (RNG.gamma(2, size=fresh) > threshold).sum()
    # The rate of each try has a beta distribution around its rank.
    rank = np.ceil((count + 1) * (1 - rate))
    mean = 1 - rank / (count + 1)
    spread = mean * (1 - mean) * (1 / (count + 2) + 1 / fresh)
    found = alarms / (tries * fresh)
    assert mean <= rate
    assert abs(found - mean) < 4 * np.sqrt(spread / tries)


def test_a_threshold_of_too_few_is_the_largest():
    normal = np.arange(10.0)
    assert anomaly.threshold_of(normal, 0.01) == 9
    assert anomaly.least_normal(0.01) == 99
    # With just enough, the largest is at the rank that the rate needs.
    assert anomaly.threshold_of(np.arange(99.0), 0.01) == 98
    assert anomaly.threshold_of(np.arange(199.0), 0.01) == 197


def test_percentiles_count_lower_scores():
    normal = np.array([3.0, 1.0, 2.0, 2.0])
    found = anomaly.percentiles(normal, np.array([0.5, 2.0, 2.5, 3.0, 4.0]))
    assert found.tolist() == [0, 25, 75, 75, 100]


@pytest.mark.parametrize("rows", [40, 12])
def test_principal_components_leave_the_residual(rows):
    """With more rows than dimensions, and with fewer."""
    train = RNG.normal(size=(rows, 20)).astype(np.float32) * np.arange(1, 21)
    test = RNG.normal(size=(9, 20)).astype(np.float32)
    _, _, basis = np.linalg.svd(train - train.mean(0), full_matrices=False)
    centered = test - train.mean(0)
    expected = np.square(centered - centered @ basis[:5].T @ basis[:5]).sum(-1)
    found = principal_components(5, train)(test)
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    # Points of the plane have no residual.
    plane = train.mean(0) + RNG.normal(size=(4, 5)) @ basis[:5]
    assert principal_components(5, train)(plane).max() < 1e-3


def test_components_of_fewer_examples():
    train = np.array([[0.0, 0.0, 1.0], [2.0, 0.0, 1.0]])
    score = principal_components(16, train)
    np.testing.assert_allclose(score(np.array([[9.0, 3.0, 5.0]])), [25.0], atol=1e-6)
    assert principal_components(16, train[:1])(train[1:]).tolist() == [4.0]


def test_all_detectors_find_what_is_far_away():
    train = RNG.normal(size=(200, 40)).astype(np.float32)
    # 32 components of 40 equal ones leave some of every direction.
    near, far = train[:50], RNG.normal(size=(50, 40)).astype(np.float32) * 0.1 + 9
    labels = np.arange(100) >= 50
    for name, detector in DETECTORS.items():
        if not detector.is_installed:
            assert importlib.util.find_spec("sklearn") is None, name
            continue
        scores = detector.fit(train)(np.concatenate([near, far]))
        assert anomaly.auroc(scores, labels) > 0.95, name
    assert mean_distance(train)(train.mean(0)[None])[0] == 0


def test_a_pool_without_a_class():
    """GANomaly's protocol: 80 % of the others, and the rest with the whole class."""
    labels = RNG.integers(0, 10, 1000)
    train, test = split_rows(labels, 3, "train"), split_rows(labels, 3, "test")
    assert sorted([*train, *test]) == list(range(1000))
    normal = (labels != 3).sum()
    assert len(train) == round(0.8 * normal)
    assert 3 not in labels[train]
    assert (labels[test] == 3).sum() == 1000 - normal

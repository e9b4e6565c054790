"""Kernel distances by hand, by a double loop and by simulation."""

import numpy as np
import pytest

from jaxgan.errors import UsageError
from jaxgan.metrics import kernel
from jaxgan.metrics.kernel import kernel_distance, squared_mmd


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def by_loops(x, y):
    """The U-statistic of the paper, entry by entry."""

    def k(a, b):
        return (sum(s * t for s, t in zip(a, b, strict=True)) / len(a) + 1) ** 3

    def mean(a, b, same):
        values = [
            k(s, t)
            for i, s in enumerate(a)
            for j, t in enumerate(b)
            if not (same and i == j)
        ]
        return sum(values) / len(values)

    return mean(x, x, True) + mean(y, y, True) - 2 * mean(x, y, False)


def test_by_hand():

    x, y = np.array([[2.0, 0], [0, 2]]), np.array([[0.0, 2], [0, 1]])
    # k = 1 within x, 8 within y; between 1, 1, 27 and 8
    assert squared_mmd(x, y) == pytest.approx(1 + 8 - 2 * (1 + 1 + 27 + 8) / 4)


@pytest.mark.parametrize("block", [3, 1024])
def test_it_is_the_double_loop(block, monkeypatch):
    monkeypatch.setattr(kernel, "BLOCK", block)
    x, y = normal(0, 7, 5), normal(1, 9, 5) + 0.5
    assert squared_mmd(x, y) == pytest.approx(by_loops(x, y), rel=1e-12)


def test_one_distribution_has_distance_zero():
    values = [squared_mmd(*normal(seed, 2, 12, 3)) for seed in range(3000)]
    error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values)) < 4 * error
    # half of the pairs of such small sets are below zero; the biased one never is
    assert min(values) < 0
    # with the diagonal, the estimate is far above
    assert error < 0.02


def test_a_shift_has_its_expected_distance():
    # in one dimension E k = E (s t + 1)^3 = m33 + 3 m22 + 3 m11 + 1 by moments of s, t
    def expected(a, b):
        raw = [(m, m**2 + 1, m**3 + 3 * m) for m in (a, b)]
        return sum(c * s * t for c, s, t in zip((3, 3, 1), *raw, strict=True)) + 1

    want = expected(0, 0) + expected(1, 1) - 2 * expected(0, 1)
    values = [
        squared_mmd(normal(seed, 20, 1), normal(10**6 + seed, 20, 1) + 1)
        for seed in range(2000)
    ]
    error = np.std(values) / np.sqrt(len(values))
    assert np.mean(values) == pytest.approx(want, abs=4 * error)


@pytest.mark.parametrize(("shift", "low", "high"), [(0.7, 0.8, 1.25), (0.0, 0.9, 2.5)])
def test_the_standard_error_is_that_of_repeated_samples(shift, low, high):
    found = [
        kernel_distance(
            normal(seed, 300, 4),
            normal(10**6 + seed, 300, 4) + shift,
            subsets=20,
            size=150,
            seed=seed,
        )
        for seed in range(150)
    ]
    actual = np.std([x.mean for x in found])
    said = np.sqrt(np.mean([x.standard_error**2 for x in found]))
    assert low < said / actual < high
    if not shift:
        assert abs(np.mean([x.mean for x in found])) < 4 * actual / np.sqrt(150)


def test_whole_sets_are_one_subset():
    x, y = normal(0, 30, 4), normal(1, 30, 4) + 1
    got = kernel_distance(x, y, subsets=3, size=30)
    assert got.mean == pytest.approx(squared_mmd(x, y), rel=1e-12)
    # nothing varies, which says nothing of other samples
    assert got.std == pytest.approx(0, abs=1e-12)
    assert np.isnan(got.standard_error)
    assert np.isnan(kernel_distance(x, y, subsets=1, size=9).standard_error)


def test_the_smaller_set_and_the_subsets_limit_the_certainty():
    x, y = normal(0, 40, 3), normal(1, 90, 3)
    first = kernel_distance(x, y, subsets=1, size=10).mean
    got = kernel_distance(x, y, subsets=2, size=10)
    second = 2 * got.mean - first
    assert got.std == pytest.approx(abs(first - second) / np.sqrt(2))
    # f = 10 / 40: f / (1 - f) + 1 / 2
    assert got.standard_error == pytest.approx(got.std * np.sqrt(1 / 3 + 1 / 2))
    assert kernel_distance(y, x, subsets=2, size=10).standard_error == pytest.approx(
        kernel_distance(y, x, subsets=2, size=10).std * np.sqrt(5 / 6)
    )


def test_subsets_are_distinct_and_the_seeds():
    x = normal(0, 40, 3)
    got = [kernel_distance(x, x + 1, subsets=5, size=20, seed=s) for s in (1, 1, 2)]
    assert got[0] == got[1] != got[2]
    # 2 of 2: the pair of different rows, never one row twice
    far = np.array([[0.0], [100.0]])
    pair = kernel_distance(far, far, subsets=50, size=2)
    assert pair.mean == pytest.approx(squared_mmd(far, far))


def test_bad_input():
    x = normal(0, 20, 3)
    with pytest.raises(
        UsageError, match="1000 of 20 real examples in a subset; use 1 "
    ):
        kernel_distance(x, np.tile(x, (60, 1)))
    with pytest.raises(UsageError, match="21 of 20 fake examples"):
        kernel_distance(np.tile(x, (2, 1)), x, size=21)
    with pytest.raises(UsageError, match="0 subsets of 5"):
        kernel_distance(x, x, subsets=0, size=5)
    with pytest.raises(UsageError, match="5 subsets of 1 examples"):
        kernel_distance(x, x, subsets=5, size=1)
    with pytest.raises(UsageError, match="NaN"):
        kernel_distance(x, np.nan * x, size=5)

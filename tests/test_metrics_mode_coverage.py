"""Modes counted by hand, and what perfect samples leave."""

import numpy as np
import pytest
import scipy.stats

from jaxgan.data import toy
from jaxgan.metrics.mode_coverage import category_coverage, coverage, kl_floor

SQUARE = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])


def test_all_modes_alike():
    got = coverage(np.repeat(SQUARE, 5, axis=0), SQUARE, 0.1)
    assert (got.modes, got.quality) == (4, 1.0)
    assert got.kl == pytest.approx(0.0, abs=1e-12)


def test_by_hand():
    # 3 at the first centre, 1 just within 3 sigma of the second, 1 just outside, 1 far
    extra = [[10.0, 0.29], [10.0, 0.31], [5.0, 5.0]]
    got = coverage(np.array([*SQUARE[[0, 0, 0]], *extra]), SQUARE, 0.1)
    assert (got.modes, got.quality) == (2, pytest.approx(4 / 6))
    want = 0.75 * np.log(0.75 * 4) + 0.25 * np.log(0.25 * 4)
    assert got.kl == pytest.approx(want)


def test_one_mode_and_none():
    one = coverage(np.tile(SQUARE[2], (9, 1)), SQUARE, 0.1)
    assert one == (1, 1.0, pytest.approx(np.log(4)))
    none = coverage(np.full((9, 2), 5.0), SQUARE, 0.1)
    assert none == (0, 0.0, pytest.approx(np.log(4)))


def test_real_points_are_of_high_quality():
    # |x| / sigma <= 3 has probability 1 - exp(-9 / 2) in the plane
    for load in (toy.ring8, toy.grid25):
        data = load("test")
        assert data.modes is not None
        assert data.arrays is not None
        points = data.arrays["image"][:4000]
        got = coverage(points, data.modes.centers, data.modes.sigma)
        assert got.modes == len(data.modes.centers)
        assert got.quality == pytest.approx(1 - np.exp(-4.5), abs=0.006)
        assert got.kl < 1e-4


def test_categories_by_hand():
    assert category_coverage(np.array([0, 0, 2, 2]), 4) == (2, pytest.approx(np.log(2)))
    assert category_coverage(np.arange(1000), 1000) == (
        1000,
        pytest.approx(0, abs=1e-9),
    )
    modes, kl = category_coverage(np.array([1, 1, 1, 0, 3]), 4)
    want = scipy.stats.entropy([0.6, 0.2, 0.2, 0.0], np.full(4, 0.25))
    assert (modes, kl) == (3, pytest.approx(want))
    with pytest.raises(ValueError, match=r"label 4 is not in \[0, 4\)"):
        category_coverage(np.array([4]), 4)


@pytest.mark.parametrize(
    ("n", "want"),
    [(10_000, 0.0508), (25_600, 0.0197), (26_000, 0.0194), (50_000, 0.0100)],
)
def test_the_floor_of_stacked_mnist(n, want):
    floor = kl_floor(n, 1000)
    assert floor.formula == 999 / (2 * n)
    assert floor.simulated == pytest.approx(want, rel=0.015)


def test_the_floor_of_few_samples():
    # one sample of m is in one mode, whatever m: log m; the formula is far off
    floor = kl_floor(1, 50)
    assert floor.simulated == pytest.approx(np.log(50))
    # two of two: together with probability 1/2, then log 2, else 0
    assert kl_floor(2, 2, draws=4000).simulated == pytest.approx(np.log(2) / 2, rel=0.1)


def test_the_floor_is_its_seeds():
    assert kl_floor(100, 10, seed=3) == kl_floor(100, 10, seed=3)
    assert kl_floor(100, 10, seed=3) != kl_floor(100, 10, seed=4)

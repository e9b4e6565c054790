"""Sliced distances in closed form, and one-dimensional transport by hand."""

import numpy as np
import pytest
import scipy.optimize

from jaxgan.errors import UsageError
from jaxgan.metrics import sliced_features
from jaxgan.metrics.sliced_features import sliced_distance, transport


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def test_a_shift_has_its_squared_length():
    x, shift = normal(0, 200, 6), np.array([3.0, 0, 0, -4.0, 0, 0])
    got = sliced_distance(x, x[::-1] + shift, directions=4000)
    assert got.mean == pytest.approx(25, abs=4 * got.standard_error)
    # the variance of 6 * 25 cos^2 is 150^2 (3 / (6 * 8) - 1 / 36)
    want = 150 * np.sqrt(3 / 48 - 1 / 36) / np.sqrt(4000)
    assert got.standard_error == pytest.approx(want, rel=0.1)


def test_two_round_normal_distributions():
    # one sample and its multiple, whose sorted projections are multiples
    x = normal(0, 4000, 3)
    got = sliced_distance(x, 3 * x, directions=50)
    assert got.mean == pytest.approx(3 * (3 - 1) ** 2, rel=0.05)


def test_a_set_and_itself():
    x = normal(0, 90, 5)
    assert sliced_distance(x, x[::-1]).mean < 1e-25
    # doubled, it is the same distribution
    assert sliced_distance(x, np.repeat(x, 2, axis=0)).mean < 1e-25


def test_transport_of_unequal_counts_by_hand():
    # 0 and 6 to 1, 2, 4: shares of 1/3 from 0 to 1, 1/6 from 0 to 2 and from 6 to 2,
    # 1/3 from 6 to 4
    got = transport(np.array([[6.0], [0.0]]), np.array([[2.0], [1.0], [4.0]]))
    assert got == pytest.approx([1 / 3 + 4 / 6 + 16 / 6 + 4 / 3])


def test_transport_is_the_cheapest_assignment():
    x, y = normal(0, 12, 3), normal(1, 12, 3) + 0.5
    costs = (x[:, None] - y) ** 2
    want = []
    for k in range(3):
        rows, columns = scipy.optimize.linear_sum_assignment(costs[..., k])
        want.append(costs[rows, columns, k].mean())
    np.testing.assert_allclose(transport(x, y), want, rtol=1e-12)


def test_blocks_and_seeds(monkeypatch):
    x, y = normal(0, 30, 4), normal(1, 20, 4)
    want = sliced_distance(x, y, directions=17)
    monkeypatch.setattr(sliced_features, "BLOCK", 150)
    assert sliced_distance(x, y, directions=17) == pytest.approx(want, rel=1e-12)
    assert sliced_distance(x, y, directions=17, seed=1) != want


def test_bad_input():
    x = normal(0, 9, 4)
    with pytest.raises(UsageError, match="1 directions; use at least 2"):
        sliced_distance(x, x, directions=1)
    with pytest.raises(UsageError, match="4 dimensions, fake ones 3"):
        sliced_distance(x, x[:, :3])
    with pytest.raises(UsageError, match="NaN"):
        sliced_distance(x, np.nan * x)

"""Copiers and honest generators."""

import numpy as np
import pytest

from jaxgan.errors import UsageError
from jaxgan.metrics.neighbors import is_copier, nearest_pairs, neighbor_ratio


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


TRAIN, HELD_OUT = normal(0, 900, 8), normal(1, 700, 8)


def test_by_hand():
    train = np.array([[0.0], [10.0]])
    # distances 1, 2, 6 of held-out examples, 0, 1, 5 of fakes
    held_out, fake = np.array([[1.0], [12.0], [16.0]]), np.array([[5.0], [10], [-1]])
    got = neighbor_ratio(train, held_out, fake)
    assert (got.median, got.mean) == (0.5, pytest.approx(2 / 3))
    # the first percentile is 1.02
    assert got.close == pytest.approx(2 / 3)
    pairs = nearest_pairs(train, fake)
    assert [x.tolist() for x in pairs] == [[1, 2, 0], [1, 0, 0], [0, 1, 5]]
    assert nearest_pairs(train, fake, count=2).train.tolist() == [1, 0]


def test_fresh_samples_are_no_copies():
    got = neighbor_ratio(TRAIN, HELD_OUT, normal(2, 500, 8))
    assert got.median == pytest.approx(1.0, abs=0.05)
    assert got.mean == pytest.approx(1.0, abs=0.05)
    assert got.close < 0.03
    assert not is_copier(got)


def test_copies_are():
    exact = neighbor_ratio(TRAIN, HELD_OUT, TRAIN[:300])
    assert exact == (0.0, 0.0, 1.0)
    noisy = neighbor_ratio(TRAIN, HELD_OUT, TRAIN[:300] + 0.02 * normal(2, 300, 8))
    assert 0 < noisy.median < 0.1
    assert is_copier(exact)
    assert is_copier(noisy)


def test_a_copy_among_five_is_found():
    fake = np.concatenate([TRAIN[:100], normal(2, 400, 8)])
    got = neighbor_ratio(TRAIN, HELD_OUT, fake)
    assert got.median > 0.8
    assert got.close == pytest.approx(0.2 + 0.8 * 0.01, abs=0.02)
    assert is_copier(got)
    pairs = nearest_pairs(TRAIN, fake, count=100)
    # equal distances of 0 in the order of the fakes
    np.testing.assert_array_equal(pairs.fake, np.arange(100))
    np.testing.assert_array_equal(pairs.train, np.arange(100))
    assert (pairs.distances == 0).all()


def test_equal_distances_are_not_close():
    # a lattice, as binary features have: all are at distance 1
    train, fresh = np.zeros((9, 8)), np.eye(8)
    got = neighbor_ratio(train, fresh[:4], fresh[4:])
    assert got == (1.0, 1.0, 0.0)
    assert not is_copier(got)


def test_bad_samples_are_far():
    got = neighbor_ratio(TRAIN, HELD_OUT, 3 * normal(2, 200, 8))
    assert got.median > 2
    assert not is_copier(got)


def test_typical_samples_are_no_copies():
    # half the deviation: closer to the center, where training examples are dense
    got = neighbor_ratio(TRAIN, HELD_OUT, 0.7 * normal(2, 400, 8))
    assert 0.5 < got.median < 1
    assert not is_copier(got, close=1.0)


def test_bad_input():
    with pytest.raises(UsageError, match="half of the held-out examples are equal"):
        neighbor_ratio(TRAIN, TRAIN[:50], HELD_OUT)
    with pytest.raises(UsageError, match="held-out features: 0 examples"):
        neighbor_ratio(TRAIN, HELD_OUT[:0], HELD_OUT)
    with pytest.raises(UsageError, match="training features: 1 examples"):
        neighbor_ratio(TRAIN[:1], HELD_OUT, HELD_OUT)
    with pytest.raises(UsageError, match="fake features have NaN"):
        neighbor_ratio(TRAIN, HELD_OUT, np.nan * HELD_OUT)
    with pytest.raises(UsageError, match="8 dimensions, fake ones 7"):
        nearest_pairs(TRAIN, HELD_OUT[:, :7])
    for count in (0, 701):
        with pytest.raises(UsageError, match=f"{count} pairs of 700 fakes; use 1 to"):
            nearest_pairs(TRAIN, HELD_OUT, count=count)

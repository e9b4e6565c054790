"""Checks of features, and random subsets."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.errors import UsageError
from jaxgan.metrics.arrays import as_features, subset


def test_floats_stay_and_others_become_float64():
    for dtype, want in (
        *((np.float32, np.float32), (np.float64, np.float64), (np.uint8, np.float64)),
        *((np.float16, np.float64), (bool, np.float64)),
    ):
        x = np.array([[0, 1], [1, 1]], dtype)
        assert as_features(x).dtype == want
        np.testing.assert_array_equal(as_features(x), x)
    on_device = jnp.array([[0.5], [2.0]], jnp.bfloat16)
    np.testing.assert_array_equal(as_features(np.asarray(on_device)), [[0.5], [2.0]])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e39, -1e300])
def test_bad_numbers_are_counted(bad):
    x = np.zeros((5, 3))
    x[3, 2] = x[4, 0] = bad
    with pytest.raises(
        UsageError, match=r"x have .* in 2 of 5 examples, first in numb"
    ):
        as_features(x, "x")
    assert len(as_features(x[:3])) == 3


def test_no_features_are_bad():
    for x, text in (
        (np.zeros((4, 0)), r"must be \[n, d\].*not \[4, 0\]"),
        (np.zeros((4, 2, 2)), r"not \[4, 2, 2\]"),
        (np.array([["1"], ["2"]]), "real numbers, not <U1"),
        (np.array([[1j], [2]]), "real numbers, not complex128"),
        (np.array([[None], [2]]), "real numbers, not object"),
    ):
        with pytest.raises(UsageError, match=text):
            as_features(x)


def test_subsets_are_uniform_without_repetition():
    rng = np.random.default_rng(0)
    draws = np.array([subset(rng, 6, 2) for _ in range(6000)])
    assert (draws[:, 0] != draws[:, 1]).all()
    # each of six in a third of the draws
    shares = np.bincount(draws.ravel()) / 6000
    np.testing.assert_allclose(shares, 1 / 3, atol=4 * np.sqrt(2 / 9 / 6000))


@pytest.mark.parametrize("count", [-1, 0, 4])
def test_no_more_than_there_are(count):
    with pytest.raises(UsageError, match=f"^{count} of 3 cats; use 1 to 3$"):
        subset(np.random.default_rng(0), 3, count, "cats")

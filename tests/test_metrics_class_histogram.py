"""The divergence of classes from those of real examples, and its floor."""

import numpy as np
import pytest

from jaxgan.errors import UsageError
from jaxgan.metrics.class_histogram import histogram_divergence, histogram_floor
from jaxgan.metrics.mode_coverage import divergence


def test_by_hand():
    fake, real = np.array([3, 1, 0]), np.array([2, 1, 1])
    want = 3 / 4 * np.log(3 / 2)
    assert histogram_divergence(fake, real) == pytest.approx(want)
    # only shares count, and a set has no divergence from itself
    assert histogram_divergence(7 * fake, 3 * real) == pytest.approx(want)
    assert histogram_divergence(real, 5 * real) == pytest.approx(0, abs=1e-15)
    # it is that of fakes from real examples, not the reverse
    p, q = np.array([2, 1, 1]) / 4, np.array([3, 1, 0.5]) / 4.5
    reverse = np.sum(p * np.log(p / q))
    assert histogram_divergence(real, fake) == pytest.approx(reverse)


def test_against_equal_shares_it_is_that_of_modes():
    counts = np.random.default_rng(0).integers(0, 9, (5, 7))
    np.testing.assert_allclose(
        histogram_divergence(counts, np.full(7, 11)), divergence(counts)
    )


def test_a_class_that_no_real_example_has_counts_half():
    fake, real = np.array([1, 1]), np.array([4, 0])
    want = (np.log((1 / 2) / (4 / 4.5)) + np.log((1 / 2) / (0.5 / 4.5))) / 2
    assert histogram_divergence(fake, real) == pytest.approx(want)
    # and not at all if no fake has it either, up to its share of the real ones
    assert histogram_divergence(np.array([1, 0]), real) == pytest.approx(
        np.log(4.5 / 4)
    )


@pytest.mark.parametrize(("n", "real"), [(500, [90, 300, 110]), (40, [30] * 20)])
def test_the_floor_is_that_of_samples_of_one_distribution(n, real):
    real = np.array(real)
    shares = real / real.sum()
    rng = np.random.default_rng(7)
    values = []
    for _ in range(1500):
        one = np.bincount(rng.choice(len(real), n, p=shares), minlength=len(real))
        other = np.bincount(
            rng.choice(len(real), real.sum(), p=shares), minlength=len(real)
        )
        q = np.where(other > 0, other, 0.5)
        p, q = one[one > 0] / n, (q / q.sum())[one > 0]
        values.append(np.sum(p * np.log(p / q)))
    error = np.std(values) / np.sqrt(len(values))
    floor = histogram_floor(n, real, draws=1500)
    assert floor.simulated == pytest.approx(np.mean(values), abs=5 * error)
    # the limit holds for many examples of each class
    assert floor.formula == pytest.approx(np.mean(values), rel=0.1 if n > 99 else 0.4)


def test_bad_input():
    with pytest.raises(UsageError, match="2 classes, real examples 3"):
        histogram_divergence(np.ones(2), np.ones(3))
    for fake, real in ((np.zeros(2), np.ones(2)), (np.ones(2), np.zeros(2))):
        with pytest.raises(UsageError, match="no examples"):
            histogram_divergence(fake, real)

"""Precision and recall of sets whose supports are known, and exact neighbors."""

import itertools

import numpy as np
import pytest

from jaxgan.errors import UsageError
from jaxgan.metrics import distances
from jaxgan.metrics.distances import balls_around, nearest
from jaxgan.metrics.precision_recall import (
    density_coverage,
    precision_recall,
    squared_radii,
)


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def direct(a, b):
    """Squared distances by differences, all at once."""
    return ((a[:, None].astype(np.float64) - b.astype(np.float64)) ** 2).sum(-1)


def modes(seed, centers, n=60):
    """`n` points near each of some corners that are far apart."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(size=(n, 4)) + 100 * c for c in centers])


CORNERS = np.eye(4)


def test_some_modes_have_full_precision_and_half_recall():
    real, fake = modes(0, CORNERS), modes(1, CORNERS[:2])
    got = precision_recall(real, fake)
    assert got.precision > 0.9
    assert 0.4 < got.recall <= 0.5
    # a subset of the examples themselves: each lies in its own ball
    assert precision_recall(real, real[:120]).precision == 1.0
    assert precision_recall(real, real[:120]).recall == 0.5


def test_garbage_lowers_precision_alone():
    real = modes(0, CORNERS)
    fake = np.concatenate([real, modes(1, -CORNERS[:2])])
    assert precision_recall(real, fake) == (240 / 360, 1.0)
    density, coverage = density_coverage(real, fake)
    assert coverage == 1.0
    assert density == pytest.approx(density_coverage(real, real).density * 240 / 360)


def test_swapped_sets_swap_precision_and_recall():
    real, fake = normal(0, 200, 5), 0.7 * normal(1, 150, 5)
    one, other = precision_recall(real, fake), precision_recall(fake, real)
    assert one == (other.recall, other.precision)
    assert one.precision > one.recall + 0.1


@pytest.mark.parametrize(("n", "m", "d", "k"), [(90, 70, 3, 3), (60, 80, 40, 5)])
def test_all_are_those_of_all_distances(n, m, d, k, monkeypatch):
    monkeypatch.setattr(distances, "BLOCK", 700)  # several blocks
    real, fake = normal(0, n, d), 0.9 * normal(1, m, d) + 0.1
    between = np.sqrt(direct(real, fake))
    real_radii, fake_radii = (
        np.sort(np.sqrt(direct(x, x)), 1)[:, k] for x in (real, fake)
    )
    # the formulas of https://github.com/clovaai/generative-evaluation-prdc
    inside = between < real_radii[:, None]
    precision = inside.any(0).mean()
    recall = (between < fake_radii[None]).any(1).mean()
    density = inside.sum(0).mean() / k
    coverage = (between.min(1) < real_radii).mean()
    assert precision_recall(real, fake, k=k) == (precision, recall)
    assert density_coverage(real, fake, k=k) == pytest.approx((density, coverage))
    assert 0 < recall < precision < 1


def test_one_distribution_has_density_one_and_the_expected_coverage():
    real, fake = normal(0, 1500, 3), normal(1, 1500, 3)
    density, coverage = density_coverage(real, fake)
    assert density == pytest.approx(1.0, abs=0.05)
    # the exact expectation: all k real neighbors come before any of m fakes
    n, k = 1500, 5
    miss = np.prod([(n - 1 - i) / (2 * n - 1 - i) for i in range(k)])
    assert coverage == pytest.approx(1 - miss, abs=0.02)
    assert 1 - miss == pytest.approx(1 - 2.0**-k, abs=1e-3)


def test_a_set_and_itself():
    x = normal(0, 50, 8).astype(np.float32)
    for shift in (0, 1000):
        assert precision_recall(x + shift, x[::-1] + shift) == (1.0, 1.0)
        assert density_coverage(x + shift, x[::-1] + shift).coverage == 1.0


def test_known_radii_give_the_same():
    real, fake = normal(0, 50, 4), normal(1, 40, 4)
    for of, k in ((precision_recall, 3), (density_coverage, 5)):
        got = of(real, fake, k=k, real_radii=squared_radii(real, k))
        assert got == of(real, fake)
    with pytest.raises(UsageError, match=r"radii are \[49\], one each of 50"):
        precision_recall(real, fake, real_radii=np.ones(49))


SETS = {
    "far away": normal(0, 60, 5) + 1e6,
    "huge": 1e25 * normal(0, 60, 5),
    "tiny": 1e-25 * normal(0, 60, 5),
    "float32": normal(0, 60, 700).astype(np.float32),
    "lattice": np.array(list(itertools.product(range(4), repeat=3))) / 3,
    "copies": np.repeat(normal(0, 12, 5), 5, axis=0),
    "equal": np.full((60, 3), 0.1),
    "zero": np.zeros((60, 3)),
    "a tiny cluster": np.concatenate(
        [1e-25 * normal(0, 60, 5), np.ones((1, 5)), -np.ones((1, 5))]
    ),
    "an outlier": np.concatenate([normal(0, 60, 5), np.full((1, 5), 1e12)]),
}


@pytest.mark.parametrize("name", SETS)
def test_neighbors_are_exact_with_ties_and_bad_scales(name, monkeypatch):
    monkeypatch.setattr(distances, "BLOCK", 500)
    x = SETS[name]
    squares = direct(x, x)
    found, _ = nearest(x, x, 2)
    np.testing.assert_array_equal(found, np.sort(squares, 1)[:, :2])
    np.fill_diagonal(squares, np.inf)
    found, where = nearest(x, x, 4, same=True)
    np.testing.assert_array_equal(found, np.sort(squares, 1)[:, :4])
    # ties by index
    np.testing.assert_array_equal(where, np.argsort(squares, 1, kind="stable")[:, :4])


@pytest.mark.parametrize("name", SETS)
def test_balls_are_closed_with_ties_and_bad_scales(name, monkeypatch):
    monkeypatch.setattr(distances, "BLOCK", 500)
    x = SETS[name]
    squares = direct(x, x)
    radii = np.sort(squares, 1)[:, 3]
    np.testing.assert_array_equal(
        balls_around(x[::-1], x, radii), (squares[::-1] <= radii).sum(1)
    )


@pytest.mark.parametrize("seed", range(5))
def test_bounds_hold_and_are_tight(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(-1, 1, (2, 50, 300)) ** 9
    [(rows, low, high)] = distances.brackets(a, b)
    assert rows == slice(0, 50)
    squares = direct(a, b)
    assert (low <= squares).all()
    assert (squares <= high).all()
    assert (high - low < 1e-3 * squares).all()


@pytest.mark.parametrize("d", [300, 3000])
def test_bounds_hold_for_errors_of_one_sign(d):
    # all products of two rows are almost equal, so their errors add up
    x = np.random.default_rng(0).uniform(0.9, 1, (40, 1)) * np.full(d, 0.61)
    x = np.concatenate([x, -x])
    [(_, low, high)] = distances.brackets(x, x)
    squares = direct(x, x)
    assert (low <= squares).all()
    assert (squares <= high).all()
    # a bound without the dimension would not
    errors = np.abs((low.astype(np.float64) + high) / 2 - squares)
    assert errors.max() > 40 * distances.UNIT * squares.max() / 2


@pytest.mark.parametrize("of", [precision_recall, density_coverage])
def test_bad_sets(of):
    good = normal(0, 20, 3)
    bad = good.copy()
    bad[7, 1] = np.nan
    for real, fake, text in (
        (good[:0], good, "real features: 0 examples"),
        (good[:1], good, "real features: 1 examples|have 0 neighbors"),
        (good, good[:0], "fake features: 0 examples"),
        (bad, good, "real features have NaN .* in 1 of 20 examples, first in number 7"),
        (good, np.inf * good, "fake features have NaN or infinity in 20 of 20"),
        (good, good[:, :2], "3 dimensions, fake ones 2"),
        (good[0], good, r"real features must be \[n, d\]"),
        (good.astype(str), good, "must be real numbers"),
    ):
        with pytest.raises(UsageError, match=text):
            of(real, fake)
    with pytest.raises(UsageError, match=r"20 examples have 19 neighbors .* k = 20; "):
        of(good, good, k=20)
    with pytest.raises(UsageError, match="at least 1"):
        of(good, good, k=0)

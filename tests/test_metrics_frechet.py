"""Frechet distances in closed form, by scipy's matrix root and by simulation."""

import numpy as np
import pytest
import scipy.linalg

from jaxgan.errors import UsageError
from jaxgan.metrics import frechet
from jaxgan.metrics.frechet import (
    Moments,
    bias_warning,
    class_frechet,
    covariance,
    features_warning,
    frechet_distance,
    frechet_floor,
    merge,
    moments,
    moments_of_latest,
)


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def gaussian(mean, matrix, count=101):
    return Moments(count, np.asarray(mean, float), (count - 1) * np.asarray(matrix))


def with_sqrtm(a, b):
    """The formula of the paper."""
    one, other = np.cov(a.T), np.cov(b.T)
    root = np.real(np.asarray(scipy.linalg.sqrtm(one @ other)))
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(one + other - 2 * root)


def test_moments_are_numpys():
    x = normal(0, 9000, 4) @ normal(1, 4, 4) + 3  # three blocks
    got = moments(x)
    assert got.count == 9000
    np.testing.assert_allclose(got.mean, x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(covariance(got), np.cov(x.T), rtol=1e-11)


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [2, 0, 3, 1]])
def test_parts_in_any_order_are_the_whole(order):
    x = normal(0, 400, 6) + 1000.0 * np.arange(6.0)
    parts = np.split(x, [1, 130, 131])
    got, want = merge(moments(parts[i]) for i in order), moments(x)
    assert got.count == want.count
    np.testing.assert_allclose(got.mean, want.mean, rtol=1e-10)
    np.testing.assert_allclose(got.scatter, want.scatter, rtol=1e-10, atol=1e-8)


def test_a_large_mean_costs_no_precision():
    x = normal(0, 500, 3).astype(np.float32)
    far = x.astype(np.float64) + 1e7
    np.testing.assert_allclose(covariance(moments(far)), np.cov(x.T), rtol=1e-6)
    # float32 features are summed in float64
    np.testing.assert_allclose(moments(x).mean, x.mean(0, dtype=np.float64), rtol=1e-12)


def test_two_gaussians_with_common_axes_in_closed_form():
    axes = np.linalg.qr(normal(0, 5, 5))[0]
    a, b = np.array([1.0, 2, 3, 4, 5]), np.array([4.0, 0, 1, 9, 5])
    mean = np.array([1.0, -2, 0, 0, 3])
    got = frechet_distance(
        gaussian(0 * mean, axes * a @ axes.T), gaussian(mean, axes * b @ axes.T)
    )
    want = 14 + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    assert got == pytest.approx(want, rel=1e-10)


def test_two_planes_that_do_not_commute_in_closed_form():
    # in two dimensions, tr sqrt(P) = sqrt(tr P + 2 sqrt(det P))
    one, other = np.array([[2.0, 1], [1, 3]]), np.array([[1.0, -0.5], [-0.5, 4]])
    product = one @ other
    root = np.sqrt(np.trace(product) + 2 * np.sqrt(np.linalg.det(product)))
    got = frechet_distance(gaussian([0, 0], one), gaussian([0, 0], other))
    assert got == pytest.approx(np.trace(one + other) - 2 * root, rel=1e-10)


@pytest.mark.parametrize("d", [2, 30])
def test_it_is_the_formula_with_scipys_sqrtm(d):
    a = normal(0, 200, d) @ normal(1, d, d)
    b = normal(2, 150, d) @ normal(3, d, d) + 1
    got = frechet_distance(moments(a), moments(b))
    assert got == pytest.approx(with_sqrtm(a, b), rel=1e-7)
    assert frechet_distance(moments(b), moments(a)) == pytest.approx(got, rel=1e-10)


@pytest.mark.parametrize(("n", "d"), [(500, 20), (30, 60), (2, 5), (9, 1)])
def test_a_set_and_itself(n, d):
    of = moments(100 * normal(0, n, d) @ normal(1, d, d))
    scale = np.trace(covariance(of))
    assert 0 <= frechet_distance(of, of) < 1e-6
    assert frechet_distance(of, of) < 1e-12 * scale


def test_fewer_examples_than_dimensions():
    # two planes in six dimensions: one axis is common, the others are orthogonal
    a = normal(0, 40, 2) @ np.eye(6)[[0, 1]]
    b = normal(1, 40, 2) @ np.eye(6)[[1, 2]]
    one, other = np.cov(a.T), np.cov(b.T)
    # the product of both has rank one, whose root has the root of its trace
    root = np.sqrt(np.trace(one @ other))
    want = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(one + other) - 2 * root
    assert frechet_distance(moments(a), moments(b)) == pytest.approx(want, rel=1e-9)
    # 7 and 5 examples in 50 dimensions: in a basis of their 12 all is of small rank
    a, b = normal(2, 7, 50), normal(3, 5, 50)
    basis = np.linalg.qr(np.concatenate([a, b]).T)[0]
    small = [x @ basis for x in (a, b)]
    got = frechet_distance(moments(a), moments(b))
    factors = [(x - x.mean(0)).T / np.sqrt(len(x) - 1) for x in small]
    overlap = np.linalg.svd(factors[0].T @ factors[1], compute_uv=False).sum()
    traces = sum((f**2).sum() for f in factors)
    shift = ((a.mean(0) - b.mean(0)) ** 2).sum()
    assert got == pytest.approx(shift + traces - 2 * overlap, rel=1e-9)


def test_equal_examples_are_a_point():
    a, b = np.zeros((5, 3)), np.tile([1.0, 2.0, 2.0], (4, 1))
    assert frechet_distance(moments(a), moments(b)) == 9.0


def perfect(n, m, scales, draws, seed=0):
    """Distances of two samples of one Gaussian."""
    rng = np.random.default_rng(seed)
    return [
        frechet_distance(*(moments(rng.normal(size=(k, len(scales))) * scales)
                           for k in (n, m)))
        for _ in range(draws)
    ]  # fmt: skip


def test_the_floor_is_what_perfect_samples_have():
    scales = np.array([3.0, 1, 1, 0.5, 0.1])
    of = gaussian(np.ones(5), np.diag(scales**2), count=900)
    floor = frechet_floor(of, 600, draws=200, seed=1)
    values = perfect(900, 600, scales, 200)
    error = 4 * np.std(values) / np.sqrt(200)
    assert floor.formula == pytest.approx(np.mean(values), abs=error)
    assert floor.simulated == pytest.approx(np.mean(values), abs=1.5 * error)
    # equal eigenvalues: (1 / n + 1 / m) (d + d (d + 1) / 4)
    formula = frechet_floor(gaussian(np.zeros(5), np.eye(5), 900), 600, draws=0).formula
    assert formula == pytest.approx((1 / 900 + 1 / 600) * (5 + 30 / 4))


def test_the_floor_of_fewer_samples_than_dimensions():
    of = gaussian(np.zeros(40), np.eye(40), count=1000)
    floor = frechet_floor(of, 20, draws=4)
    want = np.mean(perfect(1000, 20, np.ones(40), 4, seed=1))
    assert floor.simulated == pytest.approx(want, rel=0.05)
    # the limit for many samples is far off
    assert floor.formula < 0.8 * want


def test_the_warning_has_the_bias():
    of = gaussian(np.zeros(30), np.eye(30), count=1000)
    assert bias_warning(of, 60) == ""
    text = bias_warning(of, 29)
    assert "\n" not in text
    assert text.startswith("29 examples for 30 dimensions")
    said = float(text.partition("would get about ")[2].partition(",")[0])
    want = np.mean(perfect(1000, 29, np.ones(30), 10, seed=1))
    assert said == pytest.approx(want, rel=0.15)
    assert "use at least 60 of both" in text
    few = bias_warning(gaussian(np.zeros(30), np.eye(30), count=59), 1000)
    assert few.startswith("59 examples")


def test_moments_and_warnings_of_features(monkeypatch):
    features = np.random.default_rng(0).normal(size=(60, 30)).astype(np.float32)
    assert features_warning(features, 59) == bias_warning(moments(features), 59) != ""
    of = moments_of_latest()
    first, other = of(features), of(features[:40])
    np.testing.assert_array_equal(first.scatter, moments(features).scatter)
    np.testing.assert_array_equal(other.scatter, moments(features[:40]).scatter)
    again = of(features)
    np.testing.assert_array_equal(again.scatter, first.scatter)
    # Neither computes moments that are not needed.
    monkeypatch.setattr(frechet, "moments", None)
    assert of(features) is again
    assert features_warning(features, 60) == ""


def test_classes_by_hand():
    pair = np.array([[-1.0], [1.0]])
    real = np.concatenate([pair, pair, pair])
    fake = np.concatenate([pair + 3, 2 * pair, pair])
    labels = np.array([4, 4, 7, 7, 9, 9])
    got = class_frechet(real, labels, fake, labels)
    # shift 3; deviations sqrt(2) and 2 sqrt(2); equal
    assert got.distances == pytest.approx({4: 9.0, 7: 2.0, 9: 0.0})
    assert got.mean == pytest.approx(11 / 3)
    assert (got.worst, got.worst_class) == (pytest.approx(9.0), 4)
    shuffle = np.array([3, 0, 5, 1, 4, 2])
    assert class_frechet(real, labels, fake[shuffle], labels[shuffle]) == got


def test_bad_input():
    x, y = normal(0, 10, 3), np.arange(10) % 2
    for bad, text in ((x[:0], "0 examples"), (np.nan * x, "NaN"), (x[0], "n, d")):
        with pytest.raises(UsageError, match=text):
            moments(bad)
    with pytest.raises(UsageError, match="covariance of 1 example; use at least 2"):
        frechet_distance(moments(x), moments(x[:1]))
    with pytest.raises(UsageError, match="3 dimensions, fake ones 2"):
        frechet_distance(moments(x), moments(x[:, :2]))
    with pytest.raises(UsageError, match="3 and 2 dimensions"):
        merge([moments(x), moments(x[:, :2])])
    with pytest.raises(UsageError, match="no moments"):
        merge([])
    with pytest.raises(UsageError, match="1 samples; use at least 2"):
        frechet_floor(moments(x), 1)
    with pytest.raises(UsageError, match="class 1 has 0 fake examples"):
        class_frechet(x, y, x, 0 * y)
    with pytest.raises(UsageError, match=r"real labels are \[9\] int64; use \[10\]"):
        class_frechet(x, y[:9], x, y)

"""Numbers of distinct samples that are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.metrics.vendi import kernel_width, vendi_score


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def test_equal_samples_are_one_and_far_ones_are_all():
    assert float(vendi_score(jnp.full((7, 3), 0.3), 0.1)) == 1.0
    assert float(vendi_score(100.0 * jnp.eye(7), 1.0)) == pytest.approx(7.0)


def test_shares_count_as_their_inverse_sum_of_squares():
    # clusters of 6, 3 and 1 of 10: 1 / (0.36 + 0.09 + 0.01)
    x = jnp.repeat(jnp.array([[0.0], [50.0], [100.0]]), jnp.array([6, 3, 1]), axis=0)
    assert float(vendi_score(x, 1.0)) == pytest.approx(1 / 0.46)


def test_two_samples_by_hand():
    # K_12 = exp(-1 / 8), so 1 / ((2 + 2 exp(-1 / 4)) / 4)
    got = vendi_score(jnp.array([[0.0, 0.0], [0.6, 0.8]]), 2.0)
    assert float(got) == pytest.approx(2 / (1 + np.exp(-0.25)))


def test_it_is_the_vendi_score_of_order_two():
    x = np.asarray(normal(0, 12, 4), np.float64)
    squares = ((x[:, None] - x) ** 2).sum(-1)
    values = np.linalg.eigvalsh(np.exp(-squares / (2 * 1.3**2)) / 12)
    got = vendi_score(jnp.asarray(x, jnp.float32), 1.3)
    assert float(got) == pytest.approx(1 / np.sum(values**2), rel=1e-5)


def test_trees_are_flattened_by_example():
    a, b = normal(0, 5, 2, 2, 1), normal(1, 5, 3)
    whole = jnp.concatenate([a.reshape(5, 4), b], axis=1)
    for of in (kernel_width, lambda x: vendi_score(x, 1.0)):
        np.testing.assert_allclose(of({"a": a, "b": b}), of(whole), rtol=1e-6)


def test_equal_samples_are_equal_though_others_are_far():
    x = jnp.concatenate([jnp.full((4, 2), 1234.567), jnp.zeros((4, 2)) + 0.1])
    assert float(vendi_score(x, 1e-3)) == pytest.approx(2.0)


def test_the_width_is_a_quarter_of_the_median_distance():
    # distances 1, 2, 3 of three points, and 4, 6, 7 to the fourth
    x = jnp.array([[0.0], [1.0], [3.0], [7.0]])
    assert float(kernel_width(x[:3])) == 0.5
    assert float(kernel_width(x)) == pytest.approx(3.5 / 4)


def test_the_width_is_positive_where_all_is_equal():
    x = jnp.full((5, 3), 0.7)
    assert float(kernel_width(x)) > 0
    assert float(vendi_score(x, kernel_width(x))) == 1.0


def test_the_width_is_that_of_unequal_examples_where_most_are_equal():
    # 8 of 10 are equal: distances 3 (8 pairs), 4 (8 pairs) and 5
    x = jnp.array([[0.0, 0.0]] * 8 + [[3.0, 0.0], [0.0, 4.0]])
    assert float(kernel_width(x)) == 1.0
    # clusters of 8, 1 and 1 of 10
    number = float(vendi_score(x, kernel_width(x)))
    assert number == pytest.approx(1 / 0.66, rel=1e-3)


def test_one_example_has_a_width():
    assert float(kernel_width(jnp.full((1, 3), 0.7))) > 0


def test_the_width_grows_with_the_data_and_the_number_does_not():
    x = normal(0, 16, 3)
    assert float(kernel_width(10 * x)) == pytest.approx(10 * float(kernel_width(x)))
    a, b = (vendi_score(s * x, kernel_width(s * x)) for s in (1.0, 10.0))
    assert float(a) == pytest.approx(float(b), rel=1e-5)


def test_clusters_count_once():
    centers = 4.0 * normal(0, 8, 16)
    real = jnp.repeat(centers, 8, axis=0) + 0.01 * normal(1, 64, 16)
    got = vendi_score(real, kernel_width(real))
    assert float(got) == pytest.approx(8.0, rel=0.02)


def test_both_compile():
    x = normal(0, 6, 4, 4, 1)
    width = jax.jit(kernel_width)(x)
    got = jax.jit(vendi_score)(x, width)
    assert (width.shape, got.shape) == ((), ())
    np.testing.assert_allclose(got, vendi_score(x, kernel_width(x)), rtol=1e-6)
    assert 1.0 <= float(got) <= 6.0


def test_bytes_are_numbers():
    x = jnp.array([[0], [255]], jnp.uint8)
    assert float(vendi_score(x, 1.0)) == 2.0

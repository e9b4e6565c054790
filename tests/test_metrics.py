"""Distances whose value is known."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

from jaxgan.metrics import sliced_wasserstein

KEY = jax.random.key(0)


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def test_nothing_lies_between_a_set_and_itself():
    x = normal(0, 50, 3)
    assert float(sliced_wasserstein.sliced_wasserstein(x, x[::-1], KEY)) == 0.0
    images = jnp.tanh(normal(1, 16, 28, 28, 1))
    assert float(sliced_wasserstein.distance(images, images, KEY)) == 0.0


def test_one_dimension_is_scipys():
    a, b = normal(0, 200, 1), 2 * normal(1, 200, 1) + 1
    want = scipy.stats.wasserstein_distance(np.ravel(a), np.ravel(b))
    np.testing.assert_allclose(
        sliced_wasserstein.sliced_wasserstein(a, b, KEY), want, rtol=1e-4
    )


def test_ascending_is_what_sort_gives():
    x = jax.random.normal(KEY, (5, 1000)) ** 3
    x = x.at[:, :4].set(jnp.array([0.0, jnp.inf, -jnp.inf, 1e-42]))
    np.testing.assert_array_equal(sliced_wasserstein.ascending(x), np.sort(x, -1))


def test_a_shift_in_the_plane():
    # shifted by s along x: E|cos| s = 2 s / pi, over many directions
    a = normal(0, 100, 2)
    b = a + jnp.array([3.0, 0.0])
    got = sliced_wasserstein.sliced_wasserstein(a, b, KEY, directions=4096)
    np.testing.assert_allclose(got, 6 / np.pi, rtol=0.03)


def test_more_noise_is_farther():
    images = jnp.tanh(normal(0, 64, 28, 28, 1).cumsum(1) / 5)
    noise = normal(1, 64, 28, 28, 1)
    got = [
        float(sliced_wasserstein.distance(images, images + s * noise, KEY))
        for s in (0.05, 0.2, 1)
    ]
    assert got == sorted(got)
    assert got[0] > 0


def test_one_mode_is_farther_than_all():
    images = jnp.tanh(normal(0, 64, 16, 16, 1).cumsum(1).cumsum(2) / 9)
    half = jnp.concatenate([images[:32]] * 2)
    one = jnp.tile(images[:1], (64, 1, 1, 1))
    assert sliced_wasserstein.distance(images, half, KEY) < sliced_wasserstein.distance(
        images, one, KEY
    )


def test_pyramid_levels_add_up():
    images = normal(0, 2, 56, 56, 3)
    levels = sliced_wasserstein.pyramid(images)
    assert [x.shape[1] for x in levels] == [56, 28, 14]
    up = levels[2]
    for level in levels[1::-1]:
        up = level + jax.image.resize(up, level.shape, "linear")
    np.testing.assert_allclose(up, images, atol=1e-5)


def test_small_and_narrow_images_have_a_distance():
    for shape in ((4, 4, 1), (5, 40, 3), (28, 9, 4)):
        a, b = normal(0, 8, *shape), normal(1, 8, *shape)
        assert np.isfinite(sliced_wasserstein.distance(a, b, KEY))


def test_patches_of_both_sides_are_scaled_by_the_real_ones():
    # one mean and one deviation, of all channels of the real patches; 8x8 has one level
    real = normal(0, 12, 8, 8, 3) * jnp.array([0.1, 1.0, 2.0]) + 0.5
    fake = 3 * normal(1, 12, 8, 8, 3) - 1
    place, axes = jax.random.split(jax.random.fold_in(KEY, 0))
    a, b = (
        np.asarray(sliced_wasserstein.patches(x, place), np.float64)
        for x in (real, fake)
    )
    a, b = ((x - a.mean()) / a.std() for x in (a, b))
    of_patches = sliced_wasserstein.sliced_wasserstein(
        jnp.asarray(a), jnp.asarray(b), axes
    )
    one, other = (x.reshape(12, -1) for x in (real, fake))
    whole = sliced_wasserstein.sliced_wasserstein(
        one, other, jax.random.fold_in(KEY, 1)
    )
    got = sliced_wasserstein.image_distance(real, fake, KEY)
    np.testing.assert_allclose(got, (of_patches + whole) / 2, rtol=1e-4)


def test_images_of_equal_pixels_are_scaled_by_nothing():
    """Black pictures have no deviation: gray ones are as far as one pixel is."""
    black = -jnp.ones((8, 16, 16, 1))
    assert float(sliced_wasserstein.image_distance(black, black, KEY)) < 1e-5
    # the sum of a unit vector's entries is about normal: its mean size is sqrt(2 / pi)
    found = float(sliced_wasserstein.image_distance(black, 0 * black, KEY))
    np.testing.assert_allclose(found, np.sqrt(2 / np.pi), atol=0.12)

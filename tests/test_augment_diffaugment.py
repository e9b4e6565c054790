"""Augmentations that copy, hide or tint pixels, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import augment
from jaxgan.augment import diffaugment
from jaxgan.augment.random_apply import integers

KEYS = jax.random.split(jax.random.key(0), 200)


def image(*shape):
    """Every number once, none of them 0."""
    return jnp.arange(1.0, np.prod(shape) + 1).reshape(shape)


def always(change, picture, keys=KEYS):
    """The change at p = 1 for each key, and the key it draws with."""
    out = jax.jit(jax.vmap(change, (0, None, None)))(keys, picture, 1.0)
    return np.asarray(out), [jax.random.split(key)[1] for key in keys]


@pytest.mark.parametrize(
    ("shape", "most_y", "most_x"),
    # a quarter of 10 is 2.5, which DiffAugment's int(size * ratio + 0.5) makes 3
    [((8, 8, 1), 2, 2), ((4, 9, 3), 1, 2), ((10, 4, 1), 3, 1)],
)
def test_translation(shape, most_y, most_x):
    x = np.asarray(image(*shape))
    got, keys = always(augment.translation(0.25), x)
    seen = set()
    for out, key in zip(got, keys, strict=True):
        top, left = map(int, integers(key, (2 * most_y + 1, 2 * most_x + 1)))
        want = np.zeros_like(x)
        for i in range(shape[0]):
            for j in range(shape[1]):
                v, u = i + top - most_y, j + left - most_x
                if 0 <= v < shape[0] and 0 <= u < shape[1]:
                    want[i, j] = x[v, u]
        np.testing.assert_array_equal(out, want)
        seen.add((top - most_y, left - most_x))
    # 25 shifts, 200 draws: each is missing once in 3500 times
    assert len(seen) == (2 * most_y + 1) * (2 * most_x + 1)


@pytest.mark.parametrize(
    ("shape", "height", "width"), [((8, 6, 1), 4, 3), ((5, 3, 4), 3, 2)]
)
def test_cutout(shape, height, width):
    x = np.asarray(image(*shape))
    got, keys = always(augment.cutout(), x)
    centers = set()
    for out, key in zip(got, keys, strict=True):
        y, x0 = map(int, integers(key, shape[:2]))
        want = x.copy()
        for i in range(y - height // 2, y - height // 2 + height):
            for j in range(x0 - width // 2, x0 - width // 2 + width):
                if 0 <= i < shape[0] and 0 <= j < shape[1]:
                    want[i, j] = 0
        np.testing.assert_array_equal(out, want)
        centers.add((y, x0))
    assert {y for y, _ in centers} == set(range(shape[0]))
    assert {x0 for _, x0 in centers} == set(range(shape[1]))


def number_of(out, candidates):
    """The index of the candidate that equals an image."""
    same = [i for i, c in enumerate(candidates) if np.array_equal(out, c)]
    assert len(same) == 1
    return same[0]


@pytest.mark.parametrize(
    ("change", "shape", "candidates"),
    [
        (augment.flip(), (3, 4, 2), lambda x: [x, np.fliplr(x)]),
        (augment.rotate90(), (3, 3, 2), lambda x: [np.rot90(x, k) for k in range(4)]),
        (augment.rotate90(), (3, 4, 1), lambda x: [x, np.rot90(x, 2)]),
    ],
)
def test_flips_and_turns(change, shape, candidates):
    x = np.asarray(image(*shape))
    got, _ = always(change, x)
    found = np.bincount([number_of(out, candidates(x)) for out in got])
    # uniform, within 4.5 deviations of a binomial
    p = 1 / len(found)
    assert (abs(found / 200 - p) < 4.5 * np.sqrt(p * (1 - p) / 200)).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_color(channels):
    x = np.asarray(image(4, 3, channels)) / 10
    keys = KEYS[:5]
    got, _ = always(augment.color(), x, keys)
    count = 1 if channels < 3 else 3
    for out, key in zip(got, keys, strict=True):
        drawn = [jax.random.split(jax.random.fold_in(key, i))[1] for i in range(3)]
        b, s, c = (float(jax.random.uniform(k)) for k in drawn)
        y = x[..., :count] + (b - 0.5)
        gray = y.mean(-1, keepdims=True)
        y = (1 - 2 * s) * gray + 2 * s * y if count == 3 else y
        y = y.mean() + (0.5 + c) * (y - y.mean())
        np.testing.assert_allclose(out[..., :count], y, atol=1e-5)
        np.testing.assert_array_equal(out[..., count:], x[..., count:])


def test_color_at_its_ends():
    x, none, one = image(2, 2, 3), jnp.array(0.0), jnp.array(1.0)
    gray = np.repeat(x.mean(-1, keepdims=True), 3, -1)
    np.testing.assert_array_equal(diffaugment.saturate(x, none), gray)
    np.testing.assert_array_equal(diffaugment.saturate(x, one), x)
    np.testing.assert_array_equal(diffaugment.saturate(x[..., :1], none), x[..., :1])
    np.testing.assert_array_equal(diffaugment.stretch(x, none), np.full((2, 2, 3), 6.5))
    np.testing.assert_array_equal(diffaugment.stretch(x, one), x)


def test_brightness_is_uniform():
    # one colour has no contrast, gray no saturation: what is added stands alone
    got, _ = always(augment.color(), jnp.zeros((2, 2, 3)))
    added = got[:, 0, 0, 0]
    assert np.ptp(got, axis=(1, 2, 3)).max() < 1e-6
    assert -0.5 <= added.min() < -0.45
    assert 0.45 < added.max() <= 0.5
    assert abs(added.mean()) < 4.5 * np.sqrt(1 / 12 / 200)


def test_noise_has_a_half_normal_deviation():
    keys = jax.random.split(jax.random.key(1), 2000)
    got, _ = always(augment.noise(0.2), jnp.zeros((8, 8, 1)), keys)
    flat = got.reshape(2000, -1)
    deviation = flat.std(1)
    # the median of |N(0, 0.2^2)| is 0.6745 * 0.2
    below = np.mean(deviation < 0.1349)
    assert abs(below - 0.5) < 4.5 * 0.5 / np.sqrt(2000)
    # the mean of its square is 0.2^2, that of its fourth power three times its square
    np.testing.assert_allclose(np.mean(flat**2), 0.04, rtol=4.5 * np.sqrt(2 / 2000))
    assert abs(flat.mean()) < 4.5 * 0.2 / np.sqrt(2000 * 64)

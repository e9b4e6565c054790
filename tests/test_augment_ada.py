"""ADA's two matrices: where pixels are read from, and what colours become."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import augment
from jaxgan.augment import ada_colors, ada_geometry
from jaxgan.augment.ada_geometry import quarter_turns, rotated, scaled, translation
from jaxgan.augment.random_apply import RandomNumbers, random_product

COUNT = 1000
KEYS = jax.random.split(jax.random.key(0), COUNT)


resample = jax.jit(ada_geometry.resample)


def image(*shape):
    return jax.random.uniform(jax.random.key(9), shape, minval=-1.0, maxval=1.0)


def by_hand(x, matrix):
    """Bilinear reading in float64, with the image repeated by `np.pad`."""
    height, width, _ = x.shape
    pad = 20
    wide = np.pad(np.float64(x), ((pad, pad), (pad, pad), (0, 0)), "reflect")
    out = np.zeros(x.shape)
    for i in range(height):
        for j in range(width):
            point = np.array([j - (width - 1) / 2, i - (height - 1) / 2, 1.0])
            u, v, _ = np.float64(matrix) @ point
            u, v = u + (width - 1) / 2 + pad, v + (height - 1) / 2 + pad
            j0, i0 = math.floor(u), math.floor(v)
            for di, wi in ((0, 1 - (v - i0)), (1, v - i0)):
                for dj, wj in ((0, 1 - (u - j0)), (1, u - j0)):
                    out[i, j] += wi * wj * wide[i0 + di, j0 + dj]
    return out


@pytest.mark.parametrize("shape", [(6, 6, 1), (5, 5, 3), (4, 7, 2), (1, 3, 1)])
def test_pixels_are_copied_exactly(shape):
    x = image(*shape)
    np.testing.assert_array_equal(resample(x, jnp.eye(3)), x)
    np.testing.assert_array_equal(resample(x, scaled(-1, 1)), np.fliplr(x))
    np.testing.assert_array_equal(resample(x, scaled(1, -1)), np.flipud(x))
    np.testing.assert_array_equal(resample(x, quarter_turns(2)), np.rot90(x, 2))
    inside = np.asarray(resample(x, translation(1, 0)))[:, :-1]
    np.testing.assert_array_equal(inside, np.roll(x, -1, axis=1)[:, :-1])
    if shape[0] == shape[1]:
        for k in range(4):
            np.testing.assert_array_equal(resample(x, quarter_turns(k)), np.rot90(x, k))


def test_half_a_pixel_is_the_mean_of_neighbours():
    x = image(4, 5, 2)
    down = resample(x, translation(0, 0.5))
    np.testing.assert_allclose(down[:-1], (x[:-1] + x[1:]) / 2, atol=1e-6)
    np.testing.assert_allclose(down[-1], (x[-1] + x[-2]) / 2, atol=1e-6)
    right = resample(x, translation(0.5, 0))
    np.testing.assert_allclose(right[:, :-1], (x[:, :-1] + x[:, 1:]) / 2, atol=1e-6)


@pytest.mark.parametrize("by", [-9, -3, 2, 4, 11])
def test_outside_is_a_mirror(by):
    x = image(4, 3, 1)
    pad = ((12, 12), (12, 12), (0, 0))
    wide = np.pad(x, pad, "reflect")
    got = resample(x, translation(by, -by))
    np.testing.assert_array_equal(got, wide[12 - by : 16 - by, 12 + by : 15 + by])


def test_any_matrix_as_by_hand():
    for n, shape in enumerate([(6, 6, 1), (4, 7, 3), (7, 3, 2)]):
        matrix = np.eye(3)
        matrix[:2] += np.random.default_rng(n).normal(0, 0.7, (2, 3))
        x = image(*shape)
        got = resample(x, jnp.asarray(matrix, jnp.float32))
        np.testing.assert_allclose(got, by_hand(x, matrix), atol=2e-5)


def test_products_are_compositions():
    x = image(5, 5, 2)
    one, two = quarter_turns(1), scaled(-1, 1)
    np.testing.assert_array_equal(
        resample(resample(x, one), two), resample(x, one @ two)
    )
    assert not np.array_equal(resample(x, one @ two), resample(x, two @ one))


def test_matrices_by_hand():
    right = jnp.array([1.0, 0.0, 1.0])
    np.testing.assert_array_equal(quarter_turns(1) @ right, [0.0, 1.0, 1.0])
    for k in range(4):
        turn = rotated(k * math.pi / 2)
        np.testing.assert_allclose(turn, quarter_turns(k), atol=1e-6)
    np.testing.assert_array_equal(
        translation(2, 3) @ scaled(4, 5), [[4, 0, 2], [0, 5, 3], [0, 0, 1]]
    )


def drawn(height, width, blit, affine_p):
    draw = jax.vmap(lambda key: ada_geometry.draw(key, height, width, blit, affine_p))
    return np.asarray(jax.jit(draw)(KEYS))


@pytest.mark.parametrize(("height", "width", "count"), [(16, 16, 8), (16, 24, 4)])
def test_blitting_is_uniform_and_whole(height, width, count):
    matrices = drawn(height, width, 1.0, 0.0)
    np.testing.assert_array_equal(matrices, np.round(matrices))
    # the symmetries of a square, or of a rectangle, as often each
    _, found = np.unique(matrices[:, :2, :2], axis=0, return_counts=True)
    assert len(found) == count
    p = 1 / count
    assert (abs(found / COUNT - p) < 4.5 * np.sqrt(p * (1 - p) / COUNT)).all()
    moves = np.linalg.solve(matrices[:, :2, :2], matrices[:, :2, 2:])[..., 0]
    np.testing.assert_array_equal(abs(moves).max(0), [width // 8, height // 8])


def check_normal(x, deviation):
    """Mean 0 and the deviation, within 4.5 deviations of either."""
    assert abs(x.mean()) < 4.5 * deviation / np.sqrt(len(x))
    np.testing.assert_allclose(x.std(), deviation, rtol=4.5 / np.sqrt(2 * len(x)))


def test_affine_matrices_are_those_of_the_paper():
    matrices = drawn(16, 32, 0.0, 1.0)
    turns = matrices[:, :2, :2]
    # the determinant is the square of the isotropic scale
    check_normal(np.log2(np.linalg.det(turns)) / 2, 0.2)
    # singular values are s/t and s t
    values = np.linalg.svd(turns, compute_uv=False)
    ratio = np.log2(values[:, 0] / values[:, 1]) / 2
    np.testing.assert_allclose(np.mean(ratio**2), 0.04, rtol=4.5 * np.sqrt(2 / COUNT))
    # rotations before and after are uniform: so is any direction
    assert abs(np.mean(turns[:, 0, 0] / values[:, 0])) < 4.5 / np.sqrt(COUNT)
    moves = np.linalg.solve(turns, matrices[:, :2, 2:])[..., 0]
    check_normal(moves[:, 0], 0.125 * 32)
    check_normal(moves[:, 1], 0.125 * 16)


def test_geometric_reads_once_where_its_matrix_says():
    x = image(6, 6, 3)
    change = jax.jit(augment.geometric())
    draw = jax.jit(lambda key: ada_geometry.draw(key, 6, 6, 0.6, 0.6))
    for key in KEYS[:5]:
        matrix = draw(key)
        np.testing.assert_allclose(change(key, x, 0.6), by_hand(x, matrix), atol=2e-5)


def test_luma_flip_by_hand():
    # red has luma 1/3: 1 - 2/3, 0 - 2/3, 0 - 2/3
    red = jnp.array([[[1.0, 0.0, 0.0]]])
    got = ada_colors.saturation_shift(red, ada_colors.luma_flipped(1))[0, 0]
    np.testing.assert_allclose(got, [1 / 3, -2 / 3, -2 / 3], atol=1e-6)
    gray = image(3, 2, 1)
    np.testing.assert_allclose(
        ada_colors.saturation_shift(gray, ada_colors.luma_flipped(1)), -gray, atol=1e-6
    )


def test_a_third_of_a_turn_permutes_the_colours():
    x = image(3, 4, 3)
    turned = ada_colors.saturation_shift(x, ada_colors.hue_turned(2 * math.pi / 3))
    # red becomes green, green blue, blue red
    np.testing.assert_allclose(turned, np.roll(x, 1, axis=-1), atol=1e-6)


def test_saturation_zero_is_the_luma():
    x = image(3, 4, 3)
    luma = np.repeat(x.mean(-1, keepdims=True), 3, -1)
    np.testing.assert_allclose(
        ada_colors.saturation_shift(x, ada_colors.saturated(0)), luma, atol=1e-6
    )
    np.testing.assert_allclose(
        ada_colors.saturation_shift(x, ada_colors.saturated(1)), x, atol=1e-6
    )


def test_brightness_and_contrast_by_hand():
    for channels in (1, 3):
        x = image(2, 3, channels)
        both = ada_colors.contrasted(2) @ ada_colors.brighter(0.25)  # contrast first
        np.testing.assert_allclose(
            ada_colors.saturation_shift(x, both), 2 * x + 0.25, atol=1e-6
        )


def test_what_is_drawn_of_colours():
    # two deviations from the mean; a quarter of the way from -pi to pi; heads
    drawn = RandomNumbers(uniform=jnp.array([0.25, 0.9]), normal=jnp.array([2.0, -9.0]))
    brighter, contrasted, flipped, turned, saturated = (
        draw(drawn) for draw in ada_colors.DRAWS
    )
    np.testing.assert_allclose(brighter, ada_colors.brighter(0.4), atol=1e-6)
    np.testing.assert_allclose(contrasted, ada_colors.contrasted(2.0), atol=1e-6)
    np.testing.assert_allclose(flipped, ada_colors.luma_flipped(1), atol=1e-6)
    np.testing.assert_allclose(turned, ada_colors.hue_turned(-math.pi / 2), atol=1e-6)
    np.testing.assert_allclose(saturated, ada_colors.saturated(4.0), atol=1e-6)
    tails = drawn._replace(uniform=jnp.array([0.5, 0.0]))
    np.testing.assert_array_equal(ada_colors.DRAWS[2](tails), np.eye(4))


def test_turned_hues_keep_luma_and_saturation():
    x = image(3, 4, 3)
    luma = x.mean(-1, keepdims=True)
    for angle in (0.3, 2.0, -1.1):
        turned = ada_colors.saturation_shift(x, ada_colors.hue_turned(angle))
        np.testing.assert_allclose(turned.mean(-1, keepdims=True), luma, atol=1e-6)
        np.testing.assert_allclose(
            jnp.sum((turned - luma) ** 2, -1), jnp.sum((x - luma) ** 2, -1), atol=1e-5
        )


@pytest.mark.parametrize("channels", [1, 3])
def test_ada_color_multiplies_by_what_is_drawn(channels):
    x, p = image(4, 4, channels), 0.7
    change = jax.jit(augment.ada_color(saturation=0.5))
    rates = [p, p, p, p, p / 2] if channels == 3 else [p, p, p, 0, 0]
    draw = jax.jit(lambda key: random_product(key, ada_colors.DRAWS, rates))
    for key in KEYS[:5]:
        matrix = np.asarray(draw(key))
        rows = np.dstack([np.broadcast_to(x, (4, 4, 3)), np.ones((4, 4))])
        want = (rows @ matrix)[..., :channels]
        np.testing.assert_allclose(change(key, x, p), want, atol=1e-5)


def test_gray_has_no_hue_and_alpha_stays():
    gray = image(3, 3, 1)
    change = augment.ada_color(0, 0, 0, hue=1, saturation=1)
    np.testing.assert_array_equal(change(KEYS[0], gray, 1.0), gray)
    for channels in (2, 4):
        x = image(3, 3, channels)
        got = augment.ada_color(hue=0)(KEYS[0], x, 1.0)
        np.testing.assert_array_equal(got[..., -1], x[..., -1])
        assert (got[..., :-1] != x[..., :-1]).all()

"""Resizing for feature extractors, compared with Pillow."""

import jax
import numpy as np
import pytest
from PIL import Image

from jaxgan.errors import UsageError
from jaxgan.metrics.features.resize import FILTERS, cubic, resize, weights

SIZES = [
    ((28, 28), (75, 75)),  # up
    ((64, 64), (299, 299)),
    ((64, 48), (23, 31)),  # down, not square
    ((17, 90), (40, 40)),  # up and down
    ((33, 33), (1, 5)),
    ((1, 3), (4, 7)),
    ((31, 20), (31, 9)),  # one side stays
    ((2, 2), (3, 1)),
]


def pillow(image, size, how):
    """Each channel of `[H, W, C]` resized by Pillow in its mode F."""
    channels = [
        Image.fromarray(image[..., c]).resize((size[1], size[0]), how)
        for c in range(image.shape[-1])
    ]
    return np.stack([np.asarray(x) for x in channels], -1)


@pytest.mark.parametrize("method", FILTERS)
@pytest.mark.parametrize(("old", "new"), SIZES)
def test_equals_pillow(method, old, new):
    images = np.random.default_rng(0).uniform(-1, 1, (2, *old, 3)).astype(np.float32)
    how = Image.Resampling[method.upper()]
    expected = np.stack([pillow(x, new, how) for x in images])
    resized = resize(images, new, method)
    assert resized.shape == (2, *new, 3)
    np.testing.assert_allclose(resized, expected, atol=1e-5)


def test_differs_from_a_filter_that_is_not_stretched():
    """The reference is anti-aliased: a fine pattern becomes gray."""
    stripes = np.tile(np.array([-1, 1], np.float32), (32, 16))[None, :, :, None]
    inside = np.asarray(resize(stripes, (8, 8)))[:, :, 2:-2]
    assert np.abs(inside).max() < 0.1
    raw = jax.image.resize(stripes, (1, 8, 8, 1), "nearest")
    assert np.abs(np.asarray(raw)).min() == 1


@pytest.mark.parametrize("method", FILTERS)
def test_constant_images_and_linear_ramps_stay(method):
    for size, new in ((28, 75), (64, 17)):
        matrix = weights(size, new, method).astype(np.float64)
        np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-6)
        # Centers of pixels keep their place, away from the borders.
        centers = (np.arange(size) + 0.5) / size
        edge = 2 + 2 * max(new // size, 1)
        places = (np.arange(new) + 0.5) / new
        error = (matrix @ centers - places)[edge:-edge]
        assert np.abs(error).max() < 0.3 / max(size, new)


def test_cubic_interpolates_parabolas():
    x = np.arange(-4, 5)
    for t in (0.25, 0.5, 0.9):
        w = cubic(t - x)
        np.testing.assert_allclose([w.sum(), w @ x, w @ x**2], [1, t, t * t])


def test_same_size_is_the_same_image():
    image = np.random.default_rng(1).normal(size=(5, 4, 2)).astype(np.float32)
    np.testing.assert_array_equal(resize(image, (5, 4)), image)


def test_under_jit_and_differentiable():
    image = np.ones((4, 4, 1), np.float32)
    make = jax.jit(resize, static_argnums=1)
    assert make(image, (2, 3)).shape == (2, 3, 1)
    gradient = jax.grad(lambda x: resize(x, (8, 8)).mean())(image)
    np.testing.assert_allclose(gradient.sum(), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((4, 2, "lanczos"), "choose from bilinear, bicubic"),
        ((4, 0), "use 1 or more"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(UsageError, match=message):
        weights(*arguments)

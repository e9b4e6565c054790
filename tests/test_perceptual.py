"""The perceptual distance: from its stages by hand, and on pictures that get worse."""

import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.errors import UsageError
from jaxgan.metrics import perceptual
from jaxgan.metrics.features import efficientnet
from jaxgan.metrics.perceptual import perceptual_distance

needs_weights = pytest.mark.skipif(
    importlib.util.find_spec(efficientnet.PACKAGE) is None,
    reason="no weights: install the extra features",
)


@pytest.fixture(scope="module")
def variables():
    """Random weights: biases too, so that the stages differ in their means."""
    network = efficientnet.EfficientNetLite0()
    shapes = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    rng = np.random.default_rng(0)

    def draw(leaf):
        scale = 0.3 if leaf.ndim == 1 else (2 / np.prod(leaf.shape[:-1])) ** 0.5
        return jnp.asarray(scale * rng.normal(size=leaf.shape), jnp.float32)

    return jax.tree.map(draw, shapes)


def pictures(count=3, size=32):
    """Smooth pictures `[count, size, size, 3]` in [-1, 1]: discs on gradients."""
    rng = np.random.default_rng(5)
    rows, columns = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    drawn = []
    for _ in range(count):
        x, y, radius = rng.uniform(-0.5, 0.5), rng.uniform(-0.5, 0.5), 0.4
        disc = (rows - y) ** 2 + (columns - x) ** 2 < radius**2
        ground = 0.5 * rows + 0.3 * columns
        picture = np.where(disc[..., None], rng.uniform(-1, 1, 3), ground[..., None])
        drawn.append(picture)
    return np.asarray(drawn, np.float32)


def noisy(images, sigma):
    noise = np.random.default_rng(1).normal(size=images.shape)
    return np.clip(images + sigma * noise, -1, 1).astype(np.float32)


def blurred(images, width):
    """The mean over windows of `width` x `width` pixels, an odd number."""
    edge = width // 2
    padded = np.pad(images, ((0, 0), (edge, edge), (edge, edge), (0, 0)), "edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (width, width), (1, 2))
    return windows.mean((-1, -2)).astype(np.float32)


def by_hand(variables, a, b):
    """In float64, from the outputs of the stages."""
    total = np.zeros(len(a))
    stages = (efficientnet.stages(variables, x) for x in (a, b))
    for x, y in zip(*stages, strict=True):
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        # For unit vectors, |u - v|^2 = 2 - 2 cos(u, v).
        lengths = np.linalg.norm(x, axis=-1) * np.linalg.norm(y, axis=-1)
        total += (2 - 2 * (x * y).sum(-1) / lengths).mean((1, 2))
    return total


def test_it_is_the_sum_of_cosine_distances(variables):
    a = pictures()
    b = np.roll(noisy(a, 0.3), 1, axis=0)
    got = perceptual_distance(variables, a, b)
    assert got.shape == (3,)
    expected = by_hand(variables, a, b)
    assert np.ptp(expected) > 1e-3
    np.testing.assert_allclose(got, expected, rtol=2e-4)


def test_equal_images_and_swapped_ones(variables):
    a, b = pictures(), noisy(pictures(), 0.2)
    np.testing.assert_array_equal(perceptual_distance(variables, a, a), np.zeros(3))
    there, back = (perceptual_distance(variables, *x) for x in ((a, b), (b, a)))
    np.testing.assert_array_equal(there, back)
    # Pairs do not affect one another.
    b[0] = a[0]
    one = perceptual_distance(variables, a, b)
    np.testing.assert_allclose(one, [0, *there[1:]], rtol=1e-4)


def test_gray_images_are_three_equal_channels(variables):
    a, b = pictures()[..., :1], noisy(pictures(), 0.2)[..., :1]
    three = (np.repeat(x, 3, axis=-1) for x in (a, b))
    gray = perceptual_distance(variables, a, b)
    np.testing.assert_array_equal(gray, perceptual_distance(variables, *three))


def test_its_gradient_leads_to_the_target(variables):
    target, start = jnp.asarray(pictures(1)), jnp.asarray(noisy(pictures(1), 0.2))

    @jax.jit
    @jax.value_and_grad
    def loss(images):
        return perceptual_distance(variables, images, target).sum()

    (before, direction), (at_target, none) = loss(start), loss(target)
    norm = jnp.sqrt(jnp.sum(direction**2))
    # The target has no slope, up to rounding.
    assert at_target < 1e-6 * before
    assert jnp.abs(none).max() < 1e-5 * jnp.abs(direction).max()
    # To first order, the distance falls by the norm of its gradient.
    step = 1e-2
    after, _ = loss(start - step * direction / norm)
    np.testing.assert_allclose(after - before, -step * norm, rtol=0.2)


def test_pixels_without_features_have_a_gradient():
    slope = jax.grad(lambda x: perceptual.stage_distance(x, x + 1).sum())
    assert np.isfinite(slope(jnp.zeros((1, 2, 2, 4)))).all()


def test_opposite_vectors_are_farthest():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 3, 5)), jnp.float32)
    np.testing.assert_allclose(perceptual.stage_distance(x, -x), [4, 4], rtol=1e-5)
    # The length of a vector does not count.
    np.testing.assert_allclose(perceptual.stage_distance(x, 7 * x), [0, 0], atol=1e-10)


@pytest.mark.parametrize("shape", [(3, 32, 32, 1), (2, 32, 32, 3), (3, 33, 32, 3)])
def test_other_shapes_are_no_pairs(variables, shape):
    with pytest.raises(UsageError, match="are no pairs: use equal shapes"):
        perceptual_distance(variables, pictures(), np.zeros(shape))
    with pytest.raises(UsageError, match="are no pairs: use equal shapes"):
        perceptual.paired_distances(pictures(), np.zeros(shape, np.float32))


def test_small_images_are_refused(variables):
    small = np.zeros((2, 28, 28, 1), np.float32)
    with pytest.raises(UsageError, match="at least 32 pixels a side"):
        perceptual_distance(variables, small, small)


@needs_weights
def test_worse_pictures_are_farther_with_the_real_weights():
    real, _ = efficientnet.load()
    a = pictures()
    for worse, amounts in ((noisy, (0, 0.05, 0.2, 0.6)), (blurred, (1, 3, 7, 15))):
        far = [perceptual_distance(real, a, worse(a, x)) for x in amounts]
        assert np.all(np.diff(far, axis=0) > 0), worse.__name__
    # A darker picture differs less than another one, but not by its mean square.
    darker, other = (a + 1) * 0.6 - 1, np.roll(a, 1, axis=0)
    near, far = (perceptual_distance(real, a, x) for x in (darker, other))
    assert np.all(near < far)


@needs_weights
def test_pairs_of_any_number_and_size(monkeypatch):
    monkeypatch.setattr(perceptual, "BATCH", 2)
    a, b = pictures(3, size=28), noisy(pictures(3, size=28), 0.3)
    got = perceptual.paired_distances(a, b)
    assert (got.shape, got.dtype) == ((3,), np.float32)
    one = perceptual.paired_distances(a[2:], b[2:])
    np.testing.assert_allclose(got[2:], one, rtol=1e-5)
    assert perceptual.paired_distances(a[:0], b[:0]).shape == (0,)
    np.testing.assert_allclose(perceptual.paired_distances(a, a), 0, atol=1e-6)

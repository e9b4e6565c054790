import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import data
from jaxgan.data import normalize
from jaxgan.errors import UsageError


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit])
@pytest.mark.parametrize(
    ("dtype", "stored", "want"),
    [
        (jnp.uint8, [0, 51, 204, 255], [-1, -0.6, 0.6, 1]),
        (jnp.uint16, [0, 13107, 52428, 65535], [-1, -0.6, 0.6, 1]),
        (jnp.float32, [-4, 0, 0.3, 9], [-4, 0, 0.3, 9]),
    ],
)
def test_normalise(transform, dtype, stored, want):
    batch = {"image": jnp.array(stored, dtype), "label": jnp.arange(4)}
    out = transform(normalize)(batch)
    assert out["image"].dtype == jnp.float32
    np.testing.assert_allclose(out["image"], np.float32(want), rtol=1e-6)
    # The ends are met exactly: a tanh can reach neither of them, but never more.
    np.testing.assert_array_equal(out["image"][jnp.array([0, 3])], [want[0], want[3]])
    np.testing.assert_array_equal(out["label"], np.arange(4))


@pytest.mark.parametrize(
    ("name", "modes", "sigma"), [("ring8", 8, 0.01), ("grid25", 25, 0.05)]
)
def test_toys_are_drawn_evenly_around_their_centers(name, modes, sigma):
    dataset = data.load(name)
    assert dataset.modes is not None
    assert (dataset.size, dataset.shape) == (100_000, (2,))
    assert dataset.dtype == np.float32
    assert dataset.modes.centers.shape == (modes, 2)
    points = data.read_all(dataset)["image"]
    away = points[:, None] - dataset.modes.centers
    nearest = np.square(away).sum(-1).argmin(1)
    np.testing.assert_array_equal(np.bincount(nearest), 100_000 // modes)
    noise = away[np.arange(len(points)), nearest]
    np.testing.assert_allclose(noise.std(0), sigma, rtol=0.01)
    np.testing.assert_allclose(noise.mean(0), 0, atol=sigma * 0.015)


def test_the_centers_of_the_toys():
    ring, grid = data.load("ring8").modes, data.load("grid25").modes
    assert ring is not None
    assert grid is not None
    np.testing.assert_allclose(np.linalg.norm(ring.centers, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(ring.centers[1], [2**-0.5, 2**-0.5], rtol=1e-6)
    line = [-4, -2, 0, 2, 4]
    assert sorted(map(tuple, grid.centers)) == [(x, y) for x in line for y in line]


def test_toys_have_a_test_split_of_their_own():
    train, test = data.load("ring8"), data.load("ring8", split="test")
    again = data.load("ring8")
    numbers = np.arange(5)
    np.testing.assert_array_equal(
        train.read(numbers)["image"], again.read(numbers)["image"]
    )
    assert not (train.read(numbers)["image"] == test.read(numbers)["image"]).any()


def test_toys_refuse_what_is_for_pictures():
    with pytest.raises(UsageError, match=r"--split=validation.*train, test"):
        data.load("ring8", split="validation")
    with pytest.raises(UsageError, match="leave out --image_size"):
        data.load("grid25", image_size="32")


def test_sizes_of_a_dataset():
    dataset = data.load("ring8")
    assert dataset.resident
    assert dataset.nbytes == 100_000 * 2 * 4
    np.testing.assert_array_equal(
        dataset.read(np.array([7, 3]))["image"],
        data.read_all(dataset)["image"][[7, 3]],
    )

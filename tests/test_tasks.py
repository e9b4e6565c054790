"""Tasks: what the generator is given."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import objective, tasks
from jaxgan.core import UsageError

KEYS = objective.example_keys(jax.random.key(0), 2_000)
BATCH = {"image": jnp.zeros((2_000, 3))}


def latents(**options):
    """The latents that a generator sees, `[2000, 5]`."""
    return np.asarray(tasks.generate(5, **options)(lambda z: z, BATCH, KEYS).fake)


def test_normal_latents():
    z = latents()
    assert z.shape == (2_000, 5)
    # 10,000 draws: deviations of 0.01 and 0.007
    assert abs(z.mean()) < 0.05
    assert abs(z.std() - 1) < 0.04


def test_uniform_latents():
    z = latents(latents="uniform")
    assert (abs(z) < 1).all()
    # variance 1/3, deviation of the mean 0.006
    assert abs(z.mean()) < 0.03
    assert abs(z.var() - 1 / 3) < 0.02
    assert z.max() > 0.99
    assert z.min() < -0.99


def test_a_latent_depends_on_its_key_alone():
    task = tasks.generate(5)
    some = task(lambda z: z, {"image": BATCH["image"][:7]}, KEYS[10:17]).fake
    np.testing.assert_array_equal(some, latents()[10:17])


def test_no_two_examples_share_a_latent():
    assert len(np.unique(latents(), axis=0)) == 2_000


def test_real_is_the_batch():
    samples = tasks.generate(2)(lambda z: z, BATCH, KEYS)
    assert samples.real is BATCH["image"]
    assert samples.condition is None


@pytest.mark.parametrize("options", [{"dim": 0}, {"latents": "Normal"}])
def test_latents_that_there_are_not(options):
    with pytest.raises(UsageError, match=r"choose normal|at least 1"):
        tasks.generate(**options)


def test_example_keys_are_those_of_the_whole_batch():
    devices = 4
    whole = jax.random.key_data(objective.example_keys(jax.random.key(3), 8))
    parts = jax.pmap(
        lambda key, i: jax.random.key_data(objective.example_keys(key, 2, 2 * i)),
        axis_name="devices",
        in_axes=(None, 0),
        devices=jax.devices()[:devices],
    )(jax.random.key(3), jnp.arange(devices))
    np.testing.assert_array_equal(np.concatenate(list(np.asarray(parts))), whole)

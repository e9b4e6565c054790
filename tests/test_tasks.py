"""Tasks: what the generator is given."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import tasks
from jaxgan.errors import UsageError
from jaxgan.gan import objective
from jaxgan.networks import mlp

KEYS = objective.example_keys(jax.random.key(0), 2_000)
BATCH = {"image": jnp.zeros((2_000, 3))}


def latents(**options):
    """The latents that a generator sees, `[2000, 5]`."""
    task = tasks.generate(5, **options)
    return np.asarray(task.play(lambda z: z, BATCH, KEYS, 0).fake)


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
    some = task.play(lambda z: z, {"image": BATCH["image"][:7]}, KEYS[10:17], 0).fake
    np.testing.assert_array_equal(some, latents()[10:17])


def test_no_two_examples_share_a_latent():
    assert len(np.unique(latents(), axis=0)) == 2_000


def test_real_is_the_batch():
    samples = tasks.generate(2).play(lambda z: z, BATCH, KEYS, 0)
    assert samples.real is BATCH["image"]
    assert samples.condition is None


@pytest.mark.parametrize("name", ["generate", "conditional", "codes"])
@pytest.mark.parametrize("options", [{"dim": 0}, {"latents": "Normal"}])
def test_latents_that_there_are_not(name, options):
    with pytest.raises(UsageError, match=r"choose normal|at least 1"):
        tasks.TASKS[name](**options)


LABELLED = {**BATCH, "label": jnp.arange(2_000) % 10}


def test_both_players_read_the_label_of_the_real_example():
    seen = []

    def generator(z, label):
        seen.append((z, label))
        return z[:, :3]

    samples = tasks.conditional(5).play(generator, LABELLED, KEYS, 0)
    [(z, label)] = seen
    assert label is samples.condition is LABELLED["label"]
    assert z is samples.latents
    assert samples.real is LABELLED["image"]
    # the same latents as without labels
    np.testing.assert_array_equal(z, latents())


def test_labels_that_are_missing_or_not_read():
    with pytest.raises(KeyError, match="label"):
        tasks.conditional(5).play(lambda z, label: z, BATCH, KEYS, 0)
    net = mlp.Generator((3,), (4,))
    with pytest.raises(UsageError, match="takes no label: wrap it in embed"):
        tasks.conditional(5).play(bound(net), LABELLED, KEYS, 0)


def bound(net):
    """A network of fresh parameters as a function, as a step calls it."""
    variables = net.init(jax.random.key(0), jnp.zeros((1, 5)), train=False)
    return objective.bind(net, variables, KEYS, dropout=jax.random.key(0))[0]


def test_another_error_of_a_conditional_generator_is_not_hidden():
    def broken(z, label):
        raise TypeError("no such sum")

    with pytest.raises(TypeError, match="no such sum"):
        tasks.conditional(5).play(broken, LABELLED, KEYS, 0)


def test_a_code_is_noise_then_a_category_then_numbers():
    task = tasks.codes(4, categories=3, continuous=2, latents="uniform")
    samples = task.play(lambda z: z, BATCH, KEYS, 0)
    z, code = np.asarray(samples.fake), samples.reconstruction
    assert z.shape == (2_000, 4 + 3 + 2)
    assert samples.latents is samples.fake
    np.testing.assert_array_equal(z[:, 4:7], code["category"])
    np.testing.assert_array_equal(z[:, 7:], code["continuous"])
    assert set(np.unique(code["category"])) == {0, 1}
    np.testing.assert_array_equal(code["category"].sum(-1), 1)
    # 2,000 draws of probability 1/3: a deviation of 0.011
    np.testing.assert_allclose(code["category"].mean(0), [1 / 3] * 3, atol=0.05)
    numbers = z[:, [0, 1, 2, 3, 7, 8]]
    assert (abs(numbers) < 1).all()
    # variance 1/3; what is drawn apart does not go together: deviations of 0.02
    np.testing.assert_allclose(numbers.var(0), 1 / 3, atol=0.03)
    together = np.corrcoef(z[:, [0, 1, 2, 3, 4, 5, 7, 8]].T)
    together[4, 5] = together[5, 4] = 0  # two categories exclude each other
    np.testing.assert_allclose(together, np.eye(8), atol=0.1)


@pytest.mark.parametrize(
    ("categories", "continuous", "wanted"),
    [(3, 0, {"category": 3}), (0, 2, {"continuous": 2})],
)
def test_a_code_of_one_kind(categories, continuous, wanted):
    task = tasks.codes(4, categories, continuous)
    samples = task.play(lambda z: z, BATCH, KEYS, 0)
    assert {k: v.shape[1] for k, v in samples.reconstruction.items()} == wanted
    assert samples.fake.shape == (2_000, 4 + categories + continuous)
    assert samples.fake[:, :4].std() > 0.95


def test_a_code_depends_on_its_key_alone():
    task = tasks.codes()
    whole = task.play(lambda z: z, BATCH, KEYS, 0).fake
    some = task.play(lambda z: z, {"image": BATCH["image"][:7]}, KEYS[10:17], 0).fake
    assert whole.shape == (2_000, 62 + 10 + 2)
    np.testing.assert_array_equal(some, whole[10:17])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"categories": 1}, "categories=1: choose 0, or 2 or more"),
        ({"categories": -1}, "categories=-1"),
        ({"continuous": -1}, "continuous=-1: choose 0 or more"),
        ({"categories": 0, "continuous": 0}, "at least 1 if categories=0"),
    ],
)
def test_codes_that_there_are_not(options, message):
    with pytest.raises(UsageError, match=message):
        tasks.codes(**options)


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


def test_modules_do_not_hide_the_functions_of_their_names():
    for name, task in tasks.TASKS.items():
        importlib.import_module(f"jaxgan.tasks.{name}")
        assert getattr(tasks, name) is task

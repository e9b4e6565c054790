"""Measures of the probe on networks with known outputs."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from games import config

from jaxgan import parallel
from jaxgan.data.dataset import from_fields
from jaxgan.experiment.setup import Experiment
from jaxgan.gan import builder
from jaxgan.monitoring import probe
from jaxgan.networks.ops.platform import jit_once
from jaxgan.types import DiscriminatorOutput, Players, Samples, Task, TrainState

KEYS = jax.random.split(jax.random.key(0), 8)


class Same(nn.Module):
    """Samples that differ by nothing but a scale of the noise."""

    @nn.compact
    def __call__(self, z, condition=None, *, train):
        return z * self.param("scale", nn.initializers.ones, ())


class First(nn.Module):
    """The logit is the first entry, and twice as much on another scale."""

    @nn.compact
    def __call__(self, x, condition=None, *, train):
        assert not train
        a = self.param("a", nn.initializers.ones, ())
        return DiscriminatorOutput({"near": a * x[:, 0], "far": 3 * a * x[:, :1]})


def measure(scale, train, held_out, known=8):
    nets: Players[nn.Module] = Players(Same(), First())

    def play(generator, batch, keys, step):
        noise = jax.vmap(lambda k: jax.random.normal(k, (2,)))(keys)
        return Samples(batch["image"], generator(noise))

    task = Task(play)
    params: Players = Players({"scale": jnp.float32(scale)}, {"a": jnp.float32(1.0)})
    none = Players({}, {})
    state = TrainState(jnp.zeros((), int), params, none, none, none, {})
    batches = [{"image": x} for x in np.split(train, 2)]
    kept = (
        held_out if held_out is None else [{"image": x} for x in np.split(held_out, 2)]
    )
    keys = KEYS.reshape(2, 4)
    return probe.make_measure(task, nets, known, 8)(state, batches, kept, keys)


def test_means_and_the_gaps_standard_error():
    # logits are (x + 3 x) / 2 = 2 x, x = 0..7 (mean 3.5, variance 5.25) and 10 less
    train = np.stack([np.arange(8.0), np.zeros(8)], 1).astype(np.float32)
    found = measure(0.0, train, train - 10)
    np.testing.assert_allclose(found["train"], 7.0)
    np.testing.assert_allclose(found["held_out"], -13.0)
    np.testing.assert_allclose(found["fake"], 0.0)
    np.testing.assert_allclose(found["spread"], np.sqrt(2 * 4 * 5.25 / 8), rtol=1e-6)
    # of eight held-out examples only two differ: they count as two
    found = measure(0.0, train, train - 10, known=2)
    want = np.sqrt(4 * 5.25 / 8 + 4 * 5.25 / 2)
    np.testing.assert_allclose(found["spread"], want, rtol=1e-6)


def test_equal_samples_are_one_of_eight():
    # beyond the first there are none, of eight
    train = np.stack([np.arange(8.0), np.zeros(8)], 1).astype(np.float32)
    names = {"train", "fake", "diversity", "distinct"}
    assert set(measure(0.0, train, None)) == names
    # the median of the distances 1 to 7 is 3, so K_ij^2 = exp(-|i - j|^2 / 0.75^2)
    i = np.arange(8)
    want = 1 / np.mean(np.exp(-((i[:, None] - i) ** 2) / 0.75**2))
    np.testing.assert_allclose(measure(0.0, train, None)["distinct"], want, rtol=1e-5)
    np.testing.assert_allclose(measure(0.0, 0 * train, None)["distinct"], 1.0)
    np.testing.assert_allclose(measure(0.0, train, None)["diversity"], 0.0, atol=1e-5)
    assert measure(50.0, train, None)["diversity"] > 0.9


def test_programs_do_not_grow_with_the_number_of_batches():
    traced = []

    def play(generator, batch, keys, step):
        traced.append(len(keys))
        return Samples(batch["image"], generator(batch["image"]))

    params: Players = Players({"scale": jnp.float32(1)}, {"a": jnp.float32(1)})
    none = Players({}, {})
    state = TrainState(jnp.zeros((), int), params, none, none, none, {})
    measure = probe.make_measure(Task(play), Players(Same(), First()), 8, 8)
    some = [{"image": x} for x in np.ones((4, 2, 2), np.float32)]
    measure(state, some, some, KEYS.reshape(4, 2))
    # One program plays training examples, the other held-out ones.
    assert traced == [2, 2]


def test_a_small_set_is_taken_again_from_its_start():
    five = from_fields("five", {"image": np.arange(5.0)[:, None]}, origin="")
    found = probe.batches(five, np.arange(5), count=2, size=4)
    got = np.concatenate([x["image"][:, 0] for x in found])
    np.testing.assert_array_equal(got, [0, 1, 2, 3, 4, 0, 1, 2])


def plan_and_state(images):
    chosen = config("batch_norm", score_samples=2, samples=2)
    dataset = from_fields("p", {"image": images.astype(np.float32)}, origin="")
    game = builder.build_gan(chosen, dataset.example)
    layout = parallel.layout_of(jax.devices()[:1])
    plan = Experiment(chosen, layout, dataset, game, True, 1, dataset)
    return plan, jit_once(game.init)(jax.random.key(0))


def probe_of(plan):
    return probe.Probe(
        plan.gan,
        plan.dataset,
        plan.held_out,
        jax.random.key(1),
        batch_size=plan.config.batch_size,
        seed=plan.config.seed,
    )


def test_it_leaves_the_state_alone_and_says_the_same_twice():
    pictures = np.random.default_rng(0).uniform(-1, 1, (40, 8, 8, 1))
    plan, state = plan_and_state(pictures)
    look = probe_of(plan)
    first = look(state)
    assert first == look(state)
    assert set(first) == {
        f"probe/{x}" for x in ("train", "held_out", "fake", "spread", "diversity")
    }
    np.testing.assert_allclose(first["probe/train"], first["probe/held_out"], atol=0.1)


def test_data_without_variety_have_no_diversity():
    """All examples are equal but one of 40."""
    pictures = np.full((40, 8, 8, 1), -1.0)
    pictures[0] = 1.0
    plan, state = plan_and_state(pictures)
    found = probe_of(plan)(state)
    assert "probe/diversity" not in found
    want = 1 / ((39 / 40) ** 2 + (1 / 40) ** 2)
    np.testing.assert_allclose(found["probe/distinct"], want, rtol=1e-5)

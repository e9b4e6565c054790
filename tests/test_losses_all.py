"""Properties of every term in the table."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from critics import REAL, all_there_is, half, inputs, square_critic

from jaxgan import losses
from jaxgan.gan import objective, train_step
from jaxgan.networks import mlp
from jaxgan.tasks import generate
from jaxgan.types import DiscriminatorOutput, Players, image_example


def noise(key, x, p):
    return x + 0.1 * jax.random.normal(key, x.shape)


SPECIAL = {
    "consistency": lambda: losses.consistency(fake=0.5, by=noise),
    "every": lambda: losses.every(2, losses.dragan()),
}
"""Those that want arguments for vectors."""


OTHER_SAMPLES = {
    *("cycle", "cycle_l2", "identity", "perceptual", "total_variation"),
    *("domain_classification", "encoder", "likelihood", "mel_l1", "stft"),
}
"""Terms that want other samples; `test_losses_reconstruction`, `test_anomaly`,
`test_text_gan` and `test_vocoder` have them."""
NAMES = [name for name in losses.REGULARIZERS if name not in OTHER_SAMPLES]


def make(name):
    return SPECIAL.get(name, losses.REGULARIZERS[name])()


def data(count=4, scale=1.0):
    """Fields of `count` examples, whose mean grows along the batch."""
    keys = iter(jax.random.split(jax.random.key(1), 8))

    def normal(width):
        drawn = jax.random.normal(next(keys), (count, width))
        return scale * (drawn + 0.5 * jnp.arange(count)[:, None])

    return {
        "real": normal(2),
        "fake": normal(2),
        "latents": normal(2),
        "keys": jax.random.split(next(keys), count),
        "label": jnp.arange(count) % 3,
        "category": jnp.eye(2)[jnp.arange(count) % 2],
        "continuous": normal(1),
    }


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_finite_at_slope_zero(name):
    term = make(name)

    def loss(scale):
        value, memory = term.apply(all_there_is(data(scale=0.0), scale), term.init())
        return value, memory

    (value, memory), grad = jax.value_and_grad(loss, has_aux=True)(1.0)
    assert np.isfinite(value)
    assert np.isfinite(grad)
    assert jax.tree.all(jax.tree.map(jnp.isfinite, memory))


@pytest.mark.parametrize("name", NAMES)
def test_two_devices_have_the_penalty_of_the_whole_batch(name):
    # the gradient as the step has it: the mean of the devices' own
    term = make(name)

    def of(scale, data, axis=None):
        def loss(scale):
            return term.apply(all_there_is(data, scale, axis), term.init())

        return jax.value_and_grad(loss, has_aux=True)(scale)

    halves = half(of, jnp.asarray(1.5), data())
    whole = jax.jit(of)(jnp.asarray(1.5), data())
    assert whole[1] != 0.0
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        halves,
        whole,
    )


@pytest.mark.parametrize("name", NAMES)
def test_values_are_scalars_and_memories_keep_their_kind(name):
    term = make(name)
    first = term.init()

    def apply(memory):
        return term.apply(all_there_is(data(), jnp.asarray(1.5)), memory)

    value, memory = jax.eval_shape(apply, first)
    assert (value.shape, value.dtype) == ((), jnp.float32)
    assert memory == jax.eval_shape(lambda: first)


def test_both_players_take_a_step_with_the_terms_of_theirs():
    chosen = {
        "generator": ("path_length", "feature_matching", "orthogonal"),
        "discriminator": ("dragan", "lecam", "consistency", "approximate_r1", "every"),
    }
    terms = Players(
        *({name: make(name) for name in chosen[player]} for player in Players._fields)
    )
    nets = mlp.pair((8,), (8,), d_activation="swish", example=image_example((2,)))
    tx = optax.sgd(0.01)
    optimizers: Players[optax.GradientTransformation] = Players(tx, tx)
    loss = objective.make_loss(generate(4), nets, terms)
    run = jax.jit(
        train_step.make_step(loss, optimizers, decay=lambda _: jnp.asarray(0.9))
    )
    batches = {"image": jax.random.normal(jax.random.key(2), (2, 4, 2))}

    def init(key):
        batch = {"image": batches["image"][0]}
        return train_step.init_state(key, generate(4), nets, terms, optimizers, batch)

    first = jax.jit(init)(jax.random.key(3))
    state, metrics = run(first, batches, jax.random.key(4))
    later, resting = run(state, batches, jax.random.key(4))
    chex.assert_tree_all_finite((later, metrics, resting))
    chex.assert_trees_all_equal_shapes_and_dtypes(first, later)
    for player, names in chosen.items():
        for name in names:
            assert metrics[f"{player}/{name}"] > 0.0
    assert resting["discriminator/every"] == 0.0
    assert later.term_state.generator["path_length"] > 0.0


def two_scales(share):
    """The logits twice, the second time at four positions, each a share of it."""

    def critic(x):
        logits = square_critic(x).logits
        patches = jnp.tile(logits[:, None, None], (1, 2, 2))
        return DiscriminatorOutput([share[0] * logits, share[1] * patches])

    return critic


SUMMED, AVERAGED = (0.5, 0.125), (1.0, 1.0)


@pytest.mark.parametrize(
    ("name", "share"),
    [
        # slopes are those of the sum of an example's logits: D/2 + 4 D/8
        ("r1", SUMMED),
        ("r2", SUMMED),
        ("gradient_penalty", SUMMED),
        ("dragan", SUMMED),
        ("every", SUMMED),
        # the others are means over the logits
        ("approximate_r1", AVERAGED),
        ("approximate_r2", AVERAGED),
        ("lecam", AVERAGED),
        ("consistency", AVERAGED),
    ],
)
def test_logits_may_be_a_tree_of_scales(name, share):
    term = make(name)
    real, fake = REAL, 2 * REAL
    one, two = (
        term.apply(inputs(critic, real, fake), term.init())
        for critic in (square_critic, two_scales(share))
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), one, two)


def test_samples_may_be_a_tree_of_domains():
    # both domains through one critic: r1 of the pair is the sum of both
    x, y = REAL, 3 * REAL
    pair = {"a": x, "b": y}

    def both(pair):
        return DiscriminatorOutput(
            {k: square_critic(v).logits for k, v in pair.items()}
        )

    # |x|^2 + |y|^2 = 2 + 18
    for name in ("r1", "r2"):
        got, _ = losses.REGULARIZERS[name](2.0).apply(inputs(both, pair, pair), ())
        np.testing.assert_allclose(got, 20.0, rtol=1e-6)
    for name in ("gradient_penalty", "dragan", "approximate_r1"):
        got, _ = losses.REGULARIZERS[name]().apply(inputs(both, pair, pair), ())
        assert np.isfinite(got)

"""The inputs of terms, and batches in micro-batches."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from games import batches, config, game, images
from slow import slow

from jaxgan import augment, parallel
from jaxgan.gan import builder, objective, train_step
from jaxgan.losses import r1, r2
from jaxgan.networks.ops.platform import jit_once
from jaxgan.terms import stateless
from jaxgan.types import (
    Augment,
    DiscriminatorOutput,
    LossInputs,
    Players,
    Samples,
    Task,
    TrainState,
    image_example,
)

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(0)
SHAPE = (8, 8, 1)


class Shift(nn.Module):
    """G(z) = z + b."""

    @nn.compact
    def __call__(self, z, *condition, train):
        return z + self.param("b", nn.initializers.zeros, ())


class Score(nn.Module):
    """D(x) = a (sum of x), with dropout where there is some."""

    rate: float = 0.0

    @nn.compact
    def __call__(self, x, condition=None, *, train):
        x = nn.Dropout(self.rate, deterministic=not train)(x)
        total = x.reshape(len(x), -1).sum(-1)
        return DiscriminatorOutput(total * self.param("a", nn.initializers.ones, ()))


def times(factor):
    """An augmentation that multiplies; p is how much of it."""
    return Augment(
        init=lambda: jnp.float32(0.5),
        apply=lambda keys, x, p: x * (1 + (factor - 1) * p),
        strength=lambda memory, step: memory,
        update=lambda inputs, memory: memory + 0.25,
    )


def evaluate(player, terms, augment=None, rate=0.0, parts=1):
    """(value, aux) and the gradient of a player's loss on x = 1, z = 2."""
    nets: Players[nn.Module] = Players(Shift(), Score(rate))
    batch = {"image": jnp.ones((4, 2, 2, 1))}
    optimizers: Players[optax.GradientTransformation]
    optimizers = Players(optax.sgd(0.1), optax.sgd(0.1))

    def play(generator, batch, keys, step):
        z = 2 * jnp.ones_like(batch["image"])
        return Samples(batch["image"], generator(z), latents=z)

    task = Task(play)
    both = {"generator": {}, "discriminator": {}}
    both[player] = dict(terms)
    if augment is not None:
        both["discriminator"]["augment"] = objective.augment_term(augment)
    named = Players(**both)
    state = train_step.init_state(KEY, task, nets, named, optimizers, batch)
    loss = objective.make_loss(task, nets, named, augment=augment, parts=parts)
    own = getattr(state.params, player)
    return jax.value_and_grad(loss, has_aux=True)(own, player, state, batch, KEY)


def test_d_sees_what_is_augmented_and_penalties_are_of_what_is_not():
    # p = 1/2 of "times 3" is times 2: D(x) = 2 * 4, D(G(z)) = 2 * 8;
    # |d D(2 x) / d x|^2 = 4 entries * 2^2, half of it is the penalty
    terms = {
        "real": stateless(lambda s: jnp.mean(s.real.logits)),
        "fake": stateless(lambda s: jnp.mean(s.fake.logits)),
        "r1": r1(1.0),
        "r2": r2(1.0),
    }
    (_, (_, memory, values, _)), _ = evaluate("discriminator", terms, times(3.0))
    assert float(values["discriminator/real"]) == 8.0
    assert float(values["discriminator/fake"]) == 16.0
    assert float(values["discriminator/r1"]) == 8.0
    assert float(values["discriminator/r2"]) == 8.0
    assert float(values["discriminator/augment"]) == 0.5
    assert float(memory["augment"]) == 0.75


def test_real_and_fake_of_an_example_are_augmented_by_one_key():
    # each example is multiplied by a number of its key: D(x) = 4 u, D(G(z)) = 8 u
    def apply(keys, x, p):
        return x * jax.vmap(jax.random.uniform)(keys)[:, None, None, None]

    drawn = times(1.0)._replace(apply=apply)

    def term(s: LossInputs):
        assert isinstance(s.real.logits, jax.Array)
        again = s.critic(s.samples.real).logits
        distances = jnp.abs(s.fake.logits - 2 * s.real.logits) + jnp.abs(
            again - s.real.logits
        )
        return distances.max() + 1e3 * (s.real.logits.std() == 0)

    (value, _), _ = evaluate("discriminator", {"x": stateless(term)}, drawn)
    assert float(value) < 1e-6


def test_gradients_reach_g_through_the_augmentation():
    # d/db of sum over 4 entries of 2 (z + b) is 8
    terms = {"loss": stateless(lambda s: jnp.mean(s.fake.logits))}
    _, grads = evaluate("generator", terms, times(3.0))
    assert float(grads["b"]) == 8.0


def test_terms_are_given_the_generator_the_latents_and_the_parameters():
    # G(3 z) = 6 everywhere; the parameters of G's loss are G's
    def term(s: LossInputs):
        assert s.generator is not None
        again = s.generator(jax.tree.map(lambda z: 3 * z, s.samples.latents))
        return jnp.mean(again) + 100 * s.params["b"]

    (value, _), grads = evaluate("generator", {"loss": stateless(term)})
    assert float(value) == 6.0
    assert float(grads["b"]) == 101.0


def test_each_call_of_a_network_has_a_dropout_mask_of_its_own():
    # of 64 sums of 16 ones, each dropped or doubled, two draws hardly all agree
    net, ones = Score(0.5), jnp.ones((64, 16))
    made = dict(net.init(KEY, ones, train=False))
    call, _ = objective.bind(net, made, KEY[None], dropout=KEY)
    first, second = call(ones).logits, call(ones).logits
    assert (first != second).any()
    again, _ = objective.bind(net, made, KEY[None], dropout=KEY)
    np.testing.assert_array_equal(again(ones).logits, first)


def test_the_critic_has_one_dropout_mask():
    def term(s: LossInputs):
        one, two = (s.critic(s.samples.real).logits for _ in range(2))
        return jnp.abs(one - two).sum() + 1e3 * (one.std() == 0)

    (value, _), _ = evaluate("discriminator", {"x": stateless(term)}, rate=0.5)
    assert float(value) == 0.0


def state_of_terms(named):
    """A state of `Shift` and a scale of 1, with terms by player."""
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=Players({"b": jnp.zeros(())}, {"a": jnp.ones(())}),
        stats=Players({}, {}),
        opt_state=Players({}, {}),
        term_state=Players(*({n: t.init() for n, t in x.items()} for x in named)),
        ema={},
    )


def test_the_critic_judges_every_nth_example_like_all():
    # noise by key and labels by example: a wrong key or label changes the sums
    def play(generator, batch, keys, step):
        image, label = batch["image"], batch["label"]
        return Samples(image, image, condition=label)

    class Labeled(nn.Module):
        @nn.compact
        def __call__(self, x, condition, *, train):
            total = x.sum((1, 2, 3)) * (1.0 + condition)
            return DiscriminatorOutput(
                total * self.param("a", nn.initializers.ones, ())
            )

    def shifted(keys, x, p):
        noise = jax.vmap(jax.random.normal)(keys)
        return x + noise[:, None, None, None]

    def term(s: LossInputs):
        whole, some = s.samples.real, s.samples.real[::4]
        return jnp.abs(s.critic(whole).logits[::4] - s.critic(some).logits).max()

    noisy = times(1.0)._replace(apply=shifted)
    named: Players = Players({}, {"x": stateless(term)})
    named.discriminator["augment"] = objective.augment_term(noisy)
    nets: Players[nn.Module] = Players(Shift(), Labeled())
    loss = objective.make_loss(Task(play), nets, named, augment=noisy)
    batch = {"image": jnp.asarray(images(16)), "label": jnp.arange(16) % 10}
    state = state_of_terms(named)
    value, _ = loss(state.params.discriminator, "discriminator", state, batch, KEY)
    assert float(value) == 0.0


def trained(parts, devices=1, **flags):
    """Two steps of a game on 64 pictures, and its metrics."""
    given = {"batch_size": 64, "accumulate": parts, "g_optimizer": "adam(1e-2)"}
    chosen = config("small", **{**given, **flags})
    layout = parallel.layout_of(parallel.choose_devices(devices))
    built, state = game(chosen, layout=layout)
    state = parallel.place(state, layout)
    arrays = {"image": images(128)}
    feed = parallel.resident(
        arrays,
        lambda epoch: np.arange(128, dtype=np.int32),
        updates=1,
        batch=64,
        layout=layout,
    )
    program = parallel.make_compiler(built.train_step, feed, layout)
    passed = (state, feed.at(0, 2), KEY)
    return jax.device_get(program(2, *passed)(*passed))


PENALTY = {"d_terms": "gradient_penalty(1, batch_shrink=4)", "loss": "hinge"}
AUGMENTED = {"augment": "translation|color", "augment_p": 0.7}


@pytest.mark.parametrize(
    ("flags", "devices"),
    [
        ({}, 1),
        (AUGMENTED, 2),
        (PENALTY, 1),
        slow({}, 2),
        slow(AUGMENTED, 1),
        slow(PENALTY, 2),
    ],
)
def test_four_parts_of_sixteen_are_sixty_four(flags, devices):
    # sums in another order, and Adam divides small gradients by small numbers
    whole, parts = trained(1, devices, **flags), trained(4, devices, **flags)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-4), whole, parts)


REMEMBERED = {
    "lecam": {"d_terms": "lecam(1, decay=0.5)"},
    "spectral": {"discriminator_wrap": "spectral_norm"},
    "ada": {"augment": "flip", "augment_p": "ada(-0.9, images=80)"},
}


@pytest.mark.parametrize("flags", REMEMBERED.values(), ids=REMEMBERED)
def test_what_is_remembered_moves_once_an_update_however_many_parts(flags):
    given = {"networks": "mlp((16,), (16,))", "loss": "hinge", "d_terms": "", **flags}
    found = []
    for parts in (1, 4):
        chosen = config("small", accumulate=parts, batch_size=16, **given)
        built = builder.build_gan(chosen, image_example(SHAPE))
        state = jit_once(built.init)(KEY)
        for i in range(2):
            state, _ = jax.jit(built.train_step)(state, batches(chosen, i), KEY)
        found.append((state.stats, state.term_state))
    assert jax.tree.leaves(found[0])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), *found)


def test_running_statistics_decay_once_an_update_however_many_parts():
    # the mean over parts is that over the batch; a variance is that of a part
    found = []
    for parts in (1, 4):
        chosen = config("batch_norm", accumulate=parts, batch_size=16)
        built = builder.build_gan(chosen, image_example(SHAPE))
        state = jit_once(built.init)(KEY)
        state, _ = jax.jit(built.train_step)(state, batches(chosen), KEY)
        found.append(state.stats.generator["batch_stats"]["BatchNorm_0"])
    whole, parted = found
    np.testing.assert_allclose(parted["mean"], whole["mean"], atol=1e-7)
    assert np.all(parted["var"] > 0.99)  # 0.99 + 0.01 * variance, from 1 on
    assert np.all(parted["var"] <= whole["var"] + 1e-6)


def test_parts_are_looped_over_where_loops_are_fast():
    chosen = config("dropout", accumulate=4)
    game = [
        builder.build_gan(chosen, image_example(SHAPE), unroll=unroll)
        for unroll in (True, False)
    ]
    state = jit_once(game[0].init)(KEY)
    done = [jax.jit(g.train_step)(state, batches(chosen), KEY)[0].params for g in game]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), *done)


def test_parts_have_dropout_masks_of_their_own():
    terms = {"x": stateless(lambda s: jnp.mean(s.real.logits))}
    (first, _), _ = evaluate("discriminator", terms, rate=0.5)
    (other, _), _ = evaluate("discriminator", terms, rate=0.5, parts=2)
    assert float(first) != float(other)


def test_the_strength_is_a_part_of_the_state():
    chosen = config("small", augment="flip", augment_p="ada(0.6, images=80)")
    built = builder.build_gan(chosen, image_example(SHAPE))
    state = jit_once(built.init)(KEY)
    run, seen = jax.jit(built.train_step), []
    for i in range(12):
        state, metrics = run(state, batches(chosen, i), KEY)
        seen.append(float(metrics["discriminator/augment"]))
    assert seen[0] == 0.0
    assert all(0.0 <= p <= 1.0 for p in seen)
    # 8 images of 80 move p by a tenth, up or down, unless it is at an end
    steps = np.abs(np.diff(seen))
    assert np.all(
        np.isclose(steps, 0.1, atol=1e-5) | (np.minimum(seen[1:], steps) < 1e-6)
    )
    assert jax.tree.leaves(state.term_state.discriminator["augment"])


class Difference(nn.Module):
    """D(x, c) = sum |x - c|: 0 if the sample is its own condition."""

    @nn.compact
    def __call__(self, x, condition=None, *, train):
        self.param("a", nn.initializers.ones, ())
        pairs = zip(jax.tree.leaves(x), jax.tree.leaves(condition), strict=True)
        return DiscriminatorOutput(
            sum(jnp.abs(x - c).reshape(len(x), -1).sum(-1) for x, c in pairs)
        )


def test_images_of_a_condition_are_augmented_like_the_samples():
    def play(generator, batch, keys, step):
        both = {"photo": batch["image"], "map": batch["image"][:, ::2, ::2]}
        return Samples(both, jax.tree.map(lambda x: 0 * x, both), condition=both)

    named: Players = Players({}, {"loss": stateless(lambda s: s.real.logits.sum())})
    augmentation = augment.build(
        [augment.AUGMENTATIONS[name]() for name in ("flip", "translation", "color")],
        0.8,
    )
    named.discriminator["augment"] = objective.augment_term(augmentation)
    nets: Players[nn.Module] = Players(Shift(), Difference())
    loss = objective.make_loss(Task(play), nets, named, augment=augmentation)
    state = state_of_terms(named)
    batch = {"image": jnp.asarray(images(64))}
    (value, _) = loss(state.params.discriminator, "discriminator", state, batch, KEY)
    assert float(value) == 0
    # the samples do change
    bare = named._replace(discriminator={"loss": named.discriminator["loss"]})
    fakes = stateless(lambda s: jnp.abs(s.critic(s.samples.fake).logits).sum())
    bare.discriminator["loss"] = fakes
    plain = objective.make_loss(Task(play), nets, bare)
    changed = objective.make_loss(
        Task(play),
        nets,
        bare._replace(discriminator={**named.discriminator, "loss": fakes}),
        augment=augmentation,
    )
    values = [
        float(f(state.params.discriminator, "discriminator", state, batch, KEY)[0])
        for f in (plain, changed)
    ]
    assert abs(values[0] - values[1]) > 1

"""The one train step: what it moves, what it leaves alone, what it repeats."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from games import SHAPE, TINY, batches, config, differs, game, same

from jaxgan.errors import UsageError
from jaxgan.gan import builder, objective, train_step
from jaxgan.terms import stateless
from jaxgan.types import (
    DiscriminatorOutput,
    Players,
    Samples,
    Task,
    TrainState,
    image_example,
)

KEY = jax.random.key(0)
FROZEN = "sgd(0.0)"


@pytest.mark.parametrize("name", TINY)
def test_both_players_move_and_one_trace_serves_all_steps(name):
    chosen = config(name)
    built, state = game(chosen)
    chex.clear_trace_counter()
    run = jax.jit(chex.assert_max_traces(built.train_step, n=1))
    first = state
    for i in range(3):
        state, metrics = run(state, batches(chosen, i), KEY)
    chex.assert_tree_all_finite((state, metrics))
    chex.assert_trees_all_equal_shapes_and_dtypes(first, state)
    assert int(state.step) == 3
    for before, after in zip(first.params, state.params, strict=True):
        assert differs(before, after)


@pytest.mark.parametrize("player", Players._fields)
@pytest.mark.parametrize("name", ["batch_norm", "dropout"])
def test_an_update_changes_only_its_player(name, player):
    # the other player has learning rate 0, so only the update of `player` moves
    other = "d_optimizer" if player == "generator" else "g_optimizer"
    chosen = config(name, **{other: FROZEN})
    built, state = game(chosen)
    after, _ = jax.jit(built.train_step)(state, batches(chosen), KEY)
    frozen = Players._fields[1 - Players._fields.index(player)]
    same(getattr(state.params, frozen), getattr(after.params, frozen))
    assert differs(getattr(state.params, player), getattr(after.params, player))


def test_d_updates_leave_the_generator_and_its_statistics_alone():
    chosen = config("batch_norm")
    nets = builder.build_gan(chosen, image_example((8, 8, 1))).networks
    built, state = game(chosen)
    loss = objective.make_loss(built.task, nets, built.terms)
    batch = jax.tree.map(lambda x: x[0], batches(chosen))

    def of(own):
        return loss(own, "discriminator", state, batch, KEY)

    _, (stats, *_) = jax.jit(of)(state.params.discriminator)
    same(stats, state.stats.discriminator)  # D has none; G's are not among them
    after, _ = jax.jit(built.train_step)(state, batches(chosen), KEY)
    assert differs(after.stats.generator, state.stats.generator)


def test_the_generators_statistics_move_once_a_step_however_many_d_updates():
    # running mean after one G update: 0.99 * 0 + 0.01 * batch mean, whatever k is
    one, three = config("batch_norm"), config("batch_norm", d_updates=3)
    built, state = game(one)
    after_one, _ = jax.jit(built.train_step)(state, batches(one), KEY)
    built, state = game(three)
    after_three, _ = jax.jit(built.train_step)(state, batches(three), KEY)
    ratio = [
        float(jnp.abs(x.stats.generator["batch_stats"]["BatchNorm_0"]["mean"]).mean())
        for x in (after_one, after_three)
    ]
    assert 0.5 < ratio[0] / ratio[1] < 2.0


def test_the_same_key_gives_the_same_step_and_another_another():
    chosen = config("dropout")
    built, state = game(chosen)
    run = jax.jit(built.train_step)
    same(run(state, batches(chosen), KEY), run(state, batches(chosen), KEY))
    other, _ = run(state, batches(chosen), jax.random.key(5))
    assert differs(other.params, run(state, batches(chosen), KEY)[0].params)


def test_every_step_has_noise_of_its_own():
    # both players rest and the batch is the same: only the latents differ
    frozen = {"g_optimizer": FROZEN, "d_optimizer": FROZEN, "d_updates": 1}
    chosen = config("k", **frozen)
    built, state = game(chosen)
    run, found = jax.jit(built.train_step), []
    for _ in range(3):
        state, metrics = run(state, batches(chosen), KEY)
        found.append((metrics["discriminator/fake"], metrics["generator/loss"]))
    same(state.params, game(chosen)[1].params)
    for values in zip(*map(np.asarray, found), strict=True):
        assert len(set(values)) == 3


def test_resume_from_numpy_is_exact():
    chosen = config("batch_norm", g_optimizer="adam(1e-3)", d_optimizer="adam(1e-3)")
    built, state = game(chosen)
    run = jax.jit(built.train_step)
    for i in range(4):
        if i == 2:
            saved = jax.tree.map(np.asarray, state)
        state, _ = run(state, batches(chosen, i), KEY)
    again = jax.tree.map(jnp.asarray, saved)
    for i in (2, 3):
        again, _ = run(again, batches(chosen, i), KEY)
    same(state, again)


def test_scanned_and_written_out_updates_agree():
    chosen = config("k")
    state = game(chosen)[1]
    shape = (8, 8, 1)
    runs = [
        jax.jit(
            builder.build_gan(chosen, image_example(shape), unroll=unroll).train_step
        )(state, batches(chosen), KEY)[0]
        for unroll in (False, True)
    ]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), *runs)


def test_every_d_update_has_a_batch_of_its_own():
    chosen = config("k", g_optimizer=FROZEN, d_optimizer="sgd(1e-2)")
    built, state = game(chosen)
    run = jax.jit(built.train_step)
    data = batches(chosen)
    base, _ = run(state, data, KEY)
    for k in range(3):
        changed = {"image": data["image"].at[k].add(0.1)}
        assert differs(run(state, changed, KEY)[0].params, base.params)


def test_weights_are_clipped_after_every_update():
    chosen = config("k", d_optimizer="sgd(10.0)|clip_weights(0.05)")
    built, state = game(chosen)
    after, _ = jax.jit(built.train_step)(state, batches(chosen), KEY)
    largest = max(float(jnp.abs(x).max()) for x in jax.tree.leaves(after.params[1]))
    assert 0.05 * (1 - 1e-6) < largest <= 0.05


def test_the_running_mean_follows_its_half_life():
    # half-life of one batch without ramp: ema = (old + new) / 2
    chosen = config("batch_norm", ema_half_life=8.0, ema_ramp=0.0)
    built, state = game(chosen)
    after, _ = jax.jit(built.train_step)(state, batches(chosen), KEY)
    now = {"params": after.params.generator, **after.stats.generator}
    want = jax.tree.map(lambda a, b: (a + b) / 2, state.ema, now)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), after.ema, want
    )


def test_the_half_life_is_at_most_its_share_of_the_images_seen():
    # step 2 of 8 images: 24 are seen and half of that is 12, so 0.5^(8 / 12) stays
    chosen = config("k", d_updates=1, ema_half_life=1000.0, ema_ramp=0.5)
    built, state = game(chosen)
    state = state.replace(step=jnp.asarray(2, jnp.int32))
    after, _ = jax.jit(built.train_step)(state, batches(chosen), KEY)
    now = {"params": after.params.generator, **after.stats.generator}
    kept = 0.5 ** (2 / 3)
    want = jax.tree.map(lambda a, b: kept * a + (1 - kept) * b, state.ema, now)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), after.ema, want
    )


def test_without_half_life_the_mean_is_the_newest():
    chosen = config("batch_norm", ema_half_life=0.0)
    built, state = game(chosen)
    after, _ = jax.jit(built.train_step)(state, batches(chosen), KEY)
    same(after.ema, {"params": after.params.generator, **after.stats.generator})


def test_samples_are_drawn_without_dropout_or_batch_statistics():
    chosen = config("batch_norm")
    built, state = game(chosen)
    keys = objective.example_keys(KEY, 6)
    zeros = {"image": jnp.zeros((6, 8, 8, 1))}
    six = built.generate(state.ema, zeros, keys)
    two = built.generate(state.ema, {"image": zeros["image"][:2]}, keys[:2])
    np.testing.assert_allclose(six[:2], two, atol=1e-6)
    assert six.shape == (6, 8, 8, 1)
    assert float(jnp.abs(six).max()) <= 1.0


def test_a_generator_of_the_wrong_shape_fails_while_tracing():
    samples = Samples(jnp.zeros((2, 8, 8, 1)), jnp.zeros((2, 8, 8, 3)))
    with pytest.raises(AssertionError):
        objective.check_samples(samples)


class Linear(nn.Module):
    """G(z) = w z."""

    @nn.compact
    def __call__(self, z, condition=None, *, train):
        return z * self.param("w", nn.initializers.ones, ())


class Score(nn.Module):
    """D(x) = a x."""

    @nn.compact
    def __call__(self, x, condition=None, *, train):
        return DiscriminatorOutput(x[:, 0] * self.param("a", nn.initializers.ones, ()))


def test_one_step_of_a_linear_game_by_hand():
    # D(x) = a x, G(z) = w z, a = w = 1, Wasserstein, SGD 0.1, x = 2, z = 1
    # D: a <- a - 0.1 d/da (a w z - a x) = 1 - 0.1 (1 - 2) = 1.1
    # G: w <- w - 0.1 d/dw (-a w z) = 1 + 0.1 * 1.1 = 1.11
    terms = Players(
        {"loss": stateless(lambda s: -jnp.mean(s.fake.logits))},
        {"loss": stateless(lambda s: jnp.mean(s.fake.logits - s.real.logits))},
    )
    nets: Players[nn.Module] = Players(Linear(), Score())
    optimizers: Players[optax.GradientTransformation]
    optimizers = Players(optax.sgd(0.1), optax.sgd(0.1))

    def play(generator, batch, keys, step):
        return Samples(batch["image"], generator(jnp.ones_like(batch["image"])))

    task, batch = Task(play), {"image": jnp.full((4, 1), 2.0)}
    state = train_step.init_state(KEY, task, nets, terms, optimizers, batch)
    loss = objective.make_loss(task, nets, terms)
    one = train_step.make_step(loss, optimizers, decay=lambda _: jnp.asarray(0.9))
    after, metrics = jax.jit(one)(state, {"image": batch["image"][None]}, KEY)
    np.testing.assert_allclose(after.params.discriminator["a"], 1.1, rtol=1e-6)
    np.testing.assert_allclose(after.params.generator["w"], 1.11, rtol=1e-6)
    np.testing.assert_allclose(after.ema["params"]["w"], 0.9 + 0.111, rtol=1e-6)
    want = {
        "discriminator/loss": -1.0,
        "discriminator/real": 2.0,
        "discriminator/fake": 1.0,
        "discriminator/grad_norm": 1.0,
        "discriminator/param_norm": 1.1,
        "generator/loss": -1.1,
        "generator/grad_norm": 1.1,
        "generator/param_norm": 1.11,
    }
    assert set(metrics) == set(want)
    for name, value in want.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-6)


@pytest.mark.parametrize("unroll", [True, False])
def test_the_generator_answers_the_last_batch(unroll):
    # a loss that is the mean of the batch it is given, times the player's parameter
    def loss(own, player, state, batch, key, part=0):
        value = own["w"] * batch["image"].mean()
        return value, ({}, {}, {f"{player}/loss": value}, ())

    ones = {"w": jnp.ones(())}
    none = Players(optax.identity(), optax.identity())
    state = TrainState(
        step=jnp.zeros((), jnp.int32),
        params=Players(ones, ones),
        stats=Players({}, {}),
        opt_state=Players(*(x.init(ones) for x in none)),
        term_state=Players({}, {}),
        ema={"params": ones},
    )
    one = train_step.make_step(loss, none, decay=lambda _: 0.5, unroll=unroll)
    three = {"image": jnp.array([[1.0], [2.0], [5.0]])}
    after, metrics = one(state, three, KEY)
    # identity() adds the gradient: D's parameter is 1 + 1 + 2 + 5, G's 1 + 5
    assert (float(after.params.discriminator["w"]), metrics["generator/loss"]) == (9, 5)
    assert float(after.params.generator["w"]) == 6
    assert metrics["discriminator/loss"] == 5 * (1 + 1 + 2)  # and the last of D's


@pytest.mark.parametrize("name", ["batch_norm", "dropout"])
def test_the_same_latents_save_one_pass_of_the_generator(name):
    def work(program):
        return dict(program.cost_analysis() or {})["flops"]

    flops = {}
    for latents in ("fresh", "same"):
        chosen = config(name, d_terms="", g_latents=latents)
        built, state = game(chosen)
        run = jax.jit(built.train_step).lower(state, batches(chosen), KEY).compile()
        flops[latents] = work(run)

    def samples(state):
        batch = builder.example_batch(image_example(SHAPE), chosen.batch_size)
        keys = objective.example_keys(KEY, chosen.batch_size)
        variables = objective.variables(state, "generator")
        net, _ = objective.bind(built.networks.generator, variables, keys, dropout=KEY)
        return built.task.play(net, batch, keys, 0).fake

    one = work(jax.jit(samples).lower(state).compile())
    assert flops["fresh"] - flops["same"] == pytest.approx(one, rel=0.03)


def test_both_players_draw_the_same_samples_and_other_masks():
    d, g = (objective.loss_keys(KEY, player)._asdict() for player in Players._fields)
    equal = {name for name in d if jnp.array_equal(d[name], g[name])}
    assert equal == {"task", "generator", "data"}
    every = [jax.random.key_data(key).tolist() for key in (*d.values(), *g.values())]
    assert len({tuple(key) for key in every}) == len(every) - len(equal)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda x: (x * 127).astype(jnp.int32),
            r"image as int32: use uint8 or uint16 or float32",
        ),
        (lambda x: x[0], r"shape \[8, 8, 8, 1\] and takes \[updates, batch, 8, 8, 1\]"),
        (lambda x: x[..., 0], r"and takes \[updates, batch, 8, 8, 1\]"),
        (lambda x: x[:, :, :4], r"and takes \[updates, batch, 8, 8, 1\]"),
    ],
)
def test_batches_that_a_step_does_not_take(change, message):
    chosen = config("small")
    built = builder.build_gan(chosen, image_example(SHAPE))
    state = jax.eval_shape(built.init, KEY)
    batch = jax.tree.map(change, batches(chosen))
    with pytest.raises(UsageError, match=message):
        jax.eval_shape(built.train_step, state, batch, KEY)

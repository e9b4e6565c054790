"""The lab without a browser: games, what is seen of them, and words."""

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest

from jaxgan.errors import UsageError
from jaxgan.gan import objective
from jaxgan.viewer import lab_data, lab_game, lab_words
from jaxgan.viewer.lab_game import Game
from jaxgan.viewer.lab_settings import Settings

SMALL = Settings(
    loss="minimax", d_terms="", width=16, depth=1, batch_size=16, d_updates=2
)


@pytest.fixture(scope="module")
def ring():
    return lab_data.plane_set("ring8")


@pytest.fixture(scope="module")
def game(ring):
    return Game(SMALL, ring)


def test_a_game_is_the_train_step(game):
    """Several steps in one call are the steps of `GAN.train_step`, one by one."""
    game.restart()
    start, made = game.state, lab_game.programs(SMALL.rules)
    game.advance(3)
    state, step = start, jax.jit(made.gan.train_step)
    key = jax.random.fold_in(jax.random.key(SMALL.seed), 1)
    for _ in range(3):
        # The batch that `advance` draws.
        own = jax.random.fold_in(jax.random.fold_in(key, state.step), 2**30)
        chosen = jax.random.randint(own, (2, 16), 0, lab_data.POINTS)
        state, _ = step(state, {"image": game.plane.points[chosen]}, key)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-5),
        game.state.params,
        state.params,
    )
    assert game.step == 3
    assert set(game.rows[0]) >= {"step", "discriminator/loss", "generator/loss"}


def test_rates_take_effect_at_once_without_compiling(game):
    game.restart()
    game.advance(1)
    before = game.state
    made = lab_game.programs(SMALL.rules)
    compiled = made.advance._cache_size()
    # G stands still at a rate of (almost) 0, and D does not.
    still = dataclasses.replace(SMALL, g_rate=1e-30)
    assert game.change(still)
    game.advance(2)
    assert made.advance._cache_size() == compiled
    assert _equal(before.params.generator, game.state.params.generator)
    assert not _equal(before.params.discriminator, game.state.params.discriminator)
    assert game.change(SMALL)
    game.advance(1)
    assert not _equal(before.params.generator, game.state.params.generator)


def test_one_update_moves_one_player_alone(game):
    game.restart()
    for player, other in (
        ("generator", "discriminator"),
        ("discriminator", "generator"),
    ):
        before = game.state
        game.update(player)
        assert not _equal(
            getattr(before.params, player), getattr(game.state.params, player)
        )
        assert _equal(getattr(before.params, other), getattr(game.state.params, other))
        assert game.rows[-1][f"{player}/loss"] is not None
    assert game.step == 2


def test_another_loss_goes_on_with_the_same_networks(game):
    game.restart()
    game.advance(2)
    weights = game.state.params
    assert game.change(dataclasses.replace(SMALL, loss="hinge"))
    assert _equal(weights, game.state.params)
    assert game.step == 2
    # A recipe that cannot be built changes nothing.
    with pytest.raises(UsageError, match="--d_terms"):
        game.change(dataclasses.replace(SMALL, d_terms="r3(1)"))
    assert game.settings.loss == "hinge"
    # Other networks start anew.
    assert not game.change(dataclasses.replace(SMALL, width=8))
    assert game.step == 0
    game.change(SMALL)


def test_arrows_are_the_gradient_of_the_generators_loss(game, ring):
    """Minimax: -d/dx log(1 - sigmoid(D(x))) = sigmoid(D(x)) dD/dx."""
    game.restart()
    seen = game.see()
    network = lab_game.programs(SMALL.rules).gan.networks.discriminator
    variables = objective.variables(game.state, "discriminator")

    def logit(x):
        made: Any = network.apply(variables, x[None], None, train=False)
        return made.logits[0]

    for number in (0, 50):
        x = seen["samples"][number]
        slope = jax.grad(logit)(x)
        pull = jax.nn.sigmoid(logit(x)) * slope
        np.testing.assert_allclose(seen["arrows"][number], pull, rtol=1e-4, atol=1e-7)
        assert seen["slopes"][number] == pytest.approx(np.linalg.norm(slope), rel=1e-4)
    # The surface is D at the corners: rows from the bottom, x fastest.
    corner = np.array([ring.extent, -ring.extent], np.float32)
    assert seen["surface"][0, -1] == pytest.approx(float(logit(corner)), rel=1e-4)


def _equal(a, b):
    return all(jax.tree.leaves(jax.tree.map(np.array_equal, a, b)))


def test_drawn_points_lie_on_the_strokes():
    plane = lab_data.drawn([[-1.0, 1.0], [0.5]], [[0.2, 0.2], [-9.0]])
    assert plane.points.shape == (lab_data.POINTS, 2)
    on_line = np.abs(plane.points[:, 1] - 0.2) < 0.1
    assert on_line.mean() > 0.99  # the click at the edge is a thousandth as long
    assert plane.points[on_line, 0].min() < -0.95
    assert np.abs(plane.points).max() < 1.5
    for strokes in ([], [[float("nan")]]):
        with pytest.raises(ValueError, match="draw"):
            lab_data.drawn(strokes, strokes)  # type: ignore
    with pytest.raises(ValueError, match="too much"):
        lab_data.drawn([[0.0]] * 201, [[0.0]] * 201)
    assert lab_data.plane_set("spiral").near > 0


def test_numbers_and_words_tell_what_is_seen(ring):
    n, count = lab_game.COUNTED, lab_game.ARROWS
    seen: dict = {
        "samples": np.repeat(ring.centers[:2], n // 2, axis=0),
        "arrows": np.full((count, 2), 1e-4),
        "slopes": np.ones(count),
        "surface": np.zeros((4, 4)),
        **{"real": np.float32(6), "fake": np.float32(-6), "ranked": np.float32(1)},
    }
    now = lab_words.measure(100, seen, ring)
    assert (now.covered, now.total, now.quality) == (2, 8, 1.0)
    assert now.gain == pytest.approx(2**0.5 * 1e-4)
    text = lab_words.explain("minimax", "", now, best=6)
    assert text.startswith("The samples cover 2 of 8 modes now, after 6 at their best")
    assert "log(1 - D) is flat" in text
    # The same picture under another loss is explained otherwise.
    strong = dataclasses.replace(now, gain=0.5)
    assert "nothing in the hinge loss" in lab_words.explain("hinge", "", strong, 6)
    full = dataclasses.replace(now, covered=8, ranked=0.52, gain=0.5, spread=1.0)
    text = lab_words.explain("relativistic", "r1(0.1)|r2(0.1)", full, 8)
    assert text.startswith("All 8 modes are covered")
    assert "R1 and R2" in text
    seen["surface"] = np.full((4, 4), np.nan)
    bad = lab_words.measure(100, seen, ring)
    assert "diverged" in lab_words.explain("minimax", "", bad, 8)
    # Data without modes are covered point by point.
    spiral = lab_data.plane_set("spiral")
    seen["samples"] = spiral.points[-n:]
    now = lab_words.measure(1, {**seen, "surface": np.zeros((4, 4))}, spiral)
    assert now.covered > 0.9 * now.total
    assert now.quality > 0.9
    assert "of the data" in lab_words.explain("minimax", "", now, now.covered)


def test_rules_from_a_browser_are_bounded():
    pytest.importorskip("bokeh")
    from jaxgan.viewer.lab_controls import LONGEST, read

    odd = {"loss": "mine", "width": "100000", "d_updates": 10**9, "b1": 1e9}
    assert read(Settings(), **odd) == Settings(d_updates=10)
    assert len(read(Settings(), d_terms="x" * 10**6).d_terms) == LONGEST
    assert read(Settings(), g_rate="5e-3").g_rate == 5e-3

"""Each loss against numbers worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from critics import half
from jax.test_util import check_grads

from jaxgan import losses
from jaxgan.losses import adversarial
from jaxgan.types import DiscriminatorOutput, LossInputs, Samples

LN2 = 0.6931471805599453
X = jnp.array([-0.5, 0.5])


def logits(x):
    """An array, or one per scale."""
    scales = isinstance(x, list) and not isinstance(x[0], float)
    return [jnp.asarray(leaf) for leaf in x] if scales else jnp.asarray(x)


def inputs(real, fake, axis=None):
    """Loss inputs that hold logits only."""
    none = jnp.zeros(())
    critiques = [DiscriminatorOutput(logits(x)) for x in (real, fake)]
    given = LossInputs(Samples(none, none), *critiques, None, none, none)  # type: ignore[arg-type]
    return given._replace(axis=axis)


def values(loss, real, fake):
    """(generator's, discriminator's) value."""
    given = inputs(real, fake)
    return tuple(float(term.apply(given, ())[0]) for term in loss)


@pytest.mark.parametrize(
    ("loss", "generator", "discriminator"),
    [
        # D = 1/2 on both: log(1 - 1/2); -log(1/2) - log(1 - 1/2)
        (adversarial.minimax(), -LN2, 2 * LN2),
        (adversarial.non_saturating(), LN2, 2 * LN2),
        # smoothing at logit 0: -(0.9 log 1/2 + 0.1 log 1/2) - log 1/2
        (adversarial.non_saturating(smooth=0.1), LN2, 2 * LN2),
        # 1/2 (0 - 1)^2; 1/2 ((0 - 1)^2 + (0 - 0)^2)
        (adversarial.least_squares(), 0.5, 0.5),
        # a = -1, b = 1, c = 0: 1/2 (0 - 0)^2; 1/2 ((0 - 1)^2 + (0 + 1)^2)
        (adversarial.least_squares(-1, 1, 0), 0.0, 1.0),
        (adversarial.wasserstein(), 0.0, 0.0),
        (adversarial.hinge(), 0.0, 2.0),
        (adversarial.relativistic(), LN2, LN2),
        # softplus(0) for real and for fake
        (adversarial.relativistic_average(), 2 * LN2, 2 * LN2),
    ],
)
def test_at_logit_zero(loss, generator, discriminator):
    got = values(loss, [0.0, 0.0], [0.0, 0.0])
    np.testing.assert_allclose(got, (generator, discriminator), rtol=1e-6)


def test_hinge_by_hand():
    # D: mean(max(0, 1 - [2, .5])) + mean(max(0, 1 + [-2, .5])) = .25 + .75
    # G: -mean([-2, .5])
    assert values(adversarial.hinge(), [2.0, 0.5], [-2.0, 0.5]) == (0.75, 1.0)


def test_wasserstein_by_hand():
    # G: -mean([1, 3]); D: mean([1, 3]) - mean([5, 1])
    assert values(adversarial.wasserstein(), [5.0, 1.0], [1.0, 3.0]) == (-2.0, -1.0)


def test_relativistic_tells_its_players_apart():
    # D(real) - D(fake) = 2: D is right, softplus(-2); G is found out, softplus(2)
    want = (np.log1p(np.exp(2)), np.log1p(np.exp(-2)))
    got = values(adversarial.relativistic(), [2.0, 3.0], [0.0, 1.0])
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_relativistic_pairs_in_order():
    # pairs (r, f) = (1, 3), (3, 1): differences -2 and 2
    # softplus(2) + softplus(-2), over 2, for both players
    want = (np.log1p(np.exp(2)) + np.log1p(np.exp(-2))) / 2
    got = values(adversarial.relativistic(), [1.0, 3.0], [3.0, 1.0])
    np.testing.assert_allclose(got, (want, want), rtol=1e-6)


def test_smoothing_by_hand():
    # -(0.9 log sigmoid(2) + 0.1 log(1 - sigmoid(2))) - log(1 - sigmoid(-1))
    s = 1 / (1 + np.exp(-2))
    want = -(0.9 * np.log(s) + 0.1 * np.log(1 - s)) + np.log1p(np.exp(-1))
    _, got = values(adversarial.minimax(smooth=0.1), [2.0], [-1.0])
    np.testing.assert_allclose(got, want, rtol=1e-6)


@pytest.mark.parametrize("loss", [adversarial.minimax, adversarial.non_saturating])
def test_two_sided_smoothing_by_hand(loss):
    # targets 0.9 and 0.2 at logits 2 and -1, s = sigmoid:
    # -(0.9 log s(2) + 0.1 log s(-2)) - (0.2 log s(-1) + 0.8 log s(1))
    def log_s(x):
        return -np.log1p(np.exp(-x))

    want = -(0.9 * log_s(2) + 0.1 * log_s(-2)) - (0.2 * log_s(-1) + 0.8 * log_s(1))
    generator, got = values(loss(smooth=0.1, smooth_fake=0.2), [2.0], [-1.0])
    np.testing.assert_allclose(got, want, rtol=1e-6)
    assert generator == values(loss(), [2.0], [-1.0])[0]  # only D's targets are smooth


def test_smoothed_targets_are_where_d_rests():
    # d/dx (softplus(x) - t x) = sigmoid(x) - t = 0 at x = log(t / (1 - t))
    def loss(x):
        term = adversarial.non_saturating(smooth=0.1, smooth_fake=0.2).discriminator
        return term.apply(inputs(x[:1], x[1:]), ())[0]

    rest = jnp.log(jnp.array([0.9 / 0.1, 0.2 / 0.8]))
    np.testing.assert_allclose(jax.grad(loss)(rest), 0.0, atol=1e-6)


def test_relativistic_average_by_hand():
    # real (1, 3) has mean 2, fake (0, 2) mean 1: real - 1 = (0, 2), fake - 2 = (-2, 0)
    # D: mean softplus(-(0, 2)) + mean softplus((-2, 0)) = ln 2 + softplus(-2)
    # G: mean softplus((0, 2)) + mean softplus(-(-2, 0)) = ln 2 + softplus(2)
    want = (LN2 + np.log1p(np.exp(2)), LN2 + np.log1p(np.exp(-2)))
    got = values(adversarial.relativistic_average(), [1.0, 3.0], [0.0, 2.0])
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_relativistic_average_treats_its_players_alike():
    # G's loss is D's with real and fake exchanged
    loss, real, fake = adversarial.relativistic_average(), [0.3, -1.0], [2.0, 0.5]
    assert values(loss, real, fake) == values(loss, fake, real)[::-1]


def test_relativistic_losses_do_not_see_a_shift_of_all_logits():
    for loss in (adversarial.relativistic(), adversarial.relativistic_average()):
        here = values(loss, [0.3, -1.0], [2.0, 0.5])
        there = values(loss, [5.3, 4.0], [7.0, 5.5])
        np.testing.assert_allclose(here, there, rtol=1e-5)


def test_minimax_is_the_value_function():
    real, fake = np.array([0.3, -1.2]), np.array([0.7, 2.0])

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    value = np.mean(np.log(sigmoid(real))) + np.mean(np.log(1 - sigmoid(fake)))
    generator, discriminator = values(adversarial.minimax(), real, fake)
    np.testing.assert_allclose(discriminator, -value, rtol=1e-6)
    np.testing.assert_allclose(generator, np.mean(np.log(1 - sigmoid(fake))), rtol=1e-6)


def test_minimax_saturates_where_the_other_does_not():
    # d/df log(1 - s) = -s and d/df -log s = -(1 - s): they add to -1
    f = jnp.array([-8.0, 0.0, 8.0])

    def gradient(loss):
        return jax.grad(lambda f: loss.generator.apply(inputs([0.0], f), ())[0])(f) * 3

    sat, non = gradient(adversarial.minimax()), gradient(adversarial.non_saturating())
    np.testing.assert_allclose(sat + non, -1.0, rtol=1e-6)
    assert abs(sat[0]) < 1e-3 < 0.999 < abs(non[0])


@pytest.mark.parametrize("name", adversarial.LOSSES)
def test_every_scale_weighs_the_same(name):
    loss = adversarial.LOSSES[name]()
    one = values(loss, [0.5], [-0.5]), values(loss, [2.0] * 4, [1.0] * 4)
    both = values(loss, [[0.5], [2.0] * 4], [[-0.5], [1.0] * 4])
    np.testing.assert_allclose(both, np.mean(one, 0), rtol=1e-6)


@pytest.mark.parametrize("name", adversarial.LOSSES)
def test_finite_at_extreme_logits(name):
    got = values(adversarial.LOSSES[name](), [1e4, -1e4], [-1e4, 1e4])
    assert np.isfinite(got).all()


@pytest.mark.parametrize("player", ["generator", "discriminator"])
@pytest.mark.parametrize("name", adversarial.LOSSES)
def test_derivatives_agree_with_finite_differences(name, player):
    # hinge has its corners at real = 1 and fake = -1
    real, fake = jnp.array([0.3, -0.7]), jnp.array([0.6, -0.2])
    term = getattr(adversarial.LOSSES[name](), player)

    def value(real, fake):
        return term.apply(inputs(real, fake), ())[0]

    both = ["fwd", "rev"]
    check_grads(value, (real, fake), order=2, modes=both, atol=0.02, rtol=0.02)


@pytest.mark.parametrize("player", ["generator", "discriminator"])
@pytest.mark.parametrize("name", adversarial.LOSSES)
def test_two_devices_have_the_loss_of_the_whole_batch(name, player):
    term = getattr(adversarial.LOSSES[name](), player)
    x = {
        "real": jnp.array([0.9, -0.4, 0.1, 2.0]),
        "fake": jnp.array([-0.6, 0.2, 1.1, 0.7]),
    }

    def loss(slope, x, axis=None):
        def scales(x):  # one logit per example, and two
            return [slope * x, jnp.tanh(slope * x[:, None] + X)]

        given = inputs(scales(x["real"]), scales(x["fake"]), axis)
        return term.apply(given, ())[0]

    halves = half(jax.value_and_grad(loss), jnp.asarray(1.5), x)
    whole = jax.value_and_grad(loss)(jnp.asarray(1.5), x)
    np.testing.assert_allclose(halves, whole, rtol=1e-5, atol=1e-7)


def test_the_package_exports_every_loss_and_one_table():
    assert losses.LOSSES is adversarial.LOSSES
    tables = {**losses.LOSSES, **losses.REGULARIZERS}
    assert {name: getattr(losses, name) for name in tables} == tables
    assert tables.keys() <= set(losses.__all__)

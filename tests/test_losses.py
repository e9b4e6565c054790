"""Each loss against numbers worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import losses
from jaxgan.core import Critique, LossInputs, Samples

LN2 = 0.6931471805599453


def logits(x):
    """An array, or one per scale."""
    scales = isinstance(x, list) and isinstance(x[0], list)
    return [jnp.asarray(leaf) for leaf in x] if scales else jnp.asarray(x)


def inputs(real, fake):
    """Loss inputs that hold logits only."""
    none = jnp.zeros(())
    critiques = [Critique(logits(x)) for x in (real, fake)]
    return LossInputs(Samples(none, none), *critiques, None, none, none)  # type: ignore[arg-type]


def values(loss, real, fake):
    """(generator's, discriminator's) value."""
    given = inputs(real, fake)
    return tuple(float(term.apply(given, ())[0]) for term in loss)


@pytest.mark.parametrize(
    ("loss", "generator", "discriminator"),
    [
        # D = 1/2 on both: log(1 - 1/2); -log(1/2) - log(1 - 1/2)
        (losses.minimax(), -LN2, 2 * LN2),
        (losses.non_saturating(), LN2, 2 * LN2),
        # smoothing at logit 0: -(0.9 log 1/2 + 0.1 log 1/2) - log 1/2
        (losses.non_saturating(smooth=0.1), LN2, 2 * LN2),
        # 1/2 (0 - 1)^2; 1/2 ((0 - 1)^2 + (0 - 0)^2)
        (losses.least_squares(), 0.5, 0.5),
        # a = -1, b = 1, c = 0: 1/2 (0 - 0)^2; 1/2 ((0 - 1)^2 + (0 + 1)^2)
        (losses.least_squares(-1, 1, 0), 0.0, 1.0),
        (losses.wasserstein(), 0.0, 0.0),
        (losses.hinge(), 0.0, 2.0),
        (losses.relativistic(), LN2, LN2),
    ],
)
def test_at_logit_zero(loss, generator, discriminator):
    got = values(loss, [0.0, 0.0], [0.0, 0.0])
    np.testing.assert_allclose(got, (generator, discriminator), rtol=1e-6)


def test_hinge_by_hand():
    # D: mean(max(0, 1 - [2, .5])) + mean(max(0, 1 + [-2, .5])) = .25 + .75
    # G: -mean([-2, .5])
    assert values(losses.hinge(), [2.0, 0.5], [-2.0, 0.5]) == (0.75, 1.0)


def test_wasserstein_by_hand():
    # G: -mean([1, 3]); D: mean([1, 3]) - mean([5, 1])
    assert values(losses.wasserstein(), [5.0, 1.0], [1.0, 3.0]) == (-2.0, -1.0)


def test_relativistic_pairs_in_order():
    # pairs (r, f) = (1, 3), (3, 1): differences -2 and 2
    # softplus(2) + softplus(-2), over 2, for both players
    want = (np.log1p(np.exp(2)) + np.log1p(np.exp(-2))) / 2
    got = values(losses.relativistic(), [1.0, 3.0], [3.0, 1.0])
    np.testing.assert_allclose(got, (want, want), rtol=1e-6)


def test_smoothing_by_hand():
    # -(0.9 log sigmoid(2) + 0.1 log(1 - sigmoid(2))) - log(1 - sigmoid(-1))
    s = 1 / (1 + np.exp(-2))
    want = -(0.9 * np.log(s) + 0.1 * np.log(1 - s)) + np.log1p(np.exp(-1))
    _, got = values(losses.minimax(smooth=0.1), [2.0], [-1.0])
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_minimax_is_the_value_function():
    real, fake = np.array([0.3, -1.2]), np.array([0.7, 2.0])

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    value = np.mean(np.log(sigmoid(real))) + np.mean(np.log(1 - sigmoid(fake)))
    generator, discriminator = values(losses.minimax(), real, fake)
    np.testing.assert_allclose(discriminator, -value, rtol=1e-6)
    np.testing.assert_allclose(generator, np.mean(np.log(1 - sigmoid(fake))), rtol=1e-6)


def test_minimax_saturates_where_the_other_does_not():
    # d/df log(1 - s) = -s and d/df -log s = -(1 - s): they add to -1
    f = jnp.array([-8.0, 0.0, 8.0])

    def gradient(loss):
        return jax.grad(lambda f: loss.generator.apply(inputs([0.0], f), ())[0])(f) * 3

    sat, non = gradient(losses.minimax()), gradient(losses.non_saturating())
    np.testing.assert_allclose(sat + non, -1.0, rtol=1e-6)
    assert abs(sat[0]) < 1e-3 < 0.999 < abs(non[0])


@pytest.mark.parametrize("name", losses.LOSSES)
def test_every_scale_weighs_the_same(name):
    loss = losses.LOSSES[name]()
    one = values(loss, [0.5], [-0.5]), values(loss, [2.0] * 4, [1.0] * 4)
    both = values(loss, [[0.5], [2.0] * 4], [[-0.5], [1.0] * 4])
    np.testing.assert_allclose(both, np.mean(one, 0), rtol=1e-6)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_finite_at_extreme_logits(name):
    got = values(losses.LOSSES[name](), [1e4, -1e4], [-1e4, 1e4])
    assert np.isfinite(got).all()

"""Penalties on critics whose slope is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import regularizers
from jaxgan.core import Critique, LossInputs, Samples
from jaxgan.schedules import linear

W = jnp.array([3.0, 4.0])  # slope 5


def inputs(critic, real, fake, step=0):
    keys = jax.random.split(jax.random.key(0), len(real))
    none = Critique(jnp.zeros(()))
    return LossInputs(Samples(real, fake), none, none, critic, keys, jnp.asarray(step))


def value(term, critic, real, fake, step=0):
    return float(term.apply(inputs(critic, real, fake, step), ())[0])


def linear_critic(x):
    return Critique(x @ W)


def square_critic(x):
    return Critique(0.5 * jnp.sum(x**2, -1))


REAL, FAKE = jnp.ones((5, 2)), jnp.zeros((5, 2))


def test_r1_and_r2_of_a_linear_critic():
    # 2/2 * |(3, 4)|^2
    assert value(regularizers.r1(2.0), linear_critic, REAL, FAKE) == 25.0
    assert value(regularizers.r2(2.0), linear_critic, REAL, FAKE) == 25.0


def test_r1_reads_real_and_r2_reads_fake():
    # the slope of |x|^2/2 is x: 1/2 * mean |x|^2
    real, fake = jnp.array([[3.0, 4.0], [0.0, 0.0]]), jnp.array([[1.0, 0.0]] * 2)
    assert value(regularizers.r1(1.0), square_critic, real, fake) == 6.25
    assert value(regularizers.r2(1.0), square_critic, real, fake) == 0.5


def test_weights_may_be_schedules():
    term = regularizers.r1(linear(2.0, 0.0, 10))
    got = [value(term, linear_critic, REAL, FAKE, step) for step in (0, 5, 10, 99)]
    assert got == [25.0, 12.5, 0.0, 0.0]


def test_gradient_penalty_of_a_linear_critic():
    # (5 - 1)^2 wherever it is taken
    got = value(regularizers.gradient_penalty(10.0), linear_critic, REAL, FAKE)
    np.testing.assert_allclose(got, 160.0, rtol=1e-6)


def test_gradient_penalty_mixes_each_example_alone():
    # the critic's slope at t * (1, 1) is sqrt(2) t: five different t, each in (0, 1)
    seen = []

    def critic(x):
        jax.debug.callback(lambda x: seen.append(np.asarray(x)), x)
        return square_critic(x)

    value(regularizers.gradient_penalty(), critic, REAL, FAKE)
    jax.effects_barrier()
    t = seen[0]
    np.testing.assert_array_equal(t[:, 0], t[:, 1])
    assert len(np.unique(t[:, 0])) == 5
    assert (t >= 0).all()
    assert (t <= 1).all()


@pytest.mark.parametrize("name", regularizers.REGULARIZERS)
def test_gradients_are_finite_at_slope_zero(name):
    term = regularizers.REGULARIZERS[name]()

    def of(scale):
        def critic(x):
            return Critique(scale * jnp.sum(x**2, -1))

        return term.apply(inputs(critic, FAKE, FAKE), ())[0]

    assert np.isfinite(jax.grad(of)(1.0))


def test_slope_sums_over_leaves_and_axes():
    # two leaves: |grad|^2 = 4 * 1 + 6 * 4
    tree = {"a": jnp.ones((3, 2, 2)), "b": jnp.ones((3, 6))}

    def critic(x):
        logits = [jnp.sum(x["a"], (1, 2)), 2 * jnp.sum(x["b"], 1)]
        return Critique(logits)

    np.testing.assert_allclose(regularizers.slope(critic, tree), [28.0] * 3)

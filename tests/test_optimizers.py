"""Optimizers as text: the steps they take, by hand."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan.core import UsageError
from jaxgan.optimizers import chain

PARAMS = {"w": jnp.array([1.0, -2.0])}
GRADS = {"w": jnp.array([3.0, 4.0])}


def steps(text, count=1, grads=GRADS):
    """The parameters after some steps with the same gradient."""
    tx = chain(text)
    params: Any = PARAMS
    state = tx.init(params)
    for _ in range(count):
        updates, state = tx.update(grads, state, params)
        params = optax.apply_updates(params, updates)
    return np.asarray(params["w"])


def test_sgd():
    np.testing.assert_allclose(steps("sgd(0.1)"), [0.7, -2.4], rtol=1e-6)


def test_momentum():
    # second step: 0.9 * g + g
    got = steps("sgd(0.1, momentum=0.9)", 2)
    np.testing.assert_allclose(got, [1 - 0.3 - 0.57, -2 - 0.4 - 0.76], rtol=1e-6)


def test_adams_first_step_is_the_sign():
    np.testing.assert_allclose(steps("adam(0.1)"), [0.9, -2.1], rtol=1e-5)


def test_adam_without_momentum():
    # b1 = 0: every step with a constant gradient is the sign
    got = steps("adam(0.1, b1=0.0, b2=0.99)", 3)
    np.testing.assert_allclose(got, [0.7, -2.3], rtol=1e-5)


def test_rmsprop_is_torchs():
    # v = 0.01 g^2, step = g / (sqrt(v) + 1e-8) = 10 sign
    np.testing.assert_allclose(steps("rmsprop(0.01)"), [0.9, -2.1], rtol=1e-5)


def test_decoupled_decay():
    got = steps("adamw(0.1, weight_decay=0.5)")
    np.testing.assert_allclose(got, [0.9 - 0.05, -2.1 + 0.1], rtol=1e-5)


def test_gradients_are_cut_before_and_weights_after():
    # |g| = 5 -> g / 5
    got = steps("clip_by_global_norm(1)|sgd(1)")
    np.testing.assert_allclose(got, [1 - 0.6, -2 - 0.8], rtol=1e-6)
    got = steps("sgd(0.1)|clip_weights(0.5)")
    np.testing.assert_allclose(got, [0.5, -0.5], rtol=1e-6)


def test_rates_may_be_schedules():
    # rates 0.1, 0.05, 0
    got = steps("sgd(linear(0.1, 0.0, 2))", 3)
    np.testing.assert_allclose(got, [1 - 0.45, -2 - 0.6], rtol=1e-6)


@pytest.mark.parametrize("text", ["", "clip_weights(0.1)", "clip_by_global_norm(1)"])
def test_something_must_move(text):
    with pytest.raises(UsageError, match="optimizer that moves parameters"):
        chain(text)


def test_under_jit():
    tx = chain("rmsprop(1e-3)|clip_weights(0.01)")
    updates: Any = jax.jit(tx.update)(GRADS, tx.init(PARAMS), PARAMS)[0]
    np.testing.assert_allclose(PARAMS["w"] + updates["w"], [0.01, -0.01], rtol=1e-4)

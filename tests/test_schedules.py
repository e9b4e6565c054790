"""Schedules that end with the run: `cosine(2e-3, 1e-5, steps)`."""

import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from critics import FAKE, REAL, linear_critic, value
from test_train import run, state_of

from jaxgan.config.resolve import make_config
from jaxgan.errors import UsageError
from jaxgan.gan import builder
from jaxgan.optimizers import chain
from jaxgan.schedules import at, ends_with_run
from jaxgan.types import Players, image_example

ENDING = "sgd(linear(1, 0, steps))"


def rates(optimizer, updates):
    """The learning rates of the first updates of `sgd`, by its steps."""
    one = jnp.ones(())
    state, found = optimizer.init(one), []
    for _ in range(updates):
        update, state = optimizer.update(one, state)
        found.append(-float(update))
    return found


@pytest.mark.parametrize("d_updates", [1, 5])
def test_rates_reach_their_end_with_the_run(d_updates):
    """A schedule counts the updates of its optimizer, of which D has more."""
    flags = {"steps": 4, "d_updates": d_updates}
    config = make_config(g_optimizer=ENDING, d_optimizer=ENDING, **flags)
    optimizers = builder.build_optimizers(config)
    expected = [1, 0.75, 0.5, 0.25, 0, 0]
    np.testing.assert_allclose(rates(optimizers.generator, 6), expected, atol=1e-6)
    of_d = rates(optimizers.discriminator, 6 * d_updates)[::d_updates]
    np.testing.assert_allclose(of_d, expected, atol=1e-6)


def test_an_optimizer_by_itself_has_no_end():
    with pytest.raises(UsageError, match="no name 'steps'"):
        chain(ENDING)
    np.testing.assert_allclose(rates(chain(ENDING, 2), 3), [1, 0.5, 0])


def test_all_flags_with_schedules_may_end_with_the_run():
    config = make_config(
        steps=10,
        d_terms="r1(linear(2, 0, steps))|every(2, r2(cosine(auto, 0, steps)))",
        augment="flip",
        augment_p="linear(0, 1, steps)",
        ema_half_life="linear(0, 64, steps)",
    )
    example = image_example((28, 28, 1))
    terms = builder.build_terms(config, None, Players("", ""), example).discriminator
    r1 = [
        float(value(terms["r1"], linear_critic, REAL, FAKE, step=step))
        for step in (0, 5, 10, 20)
    ]
    np.testing.assert_allclose(r1, np.multiply(r1[0], [1, 0.5, 0, 0]), atol=1e-6)
    assert r1[0] > 0
    assert at(builder.build_value("augment_p", config), 5) == 0.5
    # A half-life of 64 images is that of one batch.
    decay = builder.build_decay(config)(jnp.asarray(10))
    np.testing.assert_allclose(np.asarray(decay), 0.5, rtol=1e-6)
    text = make_config(steps=10, task="text(exponential(1, 0.01, steps))").task
    assert ends_with_run(text)


@pytest.mark.parametrize(
    "text", ["linear(1, 0, steps=100)", "adam(linear(1, 0, 9))", "frozen_steps(1)"]
)
def test_what_does_not_end_with_the_run(text):
    assert not ends_with_run(text)


def test_a_longer_run_says_that_its_schedules_are_stretched(pictures, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    flags = {"g_optimizer": ENDING, "d_optimizer": "sgd(linear(0.1, 0, 4))"}
    run(pictures, tmp_path / "run", 2, **flags)
    # The same run with the number.
    number = {**flags, "g_optimizer": "sgd(linear(1, 0, 2))"}
    run(pictures, tmp_path / "number", 2, **number)
    states = (state_of(tmp_path / name, 2) for name in ("run", "number"))
    jax.tree.map(np.testing.assert_array_equal, *states)
    assert "schedules of" not in caplog.text
    run(pictures, tmp_path / "run", 4, **flags)
    line = "schedules of --g_optimizer now end at step 4; the run was started with"
    assert f"{line} --steps=2" in caplog.text

"""Probabilities of augmentation: numbers, schedules and ADA."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import augment, spec
from jaxgan.errors import UsageError
from jaxgan.gan.objective import augment_term
from jaxgan.schedules import SCHEDULES, cosine, linear
from jaxgan.types import DiscriminatorOutput, LossInputs, Samples

KEYS = jax.random.split(jax.random.key(0), 8)


def inputs(real, fake=None, axis=None):
    fake = jax.tree.map(jnp.zeros_like, real) if fake is None else fake
    count = len(jax.tree.leaves(real)[0])
    blank = jnp.zeros((count, 1, 1, 1))
    return LossInputs(
        samples=Samples(blank, blank),
        real=DiscriminatorOutput(real),
        fake=DiscriminatorOutput(fake),
        critic=lambda x: DiscriminatorOutput(x),
        keys=KEYS[:count],
        step=jnp.int32(0),
        axis=axis,
    )


def course(strength, given, updates):
    """p after each of so many updates by the same answers of D."""
    memory, ps = strength.init(), []
    for _ in range(updates):
        memory = strength.update(given, memory)
        ps.append(float(strength.read(memory, jnp.int32(0))))
    return np.array(ps)


RIGHT, WRONG = jnp.full(8, 2.0), jnp.full(8, -2.0)


def test_p_rises_by_batch_over_images_and_stays_at_one():
    ps = course(augment.PROBABILITIES["ada"](images=80.0), inputs(RIGHT), 20)
    # the running mean 1 - 0.75^n passes 0.6 with the fourth answer
    np.testing.assert_allclose(ps[:4], [0, 0, 0, 0.1], atol=1e-6)
    np.testing.assert_allclose(np.diff(ps[3:13]), 0.1, atol=1e-6)
    np.testing.assert_array_equal(ps[13:], 1.0)


def test_p_falls_and_stays_at_zero():
    ada = augment.ada(images=80.0)
    memory = ada.init()._replace(p=jnp.float32(0.25))
    ps = []
    for _ in range(4):
        memory = ada.update(inputs(WRONG), memory)
        ps.append(float(memory.p))
    np.testing.assert_allclose(ps, [0.15, 0.05, 0.0, 0.0], atol=1e-6)
    assert float(memory.overfit) == 0.75**4 - 1  # of four answers of -1


def test_p_rests_where_d_is_as_right_as_wanted():
    half = jnp.array([1.0, 1, 1, 1, 1, 1, -1, -1])  # E sign = 0.5
    ada = augment.ada(target=0.5, images=80.0)
    memory = ada.init()._replace(p=jnp.float32(0.5), overfit=jnp.float32(0.5))
    np.testing.assert_array_equal(ada.update(inputs(half), memory), memory)


def test_relative_compares_pairs():
    # all logits are above zero, only half of real is above its fake
    real, fake = jnp.arange(1.0, 9), jnp.arange(1.0, 9) + jnp.array([-1.0, 1] * 4)
    plain, relative = augment.ada(), augment.ada(relative=True)
    assert plain.update(inputs(real, fake), plain.init()).overfit == 0.25
    assert relative.update(inputs(real, fake), relative.init()).overfit == 0.0
    fake = real - 100
    assert relative.update(inputs(-real, fake - real), relative.init()).overfit == 0.25


def test_every_leaf_of_the_logits_counts_the_same():
    ada = augment.ada()
    logits = {"whole": RIGHT, "patches": jnp.full((8, 3, 3, 1), -1.0)}
    assert ada.update(inputs(logits), ada.init()).overfit == 0.0


def test_two_devices_move_p_as_one():
    real = jnp.array([1.0, 1, 1, 1, -1, -1, -1, 1])
    ada = augment.ada(target=0.05, images=80.0)
    alone = ada.update(inputs(real), ada.init())
    together = jax.pmap(
        lambda real: ada.update(inputs(real, axis="devices"), ada.init()),
        axis_name="devices",
        devices=jax.devices()[:2],
    )(real.reshape(2, 4))
    # E sign = 1/4, its share in the running mean 1/16 > 0.05: p = 8/80
    np.testing.assert_allclose(alone, [0.1, 0.0625], rtol=1e-6)
    for device in range(2):
        np.testing.assert_array_equal(
            [leaf[device] for leaf in together], np.array(alone)
        )


def test_numbers_and_schedules():
    for strength, want in (
        (0.3, [0.3, 0.3, 0.3]),
        (1, [1.0, 1.0, 1.0]),
        (cosine(0.0, 0.5, 100), [0.0, 0.25, 0.5]),
        (lambda step: jnp.where(step == 50, 3.0, 0.2), [0.2, 1.0, 0.2]),
    ):
        how = augment.build([augment.flip()], strength)
        got = [how.strength(how.init(), jnp.int32(step)) for step in (0, 50, 100)]
        np.testing.assert_allclose(got, want, atol=1e-6)
        assert how.update(inputs(RIGHT), how.init()) == ()


@pytest.mark.parametrize("strength", [1.5, -0.1, float("nan"), linear(0.0, 2.0, 100)])
def test_no_probability(strength):
    with pytest.raises(
        UsageError, match=r"probability must be in \[0, 1\], not .*use 0.5"
    ):
        augment.build([], strength)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ada(2)", "target must be between -1 and 1, not 2: use 0.6"),
        ("ada(images=0)", "images must be more than 0, not 0: use 500000"),
        ("ada(relative=maybe)", "no name 'maybe'"),
        ("always", "choose from ada"),
    ],
)
def test_strengths_as_text(text, said):
    with pytest.raises(UsageError, match=said):
        spec.build_one(text, {**augment.PROBABILITIES, **SCHEDULES}, SCHEDULES)


def test_ada_from_text_is_what_the_game_remembers():
    ada = spec.build_one("ada(0.1, images=8, relative=True)", augment.PROBABILITIES)
    how = augment.build([augment.translation(1.0)], ada)
    term = augment_term(how)
    x = jnp.ones((8, 4, 4, 1))
    memory = term.init()

    def seen(memory):
        return how.apply(KEYS, x, how.strength(memory, jnp.int32(0)))

    np.testing.assert_array_equal(seen(memory), x)
    value, memory = term.apply(inputs(RIGHT), memory)
    assert value == 0
    assert how.strength(memory, jnp.int32(1)) == 1
    assert not np.array_equal(seen(memory), x)

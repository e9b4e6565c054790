"""Optimizers as text: the steps they take, by hand."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan.errors import UsageError
from jaxgan.optimizers import ALIASES, MOVERS, OTHERS, chain

PARAMS = {"w": jnp.array([1.0, -2.0])}
GRAD = np.array([3.0, 4.0])
GRADS = {"w": jnp.asarray(GRAD, jnp.float32)}


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


def test_rmsprops_eps_stands_outside_the_root():
    # g = 1e-6: v = 1e-14, step = rate * 1e-6 / (1e-7 + 1e-8); inside it were 1e-2 rate
    tiny = {"w": jnp.array([1e-6, -1e-6])}
    got = steps("rmsprop(0.11)", grads=tiny)
    np.testing.assert_allclose(got, [1 - 1.0, -2 + 1.0], rtol=1e-5)


def test_decoupled_decay():
    got = steps("adamw(0.1, weight_decay=0.5)")
    np.testing.assert_allclose(got, [0.9 - 0.05, -2.1 + 0.1], rtol=1e-5)


def test_gradients_are_cut_before_and_weights_after():
    # |g| = 5 -> g / 5
    got = steps("clip_by_global_norm(1)|sgd(1)")
    np.testing.assert_allclose(got, [1 - 0.6, -2 - 0.8], rtol=1e-6)
    got = steps("sgd(0.1)|clip_weights(0.5)")
    np.testing.assert_allclose(got, [0.5, -0.5], rtol=1e-6)


@pytest.mark.parametrize("bound", [0.01, 0.05, 0.1, 1 / 3, 3.0])
def test_no_clipped_weight_is_outside_by_a_rounding_error(bound):
    # compared in float64: 0.05 in float32 is above 0.05
    key, other = jax.random.split(jax.random.key(0))
    w: Any = bound * jax.random.uniform(key, (100_000,), minval=-1.5, maxval=1.5)
    updates = {"w": bound * jax.random.normal(other, w.shape)}
    tx = chain(f"sgd(1.0)|clip_weights({bound})")

    @jax.jit
    def step(w):
        changes, _ = tx.update(updates, tx.init({"w": w}), {"w": w})
        return jax.tree.leaves(optax.apply_updates({"w": w}, changes))[0]

    clipped, free = np.asarray(step(w), np.float64), np.asarray(w - updates["w"])
    inside = abs(free) < bound * (1 - 1e-6)
    assert 0.2 < inside.mean() < 0.8
    assert abs(clipped).max() <= bound
    np.testing.assert_array_equal(clipped[inside], free[inside])
    np.testing.assert_allclose(abs(clipped[~inside]), bound, rtol=1e-6)


def test_rates_may_be_schedules():
    # rates 0.1, 0.05, 0
    got = steps("sgd(linear(0.1, 0.0, 2))", 3)
    np.testing.assert_allclose(got, [1 - 0.45, -2 - 0.6], rtol=1e-6)


@pytest.mark.parametrize(
    "text",
    ["", "clip_weights(0.1)", "clip_by_global_norm(1)", "clip(1)|centralize|zero_nans"],
)
def test_something_must_move(text):
    with pytest.raises(UsageError, match="optimizer that moves parameters"):
        chain(text)


def test_under_jit():
    tx = chain("rmsprop(1e-3)|clip_weights(0.01)")
    updates: Any = jax.jit(tx.update)(GRADS, tx.init(PARAMS), PARAMS)[0]
    np.testing.assert_allclose(PARAMS["w"] + updates["w"], [0.01, -0.01], rtol=1e-4)


def shapes(tree):
    """The shapes, dtypes and structure that a compiled step relies on."""
    return jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), tree)


LAYER = {"kernel": jnp.array([[1.0, -2.0], [0.5, 3.0]]), "bias": jnp.array([0.5, 0.0])}


@pytest.mark.parametrize("name", MOVERS)
def test_every_optimizer_moves_by_its_name_and_a_rate(name):
    tx = chain(f"{name}(1e-3)")
    grads: Any = jax.tree.map(lambda x: x + 0.1, LAYER)
    before: Any = jax.eval_shape(tx.init, LAYER)
    state = tx.init(LAYER)
    for _ in range(2):  # rprop compares two gradients
        updates, state = jax.jit(tx.update)(grads, state, LAYER)
        assert shapes(state) == shapes(before)
    for update, grad in zip(*map(jax.tree.leaves, (updates, grads)), strict=True):
        assert np.isfinite(update).all()
        # against the gradient, and no further than some rates
        assert (np.asarray(update) * np.asarray(grad) <= 0).all()
        assert 0 < abs(update).max() < 0.02


def test_optax_still_has_what_is_listed():
    assert all(hasattr(optax, name) for name in (*ALIASES, *OTHERS))


def test_lion_is_the_sign():
    np.testing.assert_allclose(steps("lion(0.1, weight_decay=0.0)"), [0.9, -2.1])


def test_arguments_keep_their_places():
    # lion(rate, b1, b2, weight_decay): its decay is decoupled, 0.1 * 0.5 * w; between
    # b2 and the decay optax has a parameter that text cannot say
    got = steps("lion(0.1, 0.9, 0.99, 0.5)")
    np.testing.assert_allclose(got, [0.9 - 0.05, -2.1 + 0.1], rtol=1e-6)


def test_rates_of_optaxs_optimizers_may_be_schedules():
    # 0.1 and 0.05 times the sign
    got = steps("sign_sgd(linear(0.1, 0.0, 2))", 2)
    np.testing.assert_allclose(got, [0.85, -2.15], rtol=1e-6)


def test_changes_of_gradients_by_hand():
    np.testing.assert_allclose(steps("clip(3.5)|sgd(1)"), [-2, -5.5])
    decayed = steps("add_decayed_weights(0.5)|sgd(1)")
    np.testing.assert_allclose(decayed, [1 - 3 - 0.5, -2 - 4 + 1])
    # root mean square 5 / sqrt(2) becomes 1
    rms = steps("clip_by_block_rms(1)|sgd(1)")
    np.testing.assert_allclose(rms, [1 - 0.6 * 2**0.5, -2 - 0.8 * 2**0.5], rtol=1e-6)
    # |g| = 5 becomes a tenth of |w| = sqrt(5), a norm over each unit's weights
    per_unit = steps("adaptive_grad_clip(0.1)|sgd(1)")
    np.testing.assert_allclose(per_unit, np.array([1, -2]) - 0.1 * 5**0.5 * GRAD / 5)
    broken = {"w": jnp.array([jnp.nan, 4.0])}
    np.testing.assert_allclose(steps("zero_nans|sgd(1)", grads=broken), [1.0, -6.0])


def test_centralized_gradients_have_no_mean():
    tx = chain("centralize|sgd(1)")
    grads = {"kernel": jnp.array([[1.0, 2.0], [3.0, 6.0]]), "bias": jnp.ones(2)}
    updates: Any = tx.update(grads, tx.init(LAYER), LAYER)[0]
    np.testing.assert_allclose(updates["kernel"], [[1, 2], [-1, -2]])  # by columns
    np.testing.assert_allclose(updates["bias"], [-1, -1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lion('fast')", "learning_rate must be a number or a schedule, not 'fast'"),
        ("lion(1e-3, b1='x')", "b1 must be float, not 'x'"),
        ("lion(1e-3, mask=1)", "unexpected keyword argument 'mask'"),
        (
            "rprop(linear(1, 0, 2))",
            "learning_rate must be float, not a schedule from 1 to 0",
        ),
        ("adafactor", "missing a required argument: 'learning_rate'"),
        ("adadelta(None)", "learning_rate must be a number or a schedule, not None"),
        ("adam(1e-3, eps=linear(1, 0, 2))", "eps must be float, not a schedule"),
        ("sgd(1)|clip('a')", "max_delta must be float, not 'a'"),
        ("optimistic_adam(1)", "did you mean 'optimistic_adam_v2'"),
    ],
)
def test_what_no_optimizer_takes(text, message):
    with pytest.raises(UsageError) as error:
        chain(text)
    assert message in str(error.value)


def adam_by_hand(rates, b1s, b2s, decay=0.0, eps=1e-8, hat=False):
    """Kingma and Ba's algorithm 1 with a value of each number per step, in float64.

    `hat` puts eps beside the root of v before its bias is corrected: the end of their
    section 2, and Keras.
    """
    w, m, v = np.array([1.0, -2.0]), np.zeros(2), np.zeros(2)
    for t, (rate, b1, b2) in enumerate(zip(rates, b1s, b2s, strict=True), start=1):
        g = GRAD / t
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        m_hat, v_hat = m / (1 - b1**t), v / (1 - b2**t)
        root = np.sqrt(1 - b2**t)
        below = (np.sqrt(v) + eps) / root if hat else np.sqrt(v_hat) + eps
        w = w - rate * (m_hat / below + decay * w)
    return w


@pytest.mark.parametrize(
    ("text", "rates", "b1s", "b2s", "options"),
    [
        (
            "adam(0.1, b1=0.0, b2=linear(0.9, 0.99, 3))",
            [0.1] * 5,
            [0.0] * 5,
            [0.9, 0.93, 0.96, 0.99, 0.99],
            {},
        ),
        (
            "adam(linear(0.1, 0.3, 4), b1=linear(0.5, 0.9, 4), b2=0.9, eps=0.01)",
            [0.1, 0.15, 0.2, 0.25, 0.3],
            [0.5, 0.6, 0.7, 0.8, 0.9],
            [0.9] * 5,
            {"eps": 0.01},
        ),
        (
            "adam(0.1, eps=0.5, eps_hat=True)",
            [0.1] * 5,
            [0.9] * 5,
            [0.999] * 5,
            {"eps": 0.5, "hat": True},
        ),
        (
            "adam(linear(0.1, 0.3, 4), b2=linear(0.9, 0.98, 2), eps=0.5, eps_hat=True)",
            [0.1, 0.15, 0.2, 0.25, 0.3],
            [0.9] * 5,
            [0.9, 0.94, 0.98, 0.98, 0.98],
            {"eps": 0.5, "hat": True},
        ),
        (
            "adamw(0.1, b2=linear(0.9, 0.98, 2), weight_decay=0.5, eps=0.1)",
            [0.1] * 5,
            [0.9] * 5,
            [0.9, 0.94, 0.98, 0.98, 0.98],
            {"decay": 0.5, "eps": 0.1},
        ),
    ],
)
def test_adams_moments_may_be_schedules(text, rates, b1s, b2s, options):
    tx, params, update = chain(text), PARAMS, jax.jit(chain(text).update)
    state = first = tx.init(params)
    for t in range(1, 6):
        grads: Any = {"w": GRADS["w"] / t}
        updates, state = update(grads, state, params)
        params: Any = optax.apply_updates(params, updates)
        assert shapes(state) == shapes(first)
    assert jax.tree.structure(state) == jax.tree.structure(first)
    wanted = adam_by_hand(rates, b1s, b2s, **options)
    np.testing.assert_allclose(params["w"], wanted, rtol=2e-5)


@pytest.mark.parametrize("rate", ["0.1", "linear(0.1, 0.3, 4)"])
def test_clipped_adam_limits_each_array_to_its_rate(rate):
    # b1=0, b2=0.75: after a gradient of 1, one of 7 on one of four weights has
    # v = (0.75 * 0.25 + 0.25 * 49) / (1 - 0.75^2); its update is 7 / sqrt(v).
    params = {"w": jnp.zeros(4), "b": jnp.zeros(1)}
    grads = [{"w": jnp.ones(4), "b": jnp.ones(1)}] * 2
    grads[1] = {"w": jnp.array([7.0, 0, 0, 0]), "b": jnp.ones(1)}
    tx = chain(f"adam({rate}, b1=0.0, b2=0.75, clipping_threshold=0.5)")
    state, update = tx.init(params), jax.jit(tx.update)
    rates = [0.1, 0.1] if rate == "0.1" else [0.1, 0.15]
    # The first update is the sign, of which the root mean square is 1.
    updates, state = update(grads[0], state, params)
    np.testing.assert_allclose(updates["w"], [-0.5 * rates[0]] * 4, rtol=1e-5)
    np.testing.assert_allclose(updates["b"], [-0.5 * rates[0]], rtol=1e-5)
    updates, state = update(grads[1], state, params)
    # One of four weights moves: its root mean square is half of its size.
    step = 7 / np.sqrt((0.75 * 0.25 + 0.25 * 49) / (1 - 0.75**2))
    assert step / 2 > 0.5
    np.testing.assert_allclose(updates["w"], [-rates[1], 0, 0, 0], rtol=1e-5)
    np.testing.assert_allclose(updates["b"], [-0.5 * rates[1]], rtol=1e-5)


@pytest.mark.parametrize("options", ["eps_hat=True, eps=0.1", "eps=0.1"])
def test_a_high_threshold_clips_nothing(options):
    texts = f"adam(0.1, {options})", f"adam(0.1, {options}, clipping_threshold=50)"
    plain, clipped = (steps(text, 3) for text in texts)
    np.testing.assert_array_equal(plain, clipped)


def test_clipping_leaves_the_decay_of_adamw_alone():
    # The update is the sign; the decay is 0.5 of the parameter.
    got = steps("adamw(0.1, weight_decay=0.5, clipping_threshold=0.25)")
    np.testing.assert_allclose(got, [1 - 0.075, -2 - 0.025 + 0.1], rtol=1e-5)


@pytest.mark.parametrize(
    "text",
    [
        "adam(0.1)",
        "adam(linear(0.1, 0.3, 4), eps_hat=True)",
        "adam(0.1, b2=linear(0.9, 0.98, 2))",
        "adam(0.1, b1=linear(0.9, 0.98, 2), eps_hat=True)",
        "adamw(0.1)",
        "adamw(0.1, b2=linear(0.9, 0.98, 2))",
    ],
)
def test_clipping_adds_nothing_to_the_state(text):
    clipped = chain(text[:-1] + ", clipping_threshold=1)").init(PARAMS)
    plain = chain(text).init(PARAMS)
    assert jax.tree.structure(clipped) == jax.tree.structure(plain)
    assert shapes(clipped) == shapes(plain)


@pytest.mark.parametrize("bad", ["0", "-1", "'a'"])
def test_a_bad_clipping_threshold_is_named(bad):
    with pytest.raises(UsageError, match="clipping_threshold"):
        chain(f"adam(0.1, clipping_threshold={bad})")


def test_plain_numbers_keep_adams_plain_state():
    texts = "adam(0.1)", "adam(0.1, b2=0.9)", "adam(0.1, eps=1e-7, eps_hat=True)"
    states = [chain(text).init(PARAMS) for text in texts]
    assert len({str(jax.tree.structure(state)) for state in states}) == 1
    assert "hyperparams" not in str(jax.tree.structure(states[0]))

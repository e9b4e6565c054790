"""Penalties on critics and generators whose slope is known."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from critics import FAKE, REAL, W, inputs, linear_critic, square_critic, value

from jaxgan import losses
from jaxgan.errors import UsageError
from jaxgan.schedules import linear
from jaxgan.types import DiscriminatorOutput

pytestmark = pytest.mark.usefixtures("quick_compilation")


def test_r1_and_r2_of_a_linear_critic():
    # 2/2 * |(3, 4)|^2
    assert value(losses.r1(2.0), linear_critic, REAL, FAKE) == 25.0
    assert value(losses.r2(2.0), linear_critic, REAL, FAKE) == 25.0


def test_r1_reads_real_and_r2_reads_fake():
    # the slope of |x|^2/2 is x: 1/2 * mean |x|^2
    real, fake = jnp.array([[3.0, 4.0], [0.0, 0.0]]), jnp.array([[1.0, 0.0]] * 2)
    assert value(losses.r1(1.0), square_critic, real, fake) == 6.25
    assert value(losses.r2(1.0), square_critic, real, fake) == 0.5


def test_penalties_may_read_every_nth_example():
    # 1/2 * mean |x|^2 of the first and the third example alone
    real = jnp.array([[3.0, 4.0], [9.0, 9.0], [0.0, 1.0], [9.0, 9.0]])
    fake = real[::-1]
    assert value(losses.r1(1.0, batch_shrink=2), square_critic, real, fake) == 6.5
    assert value(losses.r2(1.0, batch_shrink=2), square_critic, real, fake) == 81.0
    # halfway between x and x is x, with a norm of 5 and of 1: the mean of 16 and 0
    between = losses.gradient_penalty(1.0, batch_shrink=2)
    np.testing.assert_allclose(value(between, square_critic, real, real), 8.0, 1e-5)


def test_the_batch_is_a_multiple_of_what_it_is_shrunk_by():
    four = jnp.ones((4, 2))
    with pytest.raises(UsageError, match=r"batch_shrink=6: .* 2 would do"):
        value(losses.r1(1.0, batch_shrink=6), square_critic, four, four)


def test_weights_may_be_schedules():
    term = losses.r1(linear(2.0, 0.0, 10))
    got = [value(term, linear_critic, REAL, FAKE, step) for step in (0, 5, 10, 99)]
    assert got == [25.0, 12.5, 0.0, 0.0]


def test_slope_sums_over_leaves_and_axes():
    # two leaves: |grad|^2 = 4 * 1 + 6 * 4
    tree = {"a": jnp.ones((3, 2, 2)), "b": jnp.ones((3, 6))}

    def critic(x):
        logits = [jnp.sum(x["a"], (1, 2)), 2 * jnp.sum(x["b"], 1)]
        return DiscriminatorOutput(logits)

    np.testing.assert_allclose(losses.squared_gradient_norm(critic, tree), [28.0] * 3)


def test_slope_of_a_packed_critic_is_that_of_all_examples_of_a_row():
    # two consecutive examples make one logit |x1|^2/2 + |x2|^2/2, with slope (x1, x2)
    x = jnp.array([[3.0, 0.0], [0.0, 4.0], [1.0, 2.0], [2.0, 0.0]])

    def packed(x):
        return square_critic(x.reshape(2, 4))

    np.testing.assert_allclose(losses.squared_gradient_norm(packed, x), [25.0, 9.0])
    np.testing.assert_allclose(value(losses.r1(2.0), packed, x, x), 17.0)


def test_gradient_penalty_of_a_linear_critic():
    # (5 - 1)^2 wherever it is taken
    got = value(losses.gradient_penalty(10.0), linear_critic, REAL, FAKE)
    np.testing.assert_allclose(got, 160.0, rtol=1e-6)


@pytest.mark.parametrize(("scale", "both", "above"), [(0.1, 0.25, 0.0), (0.4, 1.0, 1)])
def test_one_sided_penalty_spares_slopes_below_one(scale, both, above):
    # slopes 0.5 and 2: (0.5 - 1)^2 = 0.25 and (2 - 1)^2 = 1
    def critic(x):
        return DiscriminatorOutput(scale * x @ W)

    two, one = (losses.gradient_penalty(1.0, side) for side in (False, True))
    np.testing.assert_allclose(value(two, critic, REAL, FAKE), both, rtol=1e-5)
    np.testing.assert_allclose(value(one, critic, REAL, FAKE), above, rtol=1e-5)


def points(term, real, fake):
    """The points at which a term takes the critic's gradient."""
    seen = []

    def critic(x):
        jax.debug.callback(lambda x: seen.append(np.asarray(x)), x)
        return square_critic(x)

    given = inputs(square_critic, real, fake)
    term.apply(given._replace(critic=critic), term.init())
    jax.effects_barrier()
    return seen[0]


def test_gradient_penalty_mixes_each_example_alone():
    # t * (1, 1) with five different t in (0, 1)
    t = points(losses.gradient_penalty(), REAL, FAKE)
    np.testing.assert_array_equal(t[:, 0], t[:, 1])
    assert len(np.unique(t[:, 0])) == 5
    assert (t >= 0).all()
    assert (t <= 1).all()


def test_dragan_of_a_linear_critic():
    got = value(losses.dragan(10.0), linear_critic, REAL, FAKE)
    np.testing.assert_allclose(got, 160.0, rtol=1e-6)


def test_dragan_looks_around_real_data_as_far_as_they_spread():
    # entries 7 and 3 have deviation 2: noise of deviation 0.5 * 2 = 1 around them
    real = jnp.tile(jnp.array([[7.0, 3.0]]), (4000, 1))
    noise = points(losses.dragan(sigma=0.5), real, jnp.zeros((4000, 2))) - real
    np.testing.assert_allclose(noise.mean(0), 0.0, atol=0.05)
    np.testing.assert_allclose(noise.std(0), 1.0, atol=0.05)
    np.testing.assert_allclose(np.corrcoef(noise.T)[0, 1], 0.0, atol=0.05)


def test_approximate_r1_of_a_linear_critic_does_not_depend_on_sigma():
    # (w . e)^2 for the same noise e, whatever sigma
    small, large = (
        value(losses.approximate_r1(2.0, sigma), linear_critic, REAL, FAKE)
        for sigma in (0.1, 1.0)
    )
    np.testing.assert_allclose(small, large, rtol=1e-4)


@pytest.mark.parametrize("sigma", [0.01, 1.0])
def test_approximate_r1_and_r2_in_expectation(sigma):
    # |x|^2/2: ((D(x + s e) - D(x)) / s)^2 = (x . e + s |e|^2/2)^2, with mean
    # |x|^2 + s^2 d (d + 2) / 4 in d = 2 dimensions; |x|^2 = 25 and 1
    real, fake = (jnp.tile(jnp.array([x]), (20000, 1)) for x in ([3.0, 4], [0.6, 0.8]))
    for name, square in (("r1", 25.0), ("r2", 1.0)):
        term = losses.REGULARIZERS[f"approximate_{name}"](2.0, sigma)
        got = value(term, square_critic, real, fake)
        np.testing.assert_allclose(got, square + 2 * sigma**2, rtol=0.06)


def test_approximate_r1_comes_near_r1():
    real = jnp.tile(jnp.array([[1.0, -2.0]]), (20000, 1))

    def critic(x):
        return DiscriminatorOutput(jnp.sin(x[:, 0]) * x[:, 1])

    exact, near = (
        value(losses.REGULARIZERS[name](1.0), critic, real, real)
        for name in ("r1", "approximate_r1")
    )
    np.testing.assert_allclose(near, exact, rtol=0.05)


@pytest.mark.parametrize("name", ["approximate_r1", "approximate_r2"])
def test_noise_of_no_size_is_refused(name):
    with pytest.raises(UsageError, match=r"0\.01"):
        losses.REGULARIZERS[name](sigma=0.0)


def scaled(factor, shape):
    """G(z) = factor * z in every entry of a sample, for z of one entry."""
    return lambda z: factor * jnp.broadcast_to(z.reshape(-1, 1, 1, 1), (len(z), *shape))


def length_term(generator, latents, mean, weight=1.0, decay=0.75):
    """Value and next memory of path_length."""
    fake = generator(latents)
    given = inputs(square_critic, fake, fake, generator=generator)
    samples = given.samples._replace(latents=latents)
    term = losses.path_length(weight, decay)
    return term.apply(given._replace(samples=samples), jnp.asarray(mean))


@pytest.mark.parametrize("shape", [(1, 1, 1), (4, 2, 1)])
def test_path_length_does_not_depend_on_the_number_of_pixels(shape):
    # J^T y = 3 sum(e) / sqrt(H W) ~ N(0, 9): its mean square is 9
    got, _ = length_term(scaled(3.0, shape), jnp.ones((8000, 1)), 0.0)
    np.testing.assert_allclose(got, 9.0, rtol=0.06)


def test_path_length_of_vectors_and_of_latents_with_many_axes():
    # G(z) = A z: J^T y = A^T e, with mean square |A|^2 = 1 + 4 + 9 + 16
    a = jnp.array([[1.0, 2.0], [3.0, 4.0]])
    got, _ = length_term(lambda z: z.reshape(-1, 2) @ a, jnp.ones((8000, 2, 1)), 0.0)
    np.testing.assert_allclose(got, 30.0, rtol=0.06)


def test_path_length_and_its_memory_by_hand():
    # lengths l: from mean m the value is w (E l^2 - 2 m E l + m^2),
    # and 3/4 m + 1/4 E l is remembered
    given = scaled(2.0, (2, 2, 1)), jnp.ones((3, 1))
    square, memory = length_term(*given, 0.0)
    first = 4 * memory
    got, memory = length_term(*given, 2.0, weight=3.0)
    np.testing.assert_allclose(got, 3 * (square - 4 * first + 4), rtol=1e-5)
    np.testing.assert_allclose(memory, 1.5 + first / 4, rtol=1e-6)
    keys = inputs(square_critic, REAL[:3], REAL[:3]).keys
    noise = jax.vmap(optax.tree.random_like)(keys, jnp.ones((3, 2, 2, 1)))
    lengths = jnp.abs(2 * jnp.asarray(noise).sum((1, 2, 3)) / 2)
    np.testing.assert_allclose(first, lengths.mean(), rtol=1e-5)


def test_path_length_wants_latents():
    with pytest.raises(UsageError, match="latents"):
        value(losses.path_length(), linear_critic, REAL, FAKE)


def test_orthogonal_against_numpy():
    rng = np.random.default_rng(0)
    dense, conv = rng.normal(size=(4, 3)), rng.normal(size=(2, 2, 3, 5))
    params = {
        "dense": {"kernel": jnp.array(dense), "bias": jnp.ones(3)},
        "conv": {"kernel": jnp.array(conv)},
        "norm": {"scale": jnp.ones((2, 2))},  # no kernel
        "odd": {"kernel": jnp.ones(7)},  # one axis
    }
    want = 0.0
    for w in (dense, conv.reshape(12, 5)):
        gram = w.T @ w
        want += np.sum((gram * (1 - np.eye(len(gram)))) ** 2)
    given = inputs(square_critic, REAL, FAKE, params=params)
    got, _ = losses.orthogonal(0.5).apply(given, ())
    np.testing.assert_allclose(got, 0.5 * want, rtol=1e-5)


def test_orthogonal_filters_of_any_length_cost_nothing():
    given = inputs(square_critic, REAL, FAKE)
    for params in ({"kernel": jnp.diag(jnp.array([1.0, 5.0]))}, {"bias": W}):
        got, _ = losses.orthogonal().apply(given._replace(params=params), ())
        assert got == 0.0

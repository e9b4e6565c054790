"""The rearranged convolutions are the plain ones, gradients of both orders included."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.networks.ops import convolutions as fast
from jaxgan.networks.ops import winograd
from jaxgan.performance.hlo import parser
from jaxgan.performance.hlo.cost import work_of

LAYOUT = ("NHWC", "HWIO", "NHWC")


def plain(x, kernel, stride):
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), "SAME", dimension_numbers=LAYOUT
    )


def plain_transposed(x, kernel, stride):
    return jax.lax.conv_transpose(
        x, kernel, (stride, stride), "SAME", dimension_numbers=LAYOUT
    )


FORMS = {"phases": fast.conv_transpose_by_phases, "depth": fast.conv_transpose_by_depth}


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("form", FORMS)
def test_the_same_sums(form, size, stride):
    rng = np.random.default_rng(0)
    for side in ((7, 8), (6, 9)):
        x = jnp.asarray(rng.integers(-8, 8, (2, *side, 3)), jnp.float32)
        kernel = jnp.asarray(rng.integers(-8, 8, (size, size, 3, 4)), jnp.float32)
        want = plain_transposed(x, kernel, stride)
        got = FORMS[form](x, kernel, stride)
        np.testing.assert_array_equal(got, want)  # small integers: exact in any order


def gradients(convolve, x, kernel, stride=2):
    """Of both orders, with respect to both."""

    def value(x, kernel):
        return jnp.sum(jnp.tanh(convolve(x, kernel, stride)))

    def penalty(x, kernel):
        return jnp.sum(jax.grad(value)(x, kernel) ** 2)

    return [jax.jit(jax.grad(f, argnums=(0, 1)))(x, kernel) for f in (value, penalty)]


@pytest.mark.parametrize("form", FORMS)
def test_gradients_of_both_orders(form):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(2, 6, 8, 3)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(5, 5, 3, 4)), jnp.float32)
    want, got = (gradients(f, x, kernel) for f in (plain_transposed, FORMS[form]))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3), got, want
    )


@pytest.fixture
def always(monkeypatch):
    """Fewer products wherever they are possible, in float64."""
    monkeypatch.setattr(
        fast, "winograd_pays_off", lambda _, sides, taps, *__: 2 <= taps <= 5
    )
    with jax.enable_x64(True):
        yield


FEWER = {
    "strided": (fast.conv_winograd, plain),
    "transposed": (fast.conv_transpose_fast, plain_transposed),
}


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [2, 3, 4, 5])
@pytest.mark.parametrize("form", FEWER)
@pytest.mark.usefixtures("always")
def test_fewer_products_are_the_same_sums(form, size, stride):
    rng = np.random.default_rng(0)
    got, want = FEWER[form]
    for side in ((7, 8), (1, 2), (17, 5), (11, 14)):  # one block, and several
        x = jnp.asarray(rng.normal(size=(2, *side, 3)))
        kernel = jnp.asarray(rng.normal(size=(size, size, 3, 4)))
        np.testing.assert_allclose(
            got(x, kernel, stride), want(x, kernel, stride), rtol=0, atol=1e-12
        )


@pytest.mark.parametrize("side", [(6, 8), (10, 18)], ids=["one block", "several"])
@pytest.mark.parametrize("form", FEWER)
@pytest.mark.usefixtures("always")
def test_fewer_products_have_the_same_gradients_of_both_orders(form, side):
    rng = np.random.default_rng(0)
    got, want = FEWER[form]
    x = jnp.asarray(rng.normal(size=(2, *side, 3)))
    kernel = jnp.asarray(rng.normal(size=(5, 5, 3, 4)))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10),
        gradients(got, x, kernel),
        gradients(want, x, kernel),
    )


@pytest.mark.parametrize(("size", "most"), [(5, 4e-6), (3, 1.3e-6)])
def test_what_fewer_products_lose_to_rounding(size, most):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 8, 8, 64))
    kernel = rng.normal(size=(size, size, 64, 32))
    with jax.enable_x64(True):
        exact = np.asarray(plain(jnp.asarray(x), jnp.asarray(kernel), 1))
    got = winograd.convolve(
        jnp.asarray(x, jnp.float32),
        jnp.asarray(kernel, jnp.float32),
        [((size - 1) // 2, size // 2)] * 2,
    )
    error = np.sqrt(np.mean((got - exact) ** 2) / np.mean(exact**2))
    assert 3e-7 < error < most  # above: it is not the plain sum


def products(convolve, x, kernel):
    """Multiplications of the compiled products of matrices and convolutions."""
    text = jax.jit(convolve).lower(x, kernel).compile().as_text()
    assert text
    return work_of(parser.parse(text), 1).flops / 2


def test_a_cpu_takes_fewer_products_where_channels_are_many():
    x, kernel = jnp.zeros((32, 7, 7, 128)), jnp.zeros((5, 5, 128, 64))
    direct = products(fast.conv_same, x, kernel)
    # of 2x2 tiles 64 products of 128 x 64 channels, and the matrices' own
    tiles = 32 * 4 * 64 * 128 * 64
    matrices = 32 * 64 * 4 * 49 * (128 + 64) + 64 * 25 * 128 * 64
    assert products(fast.conv_winograd, x, kernel) == tiles + matrices
    assert tiles + matrices < direct
    few = jnp.zeros((5, 5, 128, 16))
    assert products(fast.conv_winograd, x, few) == products(fast.conv_same, x, few)
    half = x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16)
    np.testing.assert_array_equal(fast.conv_winograd(*half), fast.conv_same(*half))

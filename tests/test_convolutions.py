"""The rearranged convolutions are the plain ones, gradients of both orders included."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.networks import convolutions as fast

LAYOUT = ("NHWC", "HWIO", "NHWC")


def plain_transposed(x, kernel, stride):
    return jax.lax.conv_transpose(
        x, kernel, (stride, stride), "SAME", dimension_numbers=LAYOUT
    )


FORMS = {"phases": fast.by_phases, "depth": fast.by_depth}


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


@pytest.mark.parametrize("form", FORMS)
def test_gradients_of_both_orders(form):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(2, 6, 8, 3)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(5, 5, 3, 4)), jnp.float32)

    def gradients(convolve):
        def value(x, kernel):
            return jnp.sum(jnp.tanh(convolve(x, kernel, 2)))

        def penalty(x, kernel):
            return jnp.sum(jax.grad(value)(x, kernel) ** 2)

        return [
            jax.jit(jax.grad(f, argnums=(0, 1)))(x, kernel) for f in (value, penalty)
        ]

    want, got = (gradients(f) for f in (plain_transposed, FORMS[form]))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3), got, want
    )

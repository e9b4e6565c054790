"""Convolutions for CPUs are the plain ones, gradients of both orders included."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_convolutions import gradients, plain, plain_transposed

from jaxgan.networks.ops import cpu_convolutions as cpu
from jaxgan.networks.ops import trilinear
from jaxgan.networks.ops.convolutions import conv_same


def integers(*shape):
    """Small ones, whose sums are exact in any order."""
    values = np.random.default_rng(0).integers(-8, 8, shape)
    return jnp.asarray(values, jnp.float32)


@pytest.mark.parametrize("padding", ["SAME", "VALID", [(3, 0), (1, 2)]])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 3, 4])
def test_patches_times_kernel_are_the_same_sums(size, stride, padding):
    x, kernel = integers(2, 4, 5, 3), integers(size, size, 3, 5)
    want = conv_same(x, kernel, stride, padding=padding)
    pads = cpu.zeros_around(x, kernel, stride, padding)
    np.testing.assert_array_equal(cpu.conv_matmul(x, kernel, pads, stride), want)
    got = cpu.conv_cpu(x, kernel, stride, padding=padding)
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("size", [1, 5, 9])
def test_squares_as_pixels_are_the_same_sums(size, factor):
    kernel = integers(size, size, 2, 3)
    for padding in ("SAME", [(size - 1, 0), (size - 1, 0)]):
        x = integers(2, 8, 12, 2)
        pads = cpu.zeros_around(x, kernel, 1, padding)
        got = cpu.conv_by_depth(x, kernel, pads, factor)
        np.testing.assert_array_equal(got, conv_same(x, kernel, padding=padding))


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 4])
def test_transposed_ones_of_few_pixels_are_the_same_sums(size, stride):
    for side in ((1, 1), (1, 3)):
        x, kernel = integers(2, *side, 3), integers(size, size, 3, 4)
        want = plain_transposed(x, kernel, stride)
        np.testing.assert_array_equal(cpu.conv_transpose_cpu(x, kernel, stride), want)


CASES = {
    "few pixels": (cpu.conv_cpu, plain, (4, 4, 3), (4, 4, 3, 5)),
    "few features": (
        lambda x, kernel, stride: cpu.conv_cpu(x, kernel),
        lambda x, kernel, stride: plain(x, kernel, 1),
        (8, 8, 5),
        (7, 7, 5, 3),
    ),
    "transposed": (cpu.conv_transpose_cpu, plain_transposed, (2, 2, 3), (4, 4, 3, 5)),
}


@pytest.mark.parametrize("case", CASES)
def test_gradients_of_both_orders(case):
    got, want, shape, kernel_shape = CASES[case]
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(2, *shape)), jnp.float32)
    kernel = jnp.asarray(0.05 * rng.normal(size=kernel_shape), jnp.float32)
    assert str(jax.make_jaxpr(lambda *a: got(*a, 2))(x, kernel)) != str(
        jax.make_jaxpr(lambda *a: want(*a, 2))(x, kernel)
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3),
        gradients(got, x, kernel),
        gradients(want, x, kernel),
    )


@pytest.mark.parametrize(
    ("shape", "sides", "factor"),
    [
        ((7, 7, 16, 3), (64, 64), 4),
        ((9, 9, 32, 1), (62, 64), 2),
        ((5, 5, 16, 3), (28, 28), 2),
        ((7, 7, 3, 16), (64, 64), 2),
        ((7, 7, 16, 3), (63, 64), 1),
        ((7, 7, 3, 64), (64, 64), 1),
        ((3, 3, 64, 3), (64, 64), 1),
    ],
)
def test_squares_are_for_large_kernels_of_few_channels(shape, sides, factor):
    assert cpu.depth_factor(jnp.zeros(shape), list(sides)) == factor


@pytest.mark.parametrize(
    ("size", "stride", "padding"),
    [(3, 1, "VALID"), (4, 2, "SAME"), (5, 2, "SAME"), (3, 1, [(0, 2), (1, 0)])],
)
def test_derivatives_of_all_orders_are_those_of_xla(size, stride, padding):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(2, 8, 6, 3)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(size, size, 3, 4)), jnp.float32)
    pads = cpu.zeros_around(x, kernel, stride, padding)

    def derivatives(convolve):
        def total(x, kernel):
            return jnp.sum(jnp.tanh(convolve(x, kernel)))

        def penalty(x, kernel):
            of_x, of_kernel = jax.grad(total, (0, 1))(x, kernel)
            return jnp.sum(of_x**2) + jnp.sum(of_kernel**4)

        first = jax.jit(jax.value_and_grad(total, (0, 1)))(x, kernel)
        return first, jax.jit(jax.grad(penalty, (0, 1)))(x, kernel)

    first, second = derivatives(
        lambda x, kernel: trilinear.convolve(x, kernel, stride, pads)
    )
    want, penalties = derivatives(
        lambda x, kernel: conv_same(x, kernel, stride, padding=padding)
    )
    jax.tree.map(np.testing.assert_array_equal, first, want)
    for got, other in zip(second, penalties, strict=True):
        np.testing.assert_allclose(got, other, rtol=1e-4, atol=1e-3)


def test_no_kernel_of_a_penalty_is_larger_than_its_image():
    """XLA for CPU exchanges these two, and has no fast form for the result."""

    def penalty(kernel, x):
        def critic(x):
            return jnp.sum(jnp.tanh(cpu.conv_cpu(x, kernel, 2)))

        return jnp.sum(jax.grad(critic)(x) ** 2)

    shapes = jnp.zeros((4, 4, 3, 4)), jnp.zeros((2, 16, 16, 3))
    text = jax.jit(jax.grad(penalty)).lower(*shapes).compile().as_text()
    assert text
    assert "convolution(" in text
    assert "rhs_reversal" not in text

"""The wide residual pair: counts, shapes, how it starts, and its resampling."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.config.resolve import make_config
from jaxgan.errors import UsageError
from jaxgan.gan import builder
from jaxgan.networks import r3gan
from jaxgan.networks.ops import convolutions
from jaxgan.networks.ops.convolutions import grouped_conv_matmul, grouped_conv_tpu
from jaxgan.types import image_example

KEY = jax.random.key(0)
PAIR = r3gan.pair(8, 1, example=image_example((8, 8, 1)))


def counts(tree):
    """Parameters by layer."""
    return {k: sum(math.prod(x.shape) for x in jax.tree.leaves(v)) for k, v in tree}


def made(shape, latents=64, **options):
    """Shapes of both players' parameters."""
    nets = r3gan.pair(example=image_example(shape), **options)
    z, x = jnp.zeros((1, latents)), jnp.zeros((1, *shape))
    return [
        jax.eval_shape(lambda net=net, x=x: net.init(KEY, x, train=False))["params"]
        for net, x in zip(nets, (z, x), strict=True)
    ]


def test_twenty_million_parameters_each_layer_by_layer():
    generator, discriminator = (counts(tree.items()) for tree in made((32, 32, 3)))
    # 768 to 1536, 3x3 in groups of 16, back to 768; a bias after each of the first two
    block = 2 * 768 * 1536 + 9 * 16 * 1536 + 2 * 1536
    blocks = {f"block_{level}_{i}": block for level in range(4) for i in range(2)}
    start = 4 * 4 * 768 + (64 + 1) * 768
    assert generator == {**blocks, "start": start, "colours": (768 + 1) * 3}
    ends = {"colours": (3 + 1) * 768, "everywhere": 4 * 4 * 768, "logit": 768 + 1}
    assert discriminator == {**blocks, **ends}
    assert sum(generator.values()) == 20_732_931
    assert sum(discriminator.values()) == 20_684_545
    said = r3gan.pair.__doc__ or ""
    assert "20,732,931 and 20,684,545" in said


def test_channels_change_only_above_64_pixels():
    generator, discriminator = made((128, 128, 3), width=32, blocks=1)
    for tree in (generator, discriminator):
        changes = {k: v["kernel"].shape for k, v in tree.items() if "change" in k}
        assert len(changes) == 1
        assert set(*changes.values()) == {32, 16}


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 48, 3), (17, 30, 4), (3, 5, 2)])
def test_any_size_and_channels(shape):
    nets = r3gan.pair(8, 1, example=image_example(shape))
    image, _ = nets.generator.init_with_output(KEY, 9 * jnp.ones((2, 5)), train=False)
    assert image.shape == (2, *shape)
    assert float(jnp.abs(image).max()) == 1.0  # cut when sampling
    critique, _ = nets.discriminator.init_with_output(KEY, image, train=False)
    assert critique.logits.shape == (2,)
    assert critique.features.shape == (2, 8)


def test_a_generator_in_training_is_not_cut():
    image, _ = PAIR.generator.init_with_output(KEY, 99 * jnp.ones((2, 5)), train=True)
    assert float(jnp.abs(image).max()) > 1.0


@pytest.mark.parametrize(("width", "near"), [(20, 16), (30, 32), (3, 8), (-8, 8)])
def test_a_width_without_whole_groups_names_one_that_works(width, near):
    with pytest.raises(UsageError, match=f"such as {near}$"):
        r3gan.pair(width, example=image_example((8, 8, 1)))
    r3gan.pair(near, example=image_example((8, 8, 1)))


def test_what_else_does_not_fit():
    with pytest.raises(UsageError, match="use mlp"):
        r3gan.pair(example=image_example((2,)))
    with pytest.raises(UsageError, match="blocks=0"):
        r3gan.pair(8, 0, example=image_example((8, 8, 1)))


def test_a_block_begins_as_the_identity_and_its_kernels_by_fixups_rule():
    x = jax.random.normal(KEY, (2, 4, 4, 64))
    y, variables = r3gan.Block(total=16).init_with_output(KEY, x)
    np.testing.assert_array_equal(y, x)
    params: Any = variables["params"]
    # He's deviation for slope 0.2, sqrt(2 / 1.04 / fan_in), and 16^(-1/4) = 1/2 of it;
    # 8,192 and 18,432 draws have it within 3 %
    for name, fan_in in (("expand", 64), ("grouped", 9 * 16)):
        want = (2 / 1.04 / fan_in) ** 0.5 / 2
        assert abs(float(params[name]["kernel"].std()) / want - 1) < 0.03


@pytest.mark.parametrize("lanes", [0, 16, 32, 128])
@pytest.mark.parametrize("few", [0, 60])
def test_grouped_convolutions_are_xlas_gradients_included(lanes, few, monkeypatch):
    # 60 pixels: one convolution for each block, or one for all
    monkeypatch.setattr(convolutions, "FEW_POSITIONS", few)
    x = jax.random.normal(KEY, (2, 5, 6, 96))
    kernel = jax.random.normal(KEY, (3, 3, 16, 96))

    def plain(x, kernel):
        layout = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=layout, feature_group_count=6
        )

    def ours(x, kernel):
        return (
            grouped_conv_tpu(x, kernel, lanes)
            if lanes
            else grouped_conv_matmul(x, kernel)
        )

    def gradients(convolve):
        value = jax.grad(lambda *args: jnp.sum(jnp.tanh(convolve(*args) / 20)), (0, 1))
        return convolve(x, kernel), value(x, kernel)

    want, got = gradients(plain), gradients(ours)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), got, want)


@pytest.mark.parametrize(("side", "count"), [(8, 1), (9, 6)])
def test_few_pixels_have_one_grouped_convolution_on_a_tpu(side, count):
    x = jax.ShapeDtypeStruct((16, side, side, 768), jnp.bfloat16)
    kernel = jax.ShapeDtypeStruct((3, 3, 16, 768), jnp.bfloat16)
    equations = jax.make_jaxpr(grouped_conv_tpu)(x, kernel).eqns
    found = [e for e in equations if e.primitive.name == "conv_general_dilated"]
    assert [e.params["feature_group_count"] for e in found] == (
        [6] if count == 1 else [1] * count
    )
    # both multiply blocks of 128 channels
    assert {e.invars[1].aval.shape[2] for e in found} == {128}


def test_resampling_keeps_constants_and_lines():
    flat = jnp.full((1, 4, 6, 2), 0.7)
    np.testing.assert_allclose(r3gan.upsample(flat), jnp.full((1, 8, 12, 2), 0.7))
    np.testing.assert_allclose(
        r3gan.downsample(flat), jnp.full((1, 2, 3, 2), 0.7), rtol=1e-6
    )
    line = jnp.broadcast_to(jnp.arange(8.0)[:, None, None], (1, 8, 8, 1))
    # rows 0, 2, 4, 6; above row 0 stands row 0 once more
    down = r3gan.downsample(line)[0, :, 0, 0]
    np.testing.assert_allclose(down, [0.25, 2.0, 4.0, 6.0])
    up = r3gan.upsample(line)[0, :, 0, 0]
    np.testing.assert_allclose(up, [*np.arange(0, 7.5, 0.5), 7.0])


def test_up_is_the_transpose_of_down_inside():
    x = jnp.zeros((1, 8, 8, 1)).at[0, 4, 4, 0].set(1.0)
    _, pull = jax.vjp(r3gan.downsample, jnp.zeros((1, 16, 16, 1)))
    np.testing.assert_allclose(4 * pull(x)[0], r3gan.upsample(x))


def test_second_derivatives_by_both_modes():
    """The slope's gradient backwards is its derivative forwards, along a direction."""
    x = jax.random.normal(KEY, (2, 8, 8, 1))
    net = PAIR.discriminator
    start: Any = net.init(KEY, x, train=True)
    params = jax.tree.map(lambda p: p + 0.1, start)  # no kernel is zero

    def penalty(params):
        def value(x):
            critique: Any = net.apply(params, x, train=True)
            return critique.logits.sum()

        return jnp.mean(jax.grad(value)(x) ** 2)

    along = jax.tree.map(lambda p: jax.random.normal(KEY, p.shape), params)
    grads = jax.jit(jax.grad(penalty))(params)
    forwards = jax.jit(lambda p, a: jax.jvp(penalty, (p,), (a,))[1])(params, along)
    backwards = sum(jax.tree.leaves(jax.tree.map(jnp.vdot, grads, along)))
    assert abs(float(forwards)) > 1e-3
    np.testing.assert_allclose(backwards, forwards, rtol=1e-4)


def test_rematerialised_blocks_have_the_same_parameters():
    plain = made((8, 8, 1), width=8, blocks=2)
    again = made((8, 8, 1), width=8, blocks=2, remat=True)
    assert jax.tree.structure(plain) == jax.tree.structure(again)


def test_the_preset_has_the_papers_numbers_at_both_ends_of_the_burn_in():
    chosen = make_config(preset="residual", networks="residual(8, 1)")
    assert 39_062 * chosen.batch_size == pytest.approx(20e6, rel=1e-4)
    assert chosen.steps * chosen.batch_size == pytest.approx(250e6, rel=1e-4)
    built = builder.build_gan(chosen, image_example((8, 8, 3)))
    state = jax.eval_shape(built.init, KEY)
    assert state.params.generator["start"]["basis"].shape == (4, 4, 8)


def test_a_conditional_pair_has_the_papers_parameters():
    nets = r3gan.pair(conditional=True, example=image_example((32, 32, 3), classes=10))
    label = jnp.zeros(1, jnp.int32)
    sizes = []
    for net, x in zip(
        nets, (jnp.zeros((1, 64)), jnp.zeros((1, 32, 32, 3))), strict=True
    ):
        init = jax.eval_shape(lambda n=net, x=x: n.init(KEY, x, label, train=False))
        sizes.append(sum(counts(init["params"].items()).values()))
    # 20.78 and 21.28 million in the paper.
    assert sizes == [20_782_723, 21_282_048]
    with pytest.raises(UsageError, match="needs labels or attributes"):
        r3gan.pair(8, 1, True, example=image_example((8, 8, 1)))


def test_a_conditional_pair_reads_labels():
    nets = r3gan.pair(8, 1, True, example=image_example((4, 4, 1), classes=3))
    z, x, label = jnp.ones((2, 5)), jnp.ones((2, 4, 4, 1)), jnp.array([0, 1])
    rng = np.random.default_rng(0)
    for net, inputs in zip(nets, (z, x), strict=True):
        init = functools.partial(net.init, train=False)
        variables = jax.tree.map(
            lambda leaf: rng.normal(size=leaf.shape).astype(np.float32),
            jax.eval_shape(init, KEY, inputs, label),
        )
        call = jax.jit(functools.partial(net.apply, train=True))
        first, second = jax.tree.leaves(call(variables, inputs, label))[0]
        assert float(jnp.abs(first - second).max()) > 1e-3
        with pytest.raises(UsageError, match="r3gan needs labels"):
            jax.eval_shape(init, KEY, inputs)

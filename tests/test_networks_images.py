"""Networks that map images to images: by hand, by gradients and by invariances."""

import itertools
import math
import zlib
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from games import differs, same
from PIL import Image

from jaxgan.config.resolve import make_config
from jaxgan.errors import FieldError, UsageError
from jaxgan.gan import builder
from jaxgan.networks import (
    DISCRIMINATORS,
    GENERATORS,
    NETWORKS,
    images,
    super_resolution,
    wrappers,
)
from jaxgan.networks.gated import PartialConv, window_means
from jaxgan.networks.image_to_image import image_to_image, two_domains
from jaxgan.networks.layers import InstanceNorm
from jaxgan.networks.ops import convolutions
from jaxgan.networks.ops.arrays import depth_to_space
from jaxgan.networks.patch import Patch, logits_size, patch, receptive_field
from jaxgan.networks.precision import MixedPrecision, with_precision
from jaxgan.networks.super_resolution import upsample_bicubic
from jaxgan.tasks import TASKS
from jaxgan.types import (
    DiscriminatorOutput,
    ExampleSpec,
    Field,
    Players,
    Samples,
    Task,
    image_example,
)

KEY = jax.random.key(0)
TINY = {
    "unet": "unet(4, dropout=0)",
    "resnet_generator": "resnet_generator(4, 1)",
    "srresnet": "srresnet(4, 1, factor=2)",
    "rrdb": "rrdb(4, 2, 1, factor=2)",
    "gated_unet": "gated_unet(4)",
    "partial_unet": "partial_unet(4)",
}


def normal(*shape, seed=0):
    """Standard normal numbers, the same for the same seed."""
    rng = np.random.default_rng(seed)
    return jnp.asarray(rng.normal(size=shape), jnp.float32)


def pair_of(text, size=16, channels=3, **more) -> Players[Any]:
    """Both networks of a text, for square pictures."""
    example = image_example((size, size, channels), **more)
    return builder.build_networks(make_config(networks=text), {"example": example})


def generator_of(text, size=16, channels=3, **more) -> Any:
    around = f"image_to_image(generator={text}, discriminator=patch(2, layers=1))"
    return pair_of(around, size, channels, **more).generator


def made(net, *args) -> Any:
    """Variables of a network, none of which is zero; nothing is compiled."""

    def drawn(path, leaf):
        name, shape = path[-1].key, leaf.shape
        x = normal(*shape, seed=zlib.crc32(str(path).encode()))
        if len(shape) > 1:
            return x * (2 / math.prod(shape[:-1])) ** 0.5
        return 0.1 * x + (name in ("scale", "var"))

    shapes = jax.eval_shape(lambda *x: net.init(KEY, *x, train=False), *args)
    return jax.tree_util.tree_map_with_path(drawn, shapes)


def out(net, variables, *args):
    """Returns the output of a network outside of training."""
    return jax.jit(lambda *x: net.apply(*x, train=False))(variables, *args)


def input_of(name, size=16, batch=2):
    """Inputs of a generator of `TINY`, with the size as side, or half of it."""
    if name in ("srresnet", "rrdb"):
        return jnp.tanh(normal(batch, size // 2, size // 2, 3))
    x = jnp.tanh(normal(batch, size, size, 3))
    if name not in ("gated_unet", "partial_unet"):
        return x
    hole = jnp.zeros((batch, size, size, 1)).at[:, 2:9, 4:12].set(1.0)
    return jnp.concatenate([x * (1 - hole), hole], -1)


def count(net, *args):
    """Number of parameters."""
    shapes = jax.eval_shape(lambda *x: net.init(KEY, *x, train=False), *args)
    return sum(math.prod(x.shape) for x in jax.tree.leaves(shapes["params"]))


def conv(size, *channels, bias=True):
    """Parameters of convolutions with as many channels, one after the other."""
    pairs = itertools.pairwise(channels)
    return sum(size**2 * a * b + bias * b for a, b in pairs)


# the shapes, by hand


def test_unet_in_numbers():
    # 64 pixels are halved five times; the innermost and the first layer have a bias
    x = jax.ShapeDtypeStruct((1, 64, 64, 1), jnp.float32)
    down = conv(4, 1, 8) + conv(4, 8, 16, 32, 64, bias=False) + conv(4, 64, 64)
    norms = 2 * (16 + 32 + 64) + 2 * (64 + 32 + 16 + 8)
    up = sum(conv(4, a, b, bias=False) for a, b in ((64, 64), (128, 32), (64, 16)))
    up += conv(4, 32, 8, bias=False) + conv(4, 16, 3)
    net = generator_of("unet(8)", 64)
    assert (net.depth, net.multiple) == (5, 32)
    assert count(net, x) == down + norms + up
    # That of pix2pix's code has no bias in the layers without BatchNorm.
    whole = generator_of("unet(depth=8)", 256)
    found = count(whole, jax.ShapeDtypeStruct((1, 256, 256, 3), jnp.float32))
    assert found == 54_413_955 + 64 + 512
    plain = generator_of("unet(8, depth=2, norm='none')", 64)
    layers = conv(4, 1, 8, 16) + conv(4, 16, 8) + conv(4, 16, 3)
    assert count(plain, x) == layers


def test_patch_in_numbers():
    x = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    norms = 2 * (8 + 16 + 32)
    once = conv(4, 6, 4) + conv(4, 4, 8, 16, 32, bias=False) + norms + conv(4, 32, 1)
    assert count(Patch(4), x, x) == once
    assert count(Patch(4, scales=2, layers=2), x, x) == 2 * (
        conv(4, 6, 4) + conv(4, 4, 8, 16, bias=False) + 2 * (8 + 16) + conv(4, 16, 1)
    )
    # pix2pix's 70 x 70 PatchGAN with BatchNorm, of image and source
    net = patch(norm="batch")(example=image_example((256, 256, 3)))
    y = jax.ShapeDtypeStruct((1, 256, 256, 3), jnp.float32)
    assert count(net, y, y) == 2_768_705


def test_resnet_generator_in_numbers():
    x = jax.ShapeDtypeStruct((1, 16, 16, 1), jnp.float32)
    blocks = 2 * (conv(3, 32, 32, 32, bias=False) + 4 * 32)
    down = conv(7, 1, 8, bias=False) + conv(4, 8, 16, 32, bias=False)
    up = conv(4, 32, 16, 8, bias=False) + conv(7, 8, 3)
    norms = 2 * (8 + 16 + 32) + 2 * (16 + 8)
    net = generator_of("resnet_generator(8, 2)")
    assert count(net, x) == down + blocks + up + norms
    labels = jax.ShapeDtypeStruct((1,), jnp.int32)
    net = generator_of("resnet_generator(8, 2)", classes=5)
    # For each norm, a scale and a shift of every channel, with biases.
    channels = 8 + 16 + 32 + 4 * 32 + 16 + 8
    assert count(net, x, labels) == down + blocks + up + norms + 6 * 2 * channels


def test_super_resolution_in_numbers():
    x = jax.ShapeDtypeStruct((1, 4, 4, 3), jnp.float32)
    net = generator_of("srresnet(8, 3, factor=4)")
    blocks = 3 * conv(3, 8, 8, 8) + conv(3, 8, 8)
    assert count(net, x) == conv(9, 3, 8) + blocks + 2 * conv(3, 8, 32) + conv(3, 8, 3)
    dense = sum(conv(3, 8 + 2 * i, 2) for i in range(4)) + conv(3, 16, 8)
    net = generator_of("rrdb(8, 2, blocks=2, factor=4)")
    layers = conv(3, 3, 8) + 2 * 3 * dense + conv(3, 8, 8, 8, 8, 8, 3)
    assert count(net, x) == layers


def test_inpainting_in_numbers():
    x = jax.ShapeDtypeStruct((1, 16, 16, 4), jnp.float32)
    down = conv(3, 4, 8) + conv(4, 4, 8) + conv(4, 4, 16) + conv(4, 8, 32)
    up = conv(4, 16, 16) + conv(4, 16, 8) + conv(4, 8, 8) + conv(3, 8, 3)
    assert count(generator_of("gated_unet(4)"), x) == down + up
    down = conv(5, 3, 4) + conv(3, 4, 8, 16)
    up = conv(3, 16 + 8, 8) + conv(3, 8 + 4, 4) + conv(3, 4 + 3, 4) + conv(3, 4, 3)
    assert count(generator_of("partial_unet(4)"), x) == down + up


@pytest.mark.parametrize("name", TINY)
def test_outputs_are_images_of_the_size_and_channels_of_the_data(name):
    net = generator_of(TINY[name], 32, channels=1)
    for height, width in ((32, 32), (32, 64)):
        source = jnp.zeros((2, height, width, 4))
        if name in ("srresnet", "rrdb"):
            source = source[:, ::2, ::2, :1]
        variables = jax.eval_shape(lambda x: net.init(KEY, x, train=False), source)
        y: Any = jax.eval_shape(
            lambda v, x: net.apply(v, x, train=False), variables, source
        )
        assert y.shape == (2, height, width, 1)
    x = input_of(name)
    y = out(net := generator_of(TINY[name]), made(net, x), x)
    assert float(jnp.abs(y).max()) <= 1
    assert float(y.std()) > 0.01


# what a logit sees


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_logit_reads_its_receptive_field(layers):
    field, step = receptive_field(layers), 2**layers
    size = 2 * field + 4 * step
    x = normal(1, size, size, 1)
    net: Any = Patch(1, layers, norm="none")
    variables = made(net, x)
    middle = logits_size(size, layers) // 2
    slopes = jax.jit(
        jax.grad(lambda x: net.apply(variables, x, train=False).logits[0, middle, 0])
    )(x)
    read = np.flatnonzero(np.abs(slopes).sum((0, 2, 3)))
    assert np.ptp(read) + 1 == len(read) == field
    later = jax.jit(
        jax.grad(
            lambda x: net.apply(variables, x, train=False).logits[0, middle + 1, 0]
        )
    )(x)
    after = np.flatnonzero(np.abs(later).sum((0, 2, 3)))
    np.testing.assert_array_equal(after, read + step)


@pytest.mark.parametrize(("size", "layers"), [(24, 3), (33, 2), (64, 3), (70, 1)])
def test_number_of_logits(size, layers):
    net = patch(2, layers)(example=image_example((size, size, 1)))
    x = jax.ShapeDtypeStruct((3, size, size, 1), jnp.float32)
    y = jax.eval_shape(lambda x: net.init_with_output(KEY, x, train=False)[0], x)
    side = logits_size(size, layers)
    assert y.logits.shape == (3, side, side)
    assert [z.shape[-1] for z in y.features] == [2, 4, 8, 16][: layers + 1]
    assert y.features[-1].shape[1] == side + 1


def test_each_scale_judges_means_of_the_previous_ones_pixels():
    x = normal(2, 32, 32, 2)
    net = Patch(2, 2, scales=2)
    variables = made(net, x)
    judged: Any = out(net, variables, x)
    assert [z.shape for z in judged.logits] == [(2, 6, 6), (2, 2, 2)]
    means = np.asarray(x).reshape(2, 16, 2, 16, 2, 2).mean((2, 4))
    own = {"params": {"scale_0": variables["params"]["scale_1"]}}
    alone: Any = out(Patch(2, 2), own, jnp.asarray(means))
    np.testing.assert_allclose(judged.logits[1], alone.logits, rtol=1e-4, atol=1e-5)


def test_the_discriminator_sees_the_images_of_the_condition():
    x = normal(2, 16, 16, 3)
    small = normal(2, 8, 8, 2, seed=1)
    condition = {"source": small, "label": jnp.zeros(2, jnp.int32)}
    variables = made(Patch(2, 1), x, condition)
    assert variables["params"]["scale_0"]["Conv_0"]["kernel"].shape[2] == 5
    large = jnp.asarray(np.asarray(small).repeat(2, 1).repeat(2, 2))
    same(
        out(Patch(2, 1), variables, x, condition), out(Patch(2, 1), variables, x, large)
    )
    moved = {**condition, "source": small + 1}
    first, second = (out(Patch(2, 1), variables, x, c) for c in (condition, moved))
    assert differs(first.logits, second.logits)
    blind = Patch(2, 1, conditional=False)
    own = made(blind, x, condition)
    assert own["params"]["scale_0"]["Conv_0"]["kernel"].shape[2] == 3
    same(out(blind, own, x, condition), out(blind, own, x, moved))


# parts by hand


def test_pixel_shuffle_by_hand():
    x = jnp.arange(2 * 9.0).reshape(1, 1, 2, 9)
    np.testing.assert_array_equal(
        depth_to_space(x, 3)[0, :, :, 0],
        [[0, 1, 2, 9, 10, 11], [3, 4, 5, 12, 13, 14], [6, 7, 8, 15, 16, 17]],
    )


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_bicubic_enlargement_is_pillows(factor):
    x = np.asarray(normal(7, 5))
    size = 5 * factor, 7 * factor
    want = np.asarray(Image.fromarray(x).resize(size, Image.Resampling.BICUBIC))
    got = upsample_bicubic(jnp.asarray(x)[None, :, :, None], factor)[0, :, :, 0]
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["srresnet", "rrdb"])
def test_untrained_super_resolution_is_bicubic(name, monkeypatch):
    # Random numbers would take seconds to compile.
    for init in ("HE", "SMALL"):
        ones = nn.initializers.constant(0.01)
        monkeypatch.setattr(super_resolution, init, ones)
    net, x = generator_of(TINY[name]), input_of(name)
    start: Any = net.init(KEY, x, train=False)
    want = jnp.clip(upsample_bicubic(x, 2), -1, 1)
    same(out(net, start, x), want)
    # the last layer alone has a gradient at first, but it has one
    loss = jax.jit(jax.grad(lambda v: jnp.mean(net.apply(v, x, train=True) ** 2)))
    grads: Any = loss(start)["params"]
    last = max(
        (name for name in grads if name.startswith("Conv_")),
        key=lambda name: int(name[5:]),
    )
    assert float(jnp.abs(grads[last]["kernel"]).max()) > 0


def test_instance_norm_is_numpys():
    x = 3 + 2 * normal(2, 5, 6, 3)
    scale, bias = np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, -1.0])
    params = {"scale": jnp.asarray(scale), "bias": jnp.asarray(bias)}
    wide = np.asarray(x, np.float64)
    mean, var = wide.mean((1, 2), keepdims=True), wide.var((1, 2), keepdims=True)
    want = (wide - mean) / np.sqrt(var + 1e-5) * scale + bias
    got: Any = InstanceNorm().apply({"params": params}, x)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_partial_convolution_by_hand():
    # Two pixels are known, in opposite corners of 5 x 5; ones as kernel, and a bias.
    known = np.zeros((1, 5, 5, 1), np.float32)
    known[0, 0, 0], known[0, 4, 3] = 1, 1
    x = known * np.array([2.0, 4.0], np.float32)
    x[0, 4, 3] *= 5
    kernel = jnp.ones((3, 3, 2, 1))
    params = {"params": {"Conv_0": {"kernel": kernel}, "bias": jnp.array([100.0])}}
    found: Any = PartialConv(1, 3).apply(params, jnp.asarray(x), jnp.asarray(known))
    y, new = found
    want = np.zeros((5, 5), bool)
    want[:2, :2] = want[3:, 2:] = True
    np.testing.assert_array_equal(new[0, :, :, 0], want)
    # One known pixel of nine counts nine times; where none is, 0 without the bias.
    np.testing.assert_allclose(y[0, :2, :2, 0], 9 * (2 + 4) + 100, rtol=1e-6)
    np.testing.assert_allclose(y[0, 3:, 2:, 0], 9 * 5 * (2 + 4) + 100, rtol=1e-6)
    np.testing.assert_array_equal(y[0, 2], 0)


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (3, 2), (5, 2)])
def test_windows_are_those_of_the_convolution(size, stride):
    x = jnp.asarray(np.random.default_rng(0).integers(0, 2, (2, 7, 8, 1)), jnp.float32)
    ones = jnp.ones((size, size, 1, 1))
    want = convolutions.conv_same(x, ones, stride) / size**2
    np.testing.assert_allclose(window_means(x, size, stride), want, rtol=1e-6)


def test_what_is_in_holes_does_not_matter_to_partial_convolutions():
    net, x = generator_of(TINY["partial_unet"]), input_of("partial_unet")
    variables = made(net, x)
    hole = x[..., -1:] > 0
    other = jnp.where(hole & (jnp.arange(4) < 3), 9.0, x)
    same(out(net, variables, x), out(net, variables, other))
    changed = x.at[:, 15, 15, 0].add(1.0)
    assert differs(out(net, variables, x), out(net, variables, changed))


def test_gated_convolutions_read_the_mask():
    net, x = generator_of(TINY["gated_unet"]), input_of("gated_unet")
    variables = made(net, x)
    moved = x.at[..., -1].add(0.5)
    assert differs(out(net, variables, x), out(net, variables, moved))


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_a_label_reaches_the_output(norm):
    net = generator_of(f"resnet_generator(2, 1, norm={norm!r})", 8, classes=3)
    x = normal(2, 8, 8, 3)
    variables = made(net, x, jnp.array([2, 0]))
    got = [out(net, variables, x, jnp.array(own)) for own in ([2, 0], [2, 1])]
    same(got[0][0], got[1][0])
    assert np.abs(got[0][1] - got[1][1]).max() > 0.01


def test_a_label_scales_and_shifts_what_the_norm_returns():
    net = generator_of("resnet_generator(2, 0)", 8, classes=3)
    x, labels = normal(1, 8, 8, 3), jnp.array([2])
    params = made(net, x, labels)["params"]
    # g x + b, scaled by 1 + s and shifted by t, is (1 + s) g x + (1 + s) b + t.
    plain = {name: own for name, own in params.items() if "Dense" not in name}
    for i in range(5):
        dense = params[f"Dense_{i}"]
        scale, shift = jnp.split(dense["kernel"][2] + dense["bias"], 2)
        norm = params[f"InstanceNorm_{i}"]
        plain[f"InstanceNorm_{i}"] = {
            "scale": (1 + scale) * norm["scale"],
            "bias": (1 + scale) * norm["bias"] + shift,
        }
    want = net.apply({"params": plain}, x, train=False)
    got = out(net, {"params": params}, x, labels)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_labels_and_attributes_as_codes():
    both = {"label": jnp.array([1, 0]), "attributes": jnp.array([[0.0, 1.0], [1, 1]])}
    np.testing.assert_array_equal(
        images.codes(both, 2, jnp.float32), [[0, 1, 0, 1], [1, 1, 1, 0]]
    )
    assert images.codes(None, 2, jnp.float32) is None
    with pytest.raises(UsageError, match="a label needs classes"):
        images.codes(jnp.array([1]), 0, jnp.float32)
    with pytest.raises(UsageError, match=r"labels \[B\] and attributes \[B, k\]"):
        images.codes(normal(1, 2, 2, 3), 2, jnp.float32)


def test_nearest_resizing():
    x = normal(1, 3, 2, 2)
    got = images.resize_nearest(x, (6, 3))
    np.testing.assert_array_equal(
        got[0, :, :, 0], x[0, [0, 0, 1, 1, 2, 2]][:, [0, 0, 1], 0]
    )


@pytest.mark.parametrize("padding", ["VALID", ((1, 1), (1, 1)), ((0, 2), (3, 0))])
@pytest.mark.parametrize("size", [3, 4])
def test_fewer_products_with_other_padding(padding, size, monkeypatch):
    monkeypatch.setattr(convolutions, "winograd_pays_off", lambda *_: True)
    for side in ((7, 8), (11, 14)):
        x, kernel = normal(2, *side, 3), normal(size, size, 3, 4)
        got = convolutions.conv_winograd(x, kernel, padding=padding)
        want = convolutions.conv_same(x, kernel, padding=padding)
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-3)


# invariances


CROPS = {
    "unet(2, depth=2, norm='batch')": 12,
    "resnet_generator(2, 1, norm='none')": 24,
    "gated_unet(2, depth=2)": 12,
    "srresnet(2, 1, factor=2)": 12,
    "rrdb(2, 1, 1, factor=2)": 20,
}
"""Networks without statistics of whole images, and pixels that their outputs read."""


@pytest.mark.parametrize("text", CROPS)
def test_a_tile_has_no_seam(text):
    """Inside of a margin, the output for a tile is that for the whole image."""
    margin = CROPS[text]
    net: Any = generator_of(text, 64)
    multiple = getattr(net, "multiple", 1)
    first, side = 2 * multiple, 2 * margin + 8
    side += -side % multiple
    x = jnp.tanh(
        normal(1, first + side + 8, first + side + 8, 4 if "gated" in text else 3)
    )
    variables = made(net, x)
    whole = np.asarray(out(net, variables, x))
    tile = out(net, variables, x[:, first : first + side, first : first + side])
    scale = whole.shape[1] // x.shape[1]
    inside = slice(scale * margin, scale * (side - margin))
    there = slice(scale * (first + margin), scale * (first + side - margin))
    np.testing.assert_allclose(
        tile[:, inside, inside], whole[:, there, there], rtol=1e-4, atol=1e-5
    )
    assert differs(
        tile[:, :scale],
        whole[:, scale * first : scale * (first + 1)][
            :, :, scale * first : scale * (first + side)
        ],
    )


def test_two_devices_train_like_one():
    """BatchNorm and dropout are those of the whole batch."""
    judge = "discriminator=patch(2, layers=1, norm='batch')"
    text = f"image_to_image(generator=unet(2), {judge})"
    config = make_config(networks=text)
    x = normal(4, 16, 16, 3)

    def run(axis):
        facts = {"example": image_example((16, 16, 3)), "axis_name": axis}
        nets = builder.build_networks(config, facts)
        variables = [
            made(net, x)
            for net in builder.build_networks(config, {**facts, "axis_name": None})
        ]

        def call(x):
            options = {"train": True, "rngs": {"dropout": KEY}}
            options["mutable"] = ["batch_stats"]
            y, g = nets.generator.apply(variables[0], x, **options)
            judged, d = nets.discriminator.apply(variables[1], x + y, **options)
            return judged.logits, (g, d)

        if axis is None:
            return jax.jit(call)(x)
        logits, stats = jax.jit(jax.vmap(call, axis_name=axis))(
            x.reshape(2, 2, *x.shape[1:])
        )
        return logits.reshape(4, *logits.shape[2:]), jax.tree.map(lambda s: s[1], stats)

    one, two = run(None), run("devices")
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5), one, two
    )


def test_dropout_is_for_training_only():
    net: Any = generator_of("unet(2)", 32)
    x = normal(2, 32, 32, 3)
    variables = made(net, x)
    assert differs(x, out(net, variables, x))
    same(out(net, variables, x), out(net, variables, x))

    def train(key):
        options = {"train": True, "mutable": ["batch_stats"], "rngs": {"dropout": key}}
        return net.apply(variables, x, **options)[0]

    train = jax.jit(train)
    same(train(KEY), train(KEY))
    assert differs(train(KEY), train(jax.random.key(1)))


def operations(jaxpr):
    """Returns the operations of a program and of all programs in it."""
    for eqn in jaxpr.eqns:
        yield eqn
        for inner in jax.tree.leaves(list(eqn.params.values())):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                yield from operations(inner)


@pytest.mark.parametrize("name", [*TINY, "patch", "labels"])
def test_products_are_bfloat16_and_sums_are_not(name):
    x = input_of(name)
    args = (x, jnp.array([1, 0])) if name == "labels" else (x,)
    if name == "patch":
        net = patch(2, 1, scales=2)(example=image_example((16, 16, 3)))
    else:
        net = generator_of(TINY.get(name, "resnet_generator(2, 1)"), classes=2)
    variables = jax.eval_shape(lambda *x: net.init(KEY, *x, train=False), *args)
    mixed = with_precision(net, jnp.bfloat16)

    def loss(params, *args):
        options = {"train": True, "mutable": ["batch_stats"], "rngs": {"dropout": KEY}}
        y = mixed.apply({**variables, "params": params}, *args, **options)[0]
        assert all(z.dtype == jnp.float32 for z in jax.tree.leaves(y))
        y = y.logits if isinstance(y, DiscriminatorOutput) else y
        return sum(jnp.sum(z**2) for z in jax.tree.leaves(y))

    variables = jax.tree.map(lambda s: jnp.ones(s.shape, s.dtype), variables)
    # Gradients of parameters, and of the image as in a cycle.
    slopes = jax.grad(loss, (0, 1))
    products = 0
    for eqn in operations(jax.make_jaxpr(slopes)(variables["params"], *args).jaxpr):
        kinds = [v.aval.dtype for v in eqn.invars if hasattr(v.aval, "dtype")]
        if eqn.primitive.name in ("conv_general_dilated", "dot_general"):
            assert set(kinds) == {jnp.dtype(jnp.bfloat16)}, eqn
            products += 1
        if eqn.primitive.name == "reduce_sum":
            whole, summed = eqn.invars[0].aval, eqn.outvars[0].aval
            assert whole.size == summed.size or kinds[0] != jnp.bfloat16, eqn
    assert products > 6


# pairs


A_TO_B = ExampleSpec(image=Field((16, 16, 3)), source=Field((16, 16, 1)))


def test_two_domains_translate_both_ways():
    nets: Players[Any] = two_domains(
        GENERATORS["unet"](2, norm="none"),
        DISCRIMINATORS["patch"](2, 1),
        example=A_TO_B,
    )
    x = {"image": normal(2, 16, 16, 3), "source": normal(2, 16, 16, 1)}
    variables = made(nets.generator, x)
    y: Any = out(nets.generator, variables, x)
    assert {name: z.shape for name, z in y.items()} == {
        name: z.shape for name, z in x.items()
    }
    for made_one, read in (("image", "source"), ("source", "image")):
        alone = out(nets.generator, variables, {read: x[read]})
        assert list(alone) == [made_one]
        np.testing.assert_allclose(alone[made_one], y[made_one], atol=1e-6)
        own = {"params": variables["params"][f"to_{made_one}"]}
        net = getattr(nets.generator, f"to_{made_one}")
        np.testing.assert_allclose(
            out(net.clone(parent=None), own, x[read]), y[made_one], atol=1e-6
        )
    judge = made(nets.discriminator, x)
    judged: Any = out(nets.discriminator, judge, x)
    moved: Any = out(nets.discriminator, judge, {**x, "source": y["source"]})
    assert judged.logits.keys() == {"image", "source"}
    same(judged.logits["image"], moved.logits["image"])
    assert differs(judged.logits["source"], moved.logits["source"])
    assert [len(z) for z in judged.features.values()] == [2, 2]
    # A wrapper that shares the scope has variables of the same names and shapes.
    mixed = MixedPrecision(nets.generator, jnp.bfloat16, True)
    first, second = (
        jax.eval_shape(lambda x, n=net: n.init(KEY, x, train=False), x)
        for net in (nets.generator, mixed)
    )
    assert first == second


def test_without_arguments_they_are_those_of_the_papers():
    nets = image_to_image(example=image_example((64, 64, 3)))
    assert nets == image_to_image(
        GENERATORS["unet"](),
        DISCRIMINATORS["patch"](),
        example=image_example((64, 64, 3)),
    )
    assert (nets.generator.width, nets.discriminator.width) == (64, 64)


ATTRIBUTES = Field((5,), np.dtype(np.uint8), "attributes", tuple("abcde"))


@pytest.mark.parametrize("fields", [{"attributes": ATTRIBUTES}, {"classes": 3}])
def test_a_head_on_patches_reads_the_means_of_all_layers(fields):
    example = image_example((16, 16, 3), classes=fields.get("classes", 0))
    example.update({k: v for k, v in fields.items() if k != "classes"})
    net = wrappers.classifier(example=example)(Patch(2, 1))
    x = normal(2, 16, 16, 3)
    variables = made(net, x)
    judged: Any = out(net, variables, x)
    head = variables["params"]["Dense_0"]
    assert head["kernel"].shape == (2 + 4, 3 if "classes" in fields else 5)
    means = np.concatenate([np.asarray(z).mean((1, 2)) for z in judged.features], -1)
    want = means @ head["kernel"] + head["bias"]
    np.testing.assert_allclose(judged.class_logits, want, rtol=1e-4, atol=1e-5)


def translate():
    """Paired images."""

    def play(generator, batch, keys, step):
        source = batch["source"]
        return Samples(batch["image"], generator(source), condition=source)

    return Task(play, requires=("image", "source"), inputs=("source",))


def test_a_step_in_bfloat16_with_feature_matching(monkeypatch):
    monkeypatch.setitem(TASKS, "translate", translate)
    config = make_config(
        task="translate",
        networks="image_to_image(generator=unet(2, 1), discriminator=patch(2, 1))",
        loss="least_squares",
        g_terms="feature_matching(1)",
        d_terms="",
        augment="",
        batch_size=2,
        precision="mixed",
        g_optimizer="sgd(0.05)",
        d_optimizer="sgd(0.05)",
    )
    built = builder.build_gan(config, A_TO_B, unroll=True)
    state = jax.tree.map(
        lambda x: 0.1 * normal(*x.shape).astype(x.dtype),
        jax.eval_shape(built.init, KEY),
    )
    batch = {name: normal(1, 2, *field.shape) for name, field in A_TO_B.items()}
    step = jax.jit(built.train_step)
    after, metrics = step(state, batch, KEY)
    assert np.isfinite(list(metrics.values())).all(), metrics
    assert metrics["generator/feature_matching"] > 0
    for player in Players._fields:
        assert differs(getattr(after.params, player), getattr(state.params, player))


def test_spectral_norm_divides_every_kernel_of_both_scales():
    net = wrappers.spectral_norm()(Patch(2, 1, scales=2))
    x = jax.ShapeDtypeStruct((2, 16, 16, 3), jnp.float32)
    stats = jax.eval_shape(lambda x: net.init(KEY, x, train=False), x)["spectral"]
    assert len(jax.tree.leaves(stats)) == 2 * 3


# texts


@pytest.mark.parametrize(
    ("text", "size", "message"),
    [
        ("unte(32)", 16, "no name 'unte': did you mean 'unet'? Choose from"),
        ("patch(2)", 64, "generator=Patch is a network of the other player: choose"),
        ("unet(0)", 16, "width must be in [1, 1048576], not 0: use 64"),
        (
            "unet(norm='layer')",
            16,
            "no norm 'layer': choose from batch, instance, none",
        ),
        ("unet(example=1)", 16, "got an unexpected keyword argument"),
        ("unet(depth=5)", 48, "multiples of 32, such as 64x64, not 48x48"),
        (
            "unet",
            17,
            "which 17x17 do not allow: use 32x32: resize with --image_size=32",
        ),
        ("resnet_generator", 18, "multiples of 4, such as 16x16, not 18x18"),
        ("srresnet(factor=5)", 20, "factor=5: choose 1, 2, 3, 4 or 8"),
        ("rrdb(factor=8)", 20, "multiples of 8, such as 16x16, not 20x20"),
        ("gated_unet(depth=3)", 20, "--image_size=16"),
        ("7", 16, "generator must be a call"),
    ],
)
def test_what_does_not_fit_names_its_flag(text, size, message):
    with pytest.raises(UsageError) as error:
        pair_of(
            f"image_to_image(generator={text}, discriminator=patch(layers=1))", size
        )
    said = str(error.value)
    assert said.startswith("--networks: ")
    assert message in said
    assert "\n" not in said


def test_what_a_discriminator_cannot_judge():
    with pytest.raises(FieldError) as error:
        pair_of("image_to_image(discriminator=patch(layers=3, scales=2))", 32)
    assert "patches of 140 pixels" in str(error.value)
    assert "resize with --image_size=48" in str(error.value)
    with pytest.raises(
        UsageError, match="discriminator=UNet is a network of the other"
    ):
        pair_of("image_to_image(discriminator=unet)", 32)
    with pytest.raises(FieldError, match="unet needs images, not vectors"):
        image_to_image(example=image_example((2,)))
    with pytest.raises(FieldError, match="examples have no field 'source'"):
        two_domains(example=image_example((64, 64, 3)))
    net = Patch(2)
    with pytest.raises(UsageError, match="at least 24x24, not 16x20"):
        net.init(KEY, normal(1, 16, 20, 1), train=False)
    net = generator_of("unet(2)", 32)
    with pytest.raises(UsageError, match="multiples of 16, such as 32x64, not 40x64"):
        net.init(KEY, normal(1, 40, 64, 3), train=False)
    with pytest.raises(UsageError, match="unet takes no condition"):
        net.init(KEY, normal(1, 32, 32, 3), jnp.zeros(1), train=False)


def test_texts_are_checked_before_the_size_is_known():
    builder.check_texts(make_config(networks="image_to_image(generator=unet(depth=8))"))
    with pytest.raises(UsageError, match="no name 'patsch'"):
        builder.check_texts(
            make_config(networks="image_to_image(discriminator=patsch(4))")
        )


def test_users_add_networks_of_their_own(monkeypatch):
    class Halves(nn.Module):
        @nn.compact
        def __call__(self, inputs, condition=None, *, train):
            return inputs * self.param("factor", nn.initializers.constant(0.5), ())

    monkeypatch.setitem(
        GENERATORS, "halves", lambda: lambda *, example, axis_name: Halves()
    )
    net = generator_of("halves")
    x = normal(1, 16, 16, 3)
    np.testing.assert_array_equal(net.init_with_output(KEY, x, train=False)[0], x / 2)
    assert NETWORKS["image_to_image"] is image_to_image

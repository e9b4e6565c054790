"""Residual pairs: resnet, sagan and biggan, their layers and their presets."""

import doctest
import itertools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from games import differs, images, same
from narrow_presets import flags_of
from slow import slow

from jaxgan.config.network_presets import NETWORK_PRESETS
from jaxgan.config.resolve import make_config
from jaxgan.errors import FieldError, ImageSizeError, UsageError
from jaxgan.gan import builder
from jaxgan.networks import (
    NETWORKS,
    attention,
    resnet,
    resnet_layers,
    resnet_stages,
)
from jaxgan.networks.attention import SelfAttention
from jaxgan.networks.conditions import DROPPED
from jaxgan.networks.layers import BatchNorm, Conv
from jaxgan.networks.resnet_layers import (
    ORTHOGONAL,
    ConditionalBatchNorm,
    ResampledConv,
    downsample_average,
    upsample_nearest,
)
from jaxgan.networks.spectral_norm import SpectralNorm
from jaxgan.types import ExampleSpec, Field, Players, image_example

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(0)
PAIRS = ("resnet", "sagan", "biggan")
CONDITIONS: dict[str, Any] = {
    "none": None,
    "labels": jax.ShapeDtypeStruct((2,), jnp.int32),
    "attributes": jax.ShapeDtypeStruct((2, 3), jnp.float32),
}


def example_of(shape, kind="labels"):
    """The fields of images without conditions, with labels, or with attributes."""
    if kind == "attributes":
        image = Field(shape, np.dtype(np.uint8))
        vector = Field((3,), np.dtype(np.uint8), "attributes", ("a", "b", "c"))
        return ExampleSpec(image=image, attributes=vector)
    return image_example(shape, classes=3 if kind == "labels" else 0)


def shapes_of(nets, shape, condition=None, dim=12):
    """The variables and the outputs of both networks, without computing them."""
    z = jax.ShapeDtypeStruct((2, dim), jnp.float32)
    x = jax.ShapeDtypeStruct((2, *shape), jnp.float32)

    def call(net, x, condition):
        return jax.eval_shape(
            lambda x, c: net.init_with_output(KEY, x, c, train=True), x, condition
        )

    return Players(
        *(call(net, y, condition) for net, y in zip(nets, (z, x), strict=True))
    )


def counts(name, shape, dim, classes=0, **options):
    """The numbers of trained parameters of both networks."""
    nets = NETWORKS[name](example=image_example(shape, classes=classes), **options)
    condition = CONDITIONS["labels" if classes else "none"]
    return [
        sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables["params"]))
        for _, variables in shapes_of(nets, shape, condition, dim)
    ]


def test_parameters_are_those_published():
    """BigGAN has those of its official code, 158.4 million (table 1 has 158.3).

    See `testNumberOfParameters` of google/compare_gan, resnet_biggan_test.py. The
    conditional generator for CIFAR-10 has the 4.3 million of BigGAN-PyTorch, issue 78.
    """
    assert counts("biggan", (128, 128, 3), 120, 1_000) == [70_433_988, 87_982_370]
    assert round(counts("resnet", (32, 32, 3), 128, 10)[0] / 1e6, 1) == 4.3


def output_of(net, variables, *args, **options) -> Any:
    """The output of a network, of a type that no checker knows."""
    return net.apply(variables, *args, **options)


def filled(path, leaf):
    """Random numbers of the shape of a leaf, which no program has to initialize."""
    rng = np.random.default_rng(list(jax.tree_util.keystr(path).encode()))
    if not jnp.issubdtype(leaf.dtype, jnp.floating):
        return jnp.zeros(leaf.shape, leaf.dtype)
    numbers = rng.normal(0, 0.3, leaf.shape)
    positive = "stats" in jax.tree_util.keystr(path)
    return jnp.asarray(abs(numbers) + 0.1 if positive else numbers, leaf.dtype)


def conv(size, channels, features):
    return size**2 * channels * features + features


def test_parameters_of_sngan():
    """By table 4 of https://arxiv.org/abs/1802.05957, and 5 for 48 pixels.

    The discriminator for CIFAR-10 has 1.05 million, like in PyTorch-StudioGAN.
    """

    def up(channels, features):
        norms = 2 * channels + 2 * features
        shortcut = conv(1, channels, features)
        return (
            norms + conv(3, channels, features) + conv(3, features, features) + shortcut
        )

    def down(channels, features, inside=0, shortcut=True):
        inside = inside or channels
        both = conv(3, channels, inside) + conv(3, inside, features)
        return both + shortcut * conv(1, channels, features)

    first = 129 * 4 * 4 * 256
    last = 2 * 256 + conv(3, 256, 3)
    plain = down(128, 128, shortcut=False)
    by_hand = [
        first + 3 * up(256, 256) + last,
        down(3, 128, 128) + down(128, 128) + 2 * plain + 129,
    ]
    assert by_hand == [4_276_739, 1_053_825]
    assert counts("resnet", (32, 32, 3), 128) == by_hand
    blocks = up(512, 256) + up(256, 128) + up(128, 64)
    assert counts("resnet", (48, 48, 3), 128) == [
        129 * 6 * 6 * 512 + blocks + 2 * 64 + conv(3, 64, 3),
        down(3, 64, 64)
        + sum(down(64 * 2**i, 128 * 2**i) for i in range(4))
        + 16 * 64
        + 1,
    ]


@pytest.mark.parametrize("name", PAIRS)
def test_shapes_of_any_example(name):
    shapes = [(16, width, channels) for width in (16, 24) for channels in (1, 3)]
    cases = list(itertools.product(shapes, CONDITIONS))
    more = [((20, 100, 4), "labels"), ((96, 64, 3), "none")]
    for shape, kind in [*cases, *(more if name == "resnet" else [])]:
        nets = NETWORKS[name](4, example=example_of(shape, kind))
        (image, _), (output, _) = shapes_of(nets, shape, CONDITIONS[kind])
        assert image.shape == (2, *shape)
        assert output.logits.shape == (2,)
        assert output.features.shape[0] == 2


def test_sizes_that_do_not_fit_name_one_that_does():
    for name in PAIRS:
        with pytest.raises(ImageSizeError, match="multiples of 8, such as 32x40, not"):
            NETWORKS[name](example=image_example((31, 36, 3)))
        NETWORKS[name](4, example=image_example((32, 40, 3)))
    rng = np.random.default_rng(0)
    for size in rng.integers(1, 300, (200, 2)).tolist():
        near = resnet_stages.fitting_size(tuple(size))
        resnet_stages.check_size(near, "resnet")
        assert resnet_stages.fitting_size(near) == near
        assert all(side >= own for side, own in zip(near, size, strict=True))
        # Both networks divide it.
        for stages in (
            resnet_stages.generator_stages(near, "resnet"),
            resnet_stages.discriminator_stages(near, "resnet"),
        ):
            low, high = sorted((stages.start, stages.sides[-1]))
            assert (high[0] % low[0], high[1] % low[1]) == (0, 0)


def test_wrong_arguments_are_one_line():
    example = image_example((32, 32, 3))
    with pytest.raises(UsageError, match="choose from 8, 16, 32"):
        NETWORKS["sagan"](attention=15, example=example)
    with pytest.raises(UsageError, match="norm"):
        NETWORKS["resnet"](norm="layer", example=example)
    labels = CONDITIONS["labels"]
    with pytest.raises(FieldError, match="these examples have neither"):
        shapes_of(NETWORKS["resnet"](4, example=example), (32, 32, 3), labels)
    plain = NETWORKS["resnet"](4, norm="none", example=example_of((32, 32, 3)))
    shapes_of(plain, (32, 32, 3))
    with pytest.raises(UsageError, match="use norm='batch', or wrap it in embed"):
        shapes_of(plain, (32, 32, 3), labels)
    nets = NETWORKS["biggan"](4, example=example)
    with pytest.raises(UsageError, match="into 4 parts, and these have 3 entries"):
        shapes_of(nets, (32, 32, 3), dim=3)


def test_attention_is_where_it_was_published():
    def sides(name, side, **options):
        nets = NETWORKS[name](example=image_example((side, side, 3)), **options)
        return [net.attention for net in nets]

    # The best of table 1 of SAGAN; BigGAN, appendix B.
    assert sides("sagan", 128) == [32, 32]
    assert sides("biggan", 128) == sides("biggan", 256) == [64, 64]
    assert sides("sagan", 32) == [16, 16]
    assert sides("sagan", 32, attention=8) == [8, 8]
    assert sides("resnet", 128) == [0, 0]
    # Once in each network, though three blocks of this discriminator have 8 pixels.
    nets = NETWORKS["sagan"](4, attention=8, example=image_example((32, 32, 3)))
    for _, variables in shapes_of(nets, (32, 32, 3)):
        assert [name for name in variables["params"] if "attention" in name]


def test_conditional_norm_starts_as_the_plain_one():
    x = jnp.asarray(images(6, shape=(4, 4, 5)))
    plain = BatchNorm(None, 0.9, 1e-5)
    own = plain.init(KEY, x, train=True)
    want, stats = plain.apply(own, x, train=True, mutable=["batch_stats"])
    labels = jax.nn.one_hot(jnp.arange(6) % 3, 3)
    tables = ConditionalBatchNorm(None, 0.9, 1e-5)
    variables = tables.init(KEY, x, labels, train=True)
    # The gain is exactly 1 and the bias exactly 0, for every class.
    got, updated = tables.apply(
        variables, x, labels, train=True, mutable=["batch_stats"]
    )
    same(got, want)
    same(updated, stats)
    # So it is with vectors of zeros, whatever the kernels are.
    kernels = ConditionalBatchNorm(None, 0.9, 1e-5, ORTHOGONAL.condition)
    params = kernels.init(KEY, x, labels, train=True)
    got = kernels.apply(params, x, 0 * labels, train=True, mutable=["batch_stats"])[0]
    same(got, want)
    # And else the gain and bias are those of the example's class.
    got = kernels.apply(params, x, labels, train=True, mutable=["batch_stats"])[0]
    drawn: Any = params["params"]
    gain, bias = (drawn[f"{name}_kernel"] for name in ("gain", "bias"))
    by_hand = [want[i] * (1 + gain[i % 3]) + bias[i % 3] for i in range(6)]
    np.testing.assert_allclose(got, by_hand, rtol=1e-5, atol=1e-5)
    # Sampling uses the running statistics.
    used = {**variables, "batch_stats": stats["batch_stats"]}
    same(
        tables.apply(used, x, labels, train=False),
        plain.apply({**own, **stats}, x, train=False),
    )


def test_attention_starts_as_the_identity_and_equals_a_loop():
    x = np.asarray(images(2, shape=(4, 6, 16)))
    layer = SelfAttention()
    variables = layer.init(KEY, x)
    same(layer.apply(variables, x), x)
    params = {**variables["params"], "gain": jnp.float32(0.5)}
    got = np.asarray(layer.apply({"params": params}, x))
    query, key, value, out = (
        np.asarray(params[name]["kernel"], np.float64)
        for name in ("query", "key", "value", "out")
    )
    assert (query.shape, key.shape, value.shape) == ((16, 2), (16, 2), (16, 8))
    for b in range(2):
        pooled = []
        for kernel in (key, value):
            mixed = x[b] @ kernel
            pooled.append(
                [
                    mixed[i : i + 2, j : j + 2].max((0, 1))
                    for i in (0, 2)
                    for j in (0, 2, 4)
                ]
            )
        for i in range(4):
            for j in range(6):
                scores = [float(x[b, i, j] @ query @ one) for one in pooled[0]]
                weights = np.exp(scores) / np.sum(np.exp(scores))
                mixed = weights @ np.array(pooled[1]) @ out
                np.testing.assert_allclose(
                    got[b, i, j], x[b, i, j] + 0.5 * mixed, rtol=1e-4, atol=1e-5
                )
    assert np.abs(got - x).max() > 0.01
    # Pooled sides may be odd.
    assert jax.eval_shape(layer.apply, variables, x[:, :3, :5]).shape == (2, 3, 5, 16)


def test_resamplers_keep_constants_and_the_mean():
    ones = jnp.ones((1, 4, 6, 2))
    same(upsample_nearest(ones), jnp.ones((1, 8, 12, 2)))
    same(downsample_average(ones), jnp.ones((1, 2, 3, 2)))
    x = jnp.asarray(images(2, shape=(4, 6, 3)))
    for y in (upsample_nearest(x), downsample_average(x)):
        np.testing.assert_allclose(y.mean((1, 2)), x.mean((1, 2)), atol=1e-6)
    same(upsample_nearest(x), jnp.repeat(jnp.repeat(x, 2, 1), 2, 2))
    np.testing.assert_allclose(downsample_average(upsample_nearest(x)), x, atol=1e-6)


@pytest.mark.parametrize("up", [True, False])
def test_a_resampled_convolution_is_two_operations(up):
    x = jnp.asarray(images(2, shape=(6, 4, 3)))
    one, other = ResampledConv(5, up, nn.initializers.normal()), Conv(5, 3)
    variables = one.init(KEY, x)
    bias = jnp.arange(5.0)
    variables = {"params": {**variables["params"], "bias": bias}}
    want = output_of(other, variables, upsample_nearest(x) if up else x)
    want = want if up else downsample_average(want)
    np.testing.assert_allclose(output_of(one, variables, x), want, atol=1e-5)


def test_kernels_of_biggan_are_orthogonal():
    nets = NETWORKS["biggan"](2, example=image_example((8, 8, 1)))
    for net in nets:
        assert net.kernels is ORTHOGONAL
    for init in ORTHOGONAL:
        assert init is not None
        kernel = init(KEY, (3, 3, 2, 8), jnp.float32).reshape(-1, 8)
        np.testing.assert_allclose(kernel.T @ kernel, np.eye(8), atol=1e-5)


def test_spectral_norms_spare_the_tables_of_labels():
    """Tables start at 0, and would jump to norm 1 after their first update."""

    def normalized(name):
        nets = NETWORKS[name](2, example=image_example((8, 8, 1), classes=3))
        wrapped = nets._replace(generator=SpectralNorm(nets.generator, 1))
        (_, variables), _ = shapes_of(wrapped, (8, 8, 1), CONDITIONS["labels"])
        names = flatten_dict(variables["params"]["net"], sep="/")
        return set(names), set(flatten_dict(variables["spectral"]["u"], sep="/"))

    names, kernels = normalized("biggan")
    assert "table" in names - kernels
    assert "block_0_0/norm_0/gain_kernel" in kernels
    names, kernels = normalized("resnet")
    assert "block_0_0/norm_0/gain_table" in names - kernels
    assert "block_0_0/conv_0/kernel" in kernels


def test_a_hidden_label_leaves_the_unconditional_logit():
    stages = resnet_stages.Stages((1,), ((2, 2),), (4, 4))
    net = resnet.Discriminator(stages, 16, conditions=3)
    x, labels = jnp.asarray(images(3, shape=(4, 4, 1))), jnp.array([0, 1, DROPPED])
    shapes = jax.eval_shape(lambda: net.init(KEY, x, labels, train=True))
    variables = jax.tree_util.tree_map_with_path(filled, shapes)
    ignoring = net.clone(project=False)

    @jax.jit
    def call(variables):
        one = output_of(net, variables, x, labels, train=False)
        other = output_of(net, variables, x, None, train=False)
        return one, other, output_of(ignoring, variables, x, labels, train=False)

    given, without, hidden = call(variables)
    rows = variables["params"]["projection"][jnp.array([0, 1, 0])]
    added = (rows * given.features).sum(-1).at[2].set(0)
    np.testing.assert_allclose(given.logits, without.logits + added, rtol=1e-5)
    assert np.abs(added[:2]).min() > 1e-3
    same(hidden.logits, without.logits)


SMALL = {
    "sngan-resnet-small": {"networks": "resnet(1)"},
    "sagan-small": {"networks": "sagan(2)"},
    "biggan-small": {"networks": "biggan(2, embedding=4)"},
}


def game(preset, **other):
    """A tiny game of a preset with labels, and the examples of one step."""
    sgd = {"g_optimizer": "sgd(0.1)", "d_optimizer": "sgd(0.1)"}
    # Wrappers are tested elsewhere, and double the time of a compilation.
    sgd |= {"generator_wrap": "", "discriminator_wrap": ""}
    said = {"preset": preset, "batch_size": 4, **sgd, **SMALL[preset], **other}
    shape = (8, 8, 1)
    example = image_example(shape, classes=3)
    built = builder.build_gan(make_config(**said), example, unroll=True)
    pictures = jnp.asarray(images(4, shape=shape))[None]
    return built, {"image": pictures, "label": jnp.arange(4)[None] % 3}


def stepped(preset):
    """A state, and the state and the metrics after a compiled step."""
    built, batch = game(preset)
    shapes = jax.eval_shape(built.init, KEY)
    state = jax.tree_util.tree_map_with_path(filled, shapes)
    return state, *jax.jit(built.train_step)(state, batch, KEY)


# The networks of `sagan-small` are those of `resnet` and the attention of `biggan`.
STEPS = ["sngan-resnet-small", slow("sagan-small"), "biggan-small"]


@pytest.mark.parametrize("preset", STEPS)
def test_a_small_preset_takes_a_finite_step(preset):
    state, after, metrics = stepped(preset)
    assert np.isfinite(list(metrics.values())).all()
    for old, new in zip(state.params, after.params, strict=True):
        # Biases before a normalization have no gradient, but every layer has one.
        assert all(differs(old[layer], new[layer]) for layer in old)
        assert len(old) > 3


def test_two_devices_compute_the_same():
    """Statistics of both norms are over both devices: so are samples."""
    example, labels = image_example((8, 8, 1), classes=3), jnp.arange(4) % 3
    one, two = (
        NETWORKS["biggan"](2, embedding=4, example=example, axis_name=axis).generator
        for axis in (None, "batch")
    )
    z = jnp.asarray(images(4, shape=(8,)))
    shapes = jax.eval_shape(lambda: one.init(KEY, z, labels, train=True))
    variables = jax.tree_util.tree_map_with_path(filled, shapes)

    def call(net):
        def run(z, labels):
            stats = ["batch_stats"]
            return net.apply(variables, z, labels, train=True, mutable=stats)

        return run

    image, stats = jax.jit(call(one))(z, labels)
    halves = z.reshape(2, 2, 8), labels.reshape(2, 2)
    split = jax.pmap(call(two), "batch", devices=jax.devices()[:2])
    images_of, stats_of = split(*halves)
    np.testing.assert_allclose(images_of.reshape(image.shape), image, atol=1e-5)
    for want, got in zip(
        jax.tree.leaves(stats), jax.tree.leaves(stats_of), strict=True
    ):
        np.testing.assert_allclose(got, np.stack([want, want]), rtol=1e-4, atol=1e-5)


def test_mixed_precision_keeps_float32_masters():
    """Products are bfloat16; variables, metrics and long sums are float32."""
    built, batch = game("biggan-small", precision="mixed")
    state = jax.eval_shape(built.init, KEY)
    program, (after, metrics) = jax.make_jaxpr(built.train_step, return_shape=True)(
        state, batch, KEY
    )
    for leaf in jax.tree.leaves((after, metrics)):
        assert leaf.dtype != jnp.bfloat16
    same(
        jax.tree.map(lambda x: x.dtype.name, after),
        jax.tree.map(lambda x: x.dtype.name, state),
    )
    narrow = 0
    for eqn in operations(program.jaxpr):
        dtypes = {x.aval.dtype for x in eqn.invars if hasattr(x.aval, "dtype")}
        if eqn.primitive.name == "conv_general_dilated":
            assert dtypes == {jnp.dtype(jnp.bfloat16)}
            narrow += 1
        if eqn.primitive.name == "reduce_sum":
            whole, summed = eqn.invars[0].aval, eqn.outvars[0].aval
            assert whole.size == summed.size or whole.dtype != jnp.bfloat16, eqn
    assert narrow > 20


def operations(jaxpr):
    """Those of a program and of all programs in it."""
    for eqn in jaxpr.eqns:
        yield eqn
        for inner in jax.tree.leaves(list(eqn.params.values())):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                yield from operations(inner)


def test_gradient_penalties_differentiate_twice():
    net = NETWORKS["sagan"](2, example=image_example((8, 8, 1))).discriminator
    x = jnp.asarray(images(2, shape=(8, 8, 1)))
    params = jax.eval_shape(lambda: net.init(KEY, x, train=True))["params"]

    def penalty(params):
        def logits(x):
            return output_of(net, {"params": params}, x, train=True).logits.sum()

        return jnp.square(jax.grad(logits)(x)).mean()

    gradient = jax.eval_shape(jax.grad(penalty), params)
    assert jax.tree.map(jnp.shape, gradient) == jax.tree.map(jnp.shape, params)


@pytest.mark.parametrize("name", PAIRS)
def test_remat_changes_no_variable(name):
    shape, labels = (8, 8, 1), CONDITIONS["labels"]
    example = image_example(shape, classes=3)
    plain, again = (
        shapes_of(NETWORKS[name](2, remat=remat, example=example), shape, labels)
        for remat in (False, True)
    )
    assert plain == again


@pytest.mark.parametrize("name", NETWORK_PRESETS)
def test_networks_of_presets_are_built_for_their_size(name):
    """As published, and narrow ones for tests."""
    side = int(NETWORK_PRESETS[name].get("image_size", 32))
    shape = (side, side, 3)
    for more in ({}, flags_of(name)):
        config = make_config(preset=name, **more)
        facts = {"example": image_example(shape, classes=10), "axis_name": None}
        nets = builder.build_networks(config, facts)
        assert nets.discriminator is not None
    assert flags_of(name)


@pytest.mark.parametrize("module", [attention, resnet_layers, resnet_stages])
def test_examples(module):
    assert doctest.testmod(module).failed == 0

"""The networks: exact parameter counts, shapes, and what a user can ask for."""

import functools
import itertools
import math
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import scipy.stats

from jaxgan.config.resolve import make_config
from jaxgan.errors import UsageError
from jaxgan.gan import builder
from jaxgan.networks import NETWORKS, layers
from jaxgan.networks.ops import resampling
from jaxgan.networks.ops.arrays import depth_to_space, space_to_depth
from jaxgan.networks.ops.platform import jit_once
from jaxgan.types import image_example

KEY = jax.random.key(0)


def variables(preset, shape=(28, 28, 1)):
    """Shapes of the variables of both players."""
    built = builder.build_gan(make_config(preset=preset), image_example(shape))
    state = jax.eval_shape(built.init, jax.random.key(0))
    return state.params, state.stats


def counts(tree):
    """Parameters by layer."""
    found: dict[str, int] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = path[0].key
        found[name] = found.get(name, 0) + math.prod(leaf.shape)
    return found


def dense(*widths):
    """Parameters of dense layers with bias, by layer."""
    pairs = itertools.pairwise(widths)
    return {f"Dense_{i}": (a + 1) * b for i, (a, b) in enumerate(pairs)}


@pytest.mark.parametrize(
    ("preset", "generator", "discriminator"),
    [
        ("mlp", (100, 256, 512, 1024, 784), (784, 1024, 512, 256, 1)),
        ("mlp-small", (100, 256, 784), (784, 256, 1)),
        ("goodfellow", (100, 128, 784), (784, 128, 1)),
        ("goodfellow-ns", (100, 128, 784), (784, 128, 1)),
        ("lsgan", (100, 256, 512, 1024, 784), (784, 512, 256, 1)),
        ("wgan", (100, 256, 512, 1024, 784), (784, 512, 256, 1)),
    ],
)
def test_perceptrons_layer_by_layer(preset, generator, discriminator):
    params, _ = variables(preset)
    assert counts(params.generator) == dense(*generator)
    assert counts(params.discriminator) == dense(*discriminator)


def test_the_tutorial_mlp_in_numbers():
    params, _ = variables("mlp")
    # 100*256+256 + 256*512+512 + 512*1024+1024 + 1024*784+784
    assert sum(counts(params.generator).values()) == 1_486_352
    # 784*1024+1024 + 1024*512+512 + 512*256+256 + 256+1
    assert sum(counts(params.discriminator).values()) == 1_460_225


@pytest.mark.parametrize("channels", [1, 3])
def test_dcgan_layer_by_layer(channels):
    params, stats = variables("dcgan", (28, 28, channels))
    assert counts(params.generator) == {
        "Dense_0": 100 * 7 * 7 * 256,
        "BatchNorm_0": 2 * 7 * 7 * 256,
        "ConvTranspose_0": 5 * 5 * 256 * 128,
        "BatchNorm_1": 2 * 128,
        "ConvTranspose_1": 5 * 5 * 128 * 64,
        "BatchNorm_2": 2 * 64,
        "ConvTranspose_2": 5 * 5 * 64 * channels,
    }
    assert counts(params.discriminator) == {
        "Conv_0": 5 * 5 * channels * 64 + 64,
        "Conv_1": 5 * 5 * 64 * 128 + 128,
        "Dense_0": 7 * 7 * 128 + 1,
    }
    trained = sum(counts(params.generator).values())
    running = sum(math.prod(x.shape) for x in jax.tree.leaves(stats.generator))
    if channels == 1:
        assert (trained, trained + running) == (2_305_472, 2_330_944)
        assert sum(counts(params.discriminator).values()) == 212_865


@pytest.mark.parametrize("name", ["small", "dcgan"])
@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 48, 3), (17, 30, 4), (8, 8, 1)])
def test_any_size_and_channels(name, shape):
    nets = NETWORKS[name](4, example=image_example(shape))
    z = jnp.ones((2, 5))
    image, _ = nets.generator.init_with_output(jax.random.key(0), z, train=False)
    assert image.shape == (2, *shape)
    assert float(jnp.abs(image).max()) <= 1.0
    critique, _ = nets.discriminator.init_with_output(
        jax.random.key(0), image, train=False
    )
    assert critique.logits.shape == (2,)


def test_vectors_go_to_mlp_only():
    nets = NETWORKS["mlp"](example=image_example((2,)))
    z = jnp.ones((3, 5))
    points, _ = nets.generator.init_with_output(jax.random.key(0), z, train=False)
    assert points.shape == (3, 2)
    for name in ("dcgan", "small"):
        with pytest.raises(UsageError, match="use mlp"):
            NETWORKS[name](example=image_example((2,)))
    with pytest.raises(UsageError, match="did you mean 'relu'"):
        NETWORKS["mlp"](g_activation="rellu", example=image_example((2,)))


BOUNDS = {
    "pytorch": lambda inputs, outputs: inputs**-0.5,
    "glorot_uniform": lambda inputs, outputs: (6 / (inputs + outputs)) ** 0.5,
}


@pytest.mark.parametrize(
    ("preset", "init"), [("mlp-small", "pytorch"), ("goodfellow", "glorot_uniform")]
)
def test_perceptrons_of_the_tutorials_begin_as_their_frameworks_have_it(preset, init):
    built = builder.build_gan(make_config(preset=preset), image_example((28, 28, 1)))
    params = jit_once(built.init)(jax.random.key(0)).params
    for player in params:
        for own in player.values():
            bound = BOUNDS[init](*own["kernel"].shape)
            groups = [own["kernel"]] + [own["bias"]] * (init == "pytorch")
            for x in groups:
                test = scipy.stats.kstest(np.ravel(x) / bound, "uniform", (-1, 2))
                assert test.pvalue > 1e-3
            if init != "pytorch":
                np.testing.assert_array_equal(own["bias"], 0)


def test_the_default_initialization_is_flaxs():
    x = jnp.ones((2, 400))
    nets = NETWORKS["mlp"]((300,), (300,), example=image_example((28, 28, 1)))
    own: Any = nets.generator.init(jax.random.key(0), x, train=False)["params"]
    np.testing.assert_allclose(own["Dense_0"]["kernel"].std(), 400**-0.5, rtol=0.02)
    np.testing.assert_array_equal(own["Dense_0"]["bias"], 0)
    said = NETWORKS["mlp"](
        (300,), (300,), init="lecun_normal", example=image_example((28, 28, 1))
    )
    chex.assert_trees_all_equal(
        own, said.generator.init(jax.random.key(0), x, train=False)["params"]
    )


@pytest.mark.parametrize(
    ("output", "shape", "linear"),
    [
        ("auto", (4, 4, 1), False),
        ("auto", (2,), True),
        ("tanh", (2,), False),
        ("linear", (4, 4, 1), True),
    ],
)
def test_outputs_of_the_perceptron(output, shape, linear):
    net = NETWORKS["mlp"](
        (8,), (8,), output=output, example=image_example(shape)
    ).generator
    z = 100 * jax.random.normal(jax.random.key(1), (5, 3))
    x: Any = net.init_with_output(jax.random.key(0), z, train=False)[0]
    assert (float(jnp.abs(x).max()) > 1) == linear


def test_what_a_perceptron_cannot_be():
    with pytest.raises(UsageError, match="no initialization 'torch': did you mean"):
        NETWORKS["mlp"](init="torch", example=image_example((2,)))
    with pytest.raises(UsageError, match=r"no output 'sigmoid'.*auto, linear, tanh"):
        NETWORKS["mlp"](output="sigmoid", example=image_example((2,)))


def test_dropout_drops_its_rate_and_keeps_the_mean():
    x = jnp.ones((64, 100))
    layer = layers.Dropout(0.3)
    y: Any = layer.apply({}, x, train=True, rngs={"dropout": jax.random.key(0)})
    kept = np.asarray(y) != 0
    # 6,400 draws: a deviation of 0.0057 around 0.7
    assert abs(kept.mean() - 0.7) < 0.03
    np.testing.assert_allclose(np.asarray(y)[kept], 1 / 0.7, rtol=1e-6)
    plain: Any = layer.apply({}, x, train=False)
    np.testing.assert_array_equal(plain, x)


def test_batch_norm_by_hand():
    # mean 2, variance 1: (1 - 2) / sqrt(1.001), and running = 0.99 old + 0.01 new
    x = jnp.array([[1.0], [3.0]])
    layer = layers.BatchNorm()
    start = layer.init(jax.random.key(0), x, train=False)
    out: Any = layer.apply(start, x, train=True, mutable=["batch_stats"])
    y, new = out
    np.testing.assert_allclose(y, [[-1 / 1.001**0.5], [1 / 1.001**0.5]], rtol=1e-6)
    norm = new["batch_stats"]
    np.testing.assert_allclose(norm["mean"], [0.02], rtol=1e-5)
    np.testing.assert_allclose(norm["var"], [1.0], rtol=1e-5)


def test_batch_norm_is_that_of_flax():
    x = jax.random.normal(jax.random.key(0), (4, 3, 3, 5)) * 3 + 1
    ours = layers.BatchNorm()
    other = nn.BatchNorm(momentum=0.99, epsilon=1e-3, use_fast_variance=False)
    start: Any = ours.init(jax.random.key(1), x, train=False)
    start["params"]["scale"] = jnp.arange(1.0, 6.0)
    start["params"]["bias"] = jnp.arange(5.0)

    def run(net, start, x, **how):
        return net.apply(start, x, mutable=["batch_stats"], **how)

    found = run(ours, start, x, train=True)
    wanted = run(other, start, x, use_running_average=False)
    chex.assert_trees_all_close(found, wanted, rtol=1e-6, atol=1e-6)
    after = {**start, **found[1]}
    now = run(ours, after, x, train=False)
    chex.assert_trees_all_close(
        now, run(other, after, x, use_running_average=True), rtol=1e-6, atol=1e-6
    )

    def slope(net, **how):
        return jax.grad(lambda x: jnp.sin(run(net, start, x, **how)[0]).sum())(x)

    chex.assert_trees_all_close(
        slope(ours, train=True), slope(other, use_running_average=False), atol=1e-5
    )


def test_depth_to_space_and_back():
    x = jax.random.normal(jax.random.key(0), (2, 3, 5, 8))
    y = depth_to_space(x)
    assert y.shape == (2, 6, 10, 2)
    np.testing.assert_array_equal(space_to_depth(y), x)
    np.testing.assert_array_equal(y[1, 3, 4], x[1, 1, 2].reshape(2, 2, 2)[1, 0])


def test_a_blur_filters_each_channel_and_keeps_the_mean():
    x = np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype(np.float32)
    got = np.asarray(resampling.blur(jnp.asarray(x)))
    taps = np.outer([1, 2, 1], [1, 2, 1]) / 16
    for image, channel in itertools.product(range(2), range(3)):
        one = scipy.ndimage.correlate(x[image, ..., channel], taps, mode="nearest")
        np.testing.assert_allclose(got[image, ..., channel], one, atol=1e-6)
    np.testing.assert_allclose(got.mean((1, 2)), x.mean((1, 2)), atol=1e-6)


def test_the_blur_of_small_removes_dots_and_changes_no_parameter():
    example = image_example((8, 6, 2))
    plain = NETWORKS["small"](2, example=example).generator
    blurred = NETWORKS["small"](2, blur=True, example=example).generator
    z = jnp.ones((1, 4))
    params = jax.eval_shape(functools.partial(plain.init, train=False), KEY, z)
    chex.assert_trees_all_equal_shapes_and_dtypes(
        params, jax.eval_shape(functools.partial(blurred.init, train=False), KEY, z)
    )
    # Only the last layer's bias: dots of +-1 in the first channel, 0.5 in the second.
    zeros = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), params)
    last = max(name for name in zeros["params"] if name.startswith("Conv"))
    squares = np.array([[1, 0.5], [-1, 0.5], [-1, 0.5], [1, 0.5]], np.float32)
    zeros["params"][last]["bias"] = squares.reshape(-1)
    dots, flat = (
        np.asarray(net.apply(zeros, z, train=False))[0] for net in (plain, blurred)
    )
    assert (np.unique(np.abs(dots[..., 0])) > 0.7).all()
    np.testing.assert_allclose(flat[1:-1, 1:-1, 0], 0, atol=1e-6)
    np.testing.assert_allclose(flat[..., 1], dots[..., 1], rtol=1e-6)

"""StyleGAN2: resampling, modulation, styles, counts, and a run on two devices."""

import functools
import math
import re
from typing import Any

import jax
import jax.numpy as jnp
import kinds
import numpy as np
import pytest
from critics import FAKE, REAL, inputs, linear_critic
from kind_runs import close
from test_precision import operations

from jaxgan import losses
from jaxgan.config.presets import PRESETS
from jaxgan.config.resolve import make_config
from jaxgan.errors import UsageError
from jaxgan.gan import builder
from jaxgan.losses.gradient_penalties import normal_like
from jaxgan.networks import modulated, stylegan2, wrappers
from jaxgan.networks.ops import resampling
from jaxgan.networks.ops.threefry import normal, words_of
from jaxgan.networks.precision import MixedPrecision
from jaxgan.networks.streams import keys_of_examples
from jaxgan.networks.styles import Styles, ToStyles, Truncated, has_styles
from jaxgan.types import ExampleSpec, Field, Samples, image_example

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(0)
TINY: dict[str, Any] = {"width": 16, "largest": 4, "dim": 6, "depth": 1, "group": 2}


def tiny(shape=(8, 8, 1), classes=0, **other):
    return stylegan2.pair(
        **{**TINY, **other}, example=image_example(shape, np.uint8, classes)
    )


def filled(shapes):
    """Random numbers of the shapes, which take no time to compile."""
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda x: rng.normal(size=x.shape).astype(x.dtype), shapes)


def variables_of(net, *inputs):
    """Random variables of a network."""
    init = functools.partial(net.init, train=False)
    return filled(jax.eval_shape(init, KEY, *inputs))


def test_resampling_keeps_constants_and_the_mean():
    x = jnp.asarray(filled(jnp.zeros((2, 4, 6, 3))))
    # A dot of 16 is resampled to the taps in both directions, whose sum is 64.
    dot = jnp.zeros((1, 4, 4, 1)).at[0, 1, 2].set(16)

    def program(x):
        _, pull = jax.vjp(resampling.downsample, jnp.zeros((1, 8, 8, 1)))
        return (
            [f(x) for f in (resampling.upsample, resampling.downsample)],
            resampling.upsample(dot),
            4 * pull(dot)[0],
        )

    for y, flat in zip(
        *(jax.jit(program)(a)[0] for a in (x, 0 * x + 0.7)), strict=True
    ):
        np.testing.assert_allclose(y.mean((1, 2)), x.mean((1, 2)), atol=1e-6)
        np.testing.assert_allclose(flat, 0.7, rtol=1e-6)
    _, up, transposed = jax.jit(program)(x)
    taps = np.outer([1, 3, 3, 1], [1, 3, 3, 1])
    np.testing.assert_allclose(up[0, 1:5, 3:7, 0], taps)
    np.testing.assert_allclose(transposed, up)


def test_both_forms_of_resampled_convolutions_are_one_after_the_other():
    x = jnp.asarray(filled(jnp.zeros((2, 4, 6, 3))))
    kernel = jnp.asarray(filled(jnp.zeros((3, 3, 3, 5))))

    def program(x):
        large = resampling.upsample(x)
        up = (
            resampling.conv_upsampled_plain(x, kernel),
            resampling.conv_upsampled_transposed(x, kernel),
            resampling.conv_same(large, kernel),
        )
        down = (
            resampling.conv_downsampled_merged(large, kernel),
            resampling.conv_downsampled_strided(large, kernel),
            resampling.downsample(resampling.conv_same(large, kernel)),
        )
        return up, down

    for one, other, plain in jax.jit(program)(x):
        np.testing.assert_allclose(one, other, atol=1e-5)
        # The plain convolution has zeros around the image, and not its edge.
        inside = np.s_[:, 1:-1, 1:-1]
        np.testing.assert_allclose(one[inside], plain[inside], atol=1e-5)


@pytest.mark.parametrize("demodulate", [True, False])
def test_a_modulated_convolution_is_one_with_a_kernel_per_example(demodulate):
    x = jax.random.normal(KEY, (3, 4, 5, 6))
    kernel, styles = jax.random.normal(KEY, (3, 3, 6, 7)), 1 + x[:, 0, 0]
    got = modulated.modulated_conv(x, kernel, styles, demodulate=demodulate)
    for image, style, y in zip(x, styles, got, strict=True):
        own = np.asarray(kernel) * np.asarray(style)[:, None]
        if demodulate:
            own /= np.sqrt((own**2).sum((0, 1, 2)) + 1e-8)
        want = resampling.conv_same(image[None], jnp.asarray(own))[0]
        np.testing.assert_allclose(y, want, atol=1e-4)


def test_normal_samples_are_those_of_each_example():

    @jax.jit
    def program():
        words = words_of(jax.random.split(KEY, 64))
        draw = functools.partial(normal, shape=(31, 9))
        return draw(words, 3), draw(words[5:7], 3), draw(words, 4)

    samples, two, other = jax.device_get(program())
    # 17,856 samples: the mean within 4 deviations, and three more moments.
    assert abs(samples.mean()) < 0.03
    np.testing.assert_allclose(samples.std(), 1, atol=0.025)
    np.testing.assert_allclose((samples**4).mean(), 3, atol=0.3)
    np.testing.assert_allclose((abs(samples) < 1).mean(), 0.6827, atol=0.015)
    np.testing.assert_array_equal(two, samples[5:7])
    correlation = np.corrcoef(samples.ravel(), other.ravel())
    assert abs(correlation[0, 1]) < 0.03


@functools.cache
def trained():
    """Styles, new statistics and images of a generator in training, and others."""
    net = tiny(mixing=1.0).generator
    z, w = filled(jnp.zeros((8, 4))), filled(jnp.zeros((1, 6)))
    keys = jax.random.split(jax.random.key(1), 8)
    made: Any = variables_of(net, z)

    @jax.jit
    def program(strength):
        params = jax.tree.map_with_path(
            lambda path, x: strength if path[-1].key == "noise" else x, made["params"]
        )
        variables = {"params": params, "batch_stats": {"w_avg": jnp.zeros(6)}}

        def call(x):
            rngs = {"params": KEY}
            return net.apply(variables, x, train=True, rngs=rngs, mutable="batch_stats")

        with keys_of_examples(lambda: keys):
            styles, stats = call(ToStyles(z))
            image, _ = call(Styles(jnp.repeat(w, 8, 0)))
        alone = net.apply(variables, z, train=False, method="mapping")
        constant = net.apply(variables, w, train=False, method="synthesis")
        return styles.w, stats["batch_stats"]["w_avg"], image, alone, constant

    return lambda strength: jax.device_get(program(strength))


def test_noise_of_strength_zero_has_no_effect():
    *_, image, _, constant = trained()(0.0)
    clipped = jnp.clip(image, -1, 1)
    np.testing.assert_allclose(clipped, np.repeat(constant, 8, 0), atol=1e-6)
    *_, noisy, _, _ = trained()(0.5)
    assert np.abs(noisy - noisy[:1]).max((1, 2, 3))[1:].min() > 0.01


def test_styles_are_mixed_at_one_random_layer():
    mixed, average, _, alone, _ = trained()(0.0)
    np.testing.assert_allclose(average, 0.005 * alone.mean(0), rtol=1e-5)
    # The first style is that of the latent; the others change once, at layers 1 to 3.
    np.testing.assert_array_equal(mixed[:, 0], alone)
    changes = np.any(mixed[:, 1:] != mixed[:, :-1], -1)
    np.testing.assert_array_equal(changes.sum(1), 1)
    assert changes.any(0).sum() >= 2


def test_equal_styles_are_not_mixed():
    w = jax.random.normal(KEY, (3, 4, 6))
    np.testing.assert_array_equal(stylegan2.mixed(w, w, jnp.array([1, 2, 4])), w)
    both = stylegan2.mixed(w, -w, jnp.array([1, 3, 4]))
    signs = np.asarray(both / w)[:, :, 0]
    np.testing.assert_array_equal(signs, [[1, -1, -1, -1], [1, 1, 1, -1], [1] * 4])


def test_truncation_and_the_methods_for_styles():
    net = tiny(classes=3).generator
    z, label = filled(jnp.zeros((2, 4))), jnp.array([0, 2])
    variables: Any = variables_of(net, z, label)
    mean = variables["batch_stats"]["w_avg"]

    @jax.jit
    def program():
        apply = functools.partial(net.apply, variables, train=False)
        w = apply(z, label, method="mapping")
        per_layer = jnp.repeat((mean + 0.5 * (w - mean))[:, None], net.layers, 1)
        same = apply(w, method="synthesis"), apply(z, label)
        half = apply(per_layer, method="synthesis"), apply(Truncated(z, 0.5), label)
        other = apply(z, jnp.array([1, 2]))
        return w, same, half, apply(Truncated(z, 0), label), other

    w, same, half, truncated, other = program()
    assert w.shape == (2, 6)
    np.testing.assert_array_equal(*same)
    np.testing.assert_allclose(*half, atol=1e-6)
    np.testing.assert_array_equal(truncated[0], truncated[1])
    assert float(jnp.abs(half[0] - same[0]).max()) > 1e-3
    # The label is part of the style.
    changed = np.abs(np.asarray(other - same[1])).max((1, 2, 3)) > 1e-3
    np.testing.assert_array_equal(changed, [True, False])


def test_path_lengths_of_a_linear_map():
    """G(w) = sum of A_l w_l, with 2 and 3 times an orthogonal matrix as A_l."""
    basis = [
        np.linalg.qr(np.random.default_rng(i).normal(size=(12, 12)))[0] for i in (0, 1)
    ]
    maps = jnp.asarray(np.stack([2 * basis[0], 3 * basis[1]]), jnp.float32)
    z = jnp.ones((5, 12))

    def generator(w):
        return jnp.einsum("bld,ldp->bp", w, maps).reshape(-1, 2, 2, 3)

    def styles(z):
        return jnp.stack([z, -z], 1)

    seen = inputs(linear_critic, REAL, FAKE, generator=generator, styles=styles)
    seen = seen._replace(samples=Samples(REAL, FAKE, latents=z))
    # Divided by the root of 2 x 2 pixels.
    y = np.asarray(normal_like(seen.keys, jnp.zeros((5, 2, 2, 3)))) / 2
    lengths = np.sqrt((4 + 9) / 2 * (y**2).sum((1, 2, 3)))
    term = losses.path_length(2, 0.9)
    got, mean = term.apply(seen, jnp.asarray(1.5))
    np.testing.assert_allclose(got, 2 * ((lengths - 1.5) ** 2).mean(), rtol=1e-5)
    np.testing.assert_allclose(mean, 0.9 * 1.5 + 0.1 * lengths.mean(), rtol=1e-5)


CONDITIONS = {
    "none": (ExampleSpec(), None),
    "label": (ExampleSpec(label=kinds.LABEL), jnp.zeros(2, jnp.int32)),
    "attributes": (
        ExampleSpec(attributes=Field((5,), np.dtype(bool), "attributes")),
        jnp.zeros((2, 5)),
    ),
}


@pytest.mark.parametrize("kind", CONDITIONS)
@pytest.mark.parametrize("shape", [(16, 16, 1), (16, 24, 3), (17, 30, 4)])
def test_shapes(shape, kind):
    fields, condition = CONDITIONS[kind]
    example = ExampleSpec(image=Field(shape), **fields)
    nets = stylegan2.pair(**TINY, example=example)

    def call(net, x):
        return net.init_with_output(KEY, x, condition, train=False)

    image, variables = jax.eval_shape(lambda: call(nets.generator, jnp.zeros((2, 4))))
    assert image.shape == (2, *shape)
    height = variables["params"]["synthesis_network"]["constant"].shape[0]
    assert height in (4, 5)
    output, variables = jax.eval_shape(
        lambda: call(nets.discriminator, jnp.zeros((2, *shape)))
    )
    assert (output.logits.shape, output.features.shape) == ((2,), (2, 4))
    assert ("projection" in variables["params"]) == (condition is not None)


def counts(width, size):
    nets = stylegan2.pair(width, example=image_example((size, size, 3)))
    found = []
    zeros = jnp.zeros((4, 512)), jnp.zeros((4, size, size, 3))
    for net, x in zip(nets, zeros, strict=True):
        shapes = jax.eval_shape(lambda net=net, x=x: net.init(KEY, x, train=False))
        found.append(sum(math.prod(x.shape) for x in jax.tree.leaves(shapes["params"])))
    return tuple(found)


def test_parameters_are_those_of_the_papers():
    # 24.767 and 24.001 million: table 2 of https://arxiv.org/abs/2501.05441, config A.
    assert counts(16_384, 256) == (24_767_458, 24_001_089)
    said = stylegan2.pair.__doc__ or ""
    assert "24,767,458 and 24,001,089" in said


def test_conditions_and_groups_that_do_not_fit():
    nets = tiny(classes=3)

    def shapes(net, *inputs):
        return jax.eval_shape(lambda: net.init(KEY, *inputs, train=False))

    with pytest.raises(UsageError, match="stylegan2 needs one label"):
        shapes(nets.generator, jnp.zeros((2, 4)), jnp.zeros((2, 8)))
    with pytest.raises(UsageError, match=r"minibatch_std\(2\) takes 2 examples"):
        shapes(nets.discriminator, jnp.zeros((3, 8, 8, 1)))
    with pytest.raises(UsageError, match="use mlp"):
        stylegan2.pair(example=image_example((2,)))


def test_wrappers_pass_styles_on():
    net = tiny().generator
    assert has_styles(net)
    assert has_styles(MixedPrecision(net, jnp.bfloat16, False))
    assert not has_styles(tiny().discriminator)
    # An embedding of the label makes the latents longer, of which styles are made.
    embedded = wrappers.embed(2, example=image_example((8, 8, 1), classes=3))(net)
    z, label = jnp.ones((2, 4)), jnp.array([0, 2])
    variables = variables_of(embedded, z, label)

    @jax.jit
    def both(variables):
        call = functools.partial(embedded.apply, variables, train=False)
        styles = call(ToStyles(z), label)
        return call(z, label), call(styles), call(Truncated(z, 1.0), label)

    images, of_styles, whole = both(variables)
    assert np.abs(images[0] - images[1]).max() > 1e-3
    close(images, of_styles)
    close(images, whole)


def test_two_devices_make_the_images_of_one():
    """Mixing, noise and the mean style do not depend on the number of devices."""
    example = image_example((8, 8, 1))
    alone, shared = (
        stylegan2.pair(**TINY, mixing=0.5, example=example, axis_name=axis).generator
        for axis in (None, "devices")
    )
    z, keys = filled(jnp.zeros((4, 4))), jax.random.split(KEY, 4)
    variables = variables_of(alone, z)

    def call(net, z, keys):
        with keys_of_examples(lambda: keys):
            rngs = {"params": KEY}
            return net.apply(variables, z, train=True, rngs=rngs, mutable="batch_stats")

    one = jax.jit(functools.partial(call, alone))(z, keys)
    mapped = jax.pmap(
        functools.partial(call, shared), "devices", devices=jax.devices()[:2]
    )
    image, stats = mapped(z.reshape(2, 2, 4), keys.reshape(2, 2))
    np.testing.assert_allclose(image.reshape(one[0].shape), one[0], atol=1e-5)
    for device in (0, 1):
        mean = jax.tree.map(lambda x, i=device: x[i], stats)
        close(mean, one[1])


def test_a_step_with_all_terms():
    arguments = ", ".join(f"{name}={value}" for name, value in TINY.items())
    config = make_config(
        preset="stylegan2-small",
        task="generate(4)",
        networks=f"stylegan2({arguments})",
        g_terms="path_length(2)",
        batch_size=4,
    )
    built = builder.build_gan(config, image_example((8, 8, 1)), unroll=True)

    shapes = jax.eval_shape(built.init, KEY)
    state = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
    state = state.replace(params=filled(shapes.params))
    batch = {"image": filled(jnp.zeros((1, 4, 8, 8, 1)))}
    state, metrics = jax.jit(built.train_step)(state, batch, KEY)
    assert all(np.isfinite(value) for value in metrics.values())
    assert metrics["generator/path_length"] > 0 < metrics["discriminator/r1"]
    # The mean style is kept with the moving average too.
    means = state.stats.generator, state.ema["batch_stats"]
    assert all(np.abs(*jax.tree.leaves(mean)).max() > 0 for mean in means)


def test_presets_have_the_papers_numbers():
    cifar = make_config(preset="stylegan2")
    assert cifar.steps * cifar.batch_size == 100e6
    assert PRESETS["r3gan"] == {**PRESETS["residual"], "networks": "r3gan"}
    faces = make_config(preset="stylegan2-64")
    assert f"r1({0.0002 * 64 * 64 / faces.batch_size:.4f})" in faces.d_terms


@pytest.mark.parametrize(
    ("preset", "gamma", "augment_p", "half_life", "burn_in", "batch_size"),
    [
        ("r3gan", (0.05, 0.005), 0.55, 5e6, 20e6, 512),
        ("r3gan-cifar10", (0.05, 0.005), 0.55, 5e6, 20e6, 512),
        ("r3gan-32", (0.5, 0.05), 0.5, 50e6, 200e6, 4096),
        ("r3gan-64", (1, 0.1), 0.4, 50e6, 200e6, 4096),
        ("r3gan-ffhq-64", (2, 0.2), 0.3, 0.5e6, 20e6, 256),
        ("r3gan-ffhq-256", (150, 15), 0.3, 0.5e6, 20e6, 256),
    ],
)
def test_r3gans_schedules_are_those_of_the_paper(
    preset, gamma, augment_p, half_life, burn_in, batch_size
):
    config = make_config(preset=preset)
    assert config.batch_size == batch_size
    burn = burn_in / batch_size

    def ends(text, name):
        """Both ends of the schedules of a recipe, and the step at which they end."""
        found = re.findall(r"cosine\(([^)]*)\)", text)
        values = [tuple(map(float, one.split(","))) for one in found]
        assert all(abs(steps - burn) <= 1 for *_, steps in values), name
        return {(start, end) for start, end, _ in values}

    assert ends(config.d_terms, "d_terms") == {gamma}
    assert ends(str(config.augment_p), "augment_p") == {(0, augment_p)}
    assert ends(str(config.ema_half_life), "ema") == {(0, half_life)}
    for optimizer in (config.g_optimizer, config.d_optimizer):
        assert ends(optimizer, "rates") == {(2e-4, 5e-5), (0.9, 0.99)}


@pytest.mark.parametrize("player", [0, 1])
def test_mixed_precision_keeps_float32_masters(player):
    """Gradients are float32, products bfloat16, and no long sum is in bfloat16."""
    nets = tiny(classes=3, mixing=0.0)
    inputs = jnp.zeros((4, 4)), jnp.zeros((4, 8, 8, 1))
    args = inputs[player], jnp.zeros(4, jnp.int32)
    variables = variables_of(nets[player], *args)
    net = MixedPrecision(nets[player], jnp.bfloat16, False)

    def loss(params):
        out = net.apply({**variables, "params": params}, *args, train=False)
        return jnp.sum(jax.tree.leaves(out)[0])

    traced, grads = jax.make_jaxpr(jax.grad(loss), return_shape=True)(
        variables["params"]
    )
    assert {x.dtype.name for x in jax.tree.leaves(grads)} == {"float32"}
    for eqn in operations(traced.jaxpr):
        types = {x.aval.dtype.name for x in eqn.invars[:2]}
        if eqn.primitive.name in ("conv_general_dilated", "dot_general"):
            assert types == {"bfloat16"}
        if eqn.primitive.name == "reduce_sum" and types == {"bfloat16"}:
            assert eqn.invars[0].aval.size == eqn.outvars[0].aval.size, eqn

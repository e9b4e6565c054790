"""StyleGAN2: resampling, modulation, styles, counts, and a run on two devices."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import kinds
import numpy as np
import pytest
from critics import FAKE, REAL, inputs, linear_critic
from kind_runs import close, run

from jaxgan import losses
from jaxgan.config.presets import PRESETS
from jaxgan.config.resolve import make_config
from jaxgan.errors import UsageError
from jaxgan.networks import modulated, stylegan2
from jaxgan.networks.ops import resampling
from jaxgan.networks.ops.threefry import normal, words_of
from jaxgan.networks.precision import MixedPrecision
from jaxgan.networks.streams import keys_of_examples
from jaxgan.networks.styles import Styles, ToStyles, Truncated, has_styles
from jaxgan.types import ExampleSpec, Field, Samples, image_example

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(0)
TINY = {"width": 16, "largest": 4, "dim": 6, "depth": 1, "group": 2}


def tiny(shape=(8, 8, 1), classes=0, **other):
    return stylegan2.pair(**{**TINY, **other}, example=image_example(shape, np.uint8, classes))


def test_resampling_keeps_constants_and_the_mean():
    x = jax.random.normal(KEY, (2, 4, 6, 3))
    for resample in (resampling.upsample, resampling.downsample):
        np.testing.assert_allclose(resample(jnp.full_like(x, 0.7)), 0.7, rtol=1e-6)
        means = resample(x).mean((1, 2))
        np.testing.assert_allclose(means, x.mean((1, 2)), atol=1e-6)
    # [1, 3, 3, 1] in both directions, of sum 4 as it doubles the sides.
    dot = jnp.zeros((1, 4, 4, 1)).at[0, 1, 2].set(16)
    taps = np.outer([1, 3, 3, 1], [1, 3, 3, 1])
    np.testing.assert_allclose(resampling.upsample(dot)[0, 1:5, 3:7, 0], taps)
    _, pull = jax.vjp(resampling.downsample, jnp.zeros((1, 8, 8, 1)))
    np.testing.assert_allclose(4 * pull(dot)[0], resampling.upsample(dot))


def test_both_forms_of_resampled_convolutions_are_one_after_the_other():
    x = jax.random.normal(KEY, (2, 4, 6, 3))
    kernel = jax.random.normal(KEY, (3, 3, 3, 5))

    def valid(x):
        return modulated.per_platform(resampling.conv_same)(x, kernel, padding="VALID")

    up = valid(resampling.extend(resampling.upsample(x), 1))
    # Beyond the border, two pixels of the convolution are read.
    down = resampling._filter(valid(resampling.extend(x, 2)), 2)
    for form in ("plain", "transposed"):
        got = getattr(resampling, f"conv_upsampled_{form}")(x, kernel)
        np.testing.assert_allclose(got, up, atol=1e-5)
    for form in ("strided", "merged"):
        got = getattr(resampling, f"conv_downsampled_{form}")(x, kernel)
        np.testing.assert_allclose(got, down, atol=1e-5)


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
    words = words_of(jax.random.split(KEY, 64))
    samples = np.asarray(normal(words, 3, (31, 9)))
    # 17,856 samples: the mean within 4 deviations, and three more moments.
    assert abs(samples.mean()) < 0.03
    np.testing.assert_allclose(samples.std(), 1, atol=0.025)
    np.testing.assert_allclose((samples**4).mean(), 3, atol=0.3)
    np.testing.assert_allclose((abs(samples) < 1).mean(), 0.6827, atol=0.015)
    np.testing.assert_array_equal(normal(words[5:7], 3, (31, 9)), samples[5:7])
    correlation = np.corrcoef(samples.ravel(), np.ravel(normal(words, 4, (31, 9))))
    assert abs(correlation[0, 1]) < 0.03


@functools.cache
def trained(mixing):
    """Styles, new statistics and images of a generator in training, and their inputs."""
    net = tiny(mixing=mixing).generator
    z, w = jax.random.normal(KEY, (8, 4)), jax.random.normal(KEY, (1, 6))
    keys = jax.random.split(jax.random.key(1), 8)

    @jax.jit
    def program(strength):
        variables: Any = net.init(KEY, z, train=False)
        params = jax.tree.map_with_path(
            lambda path, x: x + strength if path[-1].key == "noise" else x,
            variables["params"],
        )
        variables = {**variables, "params": params}

        def call(x):
            rngs = {"params": KEY}
            return net.apply(variables, x, train=True, rngs=rngs, mutable="batch_stats")

        with keys_of_examples(lambda: keys):
            styles, stats = call(ToStyles(z))
            image, _ = call(Styles(jnp.repeat(w, 8, 0)))
        alone = net.apply(variables, z, train=False, method="mapping")
        constant = net.apply(variables, w, train=False, method="synthesis")
        return styles.w, stats["batch_stats"]["w_avg"], image, alone, constant

    return program


def test_noise_of_strength_zero_has_no_effect():
    *_, image, _, constant = trained(0.0)(0.0)
    clipped = jnp.clip(image, -1, 1)
    np.testing.assert_allclose(clipped, jnp.repeat(constant, 8, 0), atol=1e-6)
    *_, noisy, _, _ = trained(0.0)(0.5)
    assert float(jnp.abs(noisy - noisy[:1]).max((1, 2, 3))[1:].min()) > 0.01


def test_styles_are_mixed_at_one_random_layer():
    plain, average, _, alone, _ = trained(0.0)(0.0)
    np.testing.assert_array_equal(plain, jnp.repeat(alone[:, None], 4, 1))
    np.testing.assert_allclose(average, 0.005 * alone.mean(0), rtol=1e-5)
    mixed, same_average, *_ = trained(1.0)(0.0)
    np.testing.assert_array_equal(same_average, average)
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
    z, label = jax.random.normal(KEY, (2, 4)), jnp.array([0, 2])
    mean = jnp.linspace(-1.0, 1.0, 6)

    @jax.jit
    def program():
        variables: Any = net.init(KEY, z, label, train=False)
        variables = {**variables, "batch_stats": {"w_avg": mean}}
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
    """G(w) = sum of A_l w_l, with 2 and 3 times an orthogonal matrix: |J^T y| is known."""
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
    y = np.stack([jax.random.normal(key, (2, 2, 3)) for key in seen.keys]) / 2
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


def counts(width, size, **options):
    nets = stylegan2.pair(width, example=image_example((size, size, 3)), **options)
    found = []
    for net, x in zip(nets, (jnp.zeros((4, 512)), jnp.zeros((4, size, size, 3)))):
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
    with pytest.raises(UsageError, match="stylegan2 needs one label"):
        nets.generator.init(KEY, jnp.zeros((2, 4)), jnp.zeros((2, 8)), train=False)
    with pytest.raises(UsageError, match=r"minibatch_std\(2\) takes 2 examples"):
        nets.discriminator.init(KEY, jnp.zeros((3, 8, 8, 1)), train=False)
    with pytest.raises(UsageError, match="use mlp"):
        stylegan2.pair(example=image_example((2,)))


def test_wrappers_pass_styles_on():
    net = tiny().generator
    assert has_styles(net)
    assert has_styles(MixedPrecision(net, jnp.bfloat16, False))
    assert not has_styles(tiny().discriminator)


def test_a_run_on_two_devices_is_that_on_one(monkeypatch):
    """Mixing, noise, the mean style, path lengths and groups do not depend on them."""
    arguments = ", ".join(f"{name}={value}" for name, value in TINY.items())
    example = image_example((8, 8, 1), classes=3)
    kind = kinds.Kind("conditional(4)", f"stylegan2({arguments})", example)
    monkeypatch.setitem(kinds.KINDS, "styles", kind)
    flags = {"g_terms": "path_length(2)", "steps": 2}
    one, seen = run("styles", 1, **flags)
    two, again = run("styles", 2, **flags)
    close(one, two)
    close(seen, again, atol=1e-4)
    assert all(np.isfinite(values).all() for values in seen.values())
    assert (seen["generator/path_length"] > 0).all()
    assert np.abs(one.stats.generator["batch_stats"]["w_avg"]).max() > 0
    assert {x.dtype.name for x in jax.tree.leaves(one.params)} == {"float32"}


def test_presets_have_the_papers_numbers():
    cifar = make_config(preset="stylegan2")
    assert cifar.steps * cifar.batch_size == 100e6
    assert PRESETS["r3gan"] == {**PRESETS["residual"], "networks": "r3gan"}
    large = make_config(preset="r3gan-64")
    assert 48_828 * large.batch_size == pytest.approx(200e6, rel=1e-4)
    faces = make_config(preset="stylegan2-64")
    assert f"r1({0.0002 * 64 * 64 / faces.batch_size:.4f})" in faces.d_terms

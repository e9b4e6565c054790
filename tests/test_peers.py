"""The peers compute the same as jaxgan: parameters, losses, gradients."""

import argparse
import doctest
import functools
import json
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import step_rows
import step_throughput
from flax.traverse_util import flatten_dict
from peers import protocol

from jaxgan import parallel
from jaxgan.config.resolve import make_config
from jaxgan.experiment import setup
from jaxgan.gan import builder
from jaxgan.networks.streams import keys_of_examples
from jaxgan.optimizers import chain
from jaxgan.types import LossInputs, Players, Samples, image_example

SHAPES = [(28, 28, 1), (32, 32, 3), (64, 64, 3)]
PRESETS = (
    *("default", "residual", "mlp", "mlp-small", "goodfellow", "dcgan", "lsgan"),
    *("wgan", "wgan-gp", "sngan", "sngan-resnet-small", "stylegan2-small"),
)
IMAGES = {
    "pix2pix": (
        "paired(0)",
        "image_to_image(unet(4, dropout=0.0), patch(4))",
    ),
    "cyclegan": ("unpaired(0)", "two_domains(resnet_generator(4), patch(4))"),
    "srgan": (
        "super_resolution(4, 0)",
        "image_to_image(srresnet(4), patch(4, conditional=False))",
    ),
}
"""Tasks without mirrored images and narrow networks, by preset."""
SEQUENCES = {"wavegan": (8_192, 1), "vocoder": (8_192, 1), "text_gan": (12, 20)}
"""Shapes of sounds and texts by preset."""
KEYS = jax.random.split(jax.random.key(0), 4)
TINY: dict[str, tuple[str, dict[str, Any]]] = {
    "residual": ("residual(16, 1)", {"width": 16, "blocks": 1}),
    "sngan-resnet-small": ("resnet(4)", {"width": 4}),
    "stylegan2-small": (
        "stylegan2(64, 8, 64, depth=2, mixing=0)",
        {"width": 64, "largest": 8, "depth": 2, "mixing": 0},
    ),
}
"""Narrow networks by preset, ours and their arguments in PyTorch."""


@pytest.fixture
def torch():
    torch = pytest.importorskip("torch", reason="no PyTorch: install the extra bench")
    torch.set_num_threads(1)  # several wait for one another where tests share cores
    return torch


@pytest.fixture
def pytorch(torch):
    from peers import pytorch

    return pytorch


@pytest.fixture
def keras_tf():
    pytest.importorskip("tensorflow", reason="no TensorFlow: install the extra bench")
    from peers import keras_tf

    return keras_tf


def config_of(preset, **more):
    return make_config(preset=preset, augment="", **more)


def nets_of(config, shape):
    """Both networks, by a look at the networks alone."""
    facts = {"example": image_example(shape, classes=10), "axis_name": None}
    return builder.build_networks(config, facts)


def variables_of(config, shape):
    """Both players' variables."""
    nets = nets_of(config, shape)
    latent = next((n for n in (100, 128) if str(n) in config.task), 64)
    z, x = jnp.zeros((4, latent)), jnp.zeros((4, *shape))
    inits = [functools.partial(net.init, train=False) for net in nets]
    key = jax.random.key(0)
    return Players(*(i(key, y) for i, y in zip(inits, (z, x), strict=True)))


def counts_of(preset, shape):
    config = config_of(preset)
    found = jax.eval_shape(lambda: variables_of(config, shape))
    return [sum(x.size for x in jax.tree.leaves(own["params"])) for own in found]


def job_of(preset, variant, shape=(28, 28, 1), batch=4):
    return {
        "preset": preset,
        "variant": variant,
        "shape": list(shape),
        "batch_size": batch,
        "examples": 64,
    }


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("preset", PRESETS)
def test_parameters_in_torch(pytorch, torch, preset, shape):
    own = pytorch.RECIPES[preset]
    if preset == "sngan-resnet-small" and shape == (64, 64, 3):
        with pytest.raises(ValueError, match="resnet has no images of 64x64 here"):
            own.pair(own.latent, shape)
        return
    with torch.device("meta"):
        nets = own.pair(own.latent, shape)
    got = [sum(p.numel() for p in net.parameters()) for net in nets]
    assert got == counts_of(preset, shape)


def test_every_recipe_is_here(pytorch):
    assert set(pytorch.RECIPES) == {*PRESETS, *IMAGES, *SEQUENCES}


@pytest.mark.parametrize("preset", [*PRESETS, *IMAGES, *SEQUENCES])
def test_recipes_in_torch(pytorch, torch, preset):
    own, config = pytorch.RECIPES[preset], config_of(preset)
    assert (own.updates, own.loss) == (config.d_updates, config.loss)
    assert own.average == (config.ema_half_life != 0)
    assert own.uniform == ("uniform" in config.task)
    assert own.again == (config.g_latents == "fresh")
    steps = jnp.array([[0.3, -0.1], [0.2, 0.4], [-0.5, 0.1]])
    pairs = [(config.g_optimizer, own.optimizer)]
    if own.d_optimizer:
        pairs.append((config.d_optimizer, own.d_optimizer))
    for text, make in pairs:
        ours = jnp.array([0.5, -0.2])
        theirs = torch.tensor(np.array(ours), requires_grad=True)
        transform = chain(text)
        state, optimizer = transform.init(ours), make([theirs], {})
        for grad in steps:
            updates, state = transform.update(grad, state, ours)
            ours = optax.apply_updates(ours, updates)
            theirs.grad = torch.tensor(np.array(grad))
            optimizer.step()
        np.testing.assert_allclose(theirs.detach().numpy(), np.array(ours), rtol=1e-5)


@pytest.mark.parametrize("variant", ["eager", "channels_last+expert", "autocast"])
@pytest.mark.parametrize("preset", PRESETS)
def test_steps_in_torch(pytorch, torch, monkeypatch, preset, variant):
    nets = pytest.importorskip("peers.torch_networks")
    tiny = functools.partial(nets.residual, width=16, blocks=1)
    little = pytorch.RECIPES["residual"]._replace(pair=tiny)
    monkeypatch.setitem(pytorch.RECIPES, "residual", little)
    game = pytorch.game_of(job_of(preset, variant))
    before = [p.detach().clone() for p in game.generator.parameters()]
    numbers = torch.arange(4 * game.recipe.updates).view(-1, 4)
    for loss in pytorch.step(game, numbers):
        assert torch.isfinite(loss)
    after = game.generator.parameters()
    assert any((a != b).any() for a, b in zip(after, before, strict=True))
    assert pytorch.runner(game, 4)(3) == 3


@pytest.mark.parametrize("latents", ["fresh", "same"])
def test_latents_that_a_job_asks_for(pytorch, latents):
    job = job_of("mlp-small", "eager") | {"flags": {"g_latents": latents}}
    game, seen = pytorch.game_of(job), []
    draw = pytorch.latents
    pytorch.latents = lambda *given: seen.append(draw(*given)) or seen[-1]
    try:
        pytorch.step(game, pytorch.torch.arange(4).view(1, 4))
    finally:
        pytorch.latents = draw
    assert len(seen) == (2 if latents == "fresh" else 1)


def test_presets_with_latents_are_jobs_of_their_own():
    said = argparse.Namespace(
        presets="mlp,mlp:same",
        shapes="28x28x1",
        batch_sizes="0",
        networks="",
        examples=64,
        steps_per_call=0,
    )
    own, same = step_throughput.jobs(said)
    assert own["flags"] == {}
    assert same == {**own, "flags": {"g_latents": "same"}}
    assert [step_rows.named(job) for job in (own, same)] == ["mlp", "mlp:same"]


def test_unknown_switches(pytorch):
    with pytest.raises(ValueError, match="no switch fast"):
        pytorch.game_of(job_of("mlp-small", "fast"))
    with pytest.raises(ValueError, match="no CUDA"):
        pytorch.game_of(job_of("mlp-small", "graphs"))


def image_order(x, low, axis=0, mirror=False):
    """Entries of a flat image, ours `[H, W, C]`, theirs `[C, H, W]`."""
    x = np.moveaxis(x, axis, 0)
    x = x.reshape(*low, -1, *x.shape[1:])
    x = x[::-1, ::-1] if mirror else x
    return np.moveaxis(np.moveaxis(x, 2, 0).reshape(-1, *x.shape[3:]), 0, axis)


def pixel_order(x, axis):
    """Channels that are four pixels each, ours pixels first, theirs channels first."""
    x = np.moveaxis(x, axis, 0)
    x = x.reshape(4, -1, *x.shape[1:]).swapaxes(0, 1).reshape(-1, *x.shape[1:])
    return np.moveaxis(x, 0, axis)


def numbered(params, kind):
    """Layers of a kind in the order in which they are called."""
    names = [name for name in params if name.rpartition("_")[0] == kind]
    ordered = sorted(names, key=lambda name: int(name.rpartition("_")[2]))
    return [params[name] for name in ordered]


def of_perceptrons(g, d, shape):
    del shape

    def layers(params):
        return [x for own in numbered(params, "Dense") for x in of_dense(own)]

    return layers(g), layers(d)


def of_dense(own):
    return [own["kernel"].T, own["bias"]]


def of_conv(own):
    return [own["kernel"].transpose(3, 2, 0, 1), own["bias"]]


def of_small(g, d, shape):
    levels = sum(1 for _ in numbered(g, "Conv")) // 2
    low = [side // 2**levels for side in shape[:2]]
    got = [image_order(x, low) for x in of_dense(g["Dense_0"])]
    for i, own in enumerate(numbered(g, "Conv")):
        got += [pixel_order(x, 0) if i % 2 else x for x in of_conv(own)]
    seen = []
    for i, own in enumerate(numbered(d, "Conv")):
        kernel, bias = of_conv(own)
        first = i % 2 or i == 0  # 0, 1, 3, 5: after pixels became channels
        seen += [pixel_order(kernel, 1) if first else kernel, bias]
    logit, bias = of_dense(d["Dense_0"])
    return got, [*seen, image_order(logit, low, 1), bias]


def of_dcgan(g, d, shape):
    """Mirrored: where a side does not fill up, ours pads below, theirs above."""
    low = [side // 4 for side in shape[:2]]
    start = image_order(g["Dense_0"]["kernel"].T, low, mirror=True)
    first, *norms = ([own["scale"], own["bias"]] for own in numbered(g, "BatchNorm"))
    got = [start, *(image_order(x, low, mirror=True) for x in first)]
    for own, norm in zip(numbered(g, "ConvTranspose"), [*norms, []], strict=True):
        got += [own["kernel"].transpose(2, 3, 0, 1), *norm]
    seen = []
    for own in numbered(d, "Conv"):
        kernel, bias = of_conv(own)
        seen += [kernel[:, :, ::-1, ::-1], bias]
    logit, bias = of_dense(d["Dense_0"])
    return got, [*seen, image_order(logit, low, 1, mirror=True), bias]


def of_residual(g, d, shape):
    del shape

    def mix(kernel):
        return kernel.T[:, :, None, None]

    def colours(own):
        return [mix(own["kernel"]), own["bias"]]

    def block(own):
        grouped = own["grouped"]["kernel"].transpose(3, 2, 0, 1)
        first, second = own["first"]["bias"], own["second"]["bias"]
        expand, project = mix(own["expand"]["kernel"]), mix(own["project"]["kernel"])
        return [expand, first, grouped, second, project]

    levels = range(sum(name.startswith("block") for name in g))
    start = [g["start"]["basis"].transpose(2, 0, 1), *of_dense(g["start"]["strength"])]
    up = [x for i in levels for x in block(g[f"block_{i}_0"])]
    down = [x for i in reversed(levels) for x in block(d[f"block_{i}_0"])]
    everywhere = d["everywhere"]["kernel"].transpose(2, 0, 1)
    return (
        [*start, *up, *colours(g["colours"])],
        [*colours(d["colours"]), *down, everywhere, *of_dense(d["logit"])],
    )


def before_kernels(values):
    """Pairs of kernel and bias, the bias first as in layers with a spectral norm."""
    return [x for i in range(0, len(values), 2) for x in values[i : i + 2][::-1]]


def of_spectral_small(g, d, shape):
    got, seen = of_small(g, d["net"], shape)
    return got, before_kernels(seen)


def of_colors(own):
    """A layer of pixels, which is a convolution in PyTorch."""
    return [own["kernel"].T[:, :, None, None], own["bias"]]


def of_norm(own):
    return [own["scale"], own["bias"]]


def of_resnet(g, d, shape):
    d, count = d["net"], sum(name.startswith("block") for name in g)
    low = [side // 2**count for side in shape[:2]]
    got = [image_order(x, low) for x in of_dense(g["start"])]
    for own in (g[f"block_{i}_0"] for i in range(count)):
        for i in range(2):
            got += [*of_norm(own[f"norm_{i}"]), *of_conv(own[f"conv_{i}"])]
        got += of_colors(own["shortcut"])
    seen = []
    for own in (d[f"block_{i}_0"] for i in range(4)):
        seen += [*of_conv(own["conv_0"]), *of_conv(own["conv_1"])]
        seen += of_colors(own["shortcut"]) if "shortcut" in own else []
    seen += of_dense(d["logit"])
    return [*got, *of_norm(g["norm"]), *of_conv(g["colors"])], before_kernels(seen)


def of_stylegan2(g, d, shape):
    mapping, own = g["mapping_network"], g["synthesis_network"]
    levels = sum(name.startswith("up") for name in own)
    got = [own["constant"].transpose(2, 0, 1)]
    got += [x for i in range(len(mapping)) for x in of_dense(mapping[f"dense_{i}"])]
    for kind, first in (("up", 1), ("conv", 0), ("colors", 0)):
        for layer in (own[f"{kind}_{i}"] for i in range(first, levels + 1)):
            got += [layer["noise"]] if "noise" in layer else []
            got += [*of_dense(layer["style"]), *of_conv(layer)]
    seen = of_conv(d["colors"])
    for block in (d[f"block_{i}"] for i in range(levels, 0, -1)):
        seen += [*of_conv(block["conv"]), *of_conv(block["down"])]
        seen += [block["skip"]["kernel"].transpose(3, 2, 0, 1)]
    kernel, bias = of_dense(d["dense"])
    low = [side // 2**levels for side in shape[:2]]
    seen += [*of_conv(d["conv"]), image_order(kernel, low, 1), bias]
    return got, [*seen, *of_dense(d["logit"])]


ORDERS = {
    "default": of_small,
    "sngan": of_spectral_small,
    "sngan-resnet-small": of_resnet,
    "stylegan2-small": of_stylegan2,
    "wgan-gp": of_small,
    "dcgan": of_dcgan,
    "residual": of_residual,
}


def noisy(tree):
    """Parameters of which none is zero."""
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda x: x + 0.05 * rng.normal(size=x.shape), tree)


def ours(config, nets, variables, z, x):
    """Both losses and the length of their gradients; D without dropout."""
    terms = builder.build_terms(
        config, None, Players("", ""), image_example((28, 28, 1))
    )

    def loss(own, player):
        params = variables._replace(
            **{player: {**getattr(variables, player), "params": own}}
        )
        streams = {"params": jax.random.key(0)}
        with keys_of_examples(lambda: KEYS):
            fake, _ = nets.generator.apply(
                params.generator, z, train=True, mutable=["batch_stats"], rngs=streams
            )

        def critic(samples):
            return nets.discriminator.apply(params.discriminator, samples, train=False)

        samples, step = Samples(x, fake), jnp.zeros(())
        inputs = LossInputs(samples, critic(x), critic(fake), critic, KEYS, step)
        own_terms = getattr(terms, player).values()
        return jnp.stack([term.apply(inputs, ())[0] for term in own_terms]).sum()

    found = []
    for player in reversed(Players._fields):
        own = getattr(variables, player)["params"]
        value, grads = jax.jit(jax.value_and_grad(loss), static_argnums=1)(own, player)
        found += [value, optax.tree.norm(grads)]
    return found


def theirs(torch, own, losses, nets, z, x):
    """The same by PyTorch."""
    g, d = nets
    g.train()
    d.eval()
    fake = g(z)
    judged = own.judge(d, x, fake.detach())
    loss = losses[own.loss]
    values = (
        loss.discriminator(judged.real, judged.fake) + judged.penalty,
        loss.generator(d(x), d(fake)),
    )
    found = []
    for value, net in zip(values, (d, g), strict=True):
        grads = torch.autograd.grad(value, list(net.parameters()), allow_unused=True)
        squares = [grad.square().sum() for grad in grads if grad is not None]
        found += [value.detach(), torch.stack(squares).sum().sqrt()]
    return found


def iterate(torch, net, vectors):
    """One power iteration of each kernel from our vectors, as ours at each call."""
    layers = [x for x in net.modules() if hasattr(x, "parametrizations")]
    starts = sorted(flatten_dict(vectors).items(), key=lambda x: natural(x[0]))
    for layer, (_, start) in zip(layers, starts, strict=True):
        norm = layer.parametrizations.weight[0]
        matrix = layer.parametrizations.weight.original.flatten(1)
        v = matrix.T @ torch.tensor(np.array(start))
        norm._v.copy_(v / v.norm())
        u = matrix @ norm._v
        norm._u.copy_(u / u.norm())


def natural(path):
    """Blocks, then the last layer; Conv, then Dense; shortcuts come last in theirs."""
    return [(x in ("logit", "Dense_0"), x) for x in path]


def same_noise(torch, monkeypatch):
    """Lets both StyleGAN2s draw the same noise."""
    from peers import torch_stylegan2

    from jaxgan.networks import stylegan2

    noise = np.random.default_rng(2).normal(size=(len(KEYS), 10_000)).astype(np.float32)
    used = 0

    def normal(words, number, shape):
        return jnp.asarray(noise[: len(words), : shape[0]])

    def noise_like(x):
        nonlocal used
        first, used = used, used + x[0, 0].numel()
        return torch.tensor(noise[:, first:used]).view(-1, 1, *x.shape[2:])

    monkeypatch.setattr(stylegan2, "normal", normal)
    monkeypatch.setattr(torch_stylegan2, "noise_like", noise_like)


@pytest.mark.parametrize("preset", PRESETS)
def test_losses_with_the_same_weights(pytorch, torch, monkeypatch, preset):
    t = np.array(jax.vmap(jax.random.uniform)(KEYS))  # where gradient_penalty looks
    monkeypatch.setattr(torch, "rand", lambda *size, **_: torch.tensor(t).view(size))
    same_noise(torch, monkeypatch)
    shape = (16, 16, 3) if preset in ORDERS else (8, 8, 1)
    networks, small = TINY.get(preset, ("", {}))
    tiny = {"networks": networks} if networks else {}
    config, own = config_of(preset, **tiny), pytorch.RECIPES[preset]
    nets = nets_of(config, shape)
    variables = jax.jit(lambda: variables_of(config, shape))()
    variables = Players(*({**v, "params": noisy(v["params"])} for v in variables))
    rng = np.random.default_rng(0)
    z = rng.normal(size=(len(KEYS), own.latent)).astype(np.float32)
    x = rng.uniform(-1, 1, (len(KEYS), *shape)).astype(np.float32)

    pair = own.pair(own.latent, shape, **small)
    order = ORDERS.get(preset, of_perceptrons)
    g, d = (jax.tree.map(np.asarray, v["params"]) for v in variables)
    with torch.no_grad():
        for net, values in zip(pair, order(g, d, shape), strict=True):
            for parameter, value in zip(net.parameters(), values, strict=True):
                assert parameter.shape == value.shape
                parameter.copy_(torch.tensor(np.array(value, order="C")))
        if "spectral" in variables.discriminator:
            iterate(torch, pair[1], variables.discriminator["spectral"]["u"])

    seen = x[:, ::-1, ::-1] if preset == "dcgan" else x
    seen = torch.tensor(np.ascontiguousarray(seen.transpose(0, 3, 1, 2)))
    got = theirs(torch, own, pytorch.LOSSES, pair, torch.tensor(z), seen)
    want = ours(config, nets, variables, jnp.array(z), jnp.array(x))
    np.testing.assert_allclose([float(g) for g in got], want, rtol=1e-4)


def copy_into(torch, net, params):
    """Copies our parameters into layers of PyTorch, both in the order of calls."""
    nn = torch.nn
    kinds = {
        nn.Conv2d: "Conv",
        nn.ConvTranspose2d: "ConvTranspose",
        nn.BatchNorm2d: "BatchNorm",
        nn.InstanceNorm2d: "InstanceNorm",
    }
    layers = {kind: iter(numbered(params, kind)) for kind in kinds.values()}
    for layer in (x for x in net.modules() if type(x) in kinds):
        own = next(layers[kinds[type(layer)]])
        if isinstance(layer, nn.ConvTranspose2d):
            # It is the gradient of a convolution, whose kernel is the other way round.
            weight = own["kernel"][::-1, ::-1].transpose(2, 3, 0, 1)
        elif isinstance(layer, nn.Conv2d):
            weight = own["kernel"].transpose(3, 2, 0, 1)
        else:
            weight = own["scale"]
        assert (layer.bias is not None) == ("bias" in own)
        for parameter, value in ((layer.weight, weight), (layer.bias, own.get("bias"))):
            if value is not None:
                assert parameter.shape == value.shape
                parameter.copy_(torch.tensor(np.ascontiguousarray(value)))
    assert not any(list(rest) for rest in layers.values())


def image_gan(preset, shape, **flags):
    """Our GAN of image to image, and its config."""
    from peers import ours

    config = make_config(preset=preset, batch_size=4, **flags)
    layout = parallel.layout_of(parallel.choose_devices(1))
    return setup.build_gan(config, ours.example_of(config, shape), layout), config


@pytest.mark.parametrize("preset", IMAGES)
def test_parameters_of_image_networks_in_torch(pytorch, torch, preset):
    shape, own = (64, 64, 3), pytorch.RECIPES[preset]
    gan, _ = image_gan(preset, shape, **step_throughput.FLAGS.get(preset, {}))
    state = jax.eval_shape(gan.init, jax.random.key(0))
    with torch.device("meta"):
        nets = own.pair(own.latent, shape)
    got = [sum(p.numel() for p in net.parameters()) for net in nets]
    assert got == [sum(x.size for x in jax.tree.leaves(p)) for p in state.params]


@pytest.mark.parametrize("preset", IMAGES)
def test_a_step_of_image_to_image_with_the_same_weights(
    pytorch, torch, monkeypatch, preset
):
    shape, (task, networks) = (32, 32, 3), IMAGES[preset]
    flags = {**step_throughput.FLAGS.get(preset, {}), "task": task}
    gan, _ = image_gan(preset, shape, networks=networks, **flags)
    state = jax.jit(gan.init)(jax.random.key(0))
    params = jax.tree.map(np.asarray, state.params)
    rng = np.random.default_rng(0)
    example = ["image", "source"][: pytorch.RECIPES[preset].task.fields]
    arrays = {x: rng.integers(0, 256, (4, *shape), np.uint8) for x in example}
    batches = {**arrays, "label": np.zeros(4, np.int32)}
    batches = {name: x[None] for name, x in batches.items()}
    _, metrics = jax.jit(gan.train_step)(state, batches, jax.random.key(1))
    want = [
        sum(float(metrics[f"{player}/{name}"]) for name in getattr(gan.terms, player))
        for player in reversed(Players._fields)
    ]

    own = pytorch.RECIPES[preset]
    narrow = own._replace(pair=functools.partial(own.pair, width=4, d_width=4))
    monkeypatch.setitem(pytorch.RECIPES, preset, narrow)
    monkeypatch.setattr(pytorch, "flipped", lambda images, alike: images)
    game = pytorch.game_of(job_of(preset, "eager", shape))
    for layer in game.generator.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.0
    two = preset == "cyclegan"
    with torch.no_grad():
        names = ("to_image", "to_source") if two else (None,)
        for net, name in zip(game.generator.nets, names, strict=True):
            copy_into(torch, net, params.generator[name] if name else params.generator)
        names = ("of_image", "of_source") if two else (None,)
        for net, name in zip(game.discriminator.nets, names, strict=True):
            tree = params.discriminator[name] if name else params.discriminator
            copy_into(torch, net, tree["scale_0"])
    stacked = np.concatenate(list(arrays.values()), -1).transpose(0, 3, 1, 2)
    pictures = torch.tensor(np.ascontiguousarray(stacked))
    got = pytorch.step(game._replace(pictures=pictures), torch.arange(4).view(1, 4))
    # G's loss is that with D's new parameters.
    np.testing.assert_allclose([float(x) for x in got], want, rtol=1e-4)


@pytest.mark.parametrize("variant", ["channels_last+expert", "autocast"])
@pytest.mark.parametrize("preset", IMAGES)
def test_image_steps_in_torch(pytorch, torch, preset, variant):
    game = pytorch.game_of(job_of(preset, variant, (32, 32, 3)))
    for loss in pytorch.step(game, torch.arange(4).view(1, 4)):
        assert torch.isfinite(loss)
    assert pytorch.runner(game, 4)(3) == 3


def test_the_pool_of_torch_keeps_past_fakes(pytorch, torch):
    pool = pytorch.Pool(4)
    first, later = torch.zeros(4, 1, 1, 1), torch.ones(400, 1, 1, 1)
    assert pool(first) is first
    seen = pool(later)
    assert 150 < seen.sum() < 250  # about half of them
    assert pool.kept.sum() == 4  # each place is taken by a new one


@pytest.mark.parametrize("preset", ["mlp", "mlp-small", "dcgan"])
def test_keras(keras_tf, preset):
    shape = (28, 28, 1)
    game = keras_tf.game_of(job_of(preset, "function", shape))
    assert list(keras_tf.parameters(game).values()) == counts_of(preset, shape)
    for loss in game.step(np.arange(4, dtype=np.int32)):
        assert np.isfinite(loss.numpy())


def test_a_worker_answers_and_ends():
    job = {**job_of("mlp-small", "float32"), "env": {"JAX_PLATFORMS": "cpu"}}
    with protocol.started("ours", job) as worker:
        said = protocol.answer(worker, 60)
        assert said["ready"], said
        counts = counts_of("mlp-small", (28, 28, 1))
        assert list(said["parameters"].values()) == counts
        ran = protocol.ask(worker, {"run": 3}, 60)
        assert ran["steps"] == 3
        assert ran["seconds"] > 0
        assert protocol.ask(worker, {"memory": True}, 60)["bytes"] > 2**20
        used = protocol.cpu_seconds(worker)
        time.sleep(0.5)
        assert protocol.cpu_seconds(worker) - used < 0.2  # it blocks, and does not spin
    assert worker.process.poll() is not None


def test_a_worker_that_cannot_says_why():
    job = {**job_of("default", "float32"), "preset": "none-such"}
    with protocol.started("ours", job) as worker:
        said = protocol.answer(worker, 60)
    assert "none-such" in said["error"]


def window(seconds, arithmetic="float32"):
    return {
        "windows": seconds,
        "arithmetic": arithmetic,
        "compile_seconds": 1.0,
        "first_step_seconds": 2.0,
        "bytes": 2**20,
    }


def test_rows():
    measured = {
        "asked": {"preset": "mlp", "shape": [2], "batch_size": 10, "d_updates": 2},
        "contestants": {
            "jaxgan float32": window([1.0, 2.0, 4.0]),
            "pytorch eager": window([3.0, 4.0, 4.0]),
            "pytorch compile": {"error": "no compiler"},
        },
        "ceilings": {
            "jax": {"windows": [0.5], "arithmetic": "float32", "flops_per_step": 8e9},
            "torch": {"error": "no torch"},
        },
        "flops_per_step": 16e9,
        "idle_cores": 0.0,
        "others_cores": 0.5,
    }
    ours, peer, none = step_rows.rows_of(measured)
    assert ours["ms_per_step"] == 2_000
    assert ours["images_per_second"] == 10  # 2 updates of 10 in 2 s
    assert ours["share_of_ceiling"] == 0.5  # 8 of 16 GFLOP/s
    assert "against" not in ours
    assert peer["ours_times_as_fast"] == 2  # of 3, 2 and 1
    assert none["error"] == "no compiler"
    text = "\n".join(step_rows.markdown([measured]))
    assert "2 (jaxgan" not in text
    assert "Not quiet" in text
    assert json.dumps([ours, peer, none])


def test_overview():
    asked = {"preset": "mlp", "shape": [2], "batch_size": 10, "d_updates": 2}
    measured = {
        "asked": asked | {"flags": {"networks": "mlp(8)"}},
        "contestants": {
            "jaxgan mixed": window([9.0]) | {"arithmetic": "bfloat16"},
            "jaxgan float32": window([2.0]),
            "jaxgan float32+huge": window([1.0]),
            "pytorch eager": window([8.0]),
            "pytorch expert": window([6.0]),
            "pytorch expert+huge": window([4.0]),  # beside ours with huge pages
            "pytorch autocast": window([1.0]) | {"arithmetic": "bfloat16"},
            "keras function": window([1.0]),
        },
        "ceilings": {},
        "flops_per_step": 16e9,
    }
    *_, row = step_rows.overview([measured])
    cells = ["mlp mlp(8)", "2", "10 x 2", "2,000", "", "4.00", "3.00 (expert)", "0.50"]
    assert row == f"| {' | '.join(cells)} |  |"


@pytest.mark.parametrize("module", [protocol, step_rows])
def test_examples_in_docstrings(module):
    assert doctest.testmod(module).failed == 0


def sequence_players(preset, shape):
    """Our networks of a preset for sounds or texts, and shapes of their variables."""
    from peers import ours

    flags = step_throughput.FLAGS.get(preset, {})
    config = make_config(preset=preset, batch_size=4, **flags)
    example = ours.example_of(config, shape)
    layout = parallel.layout_of(parallel.choose_devices(1))
    gan = setup.build_gan(config, example, layout)
    return gan, jax.eval_shape(gan.init, jax.random.key(0))


def weights(preset, shape):
    """Our networks of a preset, and random parameters of both."""
    gan, state = sequence_players(preset, shape)
    rng = np.random.default_rng(1)

    def draw(x):
        return (0.1 * rng.normal(size=x.shape)).astype(np.float32)

    return gan.networks, Players(*(jax.tree.map(draw, p) for p in state.params))


def over_time(own, flip=1):
    """Our kernel `[k, C, O]` and bias, for a convolution of `[B, C, T, 1]`."""
    return [own["kernel"][::flip].transpose(2, 1, 0)[..., None], own["bias"]]


def transposed(own, flip=1):
    """The same for a transposed convolution."""
    return [own["kernel"][::flip].transpose(1, 2, 0)[..., None], own["bias"]]


def time_order(x, axis=-1, steps=8):
    """Entries of flat sequences, ours `[T, C]` and theirs `[C, T]`, from the end."""
    x = np.moveaxis(x, axis, -1)
    x = x.reshape(*x.shape[:-1], steps, -1)[..., ::-1, :].swapaxes(-1, -2)
    return np.moveaxis(x.reshape(*x.shape[:-2], -1), -1, axis)


def of_wavegan(g, d):
    """Backwards in time, as theirs pads the other end by one sample more."""
    net, head = d["net"], d["Dense_0"] if "Dense_0" in d else d["net"]["Dense_0"]
    kernel, bias = of_dense(g["net"]["Dense_0"])
    got = [time_order(kernel, 0), time_order(bias)]
    for own in numbered(g["net"], "ConvTranspose1D"):
        got += transposed(own)
    seen = [x for own in numbered(net, "Conv1D") for x in over_time(own, -1)]
    kernel, bias = of_dense(head)
    table = time_order(d["Embed_0"]["embedding"])
    seen += [time_order(kernel), bias, table]
    return [*got, g["Embed_0"]["embedding"]], seen


def of_vocoder(g, d):
    first, last = numbered(g, "Conv1D")
    got = over_time(first)
    fusions = zip(numbered(g, "Upsample1D"), numbered(g, "Fusion"), strict=True)
    for up, fusion in fusions:
        got += transposed(up)
        got += [x for own in numbered(fusion, "Conv1D") for x in over_time(own)]
    names = [f"period_{p}" for p in (2, 3, 5, 7, 11)] + [f"scale_{i}" for i in range(3)]
    judges = [numbered(d[name], "Conv1D") for name in names]
    seen = [x for judge in judges for own in judge for x in over_time(own)]
    return [*got, *over_time(last)], seen


def of_text(g, d):
    dense = [x for own in numbered(d, "Dense") for x in of_dense(own)]
    names = ("embedding", "inputs", "hidden", "bias", "hidden_bias")
    rows, inputs, hidden, bias, hidden_bias = (g[name] for name in names)
    got = [rows, hidden.T, hidden_bias, inputs.T, bias]
    return [*got, g["outputs"].T, g["outputs_bias"]], [d["kernel"], *dense]


@pytest.mark.parametrize(
    ("preset", "order"),
    [("wavegan", of_wavegan), ("vocoder", of_vocoder), ("text_gan", of_text)],
)
def test_networks_of_sounds_and_texts_with_the_same_weights(
    pytorch, torch, preset, order
):
    shape, own = SEQUENCES[preset], pytorch.RECIPES[preset]
    nets, params = weights(preset, shape)
    pair = own.pair(
        own.latent, shape, **({"shuffle": 0} if preset == "wavegan" else {})
    )
    with torch.no_grad():
        for net, values in zip(pair, order(*params), strict=True):
            for parameter, value in zip(net.parameters(), values, strict=True):
                assert parameter.shape == value.shape
                parameter.copy_(torch.tensor(np.ascontiguousarray(value)))
    rng, label = np.random.default_rng(0), np.array([3, 7])
    flip, told = (-1, (label,)) if preset == "wavegan" else (1, ())

    def theirs(net, x):
        with torch.no_grad():
            return net(torch.tensor(np.ascontiguousarray(x)), torch.tensor(label))

    inputs = {"wavegan": (2, 64), "vocoder": (2, 33, 80)}
    if preset in inputs:
        z = rng.normal(size=inputs[preset]).astype(np.float32)
        fake: Any = nets.generator.apply(
            {"params": params.generator}, z, *told, train=False
        )
        seen = z if preset == "wavegan" else z.transpose(0, 2, 1)[..., None]
        got = theirs(pair[0], seen).numpy()[:, 0, ::flip, 0]
        np.testing.assert_allclose(got, fake[..., 0], atol=1e-4)
        x = rng.uniform(-1, 1, (2, *shape)).astype(np.float32)
        theirs_x = x.transpose(0, 2, 1)[:, :, ::flip, None]
    else:
        x = theirs_x = np.eye(shape[1], dtype=np.float32)[rng.integers(0, 20, (2, 12))]
    judged: Any = nets.discriminator.apply(
        {"params": params.discriminator}, x, *told, train=False
    )
    logits = [np.sort(np.ravel(y)) for y in jax.tree.leaves(judged.logits)]
    got = [np.sort(y.numpy().ravel()) for y in theirs(pair[1], theirs_x)[0]]
    for one, other in zip(
        sorted(got, key=lambda y: (len(y), y[0])),
        sorted(logits, key=lambda y: (len(y), y[0])),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("variant", ["eager", "channels_last+expert"])
@pytest.mark.parametrize("preset", SEQUENCES)
def test_steps_of_sounds_and_texts_in_torch(pytorch, torch, preset, variant):
    shape, own = SEQUENCES[preset], pytorch.RECIPES[preset]
    _, state = sequence_players(preset, shape)
    job = job_of(preset, variant, shape, batch=2)
    game = pytorch.game_of({**job, "examples": 4})
    sizes = [sum(x.size for x in jax.tree.leaves(p)) for p in state.params]
    assert list(pytorch.parameters(game).values()) == sizes
    before = [p.detach().clone() for p in game.generator.parameters()]
    for loss in pytorch.step(game, torch.arange(2).view(1, 2)):
        assert torch.isfinite(loss)
    after = game.generator.parameters()
    assert any((a != b).any() for a, b in zip(after, before, strict=True))
    assert own.average == bool(game.mean)


def test_spectrograms_in_torch(pytorch, torch):
    from peers import torch_sounds

    from jaxgan.networks.ops.spectra import MelSettings, log_mel

    x = np.random.default_rng(0).uniform(-1, 1, (2, 4_096)).astype(np.float32)
    with torch.no_grad():
        got = torch_sounds.LogMel()(torch.tensor(x)[:, None, :, None])[..., 0]
    settings = MelSettings(torch_sounds.RATE)
    np.testing.assert_allclose(got.mT, log_mel(jnp.asarray(x), settings), atol=1e-3)

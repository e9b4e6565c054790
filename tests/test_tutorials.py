"""The presets of the tutorials against their programs in NumPy, step by step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tutorials
from tutorials import (
    Adam,
    BatchNorm,
    Conv,
    ConvTranspose,
    Dense,
    Dropout,
    Leaky,
    Network,
    Reshape,
    Tanh,
)

from jaxgan.config.resolve import make_config
from jaxgan.gan import builder, objective
from jaxgan.networks.ops.platform import jit_once
from jaxgan.types import Players, image_example

SHAPE, BATCH, STEPS = (28, 28, 1), 8, 20
KEY = jax.random.key(7)


def dense(own):
    return Dense(own["kernel"], own.get("bias"))


def mlp(g, d):
    """The PyTorch tutorial's MLP."""
    hidden = [(dense(g[f"Dense_{i}"]), Leaky(0.0)) for i in range(3)]
    judged = [(dense(d[f"Dense_{i}"]), Leaky(0.2), Dropout(0.3)) for i in range(3)]
    return (
        Network(*sum(hidden, ()), dense(g["Dense_3"]), Tanh(), Reshape(*SHAPE)),
        Network(Reshape(784), *sum(judged, ()), dense(d["Dense_3"])),
    )


def mlp_small(g, d):
    """The PyTorch tutorial's with one hidden layer each, whose output is linear."""
    hidden = dense(g["Dense_0"]), Leaky(0.0)
    judged = dense(d["Dense_0"]), Leaky(0.0)
    return (
        Network(*hidden, dense(g["Dense_1"]), Reshape(*SHAPE)),
        Network(Reshape(784), *judged, dense(d["Dense_1"])),
    )


def goodfellow(g, d):
    """The TensorFlow 1 tutorial's."""
    hidden = dense(g["Dense_0"]), Leaky(0.2)
    judged = dense(d["Dense_0"]), Leaky(0.2)
    return (
        Network(*hidden, dense(g["Dense_1"]), Tanh(), Reshape(*SHAPE)),
        Network(Reshape(784), *judged, dense(d["Dense_1"])),
    )


def dcgan(g, d):
    """Keras's; our transposed convolutions have their kernels turned by 180 degrees."""

    def normed(i):
        own = g[f"BatchNorm_{i}"]
        return BatchNorm(own["scale"], own["bias"]), Leaky(0.3)

    def up(i, stride):
        kernel = g[f"ConvTranspose_{i}"]["kernel"]
        return ConvTranspose(kernel[::-1, ::-1].copy(), stride)

    def down(i):
        own = d[f"Conv_{i}"]
        return Conv(own["kernel"], own["bias"], 2), Leaky(0.3), Dropout(0.3)

    wide = g["Dense_0"]["kernel"].shape[1] // 49
    first = dense(g["Dense_0"]), *normed(0), Reshape(7, 7, wide)
    images = up(0, 1), *normed(1), up(1, 2), *normed(2), up(2, 2), Tanh()
    flat = Reshape(d["Dense_0"]["kernel"].shape[0])
    return (
        Network(*first, *images),
        Network(*down(0), *down(1), flat, dense(d["Dense_0"])),
    )


# Networks, fresh latents for G's update, saturating, Adam's numbers, epsilon hat, and
# how near float32 stays in 20 steps. Another eps moves the losses of dcgan by 7e-6.
TORCH, KERAS = (0.9, 0.999, 1e-8), (0.9, 0.999, 1e-7)
PROGRAMS = {
    "mlp": (mlp, True, False, (2e-4, 0.5, 0.999, 1e-8), False, 2e-6),
    "mlp-small": (mlp_small, True, False, (1e-3, *TORCH), False, 1e-4),
    "goodfellow": (goodfellow, False, True, (1e-3, *TORCH), False, 1e-4),
    "goodfellow-ns": (goodfellow, False, False, (1e-3, *TORCH), False, 1e-4),
    "dcgan": (dcgan, False, False, (1e-4, *KERAS), True, 2e-6),
}
NARROWER = {
    "(256, 512, 1024)": "(24, 32, 48)",
    "(1024, 512, 256)": "(48, 32, 24)",
    "(256,)": "(32,)",
    "(128,)": "(24,)",
    "dcgan": "dcgan(4)",
}


def narrow(networks):
    """The networks of a preset with fewer units, to save time."""
    for wide, fewer in NARROWER.items():
        networks = networks.replace(wide, fewer)
    return networks


def drawn(game, state, key, player, real):
    """Latents of a player's update by its key, and D's masks for real and fake."""
    keys = objective.loss_keys(key, player)
    examples = objective.example_keys(keys.task, BATCH)
    z = game.task.play(lambda z: real, {"image": real}, examples, 0).latents

    def masks(call):
        rngs = {"dropout": jax.random.fold_in(keys.discriminator, call)}
        _, found = game.networks.discriminator.apply(
            objective.variables(state, "discriminator"),
            real,
            train=True,
            rngs=rngs,
            mutable=["intermediates"],
            capture_intermediates=lambda m, _: getattr(m, "rate", 0.0) > 0.0,
        )
        return [x != 0 for x in jax.tree.leaves(found)]

    return z, (masks(0), masks(1))


@pytest.mark.parametrize("preset", PROGRAMS)
def test_twenty_steps_are_the_tutorials(preset):
    networks, fresh, saturating, numbers, hat, near = PROGRAMS[preset]
    text = narrow(make_config(preset=preset).networks)
    config = make_config(preset=preset, batch_size=BATCH, networks=text)
    game = builder.build_gan(config, image_example(SHAPE), unroll=True)
    state = jit_once(game.init)(jax.random.key(0))
    params = jax.tree.map(lambda x: np.array(x, np.float64), state.params)
    g, d = networks(*params)
    g_adam, d_adam = (Adam(net.params, *numbers, hat) for net in (g, d))
    run = jax.jit(game.train_step)

    @jax.jit
    def draws(state, real, step):
        of_d, of_g = jax.random.split(jax.random.fold_in(KEY, step), 2)
        return Players(
            drawn(game, state, of_g if fresh else of_d, "generator", real),
            drawn(game, state, of_d, "discriminator", real),
        )

    rng, ours, theirs = np.random.default_rng(0), [], []
    for i in range(STEPS):
        real = np.tanh(rng.normal(size=(BATCH, *SHAPE))).astype(np.float32)
        of_g, of_d = jax.tree.map(np.asarray, draws(state, real, i))
        theirs.append(
            (
                tutorials.d_update(g, d, d_adam, real, *of_d),
                tutorials.g_update(g, d, g_adam, of_g[0], of_g[1][1], saturating),
            )
        )
        state, metrics = run(state, {"image": jnp.asarray(real)[None]}, KEY)
        ours.append([metrics["discriminator/loss"], metrics["generator/loss"]])
    np.testing.assert_allclose(ours, theirs, rtol=near, atol=near)

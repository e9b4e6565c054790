"""Small games that tests share."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import parallel
from jaxgan.config.resolve import make_config
from jaxgan.gan import builder
from jaxgan.networks.ops.platform import jit_once
from jaxgan.types import image_example

SHAPE = (8, 8, 1)
TINY = {
    "small": {"networks": "small(4)"},
    "dropout": {
        "networks": "mlp((16,), (16,), dropout=0.3)",
        "loss": "non_saturating",
        "d_terms": "gradient_penalty(1)",
    },
    "batch_norm": {
        "networks": "dcgan(4)",
        "loss": "non_saturating",
        "d_terms": "",
    },
    "k": {
        "networks": "mlp((16,), (16,))",
        "loss": "wasserstein",
        "d_updates": 3,
        "d_optimizer": "sgd(0.05)|clip_weights(0.05)",
        "d_terms": "",
    },
}


def config(name, **other):
    """A tiny config: 8 images of 8x8 at a time."""
    sgd = {"g_optimizer": "sgd(0.05)", "d_optimizer": "sgd(0.05)"}
    given = {"batch_size": 8, "task": "generate(4)", **sgd, **TINY[name], **other}
    return make_config(**given)


def images(count, seed=0, shape=SHAPE):
    """Pictures in [-1, 1], the same for the same seed."""
    rng = np.random.default_rng(seed)
    return np.tanh(rng.normal(size=(count, *shape))).astype(np.float32)


def batches(config, seed=0):
    """[k, B, ...] of one step."""
    k, b = config.d_updates, config.batch_size
    return {"image": jnp.asarray(images(k * b, seed).reshape(k, b, *SHAPE))}


def game(config, devices=1, layout=None):
    """A game and its compiled first state."""
    layout = layout or parallel.layout_of(parallel.choose_devices(devices))
    built = builder.build_gan(
        config,
        image_example(SHAPE),
        axis=layout.axis,
        devices=layout.parts,
        unroll=len(layout.devices) == 1,
        wrap_gradient=layout.strategy.wrap_gradient(layout),
    )
    return built, jit_once(built.init)(jax.random.key(1))


def same(a, b):
    """Every leaf equal, bit for bit."""
    jax.tree.map(np.testing.assert_array_equal, a, b)


def differs(a, b):
    """Some leaf differs."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return any(np.any(np.asarray(x) != np.asarray(y)) for x, y in pairs)

"""The benchmark of settings: lanes of one program are the runs of the trainer."""

import flax.traverse_util
import jax
import numpy as np
import pytest
import sweep_lanes

from jaxgan.config.resolve import make_config
from jaxgan.gan import builder
from jaxgan.losses import REGULARIZERS
from jaxgan.optimizers import OPTIMIZERS
from jaxgan.types import image_example

STEPS, BATCH = 4, 8
EXAMPLE = image_example((8, 8, 1))
FLAGS = {"dataset": "mnist", "networks": "small(2)", "batch_size": BATCH}
OTHER = sweep_lanes.Hyper(
    lr=1e-3, lr_end=1e-4, g_lr=4e-3, b2=0.9, gamma=3.0, gamma_end=0.5
)
TEXTS = {
    "g_optimizer": f"adam(cosine(4e-3, 1e-4, {STEPS}), b1=0.0, b2=0.9)",
    "d_optimizer": f"adam(cosine(1e-3, 1e-4, {STEPS}), b1=0.0, b2=0.9)",
    "d_terms": f"r1(cosine(3, 0.5, {STEPS}))|r2(cosine(3, 0.5, {STEPS}))",
}
"""The numbers of `OTHER` as flags of the trainer."""


def compared(state):
    """Returns parameters and average, without the bias of the logits.

    Its gradient is zero, as the loss compares logits with each other. Adam makes whole
    steps of the rounding of that.
    """
    flat = flax.traverse_util.flatten_dict(state.params.discriminator, sep="/")
    bias = flat.pop("Dense_0/bias")
    assert bias.shape[-1] == 1
    return state.params.generator, flat, state.ema


def trained_alone(flags, seed, images):
    """Returns the state of a run of the trainer on a lane's batches."""
    gan = builder.build_gan(make_config(**FLAGS, **flags), EXAMPLE, unroll=True)
    state, step = jax.jit(gan.init)(jax.random.key(seed)), jax.jit(gan.train_step)
    for i in range(STEPS):
        key, numbers = sweep_lanes.draw(seed, i, BATCH, len(images))
        state, _ = step(state, {"image": images[numbers][None]}, key)
    return state


def trained_as_lanes(hypers, seeds, images):
    """Returns the states of all lanes of one program."""
    with sweep_lanes.installed():
        config = make_config(**FLAGS, **sweep_lanes.flags_of(STEPS, 1.0))
        gan = builder.build_gan(config, EXAMPLE)
        states = sweep_lanes.states_of(gan, seeds, hypers)
        states = sweep_lanes.train(gan, states, seeds, images, batch=BATCH, steps=STEPS)
    return [jax.tree.map(lambda x, i=i: x[i], states) for i in range(len(seeds))]


def test_lanes_are_runs_of_the_trainer():
    """With the default's numbers, and with others: each lane has its own."""
    images = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 1), np.uint8)
    hypers, seeds = [sweep_lanes.Hyper(), OTHER], np.array([3, 5])
    lanes = trained_as_lanes(hypers, seeds, images)
    for lane, seed, flags in zip(lanes, seeds, ({}, TEXTS), strict=True):
        alone = trained_alone(flags, seed, images)
        def close(x, y):
            print(np.abs(x-y).max())
        jax.tree.map(close, compared(lane), compared(alone))
    assert 0

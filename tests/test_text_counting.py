"""Texts that count: a language model learns all of them, and a GAN keeps them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from slow import slow

from jaxgan.config.resolve import make_config
from jaxgan.data.text import tokens_example
from jaxgan.gan import builder
from jaxgan.networks.ops.platform import jit_once

KEY = jax.random.key(0)
NUMBERS, LENGTH, BATCH = 20, 20, 32
EXAMPLE = tokens_example(LENGTH, tuple(map(str, range(NUMBERS))))
GENERATOR = "recurrent_generator(64, 16)"

MODEL = {
    "preset": "language_model",
    "networks": f"text({GENERATOR}, text_discriminator(2, 8, (2, 3), 16, 32))",
    "batch_size": BATCH,
    "ema_half_life": 500.0,
}
RATES = {x: "adam(2e-4, b1=0.5)" for x in ("g_optimizer", "d_optimizer")}
GAN = {
    **MODEL,
    **RATES,
    "preset": "text_gan",
    "task": "text(0.5)",
    "g_terms": "likelihood(1)",
}


def trained(flags, steps, state: Any = None):
    """Returns the state after some steps, from that of another system or from none."""
    gan = builder.build_gan(make_config(**flags), EXAMPLE)
    new = jit_once(gan.init)(KEY)
    if state is not None:
        new = new.replace(params=state.params, ema=state.ema)

    def step(state, number):
        starts = jax.random.randint(jax.random.fold_in(KEY, number), (1, BATCH), 0, 20)
        texts = (starts[..., None] + jnp.arange(LENGTH)) % NUMBERS
        return gan.train_step(state, {"tokens": texts}, KEY)[0], None

    return gan, jax.jit(lambda x: jax.lax.scan(step, x, jnp.arange(steps))[0])(new)


def shares(gan, state, count=500):
    """Returns the share of texts that count to the end, and of starts that occur."""
    texts = np.asarray(jax.jit(gan.sample, static_argnums=2)(state.ema, KEY, count))
    right = (np.diff(texts, axis=1) % NUMBERS == 1).all(1)
    return right.mean(), len(np.unique(texts[:, 0])) / NUMBERS


@pytest.mark.parametrize("gan_steps", [0, slow(300)])
def test_a_language_model_learns_to_count_and_a_gan_after_it_keeps_it(gan_steps):
    rates = {"g_optimizer": "adam(cosine(1e-2, 1e-4, 300))"}
    gan, state = trained({**MODEL, **rates}, 300)
    if gan_steps:
        gan, state = trained(GAN, gan_steps, state)
    right, starts = shares(gan, state)
    assert right > 0.9
    assert starts == 1

"""Critics whose slope is known, and what terms see of them, for tests."""

import jax
import jax.numpy as jnp

from jaxgan.types import DiscriminatorOutput, LossInputs, Samples

W = jnp.array([3.0, 4.0])  # slope 5
REAL, FAKE = jnp.ones((5, 2)), jnp.zeros((5, 2))
AXIS = "devices"


def linear_critic(x):
    return DiscriminatorOutput(x @ W)


def square_critic(x):
    return DiscriminatorOutput(0.5 * jnp.sum(x**2, -1))


def inputs(critic, real, fake, step=0, **other):
    """The inputs of a term; `other` replaces fields."""
    keys = jax.random.split(jax.random.key(0), len(jax.tree.leaves(real)[0]))
    seen = LossInputs(
        Samples(real, fake),
        critic(real),
        critic(fake),
        critic,
        keys,
        jnp.asarray(step),
    )
    return seen._replace(**other)


def value(term, critic, real, fake, step=0):
    """Of a term that starts from its first memory."""
    return float(term.apply(inputs(critic, real, fake, step), term.init())[0])


def all_there_is(data, scale, axis=None):
    """Inputs that serve every term; all that networks say depends on `scale`.

    `data` holds arrays with examples on axis 0: real and fake `[B, 2]`, `latents`
    `[B, 2]`, `keys`, `label`, and a code of two categories and one number.
    """

    def critic(x):
        heads = jnp.stack([x[:, 0], x[:, 1], x[:, 0] * x[:, 1]], 1)
        logits = scale * jnp.sum(x**2 + x**3, -1)
        return DiscriminatorOutput(logits, scale * x**2, jnp.sin(scale * heads))

    return LossInputs(
        Samples(
            data["real"],
            scale * data["fake"],
            data["label"],
            {"category": data["category"], "continuous": data["continuous"]},
            data["latents"],
        ),
        critic(data["real"]),
        critic(scale * data["fake"]),
        critic,
        data["keys"],
        jnp.asarray(0),
        lambda z: scale * z**2,
        {"kernel": scale * jnp.array([[1.0, 2.0], [3.0, 4.0]]), "bias": scale},
        axis,
    )


def half(fn, parameters, data):
    """The mean over two devices of fn(parameters, half of the data, axis)."""

    def one(parameters, data):
        return jax.lax.pmean(fn(parameters, data, AXIS), AXIS)

    devices = jax.devices()[:2]
    split = jax.tree.map(lambda x: x.reshape(2, -1, *x.shape[1:]), data)
    mapped = jax.pmap(
        one, axis_name=AXIS, in_axes=(None, 0), out_axes=None, devices=devices
    )
    return mapped(parameters, split)

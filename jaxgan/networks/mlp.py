"""Fully connected networks: the first GANs, and the 2-D toys."""

import math
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.core import Critique, Players
from jaxgan.networks.layers import Dense, Dropout
from jaxgan.ranges import Fraction, Widths
from jaxgan.spec import unknown

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": nn.relu,
    "leaky_relu": lambda x: nn.leaky_relu(x, 0.2),
    "tanh": nn.tanh,
    "elu": nn.elu,
    "swish": nn.swish,
}


class Generator(nn.Module):
    """`[B, d]` latents to `[B, *shape]` samples."""

    shape: tuple[int, ...]
    widths: Sequence[int]
    activation: str = "relu"
    output: str = "tanh"

    @nn.compact
    def __call__(self, z: jax.Array, *, train: bool) -> jax.Array:
        x = z
        for width in self.widths:
            x = ACTIVATIONS[self.activation](Dense(width)(x))
        x = Dense(math.prod(self.shape))(x)
        x = jnp.tanh(x) if self.output == "tanh" else x
        return x.reshape((-1, *self.shape))


class Discriminator(nn.Module):
    """`[B, *shape]` samples to logits `[B]`; the features are the last hidden layer."""

    widths: Sequence[int]
    activation: str = "leaky_relu"
    dropout: float = 0.0
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, condition=None, *, train: bool) -> Critique:
        x = x.reshape(len(x), -1)
        for width in self.widths:
            x = ACTIVATIONS[self.activation](Dense(width)(x))
            x = Dropout(self.dropout, self.axis_name)(x, train=train)
        return Critique(Dense(1)(x)[:, 0], features=x)


def pair(
    g: Widths = (256, 512, 1024),
    d: Widths = (1024, 512, 256),
    g_activation: str = "relu",
    d_activation: str = "leaky_relu",
    dropout: Fraction = 0.0,
    *,
    shape: tuple[int, ...],
    axis_name: str | None = None,
) -> Players[nn.Module]:
    """Two multi-layer perceptrons.

    Args:
      g: widths of the generator's hidden layers.
      d: widths of the discriminator's hidden layers.
      g_activation: a name in `ACTIVATIONS`; leaky_relu has slope 0.2.
      d_activation: likewise.
      dropout: rate after each of the discriminator's hidden layers.
      shape: of one sample; images end in tanh, vectors are linear.
      axis_name: of the devices, if the step runs on several.
    """
    for name in (g_activation, d_activation):
        if name not in ACTIVATIONS:
            raise unknown(name, ACTIVATIONS, "activation")
    output = "tanh" if len(shape) == 3 else "linear"
    return Players(
        Generator(shape, tuple(g), g_activation, output),
        Discriminator(tuple(d), d_activation, dropout, axis_name),
    )

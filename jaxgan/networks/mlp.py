"""Fully connected networks, for the first GANs and for 2-D toy data."""

import math
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.errors import KindError
from jaxgan.networks.layers import INITS, Dense, Dropout, unconditional
from jaxgan.ranges import Fraction, Widths
from jaxgan.spec import unknown
from jaxgan.types import DiscriminatorOutput, ExampleSpec, Players, Tree

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": nn.relu,
    "leaky_relu": lambda x: nn.leaky_relu(x, 0.2),
    "tanh": nn.tanh,
    "elu": nn.elu,
    "swish": nn.swish,
}
"""Activations of hidden layers by name."""

OUTPUTS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "tanh": jnp.tanh,
    "linear": lambda x: x,
}
"""Activations of the generator's last layer by name."""


def _dense(x: jax.Array, features: int, init: str) -> jax.Array:
    """Applies a dense layer; `init` is a name in `layers.INITS`."""
    # The initializer of the bias depends on the number of inputs.
    kernel, bias = INITS[init]
    return Dense(features, kernel_init=kernel, bias_init=bias(x.shape[-1]))(x)


class Generator(nn.Module):
    """Maps latents `[B, d]` to samples `[B, *shape]`."""

    shape: tuple[int, ...]
    widths: Sequence[int]
    activation: str = "relu"
    output: str = "tanh"
    initialization: str = "lecun_normal"

    @nn.compact
    def __call__(
        self, z: jax.Array, condition: Tree = None, *, train: bool
    ) -> jax.Array:
        unconditional(condition)
        x = z
        # Hidden layers.
        for width in self.widths:
            x = ACTIVATIONS[self.activation](_dense(x, width, self.initialization))
        # The output layer, with a unit for each number of a sample.
        x = OUTPUTS[self.output](_dense(x, math.prod(self.shape), self.initialization))
        return x.reshape((-1, *self.shape))


class Discriminator(nn.Module):
    """Maps samples `[B, *shape]` to logits `[B]` and the last hidden layer."""

    widths: Sequence[int]
    activation: str = "leaky_relu"
    dropout: float = 0.0
    axis_name: str | None = None
    initialization: str = "lecun_normal"

    @nn.compact
    def __call__(
        self, x: jax.Array, condition=None, *, train: bool
    ) -> DiscriminatorOutput:
        # Samples of any shape become vectors.
        x = x.reshape(len(x), -1)
        for width in self.widths:
            x = ACTIVATIONS[self.activation](_dense(x, width, self.initialization))
            x = Dropout(self.dropout, self.axis_name)(x, train=train)
        # The features are the last hidden layer, after dropout.
        return DiscriminatorOutput(_dense(x, 1, self.initialization)[:, 0], features=x)


def no_tokens(example: ExampleSpec, name: str) -> None:
    """Raises FieldError if texts are to be generated.

    Args:
      example: the fields of an example.
      name: of the networks, for messages.
    """
    if example[example.generated].kind == "tokens":
        raise KindError(f"{name} needs numbers, not texts", "tokens")


def pair(
    g: Widths = (256, 512, 1024),
    d: Widths = (1024, 512, 256),
    g_activation: str = "relu",
    d_activation: str = "leaky_relu",
    dropout: Fraction = 0.0,
    init: str = "lecun_normal",
    output: str = "auto",
    *,
    example: ExampleSpec,
    axis_name: str | None = None,
) -> Players[nn.Module]:
    """Returns a pair of multi-layer perceptrons.

    Args:
      g: widths of the generator's hidden layers.
      d: widths of the discriminator's hidden layers.
      g_activation: a name in `ACTIVATIONS`; leaky_relu has slope 0.2.
      d_activation: likewise.
      dropout: rate after each hidden layer of the discriminator.
      init: a name in `layers.INITS`, for all layers: lecun_normal or glorot_uniform
        (Keras, TensorFlow), both with biases of zero, or pytorch, in which kernels and
        biases are uniform in +-1 / sqrt(inputs).
      output: activation of the generator's output: tanh, linear, or auto, which is tanh
        for images and linear for vectors.
      example: the fields of an example, of which the first is generated.
      axis_name: name of the device axis, if the step runs on several devices.

    Raises:
      FieldError: for texts, as tokens are no numbers.
      UsageError: for an unknown activation, initialization or output.
    """
    no_tokens(example, "mlp")
    # Names are checked here, before anything is traced.
    for name in (g_activation, d_activation):
        if name not in ACTIVATIONS:
            raise unknown(name, ACTIVATIONS, "activation")
    if init not in INITS:
        raise unknown(init, INITS, "initialization")
    if output not in (*OUTPUTS, "auto"):
        raise unknown(output, (*OUTPUTS, "auto"), "output")
    # Images are in [-1, 1]; vectors may have any range.
    if output == "auto":
        output = "tanh" if len(example.shape) == 3 else "linear"
    return Players(
        Generator(example.shape, tuple(g), g_activation, output, init),
        Discriminator(tuple(d), d_activation, dropout, axis_name, init),
    )

"""Pairs whose generator has an encoder, and whose discriminator may read latents.

The generator maps `{"image": x, "z": z}` to `{"image": G(z), "z": E(x)}`, with the name
of the generated field instead of `image`. The discriminator judges such a dict.
"""

import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.networks import mlp
from jaxgan.ranges import Widths
from jaxgan.types import DiscriminatorOutput, ExampleSpec, Players, Tree


class WithEncoder(nn.Module):
    """A generator from latents `[B, d]`, and an encoder to latents."""

    decoder: nn.Module
    encoder: Callable[[int], nn.Module]
    """Maps the entries of a latent to the encoder."""
    field: str = "image"

    @nn.compact
    def __call__(
        self, inputs: dict[str, jax.Array], condition: Tree = None, *, train: bool
    ) -> dict[str, jax.Array]:
        z = inputs["z"]
        encoder = self.encoder(z.shape[-1])
        return {
            self.field: self.decoder(z, condition, train=train),
            "z": encoder(inputs[self.field], condition, train=train),
        }


class Joint(nn.Module):
    """Judges examples `[B, ...]` and, if `joint`, their latents `[B, d]`."""

    net: nn.Module
    field: str
    joint: bool

    @nn.compact
    def __call__(
        self, x: dict[str, jax.Array], condition: Tree = None, *, train: bool
    ) -> DiscriminatorOutput:
        image = x[self.field]
        if not self.joint:
            return self.net(image, condition, train=train)
        both = jnp.concatenate([image.reshape(len(image), -1), x["z"]], -1)
        return self.net(both, condition, train=train)


def encoder_mlp(
    g: Widths = (256, 256),
    e: Widths = (256, 256),
    d: Widths = (256, 256),
    activation: str = "leaky_relu",
    joint: bool = True,
    *,
    example: ExampleSpec,
    axis_name: str | None = None,
) -> Players[nn.Module]:
    """Returns multi-layer perceptrons: a generator with an encoder, a discriminator.

    Args:
      g: widths of the generator's hidden layers.
      e: widths of the encoder's.
      d: widths of the discriminator's.
      activation: of hidden layers, a name in `mlp.ACTIVATIONS`.
      joint: if True, the discriminator reads latents too.
      example: the fields of an example, of which the first is generated.
      axis_name: name of the device axis, if the step runs on several devices.

    Raises:
      UsageError: for an unknown activation.
    """
    pair = mlp.pair(g, d, activation, activation, example=example, axis_name=axis_name)
    return Players(
        WithEncoder(
            pair.generator,
            functools.partial(EncoderMLP, widths=tuple(e), activation=activation),
            example.generated,
        ),
        Joint(pair.discriminator, example.generated, joint),
    )


class EncoderMLP(nn.Module):
    """Maps examples `[B, ...]` to latents `[B, dim]`."""

    dim: int
    widths: tuple[int, ...]
    activation: str = "leaky_relu"

    @nn.compact
    def __call__(self, x: jax.Array, condition=None, *, train: bool) -> jax.Array:
        net = mlp.Generator((self.dim,), self.widths, self.activation, "linear")
        return net(x.reshape(len(x), -1), condition, train=train)

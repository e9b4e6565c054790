"""Pairs whose generator has an encoder, and whose discriminator may read latents.

The generator maps `{"image": x, "z": z}` to `{"image": G(z), "z": E(x)}`, with the name
of the generated field in place of `image`. The discriminator judges such a dict.
"""

import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.networks import mlp, small
from jaxgan.networks.layers import Dense, image_shape
from jaxgan.ranges import Width, Widths
from jaxgan.types import DiscriminatorOutput, ExampleSpec, Players, Tree


class WithEncoder(nn.Module):
    """A generator from latents `[B, d]`, and an encoder to latents."""

    decoder: nn.Module
    make_encoder: Callable[[int], nn.Module]
    """Maps the number of entries of a latent to the encoder."""
    field: str = "image"

    @nn.compact
    def __call__(
        self, inputs: dict[str, jax.Array], condition: Tree = None, *, train: bool
    ) -> dict[str, jax.Array]:
        z = inputs["z"]
        encoder = self.make_encoder(z.shape[-1])
        return {
            self.field: self.decoder(z, condition, train=train),
            "z": encoder(inputs[self.field], condition, train=train),
        }


class EncoderMLP(nn.Module):
    """Maps examples `[B, ...]` to latents `[B, dim]`."""

    dim: int
    widths: tuple[int, ...]
    activation: str

    @nn.compact
    def __call__(
        self, x: jax.Array, condition: Tree = None, *, train: bool
    ) -> jax.Array:
        # A generator of vectors is a perceptron with a linear output.
        net = mlp.Generator((self.dim,), self.widths, self.activation, "linear")
        return net(x.reshape(len(x), -1), condition, train=train)


class EncoderConv(nn.Module):
    """Maps images `[B, H, W, C]` to latents `[B, dim]`."""

    dim: int
    width: int

    @nn.compact
    def __call__(
        self, x: jax.Array, condition: Tree = None, *, train: bool
    ) -> jax.Array:
        return Dense(self.dim)(small.lowest_resolution(x, self.width))


class JointMLP(nn.Module):
    """Judges examples `[B, ...]` and, if `joint`, their latents `[B, d]`."""

    net: nn.Module
    field: str
    joint: bool

    @nn.compact
    def __call__(
        self, x: dict[str, jax.Array], condition: Tree = None, *, train: bool
    ) -> DiscriminatorOutput:
        rows = x[self.field].reshape(x["z"].shape[0], -1)
        both = jnp.concatenate([rows, x["z"]], -1) if self.joint else rows
        return self.net(both, condition, train=train)


class JointConv(nn.Module):
    """Judges images `[B, H, W, C]` and, if `joint`, their latents `[B, d]`.

    The features are those of the image alone.
    """

    width: int
    hidden: int
    field: str
    joint: bool

    @nn.compact
    def __call__(
        self, x: dict[str, jax.Array], condition: Tree = None, *, train: bool
    ) -> DiscriminatorOutput:
        features = small.lowest_resolution(x[self.field], self.width)
        both = jnp.concatenate([features, x["z"]], -1) if self.joint else features
        hidden = nn.leaky_relu(Dense(self.hidden)(both), 0.2)
        return DiscriminatorOutput(Dense(1)(hidden)[:, 0], features=features)


def encoder_mlp(
    g: Widths = (256, 256),
    e: Widths = (256, 256),
    d: Widths = (128, 128),
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
    mlp.no_tokens(example, "encoder_mlp")
    pair = mlp.pair(g, d, activation, activation, example=example, axis_name=axis_name)
    encoder = functools.partial(EncoderMLP, widths=tuple(e), activation=activation)
    field = example.generated
    return Players(
        WithEncoder(pair.generator, encoder, field),
        JointMLP(pair.discriminator, field, joint),
    )


def encoder_small(
    width: Width = 16,
    hidden: Width = 128,
    joint: bool = True,
    *,
    example: ExampleSpec,
    axis_name: str | None = None,
) -> Players[nn.Module]:
    """Returns convolutions like `small`: a generator with an encoder, a discriminator.

    The generator scales latents to a mean square of 1, so it does not read their norm.

    Args:
      width: channels at the highest resolution of each network, as in `small`.
      hidden: units of the discriminator that read features of an image and its latent.
      joint: if True, the discriminator reads latents too.
      example: the fields of an example, of which the first, an image, is generated.
      axis_name: unused, as nothing depends on the batch.

    Raises:
      UsageError: if samples are not images.
    """
    del axis_name
    shape, field = image_shape(example, "encoder_small"), example.generated
    encoder = functools.partial(EncoderConv, width=width)
    return Players(
        WithEncoder(small.Generator(shape, width), encoder, field),
        JointConv(width, hidden, field, joint),
    )

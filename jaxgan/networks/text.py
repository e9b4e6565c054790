"""Pairs for texts, and their discriminator."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.errors import UsageError
from jaxgan.networks.image_to_image import Make, made
from jaxgan.networks.layers import Dense
from jaxgan.networks.recurrent import recurrent_generator
from jaxgan.networks.transformer import transformer_generator
from jaxgan.networks.writing import tokens_field
from jaxgan.ranges import Width, Widths
from jaxgan.types import DiscriminatorOutput, ExampleSpec, Players, Tree


class TextDiscriminator(nn.Module):
    """Judges texts by several embeddings, https://openreview.net/forum?id=rJedV3R5tm.

    Texts are one-hot rows `[B, T, V]` or numbers of tokens `[B, T]`. Convolutions over
    a few neighbors, which all embeddings share, are followed by their maximum over the
    text. Logits are `[B, embeddings]`.
    """

    size: int
    """Tokens of the vocabulary."""
    embeddings: int
    embedding: int
    spans: tuple[int, ...]
    filters: int
    hidden: int

    @nn.compact
    def __call__(
        self, x: jax.Array, condition: Tree = None, *, train: bool
    ) -> DiscriminatorOutput:
        del condition, train
        s, e = self.embeddings, self.embedding
        # Rows of variance 1 for any size of the vocabulary.
        made = self.param("kernel", nn.initializers.normal(1.0), (self.size, s * e))
        table = jnp.asarray(made)
        if x.ndim == 3 and x.shape[-1] != self.size:
            raise UsageError("text_discriminator judges single texts: leave out pack")
        x = x @ table if x.ndim == 3 else table[x.astype(jnp.int32)]
        # Each embedding is an example of its own, `[B, S, T, E]`.
        x = jnp.swapaxes(x.reshape(*x.shape[:2], s, e), 1, 2)
        found = []
        for span in self.spans:
            width = min(span, x.shape[2])
            places = x.shape[2] - width + 1
            # A product with the neighbors of each place is a convolution.
            near = jnp.concatenate([x[:, :, i : i + places] for i in range(width)], -1)
            found.append(nn.leaky_relu(Dense(self.filters)(near), 0.2).max(2))
        features = jnp.concatenate(found, -1)
        hidden = nn.leaky_relu(Dense(self.hidden)(features), 0.2)
        return DiscriminatorOutput(Dense(1)(hidden)[..., 0], features=features)


def text_discriminator(
    embeddings: Width = 8,
    embedding: Width = 8,
    spans: Widths = (2, 3, 4, 5),
    filters: Width = 32,
    hidden: Width = 64,
) -> Make:
    """Returns a factory of `TextDiscriminator`.

    Args:
      embeddings: number of embeddings; the paper has 64.
      embedding: numbers that stand for a token in each of them.
      spans: neighbors that a convolution sees.
      filters: channels of each convolution.
      hidden: units of the layer before the logits.
    """

    def make(*, example: ExampleSpec, axis_name: str | None = None) -> nn.Module:
        del axis_name
        size = len(tokens_field(example, "text_discriminator").names)
        return TextDiscriminator(
            size, embeddings, embedding, tuple(spans), filters, hidden
        )

    return make


class NoDiscriminator(nn.Module):
    """Gives every example the same logit, and does not look at it.

    Beside a generator that is trained by likelihood alone, no text is written then.
    """

    @nn.compact
    def __call__(
        self, x: jax.Array, condition: Tree = None, *, train: bool
    ) -> DiscriminatorOutput:
        del condition, train
        bias = self.param("bias", nn.initializers.zeros, ())
        return DiscriminatorOutput(jnp.broadcast_to(bias, len(x)))


def no_discriminator() -> Make:
    """Returns a factory of `NoDiscriminator`."""

    def make(*, example: ExampleSpec, axis_name: str | None = None) -> nn.Module:
        del example, axis_name
        return NoDiscriminator()

    return make


GENERATORS: dict[str, Callable[..., Make]] = {
    f.__name__: f for f in (recurrent_generator, transformer_generator)
}
"""Factories of generators of texts by name."""

DISCRIMINATORS: dict[str, Callable[..., Make]] = {
    f.__name__: f for f in (text_discriminator, no_discriminator)
}
"""Factories of discriminators of texts by name."""


def text(
    generator: Make | None = None,
    discriminator: Make | None = None,
    *,
    example: ExampleSpec,
    axis_name: str | None = None,
) -> Players[nn.Module]:
    """Returns a pair for texts.

    Args:
      generator: a call such as `recurrent_generator(256)`, which is the default, or
        `transformer_generator(128)`.
      discriminator: a call such as `text_discriminator(8)`, which is the default.
      example: the fields of an example, of which the first, `tokens`, is generated.
      axis_name: name of the device axis, if the step runs on several devices.

    Raises:
      UsageError: if the examples are no texts, or a network is of the other player.
    """
    facts = {"example": example, "axis_name": axis_name}
    return Players(
        made("generator", generator or recurrent_generator(), facts, GENERATORS),
        made(
            *("discriminator", discriminator or text_discriminator(), facts),
            DISCRIMINATORS,
        ),
    )

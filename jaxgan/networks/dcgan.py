"""DCGAN like in the Keras tutorials, after https://arxiv.org/abs/1511.06434.

Layers, initialization and defaults are those of Keras: Glorot-uniform kernels,
LeakyReLU with slope 0.3, BatchNorm with momentum 0.99 and epsilon 1e-3.
"""

from typing import Annotated

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.networks.layers import (
    BatchNorm,
    Conv,
    ConvTranspose,
    Dense,
    Dropout,
    image_shape,
    unconditional,
)
from jaxgan.ranges import Fraction, Range, Width, ceil_div
from jaxgan.types import DiscriminatorOutput, ExampleSpec, Players, Tree

GLOROT = nn.initializers.glorot_uniform()

Levels = Annotated[int, Range(1, 8)]


class Generator(nn.Module):
    """Maps latents `[B, d]` to images `[B, H, W, C]` in (-1, 1)."""

    shape: tuple[int, ...]
    width: int = 64
    axis_name: str | None = None
    levels: int = 2

    @nn.compact
    def __call__(
        self, z: jax.Array, condition: Tree = None, *, train: bool
    ) -> jax.Array:
        unconditional(condition)
        height, width, channels = self.shape
        # Layers double the lowest resolution, which is rounded up, and it is cropped.
        scale = 2**self.levels
        start = (ceil_div(height, scale), ceil_div(width, scale), scale * self.width)
        # Without bias, as BatchNorm follows.
        x = Dense(start[0] * start[1] * start[2], False, kernel_init=GLOROT)(z)
        # Normalized per unit, before the reshape to an image, like in the tutorial.
        x = self._activate(x, train).reshape((-1, *start))
        # The first layer keeps the resolution; the last one has no BatchNorm.
        for level in reversed(range(self.levels)):
            stride = 1 if level == self.levels - 1 else 2
            x = self._activate(_up(2**level * self.width, stride)(x), train)
        return jnp.tanh(_up(channels, 2)(x))[:, :height, :width]

    def _activate(self, x: jax.Array, train: bool) -> jax.Array:
        """Applies BatchNorm and LeakyReLU."""
        return nn.leaky_relu(BatchNorm(self.axis_name)(x, train=train), 0.3)


def _up(features: int, stride: int) -> nn.Module:
    """Returns a 5x5 transposed convolution."""
    return ConvTranspose(features, 5, stride, kernel_init=GLOROT)


class Discriminator(nn.Module):
    """Maps images `[B, H, W, C]` to logits `[B]` and the last hidden layer."""

    width: int = 64
    dropout: float = 0.3
    axis_name: str | None = None
    levels: int = 2

    @nn.compact
    def __call__(
        self, x: jax.Array, condition=None, *, train: bool
    ) -> DiscriminatorOutput:
        # Each layer halves the image; no BatchNorm, but dropout.
        for level in range(self.levels):
            x = Conv(2**level * self.width, 5, 2, kernel_init=GLOROT)(x)
            x = Dropout(self.dropout, self.axis_name)(
                nn.leaky_relu(x, 0.3), train=train
            )
        # Features are flattened activations of the last convolution.
        x = x.reshape(len(x), -1)
        return DiscriminatorOutput(Dense(1, kernel_init=GLOROT)(x)[:, 0], features=x)


def pair(
    width: Width = 64,
    dropout: Fraction = 0.3,
    levels: Levels = 2,
    *,
    example: ExampleSpec,
    axis_name: str | None = None,
) -> Players[nn.Module]:
    """Returns the pair of the Keras tutorial.

    For 28x28x1, it has 2,305,472 and 212,865 trained parameters. Keras reports
    2,330,944 for the generator, with the 25,472 running statistics of BatchNorm.

    Args:
      width: channels of the narrowest hidden layer.
      dropout: rate after each convolution of the discriminator.
      levels: how often images are halved; each time doubles the channels. The paper
        has 4. With 2, like in the tutorial, the first layer of large images has most
        parameters: at 256x256x3 the generator has 108 million, and 44 million with 4.
      example: the fields of an example, of which the first, an image, is generated.
        A size that is not a multiple of 2^levels is cropped from the next larger one.
      axis_name: name of the device axis, if the step runs on several devices.

    Raises:
      UsageError: if samples are not images.
    """
    shape = image_shape(example, "dcgan")
    return Players(
        Generator(shape, width, axis_name, levels),
        Discriminator(width, dropout, axis_name, levels),
    )

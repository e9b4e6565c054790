"""DCGAN like in the Keras tutorials, after https://arxiv.org/abs/1511.06434.

Layers, initialization and defaults are those of Keras: Glorot-uniform kernels,
LeakyReLU with slope 0.3, BatchNorm with momentum 0.99 and epsilon 1e-3.
"""

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
from jaxgan.ranges import Fraction, Width, ceil_div
from jaxgan.types import DiscriminatorOutput, ExampleSpec, Players, Tree

GLOROT = nn.initializers.glorot_uniform()


class Generator(nn.Module):
    """Maps latents `[B, d]` to images `[B, H, W, C]` in (-1, 1)."""

    shape: tuple[int, ...]
    width: int = 64
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self, z: jax.Array, condition: Tree = None, *, train: bool
    ) -> jax.Array:
        unconditional(condition)
        height, width, channels = self.shape
        # A quarter of the image, rounded up: two layers double it, and it is cropped.
        start = (ceil_div(height, 4), ceil_div(width, 4), 4 * self.width)
        # Without bias, as BatchNorm follows.
        x = Dense(start[0] * start[1] * start[2], False, kernel_init=GLOROT)(z)
        # Normalized per unit, before the reshape to an image, like in the tutorial.
        x = self._activate(x, train).reshape((-1, *start))
        # Upsample twice; the last layer has no BatchNorm.
        for features, stride in ((2 * self.width, 1), (self.width, 2)):
            x = self._activate(_up(features, stride)(x), train)
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

    @nn.compact
    def __call__(
        self, x: jax.Array, condition=None, *, train: bool
    ) -> DiscriminatorOutput:
        # Halve the image twice; no BatchNorm, but dropout.
        for features in (self.width, 2 * self.width):
            x = Conv(features, 5, 2, kernel_init=GLOROT)(x)
            x = Dropout(self.dropout, self.axis_name)(
                nn.leaky_relu(x, 0.3), train=train
            )
        # Features are flattened activations of the last convolution.
        x = x.reshape(len(x), -1)
        return DiscriminatorOutput(Dense(1, kernel_init=GLOROT)(x)[:, 0], features=x)


def pair(
    width: Width = 64,
    dropout: Fraction = 0.3,
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
      example: the fields of an example, of which the first, an image, is generated.
        A size that is not a multiple of 4 is cropped from the next larger one.
      axis_name: name of the device axis, if the step runs on several devices.

    Raises:
      UsageError: if samples are not images.
    """
    shape = image_shape(example, "dcgan")
    return Players(
        Generator(shape, width, axis_name), Discriminator(width, dropout, axis_name)
    )

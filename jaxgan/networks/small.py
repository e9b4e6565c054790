"""A small convolutional pair for zero-centered penalties, https://arxiv.org/abs/2501.05441.

Like R3GAN it has no normalization. The generator ends in a tanh with a slope that never
vanishes. If most pixels are black, a plain tanh saturates within a hundred steps with
some seeds, and then the generator has no gradient. The generator computes at low
resolution and rearranges channels into pixels; the discriminator does the reverse. Both
are fast on a CPU, also when differentiated twice.
"""

from itertools import pairwise

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.networks.layers import Conv, Dense, image_shape, unconditional
from jaxgan.networks.ops import resampling
from jaxgan.networks.ops.arrays import at_least_float32, depth_to_space, space_to_depth
from jaxgan.ranges import Width, ceil_div
from jaxgan.types import DiscriminatorOutput, ExampleSpec, Players, Tree

LEAK = 0.02
"""Slope of the generator's output where tanh is saturated."""

HE = nn.initializers.variance_scaling(2.0, "fan_in", "truncated_normal")
"""He's initializer, https://arxiv.org/abs/1502.01852."""


def levels_of(shape: tuple[int, ...]) -> int:
    """Returns how often an image is halved, at least once.

    It is halved until its shorter side has 7 pixels or fewer.

    >>> [levels_of((size, size, 1)) for size in (4, 16, 28, 32, 64)]
    [1, 2, 2, 3, 4]
    """
    # The first halving is unconditional.
    size, levels = ceil_div(min(shape[:2]), 2), 1
    while size > 7:
        size, levels = ceil_div(size, 2), levels + 1
    return levels


def widths(width: int, levels: int) -> list[int]:
    """Returns the channels at each resolution, from the highest.

    They double with each level, up to four times `width`.

    >>> widths(32, 4)
    [32, 64, 128, 128]
    """
    return [width * min(2**level, 4) for level in range(levels)]


class Generator(nn.Module):
    """Maps latents `[B, d]` to images `[B, H, W, C]`; sampling clips to [-1, 1]."""

    shape: tuple[int, ...]
    width: int
    blur: bool = False

    @nn.compact
    def __call__(
        self, z: jax.Array, condition: Tree = None, *, train: bool
    ) -> jax.Array:
        unconditional(condition)
        height, width, channels = self.shape
        features = widths(self.width, levels_of(self.shape))[::-1]
        scale = 2 ** len(features)
        # The lowest resolution, rounded up; the result is cropped.
        low = (ceil_div(height, scale), ceil_div(width, scale))
        # Latents are scaled to a mean square of 1.
        size = jnp.sqrt(jnp.mean(at_least_float32(z) ** 2, -1, keepdims=True) + 1e-8)
        z = (at_least_float32(z) / size).astype(z.dtype)
        x = Dense(low[0] * low[1] * features[0], kernel_init=HE)(z)
        x = nn.leaky_relu(x, 0.2).reshape((-1, *low, features[0]))
        # Convolve at each resolution, then turn channels into pixels of the next.
        for here, above in pairwise(features):
            x = nn.leaky_relu(_conv(here)(x), 0.2)
            x = nn.leaky_relu(depth_to_space(_conv(4 * above)(x)), 0.2)
        x = nn.leaky_relu(_conv(features[-1])(x), 0.2)
        # The last doubling, to colors.
        x = depth_to_space(Conv(4 * channels, 3)(x))
        x = resampling.blur(x) if self.blur else x
        # A slope that never vanishes; it may leave [-1, 1] a little.
        x = jnp.tanh(x) + LEAK * x
        x = x[:, :height, :width]
        return x if train else jnp.clip(x, -1, 1)


class Discriminator(nn.Module):
    """Maps images `[B, H, W, C]` to logits `[B]` and the last hidden layer."""

    width: int

    @nn.compact
    def __call__(
        self, x: jax.Array, condition=None, *, train: bool
    ) -> DiscriminatorOutput:
        x = lowest_resolution(x, self.width)
        return DiscriminatorOutput(Dense(1)(x)[:, 0], features=x)


def lowest_resolution(x: jax.Array, width: int) -> jax.Array:
    """Returns features of images `[B, H, W, C]`, flattened, inside a compact module."""
    for level, features in enumerate(widths(width, levels_of(x.shape[1:]))):
        # Odd sides are padded to even ones.
        pads = [(0, side % 2) for side in x.shape[1:3]]
        x = space_to_depth(jnp.pad(x, [(0, 0), *pads, (0, 0)]))
        x = nn.leaky_relu(_conv(features)(x), 0.2)
        # The highest resolution has one convolution, the others have two.
        x = x if level == 0 else nn.leaky_relu(_conv(features)(x), 0.2)
    return x.reshape(len(x), -1)


def _conv(features: int) -> nn.Module:
    """Returns a 3x3 convolution with He's initializer."""
    return Conv(features, 3, kernel_init=HE)


def pair(
    width: Width = 16,
    blur: bool = False,
    *,
    example: ExampleSpec,
    axis_name: str | None = None,
) -> Players[nn.Module]:
    """Returns the default pair for images of any height and width.

    Args:
      width: channels at the highest resolution; lower ones have up to four times as
        many.
      blur: if True, the generator filters its pixels by [1, 2, 1] in both directions.
        Otherwise the four pixels of a square, which are channels of one convolution,
        may differ from each other in the same way all over an image, as dots,
        https://arxiv.org/abs/1806.02658.
      example: the fields of an example, of which the first, an image, is generated.
      axis_name: unused, as nothing depends on the batch.

    Raises:
      UsageError: if samples are not images.
    """
    del axis_name
    shape = image_shape(example, "small")
    return Players(Generator(shape, width, blur), Discriminator(width))

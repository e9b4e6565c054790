"""U-Nets: encoder, decoder and skip connections, https://arxiv.org/abs/1611.07004."""

from collections.abc import Callable
from typing import Annotated

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.errors import ImageSizeError
from jaxgan.networks.images import (
    check_multiple,
    even_size,
    halvings,
    kernel_init,
    no_condition,
    normalize,
)
from jaxgan.networks.layers import (
    Conv,
    ConvTranspose,
    Dropout,
    check_norm,
    image_shape,
)
from jaxgan.networks.styles import innermost
from jaxgan.ranges import Fraction, Range, Width
from jaxgan.types import ExampleSpec, Tree

DROPPED = 3
"""Number of innermost blocks of the decoder that have dropout."""

Depth = Annotated[int, Range(0, 8)]
"""Number of halvings of an image; 0 for as many as its size permits."""


def widths(width: int, depth: int) -> list[int]:
    """Returns the channels after each halving: doubled up to eight times `width`.

    >>> widths(64, 6)
    [64, 128, 256, 512, 512, 512]
    """
    return [width * min(2**level, 8) for level in range(depth)]


def depth_of(shape: tuple[int, ...], depth: int, name: str) -> int:
    """Returns how often a network halves images of this shape.

    Args:
      shape: `(H, W, C)`.
      depth: as often as the user asks for; 0 for as often as the size permits, down to
        2 pixels, and at most eight times.
      name: of the network, for messages.

    Raises:
      ImageSizeError: if the images cannot be halved so often.
    """
    if depth:
        check_multiple(shape, 2**depth, f"{name}(depth={depth})")
        return depth
    depth = halvings(shape)
    if not depth:
        size = even_size(shape)
        raise ImageSizeError(
            f"{name} halves images, which {shape[0]}x{shape[1]} do not allow: use "
            f"{size[0]}x{size[1]}",
            size,
        )
    return depth


def depth_in(net: nn.Module) -> int:
    """Returns how often a U-Net halves images, 0 for other networks.

    It may be inside of wrappers, or one of two generators, which are alike.
    """
    inside = innermost(net)
    inside = getattr(inside, "to_image", inside)
    return getattr(inside, "depth", 0) if hasattr(inside, "multiple") else 0


class UNet(nn.Module):
    """Maps images `[B, H, W, c]` to images `[B, H, W, C]` in (-1, 1).

    H and W are any multiples of `multiple`.
    """

    channels: int
    width: int
    depth: int
    dropout: float = 0.5
    norm: str = "batch"
    axis_name: str | None = None

    @property
    def multiple(self) -> int:
        """The number that height and width must be multiples of."""
        return 2**self.depth

    @nn.compact
    def __call__(
        self, x: jax.Array, condition: Tree = None, *, train: bool
    ) -> jax.Array:
        no_condition(condition, "unet")
        check_multiple(x.shape[1:], self.multiple, "unet")
        features = widths(self.width, self.depth)
        skips = []
        for level, channels in enumerate(features):
            # The first and the innermost layer have no normalization: the innermost
            # may have a single pixel, which would become zero.
            inner = 0 < level < self.depth - 1
            x = self._down(channels, not inner or self.norm == "none")(x)
            x = normalize(x, self.norm, self.axis_name, train) if inner else x
            x = nn.leaky_relu(x, 0.2)
            skips.append(x)
        x = skips.pop()
        # From the innermost resolution outwards, beside what the encoder had there.
        for block, channels in enumerate(features[-2::-1]):
            x = self._up(channels, self.norm == "none")(x)
            x = normalize(x, self.norm, self.axis_name, train)
            rate = self.dropout if block < DROPPED else 0.0
            x = Dropout(rate, self.axis_name)(x, train=train)
            x = jnp.concatenate([nn.relu(x), skips.pop()], -1)
        return jnp.tanh(self._up(self.channels, True)(x))

    def _down(self, features: int, use_bias: bool) -> nn.Module:
        """Returns a 4x4 convolution with stride 2; a normalization needs no bias."""
        init = kernel_init(self.norm)
        return Conv(features, 4, 2, kernel_init=init, use_bias=use_bias)

    def _up(self, features: int, use_bias: bool) -> nn.Module:
        """Returns a 4x4 transposed convolution with stride 2."""
        init = kernel_init(self.norm)
        return ConvTranspose(features, 4, 2, kernel_init=init, use_bias=use_bias)


def unet(
    width: Width = 64, depth: Depth = 0, dropout: Fraction = 0.5, norm: str = "batch"
) -> Callable[..., nn.Module]:
    """Returns a maker of the generator of pix2pix, https://arxiv.org/abs/1611.07004.

    The encoder halves images with 4x4 convolutions, and the decoder doubles them with
    transposed ones. Each of its layers also reads that of the encoder with the same
    resolution. Noise is dropout alone, and none when sampling.

    Args:
      width: channels after the first halving; deeper layers have up to eight times as
        many.
      depth: how often images are halved; 0 for down to 2 pixels, at most eight times.
      dropout: rate in the three innermost layers of the decoder.
      norm: `batch`, `instance` or `none`.

    Raises:
      UsageError: for an unknown norm.
    """
    check_norm(norm)

    def make(*, example: ExampleSpec, axis_name: str | None = None) -> nn.Module:
        shape = image_shape(example, "unet")
        deep = depth_of(shape, depth, "unet")
        return UNet(shape[-1], width, deep, dropout, norm, axis_name)

    return make

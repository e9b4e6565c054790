"""The residual generator of CycleGAN and StarGAN, https://arxiv.org/abs/1703.10593."""

from collections.abc import Callable
from typing import Annotated

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.networks.images import (
    check_multiple,
    codes,
    kernel_init,
    normalize,
    reflect,
)
from jaxgan.networks.layers import Conv, ConvTranspose, Dense, check_norm, image_shape
from jaxgan.networks.ops.arrays import at_least_float32
from jaxgan.ranges import Range, Width
from jaxgan.types import ExampleSpec, Tree

MULTIPLE = 4
"""Sides of images are multiples of this, as they are halved twice."""


class ResNetGenerator(nn.Module):
    """Maps images `[B, H, W, c]` to images `[B, H, W, C]` in (-1, 1).

    H and W are any multiples of 4, at least 8.
    """

    channels: int
    width: int
    blocks: int = 6
    norm: str = "instance"
    classes: int = 0
    """Number of classes of a label in the condition."""
    axis_name: str | None = None

    @property
    def multiple(self) -> int:
        """The number that height and width must be multiples of."""
        return MULTIPLE

    @nn.compact
    def __call__(
        self, x: jax.Array, condition: Tree = None, *, train: bool
    ) -> jax.Array:
        check_multiple(x.shape[1:], MULTIPLE, "resnet_generator")
        init = kernel_init(self.norm)
        code = codes(condition, self.classes, x.dtype)

        def normalized(x):
            x = normalize(x, self.norm, self.axis_name, train)
            if code is None:
                return x
            # After the norm, which would remove what is constant over an image.
            both = Dense(2 * x.shape[-1], True, nn.initializers.normal(0.1))(code)
            scale, shift = jnp.split(at_least_float32(both[:, None, None]), 2, -1)
            # In float32, as gradients are sums over pixels.
            return (at_least_float32(x) * (1 + scale) + shift).astype(x.dtype)

        def activate(x):
            return nn.relu(normalized(x))

        y = activate(self._convolve(x, self.width, 7))
        for factor in (2, 4):
            y = activate(Conv(factor * self.width, 4, 2, init, self.norm == "none")(y))
        for _ in range(self.blocks):
            inner = activate(self._convolve(y, 4 * self.width, 3))
            inner = self._convolve(inner, 4 * self.width, 3)
            y += normalized(inner)
        # 4x4 kernels: with stride 2, each output has equally many taps.
        for factor in (2, 1):
            y = activate(
                ConvTranspose(factor * self.width, 4, 2, init, self.norm == "none")(y)
            )
        return jnp.tanh(self._convolve(y, self.channels, 7, use_bias=True))

    def _convolve(
        self, x: jax.Array, features: int, size: int, use_bias: bool = False
    ) -> jax.Array:
        """Convolves with reflections at the border."""
        return Conv(
            features,
            size,
            kernel_init=kernel_init(self.norm),
            use_bias=use_bias or self.norm == "none",
            padding="VALID",
        )(reflect(x, size // 2))


def resnet_generator(
    width: Width = 64,
    blocks: Annotated[int, Range(0, 100)] = 6,
    norm: str = "instance",
) -> Callable[..., nn.Module]:
    """Returns a maker of the generator of CycleGAN, https://arxiv.org/abs/1703.10593.

    A 7x7 convolution, two that halve the image, residual blocks, two transposed
    convolutions that double it, and a 7x7 convolution to colors. Kernels with stride 2
    are 4x4, like in StarGAN, https://arxiv.org/abs/1711.09020. Labels `[B]` and
    attributes `[B, k]` of the condition scale and shift the channels after each norm,
    https://arxiv.org/abs/1610.07629. As planes beside the input image, like in StarGAN,
    they would have no effect: convolutions with reflected borders keep planes constant,
    and instance normalization removes constants.

    Args:
      width: channels at full resolution; there are four times as many in the blocks.
      blocks: number of residual blocks.
      norm: `batch`, `instance` or `none`.

    Raises:
      UsageError: for an unknown norm.
    """
    check_norm(norm)

    def make(*, example: ExampleSpec, axis_name: str | None = None) -> nn.Module:
        shape = image_shape(example, "resnet_generator")
        check_multiple(shape, MULTIPLE, "resnet_generator")
        classes = len(example.classes)
        return ResNetGenerator(shape[-1], width, blocks, norm, classes, axis_name)

    return make

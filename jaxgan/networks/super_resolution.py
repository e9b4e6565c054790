"""Generators for super-resolution, which learn what bicubic interpolation lacks."""

from collections.abc import Callable
from typing import Annotated

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.errors import FieldError, UsageError
from jaxgan.networks.images import (
    HE,
    check_multiple,
    no_condition,
    normalize,
    resize_nearest,
)
from jaxgan.networks.layers import Conv, check_norm, image_shape
from jaxgan.networks.ops.arrays import depth_to_space
from jaxgan.ranges import Range, Width
from jaxgan.types import ExampleSpec, Tree

SMALL = nn.initializers.variance_scaling(0.2, "fan_in", "truncated_normal")
"""A tenth of He's variance, for the dense blocks of ESRGAN."""

SCALE = 0.2
"""Factor of residuals in ESRGAN."""

STEPS = {1: (), 2: (2,), 3: (3,), 4: (2, 2), 8: (2, 2, 2)}
"""Factors of upsampling, one after the other, by their product."""

USUAL = 4
"""The factor for examples without sources."""

Factor = Annotated[int, Range(0, 8)]
"""Factor by which height and width grow: 1, 2, 3, 4 or 8; 0 for that of the examples.
"""

Blocks = Annotated[int, Range(1, 100)]


def upsample_bicubic(x: jax.Array, factor: int) -> jax.Array:
    """Returns images `[B, H, W, C]` enlarged with Keys' cubic kernel, a = -1/2."""
    b, height, width, channels = x.shape
    size = (b, factor * height, factor * width, channels)
    return x if factor == 1 else jax.image.resize(x, size, "cubic")


def add_to_upsampled(
    detail: jax.Array, x: jax.Array, factor: int, train: bool
) -> jax.Array:
    """Returns images: a network's output plus the enlarged input.

    Clipped to [-1, 1] unless training, as clipping has no gradient outside.

    Raises:
      UsageError: if they do not have equally many channels.
    """
    if x.shape[-1] != detail.shape[-1]:
        raise UsageError(
            f"images of {detail.shape[-1]} channels are no enlargement of images of "
            f"{x.shape[-1]}: use the same mode for both"
        )
    y = detail + upsample_bicubic(x, factor)
    return y if train else jnp.clip(y, -1, 1)


def last_layer(channels: int) -> nn.Module:
    """Returns a 3x3 convolution to colors that starts at 0.

    An untrained network is then bicubic interpolation.
    """
    return Conv(channels, 3, kernel_init=nn.initializers.zeros)


class SRResNet(nn.Module):
    """Maps images `[B, H, W, C]` to images `[B, f * H, f * W, C]`."""

    channels: int
    width: int
    blocks: int = 8
    factor: int = 4
    norm: str = "none"
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self, x: jax.Array, condition: Tree = None, *, train: bool
    ) -> jax.Array:
        no_condition(condition, "srresnet")

        def normed(y):
            return normalize(y, self.norm, self.axis_name, train)

        use_bias = self.norm == "none"
        start = y = nn.leaky_relu(Conv(self.width, 9, kernel_init=HE)(x), 0.2)
        for _ in range(self.blocks):
            inner = Conv(self.width, 3, kernel_init=HE, use_bias=use_bias)(y)
            inner = nn.leaky_relu(normed(inner), 0.2)
            # Without normalization, residuals of full size would grow with the depth.
            inner = Conv(self.width, 3, kernel_init=SMALL, use_bias=use_bias)(inner)
            y += normed(inner)
        y = start + normed(Conv(self.width, 3, kernel_init=HE, use_bias=use_bias)(y))
        # Channels become pixels.
        for step in STEPS[self.factor]:
            y = Conv(step**2 * self.width, 3, kernel_init=HE)(y)
            y = nn.leaky_relu(depth_to_space(y, step), 0.2)
        detail = last_layer(self.channels)(y)
        return add_to_upsampled(detail, x, self.factor, train)


class DenseBlock(nn.Module):
    """Five convolutions, each of all the previous ones, as a small residual."""

    growth: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        parts = [x]
        for _ in range(4):
            joined = jnp.concatenate(parts, -1)
            y = Conv(self.growth, 3, kernel_init=SMALL)(joined)
            parts.append(nn.leaky_relu(y, 0.2))
        last = Conv(x.shape[-1], 3, kernel_init=SMALL)
        return x + SCALE * last(jnp.concatenate(parts, -1))


class RRDB(nn.Module):
    """Maps images `[B, H, W, C]` to images `[B, f * H, f * W, C]`."""

    channels: int
    width: int
    growth: int = 16
    blocks: int = 4
    factor: int = 4

    @nn.compact
    def __call__(
        self, x: jax.Array, condition: Tree = None, *, train: bool
    ) -> jax.Array:
        no_condition(condition, "rrdb")
        start = y = Conv(self.width, 3, kernel_init=HE)(x)
        # Residuals in residuals: each block has three dense blocks.
        for _ in range(self.blocks):
            inner = y
            for _ in range(3):
                inner = DenseBlock(self.growth)(inner)
            y += SCALE * (inner - y)
        y = start + Conv(self.width, 3, kernel_init=HE)(y)
        for step in STEPS[self.factor]:
            size = step * y.shape[1], step * y.shape[2]
            y = Conv(self.width, 3, kernel_init=HE)(resize_nearest(y, size))
            y = nn.leaky_relu(y, 0.2)
        y = nn.leaky_relu(Conv(self.width, 3, kernel_init=HE)(y), 0.2)
        detail = last_layer(self.channels)(y)
        return add_to_upsampled(detail, x, self.factor, train)


def _check_factor(factor: int) -> None:
    """Raises UsageError unless there are steps to a factor, or it is 0."""
    if factor and factor not in STEPS:
        raise UsageError(f"factor={factor}: choose 1, 2, 3, 4 or 8")


def factor_of(example: ExampleSpec, factor: int, name: str) -> int:
    """Returns how many times larger a network makes the sources of examples.

    Args:
      example: the fields of an example, of which the first is generated.
      factor: that of the user; 0 for the ratio of the images and the field `source`,
        or 4 without such a field.
      name: of the network, for messages.

    Raises:
      FieldError: if no factor maps sources to images.
      ImageSizeError: if the sides of images are no multiples of the factor.

    >>> from jaxgan.types import Field
    >>> example = ExampleSpec(image=Field((32, 32, 3)), source=Field((16, 16, 3)))
    >>> factor_of(example, 0, "srresnet")
    2
    """
    shape = image_shape(example, name)
    if not factor and "source" in example:
        small = example["source"].shape
        for step in STEPS:
            if tuple(step * side for side in small[:2]) == shape[:2]:
                return step
        raise FieldError(
            f"{name} enlarges 1, 2, 3, 4 or 8 times, and not {small[0]}x{small[1]} to "
            f"{shape[0]}x{shape[1]}: use one of these factors"
        )
    factor = factor or USUAL
    check_multiple(shape, factor, f"{name}(factor={factor})")
    return factor


def srresnet(
    width: Width = 64, blocks: Blocks = 8, factor: Factor = 0, norm: str = "none"
) -> Callable[..., nn.Module]:
    """Returns a maker of SRResNet, https://arxiv.org/abs/1609.04802.

    Residual blocks at the low resolution, then convolutions whose channels become
    pixels. The output is added to the bicubic enlargement of the input, and is 0 at
    first. Kernels after the first are 3x3, and there is no normalization by default, as
    in https://arxiv.org/abs/1707.02921.

    Args:
      width: channels of all hidden layers.
      blocks: number of residual blocks.
      factor: how many times larger the output is: 1, 2, 3, 4 or 8; 0 for the factor
        of the task, or the ratio of images and sources.
      norm: `batch`, `instance` or `none`.

    Raises:
      UsageError: for an unknown norm or another factor.
    """
    check_norm(norm)
    _check_factor(factor)

    def make(*, example: ExampleSpec, axis_name: str | None = None) -> nn.Module:
        scale = factor_of(example, factor, "srresnet")
        return SRResNet(example.shape[-1], width, blocks, scale, norm, axis_name)

    return make


def rrdb(
    width: Width = 32, growth: Width = 16, blocks: Blocks = 4, factor: Factor = 0
) -> Callable[..., nn.Module]:
    """Returns a maker of the generator of ESRGAN, https://arxiv.org/abs/1809.00219.

    Residual-in-residual dense blocks without normalization, and residuals scaled by
    0.2. The output is added to the bicubic enlargement of the input, and is 0 at first.

    Args:
      width: channels between blocks.
      growth: channels that each convolution of a dense block adds.
      blocks: number of blocks, of three dense blocks each.
      factor: how many times larger the output is: 1, 2, 3, 4 or 8; 0 for the factor
        of the task, or the ratio of images and sources.

    Raises:
      UsageError: for another factor.
    """
    _check_factor(factor)

    def make(*, example: ExampleSpec, axis_name: str | None = None) -> nn.Module:
        del axis_name
        scale = factor_of(example, factor, "rrdb")
        return RRDB(example.shape[-1], width, growth, blocks, scale)

    return make

"""Wide residual networks without normalization, after https://arxiv.org/abs/2501.05441.

The architecture of R3GAN: residual blocks that are inverted bottlenecks with grouped
convolutions, and bilinear resampling between resolutions. Written from the paper;
weights and sizes are not those of its code.
"""

from typing import Annotated

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.errors import FieldError, UsageError
from jaxgan.networks.conditions import condition_size, condition_vectors
from jaxgan.networks.layers import Dense, GroupedConv, image_shape, unconditional
from jaxgan.networks.ops.arrays import add_bias, at_least_float32
from jaxgan.networks.small import levels_of
from jaxgan.ranges import Range, Width, ceil_div
from jaxgan.types import DiscriminatorOutput, ExampleSpec, Players, Tree

GROUP = 16
"""Channels in a group of the 3x3 convolutions."""

HALF = GROUP // 2
"""Channels are a multiple of this, as a block has twice as many inside."""

PLAIN = nn.initializers.lecun_normal()
"""Initializer of 1x1 convolutions outside blocks."""

GAIN = 2 / (1 + 0.2**2)
"""He's gain for a leaky ReLU with slope 0.2, https://arxiv.org/abs/1502.01852."""


def stages(width: int, levels: int) -> list[int]:
    """Returns the channels at each resolution, from the lowest.

    They are `width`, and halved at each resolution above the fifth. So they are equal
    up to 64 pixels; above, memory would otherwise grow fourfold with each resolution.

    >>> stages(768, 3), stages(768, 6)
    ([768, 768, 768, 768], [768, 768, 768, 768, 768, 384, 192])
    """
    # Level 4 is the fifth resolution.
    halved = [width // 2 ** max(level - 4, 0) for level in range(levels + 1)]
    # Round down to a multiple of HALF, at least one.
    return [max(channels // HALF, 1) * HALF for channels in halved]


def lowest(shape: tuple[int, ...]) -> tuple[int, int]:
    """Returns the height and width of the generator's first resolution.

    >>> lowest((32, 32, 3)), lowest((28, 28, 1)), lowest((17, 30, 3))
    ((4, 4), (7, 7), (5, 8))
    """
    scale = 2 ** levels_of(shape)
    return ceil_div(shape[0], scale), ceil_div(shape[1], scale)


def upsample(x: jax.Array) -> jax.Array:
    """Upsamples `[B, H, W, C]` to `[B, 2H, 2W, C]`, with means between adjacent pixels.

    >>> upsample(jnp.array([1.0, 3.0]).reshape(1, 1, 2, 1))[0, :, :, 0].tolist()
    [[1.0, 2.0, 3.0, 3.0], [1.0, 2.0, 3.0, 3.0]]
    """
    for axis in (1, 2):
        size = x.shape[axis]
        last = jax.lax.slice_in_dim(x, size - 1, size, axis=axis)
        rest = jax.lax.slice_in_dim(x, 1, size, axis=axis)
        # The next pixel of each; the last one is its own.
        after = jnp.concatenate([rest, last], axis)
        shape = [*x.shape[:axis], 2 * size, *x.shape[axis + 1 :]]
        # Pixels and means alternate along the axis.
        x = jnp.stack([x, (x + after) / 2], axis + 1).reshape(shape)
    return x


def downsample(x: jax.Array) -> jax.Array:
    """Downsamples `[B, 2H, 2W, C]` to `[B, H, W, C]` with the filter [1, 2, 1] / 4.

    >>> downsample(jnp.arange(8.0).reshape(1, 2, 4, 1))[0, :, :, 0].tolist()
    [[1.25, 3.0]]
    """
    for axis in (1, 2):
        size = x.shape[axis]
        first = jax.lax.slice_in_dim(x, 0, 1, axis=axis)
        # The first pixel is repeated at the border.
        x = jnp.concatenate([first, x], axis)
        # Every second pixel, with its two neighbors.
        before, here, after = (
            jax.lax.slice_in_dim(x, i, i + size - 1, 2, axis) for i in range(3)
        )
        x = (before + 2 * here + after) / 4
    return x


class BiasLeakyReLU(nn.Module):
    """A bias, then a leaky ReLU with slope 0.2."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        bias = self.param("bias", nn.initializers.zeros, x.shape[-1:])
        return nn.leaky_relu(add_bias(x, bias), 0.2)


class Block(nn.Module):
    """A residual block x + f(x), where f has twice the channels inside.

    The last kernel starts at 0, so that f(x) = 0. With `total` blocks, the other
    kernels start at total^(-1/4) times He's: Fixup's rule for three convolutions,
    https://arxiv.org/abs/1901.09321.
    """

    total: int
    """Number of blocks of the network."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        width = x.shape[-1]
        # The scale is a variance, so that kernels are scaled by total^(-1/4).
        scale = GAIN * self.total**-0.5
        init = nn.initializers.variance_scaling(scale, "fan_in", "truncated_normal")
        # Expand, convolve groups, project: an inverted bottleneck.
        y = _mix(2 * width, "expand", init)(x)
        y = BiasLeakyReLU(name="first")(y)
        y = GroupedConv(GROUP, kernel_init=init, name="grouped")(y)
        y = BiasLeakyReLU(name="second")(y)
        return x + _mix(width, "project", nn.initializers.zeros)(y)


def _mix(
    features: int, name: str, init: nn.initializers.Initializer = PLAIN
) -> nn.Module:
    """Returns a 1x1 convolution without bias, as a dense layer."""
    return Dense(features, use_bias=False, kernel_init=init, name=name)


def _stage(x: jax.Array, level: int, blocks: int, total: int, remat: bool) -> jax.Array:
    """Applies the blocks of one resolution, inside a compact module."""
    # With remat, gradients recompute one block at a time.
    block = nn.remat(Block) if remat else Block
    for i in range(blocks):
        x = block(total, name=f"block_{level}_{i}")(x)
    return x


class Generator(nn.Module):
    """Maps latents `[B, d]` to images `[B, H, W, C]`; sampling clips to [-1, 1]."""

    shape: tuple[int, ...]
    width: int
    blocks: int
    remat: bool = False
    conditions: int = 0
    """See `condition_size`; 0 for no condition."""

    @nn.compact
    def __call__(
        self, z: jax.Array, condition: Tree = None, *, train: bool
    ) -> jax.Array:
        if self.conditions:
            vectors = _vectors(condition, z, self.conditions)
            # An embedding as long as the latent, beside it.
            z = jnp.concatenate([z, _mix(z.shape[-1], "embed")(vectors)], -1)
        else:
            unconditional(condition)
        height, width, channels = self.shape
        features = stages(self.width, levels_of(self.shape))
        x = LearnedBasis(lowest(self.shape), features[0], name="start")(z)
        for level, here in enumerate(features):
            # Change the width, upsample, then apply the blocks of this resolution.
            if here != x.shape[-1]:
                x = _mix(here, f"change_{level}")(x)
            x = upsample(x) if level else x
            x = _stage(x, level, self.blocks, self.blocks * len(features), self.remat)
        # A 1x1 convolution to colors, cropped to the size of the data.
        x = Dense(channels, name="colours")(x)[:, :height, :width]
        # Clipping has no gradient outside [-1, 1], so training is without it.
        return x if train else jnp.clip(x, -1, 1)


class Discriminator(nn.Module):
    """Maps images `[B, H, W, C]` to logits `[B]` and the last hidden layer."""

    width: int
    blocks: int
    remat: bool = False
    conditions: int = 0
    """See `condition_size`; 0 for no condition."""

    @nn.compact
    def __call__(
        self, x: jax.Array, condition=None, *, train: bool
    ) -> DiscriminatorOutput:
        shape = x.shape[1:]
        features = stages(self.width, levels_of(shape))
        scale = 2 ** levels_of(shape)
        # Pad with zeros to a size that can be halved at every level.
        pads = [(0, scale * n - s) for n, s in zip(lowest(shape), shape, strict=False)]
        x = jnp.pad(x, [(0, 0), *pads, (0, 0)])
        # A 1x1 convolution from colors.
        x = Dense(features[-1], name="colours")(x)
        # The mirror image of the generator: blocks, then downsampling.
        for level, here in reversed(list(enumerate(features))):
            if here != x.shape[-1]:
                x = _mix(here, f"change_{level}")(x)
            x = _stage(x, level, self.blocks, self.blocks * len(features), self.remat)
            x = downsample(x) if level else x
        # One number per channel, `[B, C]`.
        x = GlobalDepthwiseConv(name="everywhere")(x)
        if not self.conditions:
            return DiscriminatorOutput(Dense(1, name="logit")(x)[:, 0], features=x)
        # The product of an embedding and the features, each with as many channels.
        vectors = _vectors(condition, x, self.conditions)
        expected = _mix(x.shape[-1], "embed")(vectors)
        products = Dense(x.shape[-1], name="projection")(x) * expected
        logits = at_least_float32(products).sum(-1) * x.shape[-1] ** -0.5
        return DiscriminatorOutput(logits.astype(x.dtype), features=x)


def _vectors(condition: Tree, x: jax.Array, size: int) -> jax.Array:
    """Returns conditions as vectors `[B, size]`, so that embeddings start near 1."""
    vectors = condition_vectors(condition, len(x), size, "r3gan") * size**0.5
    return vectors.astype(x.dtype)


class LearnedBasis(nn.Module):
    """A learned image, scaled per channel by latents `[B, d]`: `[B, *size, width]`."""

    size: tuple[int, int]
    width: int

    @nn.compact
    def __call__(self, z: jax.Array) -> jax.Array:
        init = nn.initializers.normal(1.0)
        # One image for all examples; latents scale its channels.
        basis = self.param("basis", init, (*self.size, self.width))
        strength = Dense(self.width, name="strength")(z)[:, None, None]
        return (at_least_float32(basis) * at_least_float32(strength)).astype(z.dtype)


class GlobalDepthwiseConv(nn.Module):
    """A depthwise convolution as large as the image, `[B, H, W, C]` to `[B, C]`."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        area = x.shape[1] * x.shape[2]
        # Each output is a sum of H * W products.
        init = nn.initializers.truncated_normal(area**-0.5)
        kernel = self.param("kernel", init, x.shape[1:])
        return jnp.sum(
            at_least_float32(x) * at_least_float32(kernel), axis=(1, 2)
        ).astype(x.dtype)


def pair(
    width: Width = 768,
    blocks: Annotated[int, Range(1, 100)] = 2,
    conditional: bool = False,
    *,
    example: ExampleSpec,
    axis_name: str | None = None,
    remat: bool = False,
) -> Players[nn.Module]:
    """Returns R3GAN's pair.

    It has 20,732,931 and 20,684,545 parameters for 64 latents and 32x32x3. Conditional
    on 10 classes it has the paper's 20.78 and 21.28 million.

    Args:
      width: channels, the same at all resolutions up to 64 pixels; a multiple of 8.
      blocks: blocks at each resolution, in each player.
      conditional: if True, the task's labels or attributes are embedded beside the
        latent, and in the discriminator by a projection.
      example: the fields of an example, of which the first, an image, is generated.
        It is halved at least once, until its shorter side has 7 pixels or fewer. A size
        that cannot be halved so often is cropped from the next larger one that can.
      axis_name: unused, as nothing depends on the batch.
      remat: if True, gradients recompute each block instead of keeping its activations.

    Raises:
      UsageError: if samples are not images, if `width` does not give whole groups, or
        if there are no blocks.
      FieldError: if examples have no condition, and `conditional` is True.
    """
    del axis_name
    shape = image_shape(example, "residual")
    # Twice the width must be whole groups.
    if width < HALF or width % HALF:
        near = max(round(width / HALF), 1) * HALF
        raise UsageError(
            f"residual: width={width} does not make groups of {GROUP} when doubled: "
            f"choose a multiple of {HALF}, such as {near}"
        )
    if blocks < 1:
        raise UsageError(f"residual: blocks={blocks}: choose 1 or more, such as 2")
    conditions = condition_size(example) if conditional else 0
    if conditional and not conditions:
        raise FieldError("r3gan(conditional=True) needs labels or attributes")
    return Players(
        Generator(shape, width, blocks, remat, conditions),
        Discriminator(width, blocks, remat, conditions),
    )

"""U-Nets for inpainting, whose convolutions know which pixels are missing.

They read an image with a mask as the last channel: 1 in holes, where the other channels
are 0.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.networks.images import HE, check_multiple, no_condition, resize_nearest
from jaxgan.networks.layers import Conv, ConvTranspose, image_shape
from jaxgan.networks.ops.arrays import add_bias, at_least_float32
from jaxgan.networks.unet import Depth, depth_of, widths
from jaxgan.ranges import Width, ceil_div
from jaxgan.types import ExampleSpec, Tree


def gate(x: jax.Array) -> jax.Array:
    """Returns elu(a) * sigmoid(b) of the halves a and b of the channels, `[..., C]`.

    >>> gate(jnp.array([3.0, 0.0])).tolist()
    [1.5]
    """
    features, gates = jnp.split(x, 2, -1)
    return nn.elu(features) * nn.sigmoid(gates)


class GatedUNet(nn.Module):
    """Maps images with masks `[B, H, W, C + 1]` to images `[B, H, W, C]` in (-1, 1)."""

    channels: int
    width: int
    depth: int

    @property
    def multiple(self) -> int:
        """The number that height and width must be multiples of."""
        return 2**self.depth

    @nn.compact
    def __call__(
        self, x: jax.Array, condition: Tree = None, *, train: bool
    ) -> jax.Array:
        no_condition(condition, "gated_unet")
        check_multiple(x.shape[1:], self.multiple, "gated_unet")
        features = widths(self.width, self.depth)
        # Twice the channels: features and their gates. One more layer than in a U-Net
        # keeps the full resolution, in which the output continues the known pixels.
        x = gate(Conv(2 * self.width, 3, kernel_init=HE)(x))
        skips = [x]
        for channels in features:
            x = gate(Conv(2 * channels, 4, 2, kernel_init=HE)(x))
            skips.append(x)
        skips.pop()
        for channels in [*features[-2::-1], self.width]:
            up = ConvTranspose(2 * channels, 4, 2, kernel_init=HE, use_bias=True)
            x = jnp.concatenate([gate(up(x)), skips.pop()], -1)
        return jnp.tanh(Conv(self.channels, 3)(x))


class PartialConv(nn.Module):
    """A convolution of the known pixels only, https://arxiv.org/abs/1804.07723.

    The sum over a window is divided by the fraction of it that is known. Pixels outside
    the image count as unknown. An output is known if any pixel of its window is; else
    it is 0.
    """

    features: int
    size: int
    stride: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, known: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Convolves with SAME padding.

        Args:
          x: `[B, H, W, C]`, 0 where pixels are unknown.
          known: `[B, H, W, 1]` in [0, 1]: the fraction of known channels.

        Returns:
          `[B, h, w, features]` and the new mask `[B, h, w, 1]`, 0 or 1.
        """
        conv = Conv(self.features, self.size, self.stride, HE, use_bias=False)
        fraction = window_means(known, self.size, self.stride)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        new = (fraction > 0).astype(x.dtype)
        # The denominator of an empty window does not matter.
        scale = new / jnp.where(fraction > 0, fraction, 1).astype(x.dtype)
        return add_bias(conv(x) * scale, bias) * new, new


def window_means(known: jax.Array, size: int, stride: int) -> jax.Array:
    """Returns the mean of each window of a mask `[B, H, W, 1]`, with SAME zeros."""
    x = at_least_float32(known)
    # Sums along one axis after the other. XLA takes seconds to compile windows of a
    # mask that is constant.
    for axis in (1, 2):
        length = x.shape[axis]
        pads = jax.lax.padtype_to_pads([length], [size], [stride], "SAME")
        x = jnp.pad(x, [*[(0, 0)] * axis, *pads, *[(0, 0)] * (3 - axis)])
        last = (ceil_div(length, stride) - 1) * stride + 1
        ends = [(i, i + last) for i in range(size)]
        x = sum(
            (jax.lax.slice_in_dim(x, *end, stride, axis) for end in ends[1:]),
            jax.lax.slice_in_dim(x, *ends[0], stride, axis),
        )
    return x / size**2


class PartialUNet(nn.Module):
    """Maps images with masks `[B, H, W, C + 1]` to images `[B, H, W, C]` in (-1, 1)."""

    channels: int
    width: int
    depth: int

    @property
    def multiple(self) -> int:
        """The number that height and width must be multiples of."""
        return 2**self.depth

    @nn.compact
    def __call__(
        self, x: jax.Array, condition: Tree = None, *, train: bool
    ) -> jax.Array:
        no_condition(condition, "partial_unet")
        check_multiple(x.shape[1:], self.multiple, "partial_unet")
        # The mask is 1 in holes, and has no gradient.
        known = jax.lax.stop_gradient(1 - x[..., -1:])
        x = x[..., :-1] * known
        features, skips = widths(self.width, self.depth), [(x, known)]
        for level, channels in enumerate(features):
            x, known = PartialConv(channels, 3 if level else 5, 2)(x, known)
            x = nn.relu(x)
            skips.append((x, known))
        skips.pop()
        for channels in [*features[-2::-1], self.width]:
            x, known = _joined((x, known), skips.pop())
            x, known = PartialConv(channels, 3)(x, known)
            x = nn.leaky_relu(x, 0.2)
        return jnp.tanh(Conv(self.channels, 3)(x))


def _joined(
    low: tuple[jax.Array, jax.Array], high: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    """Joins doubled features and masks with those of the encoder.

    Returns:
      Channels side by side, and the fraction of them that is known, `[B, H, W, 1]`.
    """
    size = high[0].shape[1:3]
    doubled, known = (resize_nearest(part, size) for part in low)
    counts = doubled.shape[-1], high[0].shape[-1]
    total = counts[0] * known + counts[1] * high[1]
    return jnp.concatenate([doubled, high[0]], -1), total / sum(counts)


def gated_unet(width: Width = 32, depth: Depth = 0) -> Callable[..., nn.Module]:
    """Returns a maker of a gated U-Net, https://arxiv.org/abs/1806.03589.

    Each feature is multiplied by a sigmoid of another convolution, which learns where
    pixels are missing. The input has the mask as its last channel.

    Args:
      width: channels at full resolution; deeper layers have up to eight times as many.
      depth: how often images are halved; 0 for down to 2 pixels, at most eight times.
    """
    return _maker(GatedUNet, "gated_unet", width, depth)


def partial_unet(width: Width = 32, depth: Depth = 0) -> Callable[..., nn.Module]:
    """Returns a maker of a U-Net of partial convolutions, see `PartialConv`.

    The input has the mask as its last channel.

    Args:
      width: channels at full resolution; deeper layers have up to eight times as many.
      depth: how often images are halved; 0 for down to 2 pixels, at most eight times.
    """
    return _maker(PartialUNet, "partial_unet", width, depth)


def _maker(
    net: Callable[[int, int, int], nn.Module], name: str, width: int, depth: int
) -> Callable[..., nn.Module]:
    def make(*, example: ExampleSpec, axis_name: str | None = None) -> nn.Module:
        del axis_name
        shape = image_shape(example, name)
        return net(shape[-1], width, depth_of(shape, depth, name))

    return make

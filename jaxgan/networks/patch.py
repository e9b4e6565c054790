"""PatchGAN discriminators, which judge overlapping patches of an image."""

from collections.abc import Callable
from typing import Annotated

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.errors import ImageSizeError
from jaxgan.networks.images import condition_images, kernel_init, normalize
from jaxgan.networks.layers import Conv, check_norm, image_shape
from jaxgan.ranges import Range, Width
from jaxgan.types import DiscriminatorOutput, ExampleSpec, Tree

SIZE = 4
"""Side of the kernels."""

AROUND = ((1, 1), (1, 1))
"""Zeros around an image, like in pix2pix; SAME would add more behind than before."""


def receptive_field(layers: int) -> int:
    """Returns the side of the patch of pixels that one logit depends on.

    >>> [receptive_field(layers) for layers in (1, 2, 3, 4)]
    [16, 34, 70, 142]
    """
    # Two convolutions of stride 1, then back through those of stride 2.
    field = 1 + 2 * (SIZE - 1)
    for _ in range(layers):
        field = 2 * (field - 1) + SIZE
    return field


def logits_size(size: int, layers: int) -> int:
    """Returns the number of logits along a side; 0 or less if an image is too small.

    >>> [logits_size(size, 3) for size in (256, 64, 32, 24, 16)]
    [30, 6, 2, 1, 0]
    """
    for _ in range(layers):
        size //= 2
    return size - 2


class OneScale(nn.Module):
    """Maps images `[B, H, W, c]` to logits `[B, h, w]` and the layers before them."""

    width: int
    layers: int
    norm: str
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool
    ) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        init, features = kernel_init(self.norm), []
        for layer in range(self.layers + 1):
            # The last hidden layer keeps the resolution.
            stride = 2 if layer < self.layers else 1
            channels = self.width * min(2**layer, 8)
            # The first layer has no normalization, and the others need no bias.
            plain = layer == 0 or self.norm == "none"
            x = Conv(channels, SIZE, stride, init, plain, AROUND)(x)
            x = normalize(x, self.norm, self.axis_name, train) if layer else x
            x = nn.leaky_relu(x, 0.2)
            features.append(x)
        logits = Conv(1, SIZE, kernel_init=init, padding=AROUND)(x)[..., 0]
        return logits, tuple(features)


class Patch(nn.Module):
    """Maps images `[B, H, W, C]` to logits of patches, `[B, h, w]`, and all layers.

    With several scales, logits and features are tuples with one entry per scale, of
    which each halves the images once more.
    """

    width: int
    layers: int = 3
    scales: int = 1
    norm: str = "instance"
    conditional: bool = True
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self, x: jax.Array, condition: Tree = None, *, train: bool
    ) -> DiscriminatorOutput:
        sources = condition_images(condition, x.shape[1:3]) if self.conditional else []
        x = jnp.concatenate([x, *sources], -1)
        check_size(x.shape[1:], self.layers, self.scales)
        outputs = []
        for scale in range(self.scales):
            # 3x3 means like in pix2pixHD would only blur more.
            x = nn.avg_pool(x, (2, 2), (2, 2)) if scale else x
            net = OneScale(
                self.width,
                self.layers,
                self.norm,
                self.axis_name,
                name=f"scale_{scale}",
            )
            outputs.append(net(x, train=train))
        logits, features = zip(*outputs, strict=True)
        if self.scales == 1:
            return DiscriminatorOutput(logits[0], features[0])
        return DiscriminatorOutput(logits, features)


def check_size(shape: tuple[int, ...], layers: int, scales: int) -> None:
    """Raises ImageSizeError if images are too small for one logit at each scale.

    Args:
      shape: `(H, W, C)` of the images.
      layers: convolutions with stride 2.
      scales: number of scales.
    """
    shrink = 2 ** (scales - 1)
    if all(logits_size(side // shrink, layers) >= 1 for side in shape[:2]):
        return
    least = 3 * 2**layers * shrink
    sides = max(shape[0], least), max(shape[1], least)
    more = f", scales={scales}" if scales > 1 else ""
    raise ImageSizeError(
        f"patch(layers={layers}{more}) needs images of at least {least}x{least}, not "
        f"{shape[0]}x{shape[1]}: its logits read patches of "
        f"{receptive_field(layers) * shrink} pixels; choose fewer layers, or larger "
        "images",
        sides,
    )


def patch(
    width: Width = 64,
    layers: Annotated[int, Range(1, 8)] = 3,
    scales: Annotated[int, Range(1, 8)] = 1,
    norm: str = "instance",
    conditional: bool = True,
) -> Callable[..., nn.Module]:
    """Returns a maker of PatchGAN, https://arxiv.org/abs/1611.07004, section 3.2.2.

    Each logit judges a patch of `receptive_field(layers)` pixels. On smaller images,
    the rest of the patch is zeros.

    Args:
      width: channels of the first layer; deeper layers have up to eight times as many.
      layers: convolutions with stride 2.
      scales: number of discriminators, each on images of half the size of the previous
        one's, https://arxiv.org/abs/1711.11585.
      norm: `batch`, `instance` or `none`.
      conditional: if True, the images of the condition, such as the source, are judged
        together with the sample. Smaller ones are enlarged.

    Raises:
      UsageError: for an unknown norm.
    """
    check_norm(norm)

    def make(*, example: ExampleSpec, axis_name: str | None = None) -> nn.Module:
        check_size(image_shape(example, "patch"), layers, scales)
        return Patch(width, layers, scales, norm, conditional, axis_name)

    return make

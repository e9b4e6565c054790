"""Residual networks with self-attention, https://arxiv.org/abs/1805.08318."""

from typing import Annotated, Any

import flax.linen as nn

from jaxgan.networks import resnet
from jaxgan.networks.resnet_stages import attention_side
from jaxgan.ranges import Range, Width
from jaxgan.types import ExampleSpec, Players

LARGEST = 32
"""Side of the features with self-attention that the paper found best, table 1."""

Attention = Annotated[int, Range(0, 256)]


def pair(
    width: Width = 64,
    blocks: resnet.Blocks = 1,
    attention: Attention = 0,
    project: bool = True,
    *,
    example: ExampleSpec,
    axis_name: str | None = None,
    remat: bool = False,
) -> Players[nn.Module]:
    """Returns the pair of SAGAN: that of `resnet`, with self-attention in both players.

    The paper normalizes kernels of both players: wrap both in `spectral_norm`. With a
    condition, and inside wrappers, it is like `resnet`.

    Args:
      width: channels that the published numbers are multiples of, see `resnet`.
      blocks: blocks at each resolution, in each player.
      attention: shorter side of the features with self-attention; 0 for half of that of
        images, at most 32 pixels. A player without features of this side has none.
      project: if False, the discriminator does not read the condition.
      example: the fields of an example, of which the first, an image, is generated. It
        is halved until its shorter side has 4 to 7 pixels.
      axis_name: name of the device axis, if the step runs on several devices.
      remat: if True, gradients recompute each block instead of keeping its activations.

    Raises:
      UsageError: if there are no features of the side `attention`.
      FieldError: if samples are not images, or of a size that cannot be halved.
    """
    facts = {"example": example, "axis_name": axis_name, "remat": remat}
    nets = resnet.residual_pair("sagan", width, blocks, project, **facts)
    return with_attention(nets, example, attention, LARGEST)


def with_attention(
    nets: Players[Any], example: ExampleSpec, chosen: int, most: int
) -> Players[nn.Module]:
    """Returns residual networks with self-attention.

    Args:
      nets: networks of `resnet.residual_pair`.
      example: the fields of an example.
      chosen: shorter side of the features; 0 for half of that of images.
      most: the largest side that 0 stands for.

    Raises:
      UsageError: if there are no features of the side `chosen`.
    """
    height, width, _ = example.shape
    stages = tuple(net.stages for net in nets)
    side = attention_side(stages, (height, width), chosen, most, nets.generator.called)
    return Players(*(net.clone(attention=side) for net in nets))

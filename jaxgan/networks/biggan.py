"""BigGAN: shared embeddings, hierarchical latents, https://arxiv.org/abs/1809.11096."""

from typing import Annotated

import flax.linen as nn

from jaxgan.networks import resnet, sagan
from jaxgan.networks.resnet_layers import ORTHOGONAL
from jaxgan.ranges import Range, Width
from jaxgan.types import ExampleSpec, Players

LARGEST = 64
"""Side of the features with self-attention in the paper."""


def pair(
    width: Width = 96,
    blocks: resnet.Blocks = 1,
    attention: sagan.Attention = 0,
    embedding: Annotated[int, Range(1, 2**20)] = 128,
    project: bool = True,
    *,
    example: ExampleSpec,
    axis_name: str | None = None,
    remat: bool = False,
) -> Players[nn.Module]:
    """Returns the pair of BigGAN, https://arxiv.org/abs/1809.11096, appendix B.

    The generator splits its latent into parts for the first layer and for each
    resolution. Normalizations of a resolution read their part beside an embedding of
    the condition, which all share. Kernels start orthogonal. The paper normalizes those
    of both players: wrap both in `spectral_norm`, which leaves the embedding alone. For
    128x128x3, 1,000 classes and 120 latents, it has 70,433,988 and 87,982,370
    parameters. Without a condition, normalizations read the latent alone. Inside the
    wrappers `embed`, `projection` and `classifier`, it is like `resnet`.

    Args:
      width: channels that the published numbers are multiples of, see `resnet`.
      blocks: blocks at each resolution, in each player.
      attention: shorter side of the features with self-attention; 0 for half of that of
        images, at most 64 pixels. A player without features of this side has none.
      embedding: entries of the embedding of a condition.
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
    nets = resnet.residual_pair("biggan", width, blocks, project, **facts)
    nets = Players(
        nets.generator.clone(kernels=ORTHOGONAL, shared=embedding),
        nets.discriminator.clone(kernels=ORTHOGONAL, wide=True),
    )
    return sagan.with_attention(nets, example, attention, LARGEST)

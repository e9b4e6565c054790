"""Residual networks of SNGAN and WGAN-GP, and the modules of SAGAN and BigGAN.

https://arxiv.org/abs/1704.00028, https://arxiv.org/abs/1802.05957, and with conditions
https://arxiv.org/abs/1802.05637. Spectral normalization is a wrapper.
"""

from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.errors import FieldError, UsageError
from jaxgan.networks.attention import SelfAttention
from jaxgan.networks.conditions import condition_size, condition_vectors
from jaxgan.networks.layers import BatchNorm, Conv, Dense, image_shape
from jaxgan.networks.ops.arrays import at_least_float32
from jaxgan.networks.resnet_layers import (
    EPSILON,
    MOMENTUM,
    SNGAN_KERNELS,
    DiscriminatorBlock,
    GeneratorBlock,
    Kernels,
)
from jaxgan.networks.resnet_stages import (
    Stages,
    discriminator_stages,
    generator_stages,
)
from jaxgan.ranges import Range, Width
from jaxgan.spec import unknown
from jaxgan.types import DiscriminatorOutput, ExampleSpec, Players, Tree

NORMS = ("batch", "none")
Blocks = Annotated[int, Range(1, 100)]


class Generator(nn.Module):
    """Maps latents `[B, d]` to images `[B, H, W, C]` in (-1, 1).

    A condition, labels `[B]` or attributes `[B, k]`, becomes the gain and the bias of
    each normalization inside a block.
    """

    channels: int
    stages: Stages
    width: int
    blocks: int = 1
    kernels: Kernels = SNGAN_KERNELS
    norm: str = "batch"
    conditions: int = 0
    """Entries of a condition as a vector."""
    shared: int = 0
    """Entries of an embedding of conditions, which the normalizations read beside a
    part of the latent each; 0 if they read conditions alone."""
    attention: int = 0
    """Shorter side of the features with self-attention; 0 for none."""
    called: str = "resnet"
    """Name of the pair, for messages."""
    axis_name: str | None = None
    remat: bool = False

    @nn.compact
    def __call__(
        self, z: jax.Array, condition: Tree = None, *, train: bool
    ) -> jax.Array:
        vectors = self._vectors(z, condition)
        z, vectors = self._split(z, vectors)
        (height, width), features = self.stages.start, self.stages.first * self.width
        init = self.kernels.other
        x = Dense(height * width * features, kernel_init=init, name="start")(z)
        x = x.reshape(-1, height, width, features)
        for level, units in enumerate(self.stages.features):
            # The first block of a resolution doubles the image.
            for number in range(self.blocks):
                block = self._block(units * self.width, number == 0, train)
                x = block(name=f"block_{level}_{number}")(x, vectors[level])
            if self.attention == min(x.shape[1:3]):
                x = SelfAttention(init, name="attention")(x)
        if self.norm == "batch":
            options = (self.axis_name, MOMENTUM, EPSILON)
            x = BatchNorm(*options, name="norm")(x, train=train)
        last = Conv(self.channels, 3, kernel_init=init, name="colors")
        return jnp.tanh(last(nn.relu(x)))

    def _block(self, features: int, up: bool, train: bool) -> Any:
        """Returns a function that makes a block; with remat, gradients recompute it."""
        make: Any = nn.remat(GeneratorBlock) if self.remat else GeneratorBlock
        options = (features, up, self.kernels, self.norm, train, self.axis_name)
        return lambda name: make(*options, name=name)

    def _vectors(self, z: jax.Array, condition: Tree) -> jax.Array | None:
        """Returns the condition as vectors, embedded if embeddings are shared."""
        if condition is None:
            return None
        if self.norm == "none":
            raise UsageError(
                f"{self.called}: normalizations read the condition, and with "
                "norm='none' there are none: use norm='batch', or wrap it in embed"
            )
        check_conditions(self.conditions, self.called)
        vectors = condition_vectors(condition, len(z), self.conditions, self.called)
        vectors = vectors.astype(z.dtype)
        if not self.shared:
            return vectors
        init = self.kernels.condition or nn.initializers.zeros
        # Not a kernel, so that its size is not normalized.
        return vectors @ self.param("table", init, (self.conditions, self.shared))

    def _split(
        self, z: jax.Array, vectors: jax.Array | None
    ) -> tuple[jax.Array, list[jax.Array | None]]:
        """Returns the latent of the first layer, and the vectors of each resolution."""
        levels = len(self.stages.features)
        if not self.shared:
            return z, [vectors] * levels
        if z.shape[-1] <= levels:
            raise UsageError(
                f"{self.called} splits latents into {levels + 1} parts, and these have "
                f"{z.shape[-1]} entries: use {20 * (levels + 1)}"
            )
        first, *parts = jnp.array_split(z, levels + 1, axis=-1)
        if vectors is not None:
            parts = [jnp.concatenate([vectors, part], -1) for part in parts]
        return first, [*parts]


class Discriminator(nn.Module):
    """Maps images `[B, H, W, C]` to logits `[B]` and features, summed over pixels.

    If there is a condition, labels `[B]` or attributes `[B, k]`, its projection on the
    features is added to the logits, https://arxiv.org/abs/1802.05637.
    """

    stages: Stages
    width: int
    blocks: int = 1
    kernels: Kernels = SNGAN_KERNELS
    wide: bool = False
    """If True, blocks have the channels of their output inside, and else those of their
    input."""
    conditions: int = 0
    project: bool = True
    attention: int = 0
    called: str = "resnet"
    remat: bool = False

    @nn.compact
    def __call__(
        self, x: jax.Array, condition: Tree = None, *, train: bool
    ) -> DiscriminatorOutput:
        make: Any = nn.remat(DiscriminatorBlock) if self.remat else DiscriminatorBlock
        for level, units in enumerate(self.stages.features):
            # The first block of a resolution halves the image.
            for number in range(self.blocks):
                first = level == number == 0
                features = units * self.width
                inside = features if first or self.wide else x.shape[-1]
                down = number == 0 and self.stages.resampled(level)
                options = (features, inside, down, self.kernels, first)
                x = make(*options, name=f"block_{level}_{number}")(x)
            # Once, though the last blocks have features of the same size.
            if self.attention == min(x.shape[1:3]) and self.stages.resampled(level):
                x = SelfAttention(self.kernels.other, name="attention")(x)
        x = jnp.sum(at_least_float32(nn.relu(x)), axis=(1, 2)).astype(x.dtype)
        logits = Dense(1, kernel_init=self.kernels.other, name="logit")(x)[:, 0]
        if condition is not None and self.project:
            logits = logits + self._projection(x, condition)
        return DiscriminatorOutput(logits, features=x)

    def _projection(self, x: jax.Array, condition: Tree) -> jax.Array:
        """Returns the product of features `[B, F]` with a learned row per class."""
        check_conditions(self.conditions, self.called)
        vectors = condition_vectors(condition, len(x), self.conditions, self.called)
        shape = (self.conditions, x.shape[-1])
        rows = self.param("projection", self.kernels.other, shape)
        rows = at_least_float32(vectors.astype(x.dtype) @ rows)
        return jnp.sum(rows * at_least_float32(x), -1).astype(x.dtype)


def check_conditions(conditions: int, name: str) -> None:
    """Raises FieldError if a condition is given, and examples have no classes."""
    if not conditions:
        raise FieldError(
            f"{name} reads labels or attributes, and these examples have neither: use "
            "a dataset that has them, or the task generate"
        )


def residual_pair(
    called: str,
    width: int,
    blocks: int,
    project: bool,
    *,
    example: ExampleSpec,
    axis_name: str | None,
    remat: bool,
) -> Players[Any]:
    """Returns the networks of `pair`, whose messages name another pair.

    Raises:
      FieldError: if samples are not images, or of a size that cannot be halved.
    """
    height, width_, channels = image_shape(example, called)
    size = height, width_
    shared = {
        "width": width,
        "blocks": blocks,
        "conditions": condition_size(example),
        "called": called,
        "remat": remat,
    }
    generator, discriminator = (
        generator_stages(size, called),
        discriminator_stages(size, called),
    )
    return Players(
        Generator(channels, generator, axis_name=axis_name, **shared),
        Discriminator(discriminator, project=project, **shared),
    )


def pair(
    width: Width = 64,
    blocks: Blocks = 1,
    norm: str = "batch",
    project: bool = True,
    *,
    example: ExampleSpec,
    axis_name: str | None = None,
    remat: bool = False,
) -> Players[nn.Module]:
    """Returns the residual pair of SNGAN, https://arxiv.org/abs/1802.05957.

    Blocks are also those of WGAN-GP, https://arxiv.org/abs/1704.00028. Depths are those
    published for 32, 48, 64 and 128 pixels: see `resnet_stages`. For 32x32x3 and 128
    latents, it has 4,276,739 and 1,053,825 parameters. With a condition, the generator
    has conditional BatchNorm and the discriminator a projection, as in
    https://arxiv.org/abs/1802.05637; without one they are unconditional. Inside the
    wrapper `embed`, the generator sees a longer latent and no condition. The wrappers
    `projection` and `classifier` add to the projection inside: use `project=False` for
    the wrapper alone.

    Args:
      width: channels that the published numbers are multiples of. Below 48 pixels the
        generator has 4, and the discriminator 2 times as many; else 1 to 16 times.
      blocks: blocks at each resolution, in each player.
      norm: `batch` or `none`, of the generator.
      project: if False, the discriminator does not read the condition.
      example: the fields of an example, of which the first, an image, is generated. It
        is halved until its shorter side has 4 to 7 pixels.
      axis_name: name of the device axis, if the step runs on several devices.
      remat: if True, gradients recompute each block instead of keeping its activations.

    Raises:
      UsageError: for an unknown norm.
      FieldError: if samples are not images, or of a size that cannot be halved.
    """
    if norm not in NORMS:
        raise unknown(norm, NORMS, "norm")
    facts = {"example": example, "axis_name": axis_name, "remat": remat}
    nets = residual_pair("resnet", width, blocks, project, **facts)
    return nets._replace(generator=nets.generator.clone(norm=norm))

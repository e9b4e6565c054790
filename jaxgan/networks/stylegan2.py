"""The networks of StyleGAN2, https://arxiv.org/abs/1912.04958, with labels of ADA.

Written from the papers. A mapping network turns latents into a style w. The synthesis
network starts from a learned constant; w scales the channels of each convolution, and
colors are summed over resolutions. The discriminator is residual. ADA
(https://arxiv.org/abs/2006.06676) has the conditions: an embedding beside the latent,
and a projection in the discriminator.

For tools that look into the latent space, the generator has two methods, which
`generator.apply(variables, ..., method="mapping")` calls outside of training:

* `mapping(z, condition=None, *, train)` maps latents `[B, dim]` to w, `[B, d]`.
* `synthesis(w, *, train)` maps w to images `[B, H, W, C]`. w is `[B, d]`, or
  `[B, layers, d]` with `generator.layers` styles, from the lowest resolution up, of
  different images to mix them.

`variables["batch_stats"]["w_avg"]` `[d]` is the running mean of w over all conditions.
Truncation is w_avg + psi (w - w_avg), with psi in [0, 1]. Mixed precision has the
generator as `inside`, with the same variables. Through any wrapper, and in tasks, the
generator takes the inputs of `jaxgan.networks.styles` in place of latents.

While training, noise is random for each example and update. Otherwise it is the same
for all images, so that pictures of nearby styles are alike.
"""

from typing import Annotated

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.networks.conditions import condition_size, condition_vectors
from jaxgan.networks.layers import image_shape
from jaxgan.networks.modulated import (
    EqualConv,
    EqualDense,
    StyledColors,
    StyledConv,
    activate,
    normalize,
)
from jaxgan.networks.ops.arrays import at_least_float32
from jaxgan.networks.ops.resampling import (
    conv_downsampled,
    conv_upsampled,
    downsample,
    upsample,
)
from jaxgan.networks.ops.threefry import bits, normal, words_of
from jaxgan.networks.r3gan import lowest
from jaxgan.networks.small import levels_of
from jaxgan.networks.streams import example_rngs
from jaxgan.networks.styles import Styles, ToStyles, Truncated
from jaxgan.networks.wrappers import grouped_for_deviation
from jaxgan.ranges import Probability, Range, Size, Width
from jaxgan.types import DiscriminatorOutput, ExampleSpec, Players, Tree

SLOWER = 0.01
"""The learning rate of the mapping network, relative to that of other layers."""

DECAY = 0.995
"""The decay of the running mean of w at each update."""

NOISE, MIXING, CROSSING = range(3)
"""Numbers of the random arrays of an example."""


def stages(width: int, largest: int, levels: int) -> list[int]:
    """Returns the channels at each resolution, from the lowest.

    They are `width` divided by 4, 8, 16, and so on, at most `largest`.

    >>> stages(32_768, 512, 6)
    [512, 512, 512, 512, 512, 256, 128]
    """
    return [min(max(width >> level + 2, 1), largest) for level in range(levels + 1)]


def mixed(first: jax.Array, second: jax.Array, crossing: jax.Array) -> jax.Array:
    """Returns `first` in layers before `crossing`, and `second` from there on.

    Args:
      first: styles `[B, layers, d]`.
      second: styles of the same shape.
      crossing: number of a layer, int32 `[B]`.
    """
    before = jnp.arange(first.shape[1]) < crossing[:, None]
    return jnp.where(before[:, :, None], first, second)


class Mapping(nn.Module):
    """Maps latents and conditions, or one of them, to `[B, dim]`."""

    dim: int
    depth: int

    @nn.compact
    def __call__(self, z: jax.Array | None, vectors: jax.Array | None) -> jax.Array:
        parts = [] if z is None else [normalize(z)]
        if vectors is not None:
            parts.append(normalize(EqualDense(self.dim, name="embed")(vectors)))
        x = jnp.concatenate(parts, -1)
        for i in range(self.depth):
            x = activate(EqualDense(self.dim, SLOWER, name=f"dense_{i}")(x))
        return x


class Synthesis(nn.Module):
    """Maps styles `[B, layers, d]` to images `[B, H, W, C]`."""

    shape: tuple[int, ...]
    features: list[int]

    @nn.compact
    def __call__(self, w: jax.Array, words: jax.Array) -> jax.Array:
        """Returns images.

        Args:
          w: one style for each layer.
          words: from which noise is drawn, `[B, 2]`, or `[1, 2]` for equal noise.
        """
        height, width = lowest(self.shape)
        channels, levels = self.shape[-1], len(self.features)
        # The side of the image at each convolution, relative to that of the first.
        sides = [1, *(1 << level for level in range(1, levels) for _ in range(2))]
        counts = [height * width * side**2 for side in sides]
        # Drawn at once, which compiles faster.
        all_noise = normal(words, NOISE, (sum(counts),))
        noise = [
            x.reshape(-1, height * side, width * side, 1)
            for x, side in zip(
                jnp.split(all_noise, np.cumsum(counts)[:-1], 1), sides, strict=True
            )
        ]
        init = nn.initializers.normal(1.0)
        constant = self.param("constant", init, (height, width, self.features[0]))
        # The gradient is a sum over examples, in float32.
        shape = (len(w), *constant.shape)
        x = jnp.broadcast_to(at_least_float32(constant), shape).astype(w.dtype)
        # The number of the convolution; colors have the style of the next one.
        number, colors = 0, jnp.zeros((), w.dtype)
        for level, here in enumerate(self.features):
            if level:
                up = StyledConv(here, convolve=conv_upsampled, name=f"up_{level}")
                x = up(x, w[:, number], noise[number])
                number, colors = number + 1, upsample(colors)
            layer = StyledConv(here, name=f"conv_{level}")
            x = layer(x, w[:, number], noise[number])
            number += 1
            colors += StyledColors(channels, name=f"colors_{level}")(x, w[:, number])
        # Sizes that cannot be halved so often are cropped.
        return colors[:, : self.shape[0], : self.shape[1]]


class Generator(nn.Module):
    """Maps latents `[B, dim]` to images `[B, H, W, C]`; sampling clips to [-1, 1]."""

    shape: tuple[int, ...]
    width: int
    largest: int
    dim: int
    depth: int
    mix: float
    """The probability that an image has the styles of two latents in training."""
    conditions: int
    """See `condition_size`."""
    axis_name: str | None = None

    @property
    def layers(self) -> int:
        """The number of styles of an image."""
        return 2 * levels_of(self.shape) + 2

    def setup(self) -> None:
        self.mapping_network = Mapping(self.dim, self.depth)
        features = stages(self.width, self.largest, levels_of(self.shape))
        self.synthesis_network = Synthesis(self.shape, features)
        self.average = self.variable("batch_stats", "w_avg", jnp.zeros, (self.dim,))

    def __call__(
        self,
        z: jax.Array | Styles | ToStyles | Truncated,
        condition: Tree = None,
        *,
        train: bool,
    ) -> jax.Array | Styles:
        if isinstance(z, Styles):
            return self.synthesis(z.w, train=train)
        if isinstance(z, ToStyles):
            return Styles(self._styles(z.z, condition, train))
        if not isinstance(z, Truncated):
            return self.synthesis(self._styles(z, condition, train), train=train)
        w, mean = self.mapping(z.z, condition, train=train), self.average.value
        w = (mean + z.psi * (at_least_float32(w) - mean)).astype(w.dtype)
        return self.synthesis(w, train=train)

    def mapping(
        self, z: jax.Array, condition: Tree = None, *, train: bool
    ) -> jax.Array:
        """Maps latents `[B, dim]` to w, `[B, d]`."""
        w = self.mapping_network(z, self._vectors(z, condition))
        if train and not self.is_initializing():
            mean = at_least_float32(w).mean(0)
            # Devices have equally many examples, so a mean of means is exact.
            mean = jax.lax.pmean(mean, self.axis_name) if self.axis_name else mean
            self.average.value = DECAY * self.average.value + (1 - DECAY) * mean
        return w

    def synthesis(self, w: jax.Array, *, train: bool) -> jax.Array:
        """Maps w, `[B, d]` or `[B, layers, d]`, to images."""
        w = self._per_layer(w) if w.ndim == 2 else w
        noise = self._words(len(w)) if train else jnp.zeros((1, 2), jnp.uint32)
        x = self.synthesis_network(w, noise)
        # Clipping has no gradient outside [-1, 1], so training is without it.
        return x if train else jnp.clip(x, -1, 1)

    def _styles(self, z: jax.Array, condition: Tree, train: bool) -> jax.Array:
        """Returns a style per layer, `[B, layers, d]`, mixed while training."""
        first = self._per_layer(self.mapping(z, condition, train=train))
        if not train or not self.mix:
            return first
        # A second latent for each example, standard normal like the first.
        words = self._words(len(z))
        z = normal(words, MIXING, z.shape[1:]).astype(z.dtype)
        second = self.mapping_network(z, self._vectors(z, condition))
        chance, layer = jnp.split(bits(words, CROSSING, 2), 2, 1)
        # A layer after the first one; behind the last one for images with one style.
        layer = 1 + layer % jnp.uint32(self.layers - 1)
        mixes = (chance >> jnp.uint32(8)) < jnp.uint32(self.mix * 2**24)
        crossing = jnp.where(mixes, layer, self.layers)[:, 0]
        return mixed(first, self._per_layer(second), crossing)

    def _per_layer(self, w: jax.Array) -> jax.Array:
        """Returns `[B, d]` for each layer, `[B, layers, d]`."""
        shape = (len(w), self.layers, w.shape[-1])
        # The gradient is a sum over layers, in float32.
        return jnp.broadcast_to(at_least_float32(w)[:, None], shape).astype(w.dtype)

    def _vectors(self, z: jax.Array, condition: Tree) -> jax.Array | None:
        """Returns the condition as vectors in the dtype of z, None if there is none."""
        return _vectors(condition, z.shape[0], self.conditions, z.dtype)

    def _words(self, count: int) -> jax.Array:
        """Returns the random words of examples, `[B, 2]`."""
        return words_of(example_rngs(self, "noise", count))


def _vectors(
    condition: Tree, count: int, size: int, dtype: jnp.dtype
) -> jax.Array | None:
    """Returns conditions as vectors `[count, size]`, None if there are none."""
    if condition is None:
        return None
    return condition_vectors(condition, count, size, "stylegan2").astype(dtype)


class Block(nn.Module):
    """Two convolutions, and half the resolution: `[B, 2H, 2W, C]` to `[B, H, W, O]`."""

    features: int
    residual: bool

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = activate(EqualConv(x.shape[-1], 3, name="conv")(x))
        down = EqualConv(self.features, 3, convolve=conv_downsampled, name="down")
        y = activate(down(y))
        if not self.residual:
            return y
        skip = EqualConv(self.features, 1, use_bias=False, name="skip")
        # Halving both variances keeps that of the sum.
        return (y + skip(downsample(x))) * 0.5**0.5


class Discriminator(nn.Module):
    """Maps images `[B, H, W, C]` to logits `[B]` and the last hidden layer."""

    width: int
    largest: int
    dim: int
    depth: int
    residual: bool
    group: int
    conditions: int
    """See `condition_size`."""

    @property
    def deviation_group(self) -> int:
        """See `group_of`."""
        return self.group

    @nn.compact
    def __call__(
        self, x: jax.Array, condition: Tree = None, *, train: bool
    ) -> DiscriminatorOutput:
        shape, levels = x.shape[1:], levels_of(x.shape[1:])
        features = stages(self.width, self.largest, levels)
        # Pad with zeros to a size that can be halved at every level.
        pads = [
            (0, (n << levels) - s) for n, s in zip(lowest(shape), shape, strict=False)
        ]
        x = jnp.pad(x, [(0, 0), *pads, (0, 0)])
        x = activate(EqualConv(features[-1], 1, name="colors")(x))
        for level in reversed(range(levels)):
            x = Block(features[level], self.residual, name=f"block_{level + 1}")(x)
        if self.group:
            x = with_deviation(x, self.group)
        x = activate(EqualConv(features[0], 3, name="conv")(x))
        hidden = EqualDense(features[0], name="dense")(x.reshape(len(x), -1))
        hidden = activate(hidden)
        vectors = _vectors(condition, len(x), self.conditions, x.dtype)
        if vectors is None:
            logits = EqualDense(1, name="logit")(hidden)[:, 0]
            return DiscriminatorOutput(logits, features=hidden)
        # The product of what is seen and what should be, https://arxiv.org/abs/1802.05637.
        expected = Mapping(self.dim, self.depth, name="mapping")(None, vectors)
        products = EqualDense(self.dim, name="projection")(hidden) * expected
        logits = jnp.sum(at_least_float32(products), -1) * self.dim**-0.5
        return DiscriminatorOutput(logits.astype(x.dtype), features=hidden)


def with_deviation(x: jax.Array, group: int) -> jax.Array:
    """Appends a channel with the deviation within groups, `[B, H, W, C + 1]`.

    Minibatch standard deviation, https://arxiv.org/abs/1710.10196, section 3: over the
    examples of a group, averaged over pixels and channels.

    Args:
      x: `[B, H, W, C]`.
      group: number of consecutive examples in a group, which divides B. A smaller B is
        one group, as in the original.

    Raises:
      BatchSizeError: if B is larger than a group and not a multiple of it.
    """
    groups = grouped_for_deviation(at_least_float32(x), group)
    # The epsilon keeps the gradient of equal examples finite.
    deviations = jnp.sqrt(jnp.var(groups, 1) + 1e-8).mean((1, 2, 3))
    channel = jnp.repeat(deviations, groups.shape[1])[:, None, None, None]
    channel = jnp.broadcast_to(channel, (*x.shape[:3], 1)).astype(x.dtype)
    return jnp.concatenate([x, channel], -1)


def pair(
    width: Width = 16_384,
    largest: Width = 512,
    dim: Width = 512,
    depth: Annotated[int, Range(1, 100)] = 8,
    mixing: Probability = 0.9,
    residual: bool = True,
    group: Size = 4,
    *,
    example: ExampleSpec,
    axis_name: str | None = None,
) -> Players[nn.Module]:
    """Returns StyleGAN2's pair, conditional if the task has labels or attributes.

    For 256 x 256 x 3 and 512 latents it has 24,767,458 and 24,001,089 parameters.
    Images are halved until their shorter side has 7 pixels or fewer. A size that cannot
    be halved so often is cropped from the next larger one that can.

    Args:
      width: channels at the lowest resolution, of about 4 pixels, are a quarter of it,
        half as many at each higher one, and at most `largest`. The papers have 32,768,
        and half of that for 256 pixels.
      largest: the most channels.
      dim: entries of w.
      depth: layers of the mapping network, which learns a hundredth as fast.
      mixing: probability with which an image in training has the styles of two latents,
        of which the second, standard normal, is for the layers from a random one on.
      residual: if False, the discriminator has no skip connections.
      group: examples of which the discriminator reads the deviation; 0 for none. A
        device that has fewer at a time makes one group of them. Otherwise it must have
        a multiple of the group.
      example: the fields of an example, of which the first, an image, is generated.
      axis_name: name of the device axis, for the running mean of w.

    Raises:
      UsageError: if samples are not images.
    """
    shape, conditions = image_shape(example, "stylegan2"), condition_size(example)
    return Players(
        Generator(shape, width, largest, dim, depth, mixing, conditions, axis_name),
        Discriminator(width, largest, dim, depth, residual, group, conditions),
    )

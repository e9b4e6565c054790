"""HiFi-GAN, https://arxiv.org/abs/2010.05646: waveforms of log-mel spectrograms.

Widths are for two CPU cores. Kernels have no weight normalization. Dense kernels of 11
taps take the place of grouped ones of 41, which XLA for CPU is slow at.
"""

import math
from collections.abc import Sequence
from typing import Annotated

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.errors import FieldError, UsageError
from jaxgan.networks.images import HE, no_condition
from jaxgan.networks.layers_1d import Conv1D, Upsample1D
from jaxgan.ranges import Range, Width
from jaxgan.types import DiscriminatorOutput, ExampleSpec, Players, Tree

SLOPE = 0.1
"""Slope of the leaky ReLU below 0, as in the paper."""

RESIDUAL = nn.initializers.variance_scaling(0.2, "fan_in", "truncated_normal")
"""A tenth of He's variance, so that blocks start near the identity."""

CENTER, SPREAD = -5.0, 3.0
"""Rough mean and standard deviation of log-mel spectrograms of speech."""

Strides = Annotated[Sequence[int], Range(1, 64)]
Kernels = Annotated[Sequence[int], Range(1, 101)]
Periods = Annotated[Sequence[int], Range(1, 101)]


def leaky(x: jax.Array) -> jax.Array:
    """Returns the leaky ReLU of the paper."""
    return nn.leaky_relu(x, SLOPE)


def receptive_field(layers: Sequence[tuple[int, int]]) -> int:
    """Returns the number of entries that one output of convolutions depends on.

    Args:
      layers: taps and stride of each convolution, the first one first.

    >>> receptive_field([(3, 1)]), receptive_field([(5, 3), (3, 1)])
    (3, 11)
    """
    field = 1
    for taps, stride in reversed(layers):
        field = stride * (field - 1) + taps
    return field


class Fusion(nn.Module):
    """The mean of residual blocks with several kernels: multi-receptive-field fusion.

    Each block adds one convolution per dilation, like the paper's version 3.
    """

    kernels: Sequence[int]
    dilations: Sequence[int]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return jnp.stack([self._block(x, size) for size in self.kernels]).mean(0)

    def _block(self, x: jax.Array, size: int) -> jax.Array:
        for dilation in self.dilations:
            conv = Conv1D(x.shape[-1], size, dilation=dilation, kernel_init=RESIDUAL)
            x += conv(leaky(x))
        return x


class Generator(nn.Module):
    """Maps log-mel spectrograms `[B, frames, mels]` to waveforms `[B, T, C]`.

    `T = hop * (frames - 1)`, where the hop is the product of the strides: frames are
    centered, so that half a hop is cut off at either end.
    """

    channels: int
    width: int
    strides: Sequence[int]
    kernels: Sequence[int]
    dilations: Sequence[int]

    @nn.compact
    def __call__(
        self, x: jax.Array, condition: Tree = None, *, train: bool
    ) -> jax.Array:
        no_condition(condition, "hifigan")
        hop, frames, width = math.prod(self.strides), x.shape[1], self.width
        x = Conv1D(width, 7, kernel_init=HE)((x - CENTER) / SPREAD)
        for stride in self.strides:
            width = max(width // 2, 1)
            x = Upsample1D(width, stride, HE)(leaky(x))
            x = Fusion(self.kernels, self.dilations)(x)
        x = jnp.tanh(Conv1D(self.channels, 7, kernel_init=RESIDUAL)(leaky(x)))
        return x[:, hop // 2 : hop // 2 + hop * (frames - 1)]


def fold(x: jax.Array, period: int) -> jax.Array:
    """Rearranges `[B, T, C]` to columns `[B, period, ceil(T / period), C]`.

    Column i has the samples i, i + period, i + 2 period and so on. The end is reflected
    to a whole number of periods.

    >>> fold(jnp.arange(5.0).reshape(1, 5, 1), 3)[0, :, :, 0].tolist()
    [[0.0, 3.0], [1.0, 4.0], [2.0, 3.0]]
    """
    rest = -x.shape[1] % period
    x = jnp.pad(x, [(0, 0), (0, rest), (0, 0)], mode="reflect") if rest else x
    return x.reshape(len(x), -1, period, x.shape[-1]).swapaxes(1, 2)


PERIOD_LAYERS = ((5, 3), (5, 3), (5, 3), (5, 3), (5, 1))
"""Taps and strides of the hidden layers of a judge of one period."""
SCALE_LAYERS = ((15, 1), (11, 4), (11, 4), (11, 4), (5, 1))
"""Taps and strides of the hidden layers of a judge of one scale."""
LAST = (3, 1)
"""Taps and stride of the layer that returns logits."""


class Judge(nn.Module):
    """Maps sequences `[B, T, C]` to logits `[B, t]` and the layers before them."""

    width: int
    layers: Sequence[tuple[int, int]]

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        features = []
        for number, (taps, stride) in enumerate(self.layers):
            channels = self.width * min(2**number, 8)
            around = (taps // 2, taps // 2)
            conv = Conv1D(channels, taps, stride, kernel_init=HE, padding=around)
            x = leaky(conv(x))
            features.append(x)
        return Conv1D(1, LAST[0])(x)[..., 0], tuple(features)


class Discriminator(nn.Module):
    """Judges waveforms `[B, T, C]` by periods and by scales; ignores the condition.

    Logits are `[B, n]` and features `[B, n, c]`, with one leaf per period or scale (and
    layer). Each scale halves the waveform once more.
    """

    width: int
    periods: Sequence[int]
    scales: int

    @nn.compact
    def __call__(
        self, x: jax.Array, condition: Tree = None, *, train: bool
    ) -> DiscriminatorOutput:
        outputs = {f"period_{p}": self._by_period(x, p) for p in self.periods}
        for scale in range(self.scales):
            if scale:
                padded = jnp.pad(x, [(0, 0), (1, 1), (0, 0)])
                x = nn.avg_pool(padded, (4,), (2,))
            name = f"scale_{scale}"
            outputs[name] = Judge(self.width, SCALE_LAYERS, name=name)(x)
        return DiscriminatorOutput(
            logits={name: logits for name, (logits, _) in outputs.items()},
            features={name: features for name, (_, features) in outputs.items()},
        )

    def _by_period(
        self, x: jax.Array, period: int
    ) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        columns = fold(x, period)
        judge = Judge(self.width, PERIOD_LAYERS, name=f"period_{period}")
        # The same kernels judge each column by itself.
        outputs = judge(columns.reshape(-1, *columns.shape[2:]))
        return jax.tree.map(lambda y: y.reshape(len(x), -1, *y.shape[2:]), outputs)


def pair(
    width: Width = 128,
    d_width: Width = 16,
    strides: Strides = (8, 8, 4),
    kernels: Kernels = (3, 5, 7),
    dilations: Annotated[Sequence[int], Range(1, 100)] = (1, 3),
    periods: Periods = (2, 3, 5, 7, 11),
    scales: Annotated[int, Range(0, 8)] = 3,
    *,
    example: ExampleSpec,
    axis_name: str | None = None,
) -> Players[nn.Module]:
    """Returns HiFi-GAN, https://arxiv.org/abs/2010.05646, for the task `vocoder`.

    Args:
      width: channels of the generator at the rate of the frames; each transposed
        convolution halves them.
      d_width: channels of the first layers of the discriminators; deeper layers have up
        to eight times as many.
      strides: of the transposed convolutions; their product is the task's `hop`.
      kernels: taps of the residual blocks, odd.
      dilations: of the convolutions of each residual block.
      periods: of the multi-period discriminator.
      scales: number of the multi-scale discriminators.
      example: the fields of an example, of which the first, a waveform, is generated.
      axis_name: unused, as nothing depends on the batch.

    Raises:
      FieldError: if examples are no waveforms.
      UsageError: for even kernels, or without any discriminator.
    """
    del axis_name
    if any(size % 2 == 0 for size in kernels):
        raise UsageError(f"kernels={tuple(kernels)}: must be odd: use (3, 5, 7)")
    if not periods and not scales:
        raise UsageError("periods=() and scales=0 leave no discriminator: use scales=3")
    field = example[example.generated]
    if field.kind != "waveform":
        raise FieldError(
            f"hifigan needs waveforms, not {field.kind} of shape {list(field.shape)}: "
            "use a data set of sounds, such as asterisk"
        )
    channels = field.shape[-1]
    return Players(
        Generator(channels, width, tuple(strides), tuple(kernels), tuple(dilations)),
        Discriminator(d_width, tuple(periods), scales),
    )

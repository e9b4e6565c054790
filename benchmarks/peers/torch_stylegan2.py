# pyright: reportMissingImports=false
"""StyleGAN2 in PyTorch, for images `[B, C, H, W]` whose sides can be halved exactly.

Written from https://arxiv.org/abs/1912.04958: modulated convolutions scale the channels
of their inputs and outputs, equations 1 and 3. The filter of all resampling is
[1, 3, 3, 1], with the edge of an image going on outside.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from peers.torch_networks import Pair, Shape, levels_of

EPSILON = 1e-8
GAIN = math.sqrt(2)


def activate(x: Tensor) -> Tensor:
    """Returns a leaky ReLU with slope 0.2, times the square root of 2."""
    return F.leaky_relu(x, 0.2) * GAIN


def unit(z: Tensor) -> Tensor:
    """Scales vectors `[B, d]` to a mean square of 1."""
    return z * torch.rsqrt(z.square().mean(1, keepdim=True) + EPSILON)


def noise_like(x: Tensor) -> Tensor:
    """Draws noise `[B, 1, H, W]` for images `[B, C, H, W]`."""
    return torch.randn(len(x), 1, *x.shape[2:], device=x.device)


def up(x: Tensor) -> Tensor:
    """Doubles height and width; the weights are 1/4 and 3/4."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def extended(x: Tensor, size: int) -> Tensor:
    """Repeats the edge by `size` pixels on all sides."""
    return F.pad(x, [size] * 4, mode="replicate")


def filtered(x: Tensor, stride: int = 1) -> Tensor:
    """Filters without padding: [1, 3, 3, 1] is [1, 1] three times."""
    return F.avg_pool2d(F.avg_pool2d(F.avg_pool2d(x, 2, 1), 2, 1), 2, stride)


class Scaled(nn.Module):
    """A kernel with an equalized learning rate, and a bias.

    Args:
      shape: of the kernel, `[O, C]` or `[O, C, k, k]`.
      rate: the learning rate, relative to that of other layers.
      bias: the first value of the biases, None for no bias.
    """

    def __init__(
        self, *shape: int, rate: float = 1.0, bias: float | None = 0.0
    ) -> None:
        super().__init__()
        self.rate, self.scale = rate, rate / math.sqrt(math.prod(shape[1:]))
        self.kernel = nn.Parameter(torch.randn(shape) / rate)
        value = 0.0 if bias is None else bias / rate
        values = torch.full((shape[0],), value)
        self.bias = None if bias is None else nn.Parameter(values)


class Dense(Scaled):
    """A linear layer."""

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C]` to `[B, O]`."""
        assert self.bias is not None
        return F.linear(x, self.kernel * self.scale, self.bias * self.rate)


class Conv(Scaled):
    """A convolution with stride 1, which keeps the size."""

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H, W]` to `[B, O, H, W]`."""
        kernel = self.kernel * self.scale
        return F.conv2d(x, kernel, self.bias, padding=kernel.shape[-1] // 2)


class DownConv(Scaled):
    """A convolution of the filtered image with stride 2."""

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, 2H, 2W]` to `[B, O, H, W]`."""
        x = filtered(extended(x, 2))
        return F.conv2d(x, self.kernel * self.scale, self.bias, stride=2)


class Styled(nn.Module):
    """A modulated convolution; but for colors with demodulation, noise, activation."""

    def __init__(
        self, before: int, after: int, dim: int, size: int = 3, upsamples: bool = False
    ) -> None:
        super().__init__()
        self.upsamples, self.colors = upsamples, size == 1
        self.style = Dense(before, dim, bias=1.0)
        self.conv = Scaled(after, before, size, size)
        self.strength = None if self.colors else nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """`[B, C, H, W]` and styles `[B, d]` to `[B, O, H, W]`, or twice the size."""
        styles, kernel = self.style(w), self.conv.kernel * self.conv.scale
        bias, x = self.conv.bias, x * styles[:, :, None, None]
        assert bias is not None
        if self.strength is None:
            return F.conv2d(x, kernel, bias)
        if self.upsamples:
            y = F.conv2d(extended(up(x), 1), kernel)
        else:
            y = F.conv2d(x, kernel, padding=1)
        sums = styles.square() @ kernel.square().sum((2, 3)).T
        y = y * torch.rsqrt(sums + EPSILON)[:, :, None, None]
        return activate(y + noise_like(y) * self.strength + bias[:, None, None])


class Generator(nn.Module):
    """Maps latents `[B, dim]` to images `[B, C, H, W]`, with mixed styles."""

    mean: Tensor

    def __init__(
        self, shape: Shape, features: list[int], dim: int, depth: int, mixing: float
    ) -> None:
        super().__init__()
        height, wide, channels = shape
        levels = len(features) - 1
        self.mixing, self.layers = mixing, 2 * levels + 2
        self.mapping = nn.ModuleList(Dense(dim, dim, rate=0.01) for _ in range(depth))
        low = (height >> levels, wide >> levels)
        self.constant = nn.Parameter(torch.randn(features[0], *low))
        self.ups, self.convs, self.colors = (nn.ModuleList() for _ in range(3))
        for level, here in enumerate(features):
            if level:
                before = features[level - 1]
                self.ups.append(Styled(before, here, dim, upsamples=True))
            self.convs.append(Styled(here, here, dim))
            self.colors.append(Styled(here, channels, dim, size=1))
        self.register_buffer("mean", torch.zeros(dim))

    def forward(self, z: Tensor) -> Tensor:
        """`[B, dim]` to `[B, C, H, W]`."""
        first = self.mapped(z)
        with torch.no_grad():
            self.mean.lerp_(first.float().mean(0), 0.005)
        w = first[:, None].expand(-1, self.layers, -1)
        if self.mixing:
            second = self.mapped(torch.randn_like(z))[:, None]
            crossing = torch.randint(1, self.layers, (len(z), 1, 1), device=z.device)
            mixes = torch.rand(len(z), 1, 1, device=z.device) < self.mixing
            number = torch.arange(self.layers, device=z.device)[None, :, None]
            w = torch.where(mixes & (number >= crossing), second, w)
        return self.synthesis(w)

    def mapped(self, z: Tensor) -> Tensor:
        """Maps latents to styles, `[B, dim]`."""
        x = unit(z)
        for layer in self.mapping:
            x = activate(layer(x))
        return x

    def synthesis(self, w: Tensor) -> Tensor:
        """Maps a style for each layer, `[B, layers, dim]`, to images."""
        x = self.constant.expand(len(w), -1, -1, -1)
        number, colors = 0, None
        for level, (conv, shade) in enumerate(
            zip(self.convs, self.colors, strict=True)
        ):
            if level:
                x = self.ups[level - 1](x, w[:, number])
                number += 1
            x = conv(x, w[:, number])
            number += 1
            own = shade(x, w[:, number])
            colors = own if colors is None else up(colors) + own
        assert colors is not None
        return colors


class Block(nn.Module):
    """A residual block, which halves the image."""

    def __init__(self, before: int, after: int):
        super().__init__()
        self.conv = Conv(before, before, 3, 3)
        self.down = DownConv(after, before, 3, 3)
        self.skip = Conv(after, before, 1, 1, bias=None)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, 2H, 2W]` to `[B, O, H, W]`."""
        y = activate(self.down(activate(self.conv(x))))
        return (y + self.skip(filtered(extended(x, 1), 2))) * 0.5**0.5


class Discriminator(nn.Module):
    """Maps images `[B, C, H, W]` to logits `[B]`."""

    def __init__(self, shape: Shape, features: list[int], group: int) -> None:
        super().__init__()
        height, wide, channels = shape
        levels, rising = len(features) - 1, features[::-1]
        self.group, first = group, features[0]
        self.colors = Conv(rising[0], channels, 1, 1)
        self.blocks = nn.Sequential(*(Block(*pair) for pair in pairwise(rising)))
        self.conv = Conv(first, first + 1, 3, 3)
        pixels = (height >> levels) * (wide >> levels)
        self.dense, self.logit = Dense(first, first * pixels), Dense(1, first)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H, W]` to `[B]`."""
        x = self.blocks(activate(self.colors(x)))
        x = activate(self.conv(self.with_deviation(x)))
        return self.logit(activate(self.dense(x.flatten(1))))[:, 0]

    def with_deviation(self, x: Tensor) -> Tensor:
        """Appends the deviation within groups, https://arxiv.org/abs/1710.10196."""
        groups = x.reshape(-1, self.group, *x.shape[1:])
        variance = groups.var(1, unbiased=False)
        deviations = (variance + EPSILON).sqrt().mean((1, 2, 3))
        channel = deviations.repeat_interleave(self.group)[:, None, None, None]
        return torch.cat([x, channel.expand(-1, 1, *x.shape[2:])], 1)


def stylegan2(
    latent: int,
    shape: Shape,
    width: int = 512,
    largest: int = 64,
    depth: int = 4,
    mixing: float = 0.9,
    group: int = 4,
) -> Pair:
    """Returns StyleGAN2's pair without conditions.

    Args:
      latent: size of latents and styles.
      shape: of an image.
      width: channels at the lowest resolution are a quarter of it, and half as many at
        each higher one.
      largest: the most channels.
      depth: layers of the mapping network.
      mixing: probability of two styles in an image.
      group: examples of which the discriminator reads the deviation.

    Raises:
      ValueError: if sides of images are no multiples of the lowest resolution.
    """
    levels = levels_of(shape)
    if shape[0] % 2**levels or shape[1] % 2**levels:
        raise ValueError(f"stylegan2 needs sides that are multiples of {2**levels}")
    features = [min(max(width >> i + 2, 1), largest) for i in range(levels + 1)]
    return (
        Generator(shape, features, latent, depth, mixing),
        Discriminator(shape, features, group),
    )

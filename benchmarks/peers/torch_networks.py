# pyright: reportMissingImports=false
"""The pairs of `jaxgan.networks` in PyTorch, for images `[B, C, H, W]`.

Each function takes the size of the latent and the shape `(H, W, C)` of an image.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Shape = tuple[int, ...]
Pair = tuple[nn.Module, nn.Module]


def leaky(slope: float) -> nn.Module:
    """Returns a leaky ReLU that works in place."""
    return nn.LeakyReLU(slope, inplace=True)


def relu() -> nn.Module:
    """Returns a ReLU that works in place."""
    return nn.ReLU(inplace=True)


class Crop(nn.Module):
    """Crops images to their upper left part."""

    def __init__(self, height: int, width: int):
        super().__init__()
        self.height, self.width = height, width

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H, W]` to `[B, C, height, width]`."""
        return x[:, :, : self.height, : self.width]


class Logit(nn.Module):
    """Appends a linear layer with one logit per image, `[B]`."""

    def __init__(self, before: nn.Module, features: int):
        super().__init__()
        self.before, self.last = before, nn.Linear(features, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H, W]` to `[B]`."""
        return self.last(self.before(x).flatten(1))[:, 0]


def perceptrons(
    g: Sequence[int],
    d: Sequence[int],
    *,
    g_activation: Callable[[], nn.Module] = relu,
    d_activation: Callable[[], nn.Module] = lambda: leaky(0.2),
    output: Callable[[], nn.Module] = nn.Tanh,
    dropout: float = 0.0,
) -> Callable[[int, Shape], Pair]:
    """Returns two multi-layer perceptrons with these hidden widths."""

    def pair(latent: int, shape: Shape) -> Pair:
        height, width, channels = shape
        size = math.prod(shape)
        layers: list[nn.Module] = []
        for before, after in pairwise((latent, *g)):
            layers += [nn.Linear(before, after), g_activation()]
        layers += [nn.Linear(g[-1], size), output()]
        layers += [nn.Unflatten(1, (channels, height, width))]
        hidden: list[nn.Module] = [nn.Flatten()]
        for before, after in pairwise((size, *d)):
            hidden += [nn.Linear(before, after), d_activation()]
            hidden += [nn.Dropout(dropout)] if dropout else []
        return nn.Sequential(*layers), Logit(nn.Sequential(*hidden), d[-1])

    return pair


def dcgan(latent: int, shape: Shape, width: int = 64) -> Pair:
    """Returns the DCGAN of the tutorials, with the constants of Keras."""
    height, wide, channels = shape
    low = (-(-height // 4), -(-wide // 4))

    def norm(kind: type, features: int) -> nn.Module:
        return kind(features, eps=1e-3, momentum=0.01)

    def up(before: int, after: int, stride: int) -> nn.Module:
        more = stride - 1
        return nn.ConvTranspose2d(before, after, 5, stride, 2, more, bias=False)

    start = 4 * width * low[0] * low[1]
    generator = nn.Sequential(
        nn.Linear(latent, start, bias=False),
        norm(nn.BatchNorm1d, start),
        leaky(0.3),
        nn.Unflatten(1, (4 * width, *low)),
        up(4 * width, 2 * width, 1),
        norm(nn.BatchNorm2d, 2 * width),
        leaky(0.3),
        up(2 * width, width, 2),
        norm(nn.BatchNorm2d, width),
        leaky(0.3),
        up(width, channels, 2),
        nn.Tanh(),
        Crop(height, wide),
    )
    features = nn.Sequential(
        nn.Conv2d(channels, width, 5, 2, 2),
        leaky(0.3),
        nn.Dropout(0.3),
        nn.Conv2d(width, 2 * width, 5, 2, 2),
        leaky(0.3),
        nn.Dropout(0.3),
    )
    return generator, Logit(features, 2 * width * low[0] * low[1])


def levels_of(shape: Shape) -> int:
    """Returns the number of halvings until the shorter side has at most 7 pixels."""
    size, levels = -(-min(shape[:2]) // 2), 1
    while size > 7:
        size, levels = -(-size // 2), levels + 1
    return levels


class UnitLength(nn.Module):
    """Divides latents by their root mean square."""

    def forward(self, z: Tensor) -> Tensor:
        """`[B, d]` to `[B, d]`."""
        return z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)


class LeakyTanh(nn.Module):
    """A tanh plus a small linear term, so that its slope never vanishes."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps any shape to the same shape."""
        return torch.tanh(x) + 0.02 * x


def conv(before: int, after: int) -> nn.Module:
    """Returns a 3x3 convolution that keeps the size."""
    return nn.Conv2d(before, after, 3, padding=1)


def small(latent: int, shape: Shape, width: int = 16) -> Pair:
    """Returns the default pair, with depth-to-space in G and space-to-depth in D."""
    height, wide, channels = shape
    levels = levels_of(shape)
    features = [width * min(2**level, 4) for level in range(levels)]
    low = (-(-height // 2**levels), -(-wide // 2**levels))
    top, area = features[-1], low[0] * low[1]
    up: list[nn.Module] = [UnitLength(), nn.Linear(latent, area * top), leaky(0.2)]
    up += [nn.Unflatten(1, (top, *low))]
    for here, above in pairwise(features[::-1]):
        up += [conv(here, here), leaky(0.2)]
        up += [conv(here, 4 * above), nn.PixelShuffle(2), leaky(0.2)]
    up += [conv(width, width), leaky(0.2)]
    up += [conv(width, 4 * channels), nn.PixelShuffle(2), LeakyTanh()]
    down: list[nn.Module] = []
    before, side = channels, (height, wide)
    for level, here in enumerate(features):
        down += [nn.ZeroPad2d((0, side[1] % 2, 0, side[0] % 2)), nn.PixelUnshuffle(2)]
        down += [conv(4 * before, here), leaky(0.2)]
        down += [conv(here, here), leaky(0.2)] if level else []
        before, side = here, (-(-side[0] // 2), -(-side[1] // 2))
    return (
        nn.Sequential(*up, Crop(height, wide)),
        Logit(nn.Sequential(*down), top * side[0] * side[1]),
    )


class Block(nn.Module):
    """x + f(x): an inverted bottleneck around a convolution in groups of 16."""

    def __init__(self, width: int):
        super().__init__()
        wide = 2 * width
        self.inside = nn.Sequential(
            nn.Conv2d(width, wide, 1),
            leaky(0.2),
            nn.Conv2d(wide, wide, 3, padding=1, groups=wide // 16),
            leaky(0.2),
            nn.Conv2d(wide, width, 1, bias=False),
        )
        nn.init.zeros_(self.inside[-1].weight)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H, W]` to `[B, C, H, W]`."""
        return x + self.inside(x)


class Up(nn.Module):
    """Doubles the size by linear interpolation."""

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H, W]` to `[B, C, 2H, 2W]`."""
        height, width = 2 * x.shape[2], 2 * x.shape[3]
        x = F.pad(x, (0, 1, 0, 1), mode="replicate")
        x = F.interpolate(
            x, (height + 1, width + 1), mode="bilinear", align_corners=True
        )
        return x[:, :, :height, :width]


class Down(nn.Module):
    """Halves the size with the filter [1, 2, 1] / 4."""

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, 2H, 2W]` to `[B, C, H, W]`."""
        x = F.pad(x, (1, 0, 1, 0), mode="replicate")
        return F.avg_pool2d(F.avg_pool2d(x, 2, 1), 2)


class Basis(nn.Module):
    """Learned patterns, scaled by a linear layer of the latents."""

    def __init__(self, latent: int, width: int, low: Shape):
        super().__init__()
        self.basis = nn.Parameter(torch.randn(width, *low))
        self.strength = nn.Linear(latent, width)

    def forward(self, z: Tensor) -> Tensor:
        """`[B, d]` to `[B, C, H, W]`."""
        return self.basis * self.strength(z)[:, :, None, None]


class Everywhere(nn.Module):
    """A depthwise convolution whose kernel has the size of the image."""

    def __init__(self, width: int, low: Shape):
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(width, *low) / math.prod(low) ** 0.5)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H, W]` to `[B, C]`."""
        return (x * self.kernel).sum((2, 3))


def residual(latent: int, shape: Shape, width: int = 768, blocks: int = 2) -> Pair:
    """Returns R3GAN's pair, for images whose sides can be halved exactly."""
    height, wide, channels = shape
    levels = levels_of(shape)
    scale = 2**levels
    if height % scale or wide % scale:
        raise ValueError(
            f"residual needs sides that are multiples of {scale}, not {shape}"
        )
    low = (height // scale, wide // scale)
    features = [width // 2 ** max(level - 4, 0) for level in range(levels + 1)]
    features = [max(here // 8, 1) * 8 for here in features]
    up: list[nn.Module] = [Basis(latent, features[0], low)]
    down: list[nn.Module] = [nn.Conv2d(channels, features[-1], 1)]
    for level, (before, here) in enumerate(pairwise([features[0], *features])):
        up += [nn.Conv2d(before, here, 1, bias=False)] if before != here else []
        up += [Up()] if level else []
        up += [Block(here) for _ in range(blocks)]
    up += [nn.Conv2d(features[-1], channels, 1)]
    falling = features[::-1]
    for level, (before, here) in enumerate(pairwise([falling[0], *falling])):
        down += [nn.Conv2d(before, here, 1, bias=False)] if before != here else []
        down += [Block(here) for _ in range(blocks)]
        down += [Down()] if level < levels else []
    down += [Everywhere(features[0], low)]
    return nn.Sequential(*up), Logit(nn.Sequential(*down), features[0])

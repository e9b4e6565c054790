# pyright: reportMissingImports=false
"""The residual pair of SNGAN in PyTorch, https://arxiv.org/abs/1802.05957.

For images `[B, C, H, W]` whose shorter side is below 48 pixels. Blocks are those of
table 4, after https://arxiv.org/abs/1704.00028.
"""

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from peers.torch_networks import Logit, Pair, Shape, conv

LARGEST = 48
"""Shorter side from which on the papers have other widths."""


def up(x: Tensor) -> Tensor:
    """Repeats pixels, `[B, C, H, W]` to `[B, C, 2H, 2W]`."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class UpBlock(nn.Module):
    """A block of the generator, which doubles the image."""

    def __init__(self, before: int, after: int):
        super().__init__()
        self.norm_0, self.conv_0 = nn.BatchNorm2d(before), conv(before, after)
        self.norm_1, self.conv_1 = nn.BatchNorm2d(after), conv(after, after)
        self.shortcut = nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H, W]` to `[B, O, 2H, 2W]`."""
        y = self.conv_0(up(F.relu(self.norm_0(x), inplace=True)))
        y = self.conv_1(F.relu(self.norm_1(y), inplace=True))
        # A 1x1 convolution commutes with repeating pixels, and is faster before.
        return y + up(self.shortcut(x))


class DownBlock(nn.Module):
    """A block of the discriminator, which halves the image or keeps its size."""

    def __init__(self, before: int, after: int, down: bool, first: bool):
        super().__init__()
        self.down, self.first = down, first
        self.conv_0, self.conv_1 = conv(before, after), conv(after, after)
        self.shortcut = nn.Conv2d(before, after, 1) if down else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H, W]` to `[B, O, H, W]`, or half the height and width."""
        y = self.conv_0(x if self.first else F.relu(x))
        y = self.conv_1(F.relu(y, inplace=True))
        if not self.down:
            return y + x
        # A 1x1 convolution commutes with averaging pixels, and is faster after.
        return F.avg_pool2d(y, 2) + self.shortcut(F.avg_pool2d(x, 2))


class SumOfPixels(nn.Module):
    """The sum over pixels of a ReLU."""

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H, W]` to `[B, C]`."""
        return F.relu(x).sum((2, 3))


def halvings_of(shape: Shape) -> int:
    """Returns the number of halvings until the shorter side has 4 to 7 pixels.

    Raises:
      ValueError: for images of other sizes than table 4 is for.
    """
    side = min(shape[:2])
    halvings = max(side // 4, 1).bit_length() - 1
    scale = 2**halvings
    if side >= LARGEST or shape[0] % scale or shape[1] % scale:
        raise ValueError(f"resnet has no images of {shape[0]}x{shape[1]} here")
    return halvings


def resnet(latent: int, shape: Shape, width: int = 16) -> Pair:
    """Returns SNGAN's pair, whose discriminator has spectral norms.

    Args:
      latent: size of the latent.
      shape: of an image; its sides can be halved down to 4 to 7 pixels.
      width: the generator has four, and the discriminator two times as many channels.
    """
    halvings, (height, wide, channels) = halvings_of(shape), shape
    low, g, d = (height >> halvings, wide >> halvings), 4 * width, 2 * width
    generator = nn.Sequential(
        nn.Linear(latent, g * low[0] * low[1]),
        nn.Unflatten(1, (g, *low)),
        *(UpBlock(g, g) for _ in range(halvings)),
        nn.BatchNorm2d(g),
        nn.ReLU(inplace=True),
        conv(g, channels),
        nn.Tanh(),
    )
    # Four blocks, of which at most two halve the image.
    widths = [channels, *[d] * 4]
    blocks = [
        DownBlock(widths[i], d, i < min(halvings, 2), first=i == 0) for i in range(4)
    ]
    return generator, spectral(Logit(nn.Sequential(*blocks, SumOfPixels()), d))


def spectral(net: nn.Module) -> nn.Module:
    """Adds a spectral norm to all kernels, with a power iteration at each call."""
    for layer in [x for x in net.modules() if isinstance(x, nn.Conv2d | nn.Linear)]:
        parametrizations.spectral_norm(layer)
    return net


def hinge(logits: Tensor, sign: float) -> Tensor:
    """Returns the hinge loss of D, with the sign 1 for real and -1 for fake."""
    return F.relu(1 - sign * logits).mean()

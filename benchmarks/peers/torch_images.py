# pyright: reportMissingImports=false
"""The networks of `jaxgan.networks` for image to image, for images `[B, C, H, W]`.

Layers are registered in the order in which they are called.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from peers.torch_networks import Pair, Shape, leaky, relu


def instance(width: int) -> nn.Module:
    """Returns an instance normalization with a scale and a bias."""
    return nn.InstanceNorm2d(width, affine=True)


class UNet(nn.Module):
    """The generator of pix2pix, with batch normalization."""

    def __init__(self, channels: int, width: int, depth: int, dropout: float = 0.5):
        super().__init__()
        features = [width * min(2**level, 8) for level in range(depth)]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for level, (before, here) in enumerate(pairwise([channels, *features])):
            inner = 0 < level < depth - 1
            layers: list[nn.Module] = [nn.Conv2d(before, here, 4, 2, 1, bias=not inner)]
            layers += [nn.BatchNorm2d(here)] if inner else []
            self.down.append(nn.Sequential(*layers))
        before = features[-1]
        for block, here in enumerate(features[-2::-1]):
            layers = [nn.ConvTranspose2d(before, here, 4, 2, 1, bias=False)]
            layers += [nn.BatchNorm2d(here)]
            layers += [nn.Dropout(dropout)] if block < 3 else []
            self.up.append(nn.Sequential(*layers, relu()))
            before = 2 * here
        self.last = nn.ConvTranspose2d(before, channels, 4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H, W]` to `[B, C, H, W]`."""
        skips = []
        for layers in self.down:
            x = F.leaky_relu(layers(x), 0.2)
            skips.append(x)
        x = skips.pop()
        for layers in self.up:
            x = torch.cat([layers(x), skips.pop()], 1)
        return torch.tanh(self.last(x))


def patch(channels: int, width: int, layers: int = 3) -> nn.Module:
    """Returns PatchGAN, `[B, C, H, W]` to `[B, 1, h, w]`."""
    net, before = [], channels
    for layer in range(layers + 1):
        here, stride = width * min(2**layer, 8), 2 if layer < layers else 1
        net += [nn.Conv2d(before, here, 4, stride, 1, bias=layer == 0)]
        net += [instance(here)] if layer else []
        net += [leaky(0.2)]
        before = here
    return nn.Sequential(*net, nn.Conv2d(before, 1, 4, 1, 1))


def mirrored(before: int, after: int, size: int, bias: bool = False) -> nn.Module:
    """Returns a convolution with reflections at the border."""
    return nn.Conv2d(
        before, after, size, padding=size // 2, padding_mode="reflect", bias=bias
    )


class Residual(nn.Module):
    """x + f(x), for images of any width."""

    def __init__(self, inside: nn.Module):
        super().__init__()
        self.inside = inside

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H, W]` to `[B, C, H, W]`."""
        return x + self.inside(x)


def resnet(channels: int, width: int, blocks: int = 6) -> nn.Module:
    """Returns the generator of CycleGAN, `[B, C, H, W]` to `[B, C, H, W]`."""
    net = [mirrored(channels, width, 7), instance(width), relu()]
    for before, after in ((width, 2 * width), (2 * width, 4 * width)):
        net += [nn.Conv2d(before, after, 4, 2, 1, bias=False), instance(after), relu()]
    wide = 4 * width
    for _ in range(blocks):
        inside = [mirrored(wide, wide, 3), instance(wide), relu()]
        inside += [mirrored(wide, wide, 3), instance(wide)]
        net += [Residual(nn.Sequential(*inside))]
    for before, after in ((wide, 2 * width), (2 * width, width)):
        up = nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False)
        net += [up, instance(after), relu()]
    return nn.Sequential(*net, mirrored(width, channels, 7, bias=True), nn.Tanh())


class SRResNet(nn.Module):
    """The generator of SRGAN without normalization, four times as large."""

    def __init__(self, channels: int, width: int, blocks: int = 8):
        super().__init__()

        def conv(after: int) -> nn.Module:
            return nn.Conv2d(width, after, 3, padding=1)

        self.first = nn.Sequential(
            nn.Conv2d(channels, width, 9, padding=4), nn.LeakyReLU(0.2)
        )
        inside = [
            Residual(nn.Sequential(conv(width), leaky(0.2), conv(width)))
            for _ in range(blocks)
        ]
        self.middle = nn.Sequential(*inside, conv(width))
        up: list[nn.Module] = []
        for _ in range(2):
            up += [conv(4 * width), nn.PixelShuffle(2), leaky(0.2)]
        self.up = nn.Sequential(*up, conv(channels))
        for values in self.up[-1].parameters():
            nn.init.zeros_(values)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H, W]` to `[B, C, 4H, 4W]`."""
        first = self.first(x)
        return self.up(first + self.middle(first)) + resized(x, 4.0)


def resized(x: Tensor, factor: float) -> Tensor:
    """Resizes images with Pillow's bicubic filter."""
    return F.interpolate(x, scale_factor=factor, mode="bicubic", antialias=True)


class Each(nn.Module):
    """Applies one network to each image of a list."""

    def __init__(self, nets: Sequence[nn.Module]):
        super().__init__()
        self.nets = nn.ModuleList(nets)

    def forward(self, xs: list[Tensor]) -> list[Tensor]:
        """Images `[B, C, H, W]` to what the networks return."""
        return [net(x) for net, x in zip(self.nets, xs, strict=True)]


def unet(shape: Shape, width: int) -> nn.Module:
    """Returns a U-Net that halves square images down to 2 pixels."""
    return UNet(shape[-1], width, min(shape[:2]).bit_length() - 2)


def single(
    generator: Callable[[Shape, int], nn.Module], seen: int
) -> Callable[..., Pair]:
    """Returns a maker of a generator and PatchGAN.

    Args:
      generator: maps a shape and a width to a network.
      seen: number of images that PatchGAN sees side by side.
    """

    def pair(latent: int, shape: Shape, width: int = 32, d_width: int = 32) -> Pair:
        del latent
        judge = patch(seen * shape[-1], d_width)
        return Each([generator(shape, width)]), Each([judge])

    return pair


def two_domains(latent: int, shape: Shape, width: int = 16, d_width: int = 32) -> Pair:
    """Returns two generators and two discriminators."""
    del latent
    channels = shape[-1]
    generators = [resnet(channels, width) for _ in range(2)]
    return Each(generators), Each([patch(channels, d_width) for _ in range(2)])


pix2pix = single(unet, 2)
srgan = single(lambda shape, width: SRResNet(shape[-1], width), 1)

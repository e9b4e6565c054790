# pyright: reportMissingImports=false
"""The tasks of `jaxgan.tasks` for image to image in PyTorch, and their reconstruction.

Images are lists with one tensor `[B, C, H, W]` in [-1, 1] per domain.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from peers.torch_images import resized

Images = list[Tensor]
Generator = Callable[[Images], Images]


class Played(NamedTuple):
    """Real images and fakes of an update, and what PatchGAN sees beside them."""

    real: Images
    fake: Images
    condition: Images | None = None

    def beside(self, images: Images) -> Images:
        """Returns what the discriminator sees of these images."""
        if self.condition is None:
            return images
        pairs = zip(images, self.condition, strict=True)
        return [torch.cat(pair, 1) for pair in pairs]


class Task(NamedTuple):
    """The samples of a batch, and their reconstruction."""

    fields: int
    """Images of an example, side by side in the channels of the data."""
    play: Callable[[Generator, Images], Played]
    terms: Callable[[Generator, Played], Tensor]
    """The terms of the generator beside the adversarial loss."""
    past: int = 0
    """Number of past fakes that the discriminator sees half of the time."""
    alike: bool = True
    """True if all images of an example are mirrored together."""


def flipped(images: Images, alike: bool) -> Images:
    """Mirrors each example with probability 1/2."""
    first = images[0]
    coins = [torch.rand(len(first), 1, 1, 1, device=first.device) for _ in images]
    coins = coins[:1] * len(images) if alike else coins
    pairs = zip(coins, images, strict=True)
    return [torch.where(coin < 0.5, x.flip(3), x) for coin, x in pairs]


def distance(a: Images, b: Images) -> Tensor:
    """Returns the mean absolute difference, averaged over domains."""
    parts = [F.l1_loss(x, y) for x, y in zip(a, b, strict=True)]
    return torch.stack(parts).mean()


def paired_l1(weight: float) -> Callable[[Generator, Played], Tensor]:
    """Returns the term `l1`."""
    return lambda generator, played: weight * distance(played.real, played.fake)


def paired(generator: Generator, images: Images) -> Played:
    """The target is the first image and the source the second."""
    target, source = images
    return Played([target], generator([source]), [source])


def unpaired(generator: Generator, images: Images) -> Played:
    """Each domain is generated from the other."""
    return Played(images, generator(images[::-1]))


def cycle_and_identity(cycle: float, identity: float) -> Callable:
    """Returns the terms of CycleGAN."""

    def terms(generator: Generator, played: Played) -> Tensor:
        back = generator(played.fake[::-1])
        same = generator(played.real)
        value = cycle * distance(played.real, back)
        return value + identity * distance(played.real, same)

    return terms


def super_resolution(generator: Generator, images: Images) -> Played:
    """The source is the image at a fourth of its size, in 256 levels."""
    small = resized(images[0], 0.25).clamp(-1, 1)
    source = (((small + 1) * 127.5).round() - 127.5) / 127.5
    return Played(images, generator([source]))


class Pool:
    """Past fakes of one domain, of which the discriminator sees half of the time."""

    def __init__(self, size: int):
        self.size, self.kept = size, torch.empty(0)

    def __call__(self, fakes: Tensor) -> Tensor:
        """Returns fakes of which some are exchanged for past ones, `[B, C, H, W]`."""
        room = self.size - len(self.kept)
        if room > 0:
            kept = fakes[:room].detach().clone()
            self.kept = torch.cat([self.kept, kept]) if len(self.kept) else kept
            return fakes
        place = torch.randint(self.size, (len(fakes),), device=fakes.device)
        used = torch.rand(len(fakes), 1, 1, 1, device=fakes.device) < 0.5
        seen = torch.where(used, self.kept[place], fakes)
        chosen = used.flatten()
        self.kept[place[chosen]] = fakes[chosen]
        return seen


PIX2PIX = Task(2, paired, paired_l1(100.0))
CYCLEGAN = Task(2, unpaired, cycle_and_identity(5.0, 2.5), past=50, alike=False)
SRGAN = Task(1, super_resolution, paired_l1(1000.0))
"""Without the perceptual term, whose classifier is no part of PyTorch."""

# pyright: reportMissingImports=false
"""Recipes of sounds and texts in PyTorch: their data, samples and terms.

Networks take a label beside their input, and discriminators return lists of logits and
of features.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from peers.torch_networks import Shape
from peers.torch_sounds import CLASSES, log_mel

Terms = Callable[[Tensor, Tensor, list[Tensor], list[Tensor]], Tensor]
"""Maps real and fake samples, and their features, to a term of the generator."""


class Sequence(NamedTuple):
    """Parts of a recipe of sounds or texts beside its networks."""

    data: Callable[[int, Shape], Tensor]
    """Draws raw examples on the CPU."""
    real: Callable[[Tensor, Shape], Tensor]
    """Maps raw examples to those that the discriminator sees."""
    inputs: Callable[[Tensor, int], Tensor]
    """Maps real examples and the size of a latent to inputs of the generator."""
    terms: Terms | None = None


def waveforms(count: int, shape: Shape) -> Tensor:
    """Draws waveforms `[N, C, T, 1]` int16."""
    samples, channels = shape
    size = (count, channels, samples, 1)
    return torch.randint(-(2**15), 2**15, size, dtype=torch.int16)


def tokens(count: int, shape: Shape) -> Tensor:
    """Draws numbers of tokens, `[N, T]`."""
    length, size = shape
    return torch.randint(size, (count, length))


def normal(real: Tensor, latent: int) -> Tensor:
    """Draws latents, `[B, d]`."""
    return torch.randn(len(real), latent, device=real.device)


def scaled(raw: Tensor, shape: Shape) -> Tensor:
    """Returns waveforms in [-1, 1]."""
    del shape
    return raw.float() / 2**15


def one_hot(raw: Tensor, shape: Shape) -> Tensor:
    """Returns rows `[B, T, V]`."""
    return F.one_hot(raw, shape[1]).float()


def matched(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """Returns the mean distance of features, averaged over layers."""
    pairs = zip(real, fake, strict=True)
    return torch.stack([F.l1_loss(x, y.detach()) for y, x in pairs]).mean()


def spectrograms(real: Tensor, latent: int) -> Tensor:
    """Returns log-mel spectrograms `[B, mels, frames, 1]`."""
    del latent
    return log_mel(real.device)(real)


def mel_and_features(
    real: Tensor, fake: Tensor, of_real: list[Tensor], of_fake: list[Tensor]
) -> Tensor:
    """Returns the terms `mel_l1(15)` and `feature_matching(5, of='examples')`."""
    mel = log_mel(real.device)
    return 15 * F.l1_loss(mel(fake), mel(real)) + 5 * matched(of_real, of_fake)


def labels(count: int) -> Tensor:
    """Draws labels, `[N]`."""
    return torch.randint(CLASSES, (count,))


SOUNDS = Sequence(waveforms, scaled, normal)
VOCODER = Sequence(waveforms, scaled, spectrograms, mel_and_features)
TEXTS = Sequence(tokens, one_hot, normal)

# pyright: reportMissingImports=false
"""The networks of `jaxgan.networks` for sounds, for waveforms `[B, C, T, 1]`.

Kernels are of two dimensions, `[k, 1]`, so that the memory format is a choice. Layers
are registered in the order in which they are called.
"""

import functools
import math
from collections.abc import Sequence
from itertools import chain, pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from peers.torch_networks import Pair, Shape, leaky

CLASSES = 10
"""Number of labels."""
KERNEL, STRIDE = 25, 4
"""Of WaveGAN."""
RATE, SIZE, HOP, MELS, FLOOR = 16_000, 1_024, 256, 80, 1e-5
"""Settings of log-mel spectrograms."""
SLOPE, CENTER, SPREAD = 0.1, -5.0, 3.0
"""Of HiFi-GAN: its leaky ReLU, and the mean and deviation of its inputs."""
PERIOD_LAYERS = ((5, 3), (5, 3), (5, 3), (5, 3), (5, 1))
SCALE_LAYERS = ((15, 1), (11, 4), (11, 4), (11, 4), (5, 1))
"""Taps and strides of the hidden layers of its discriminators."""
Judged = tuple[list[Tensor], list[Tensor]]
"""Logits and features, one or more of each."""


class Conditional(nn.Module):
    """A generator of a latent and an embedding of the label."""

    def __init__(self, net: nn.Module, latent: int):
        super().__init__()
        self.net, self.embedding = net, nn.Embedding(CLASSES, latent)

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        """`[B, d]` and `[B]` to samples."""
        return self.net(torch.cat([z, self.embedding(label)], 1))


class Projection(nn.Module):
    """A discriminator whose logits have a summand by label."""

    def __init__(self, net: nn.Module, features: int):
        super().__init__()
        self.net, self.last = net, nn.Linear(features, 1)
        self.directions = nn.Embedding(CLASSES, features)

    def forward(self, x: Tensor, label: Tensor) -> Judged:
        """Samples and `[B]` to logits `[B]`."""
        features = self.net(x).flatten(1)
        projected = (self.directions(label) * features).sum(1)
        return [self.last(features)[:, 0] + projected], [features]


class PhaseShuffle(nn.Module):
    """Shifts each example by a random number of steps, with reflection."""

    def __init__(self, most: int):
        super().__init__()
        self.most = most

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, T, 1]` to the same shape."""
        most, length = self.most, x.shape[2]
        padded = F.pad(x, (0, 0, most, most), mode="reflect")
        shifts = torch.randint(2 * most + 1, (len(x), 1), device=x.device)
        places = shifts + torch.arange(length, device=x.device)
        return padded.gather(2, places[:, None, :, None].expand(x.shape))


def wavegan(latent: int, shape: Shape, width: int = 16, shuffle: int = 2) -> Pair:
    """Returns WaveGAN, conditional on labels."""
    samples, channels = shape
    start, levels = samples, 0
    while start > 16:
        start, levels = start // STRIDE, levels + 1
    top = width * 2 ** (levels - 1)
    widths = [width * 2**level for level in range(levels)]
    up: list[nn.Module] = [nn.Linear(2 * latent, start * top), nn.ReLU(inplace=True)]
    up += [nn.Unflatten(1, (top, start, 1))]
    size, stride, around = (KERNEL, 1), (STRIDE, 1), (KERNEL // 2 - 1, 0)
    for before, after in pairwise((*widths[::-1], channels)):
        up += [nn.ConvTranspose2d(before, after, size, stride, around, (1, 0))]
        up += [nn.ReLU(inplace=True) if after != channels else nn.Tanh()]
    down: list[nn.Module] = []
    for level, (before, after) in enumerate(pairwise((channels, *widths))):
        down += [nn.Conv2d(before, after, size, stride, around), leaky(0.2)]
        down += [PhaseShuffle(shuffle)] if level < levels - 1 else []
    generator = Conditional(nn.Sequential(*up), latent)
    return generator, Projection(nn.Sequential(*down), start * top)


def conv(before: int, after: int, taps: int, stride: int = 1, dilation: int = 1):
    """Returns a convolution over time that keeps the length if the stride is 1."""
    around = dilation * (taps // 2)
    return nn.Conv2d(
        before, after, (taps, 1), (stride, 1), (around, 0), dilation=(dilation, 1)
    )


class Fusion(nn.Module):
    """The mean of residual blocks with several kernels."""

    def __init__(self, width: int, kernels: Sequence[int], dilations: Sequence[int]):
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.ModuleList(conv(width, width, k, dilation=d) for d in dilations)
            for k in kernels
        )

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, T, 1]` to the same shape."""
        found = []
        for block in self.blocks:
            y = x
            for layer in block:  # type: ignore[attr-defined]
                y = y + layer(F.leaky_relu(y, SLOPE))
            found.append(y)
        return sum(found[1:], found[0]) / len(found)


class Vocoder(nn.Module):
    """The generator of HiFi-GAN, of log-mel spectrograms `[B, mels, frames, 1]`."""

    def __init__(self, mels: int, width: int, strides: Sequence[int]):
        super().__init__()
        self.hop = math.prod(strides)
        layers: list[nn.Module] = [conv(mels, width, 7)]
        for s in strides:
            up = nn.ConvTranspose2d(width, width // 2, (2 * s, 1), (s, 1), (s // 2, 0))
            width //= 2
            layers += [nn.LeakyReLU(SLOPE), up]
            layers += [Fusion(width, (3, 5, 7), (1, 3))]
        layers += [nn.LeakyReLU(SLOPE), conv(width, 1, 7), nn.Tanh()]
        self.net = nn.Sequential(*layers)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """`[B, mels, frames, 1]` to `[B, 1, T, 1]`; ignores the label."""
        del label
        length = self.hop * (x.shape[2] - 1)
        y = self.net((x - CENTER) / SPREAD)
        return y[:, :, self.hop // 2 : self.hop // 2 + length]


class Judge(nn.Module):
    """Returns logits of sequences, and the features of all layers before."""

    def __init__(self, width: int, layers: Sequence[tuple[int, int]]):
        super().__init__()
        widths = [1, *(width * min(2**i, 8) for i in range(len(layers)))]
        self.layers = nn.ModuleList(
            conv(before, after, taps, stride)
            for (before, after), (taps, stride) in zip(
                pairwise(widths), layers, strict=True
            )
        )
        self.last = conv(widths[-1], 1, 3)

    def forward(self, x: Tensor) -> Judged:
        """`[B, 1, T, p]` to logits `[B, 1, t, p]`."""
        features = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), SLOPE)
            features.append(x)
        return [self.last(x)], features


class Judges(nn.Module):
    """The discriminators of HiFi-GAN, by period and by scale."""

    def __init__(self, width: int, periods: Sequence[int], scales: int):
        super().__init__()
        self.periods = periods
        kinds = [PERIOD_LAYERS] * len(periods) + [SCALE_LAYERS] * scales
        self.judges = nn.ModuleList(Judge(width, layers) for layers in kinds)

    def forward(self, x: Tensor, label: Tensor) -> Judged:
        """`[B, 1, T, 1]` to logits and features."""
        del label
        views = [self.folded(x, p) for p in self.periods]
        for number in range(len(self.judges) - len(views)):
            if number:
                x = F.avg_pool2d(x, (4, 1), (2, 1), (1, 0))
            views.append(x)
        judged = [judge(y) for judge, y in zip(self.judges, views, strict=True)]
        logits, features = zip(*judged, strict=True)
        return [*chain(*logits)], [*chain(*features)]

    @staticmethod
    def folded(x: Tensor, period: int) -> Tensor:
        """`[B, 1, T, 1]` to columns `[B, 1, ceil(T / period), period]`."""
        rest = -x.shape[2] % period
        x = F.pad(x, (0, 0, 0, rest), mode="reflect") if rest else x
        return x.reshape(len(x), 1, -1, period)


def vocoder(latent: int, shape: Shape, width: int = 128, d_width: int = 16) -> Pair:
    """Returns HiFi-GAN with jaxgan's widths."""
    del latent, shape
    generator = Vocoder(MELS, width, (8, 8, 4))
    return generator, Judges(d_width, (2, 3, 5, 7, 11), 3)


class LogMel(nn.Module):
    """Log-mel spectrograms, as by `jaxgan.networks.ops.spectra.log_mel`."""

    def __init__(self):
        super().__init__()
        # Other recipes need no JAX.
        from jaxgan.networks.ops.spectra import mel_filters

        filters = mel_filters(RATE, SIZE, MELS).T
        self.register_buffer("filters", torch.tensor(filters.copy()))
        self.register_buffer("window", torch.hann_window(SIZE))

    def forward(self, x: Tensor) -> Tensor:
        """Waveforms `[B, 1, T, 1]` to `[B, mels, frames, 1]`."""
        spectrum = torch.stft(
            x[:, 0, :, 0], SIZE, HOP, window=self.window, return_complex=True
        )
        power = spectrum.real.square() + spectrum.imag.square()
        mel = self.filters @ power.clamp(min=1e-14).sqrt()
        return mel.clamp(min=FLOOR).log()[..., None]


@functools.cache
def log_mel(device: torch.device) -> LogMel:
    """Returns the spectrograms on a device."""
    return LogMel().to(device)

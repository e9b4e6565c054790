# pyright: reportMissingImports=false
"""The networks of `jaxgan.networks.text` in PyTorch, for one-hot rows `[B, T, V]`."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from peers.torch_networks import Pair, Shape

Judged = tuple[list[Tensor], list[Tensor]]
"""Logits and features, one of each."""


class Writer(nn.Module):
    """A gated recurrent unit that writes texts by the Gumbel-softmax."""

    def __init__(self, length: int, size: int, width: int, embedding: int):
        super().__init__()
        self.length, self.width = length, width
        self.embedding = nn.Parameter(torch.randn(size + 1, embedding) / embedding**0.5)
        self.inputs = nn.Linear(embedding, 3 * width)
        self.hidden = nn.Parameter(torch.randn(3 * width, width) / width**0.5)
        self.hidden_bias = nn.Parameter(torch.zeros(width))
        self.outputs = nn.Linear(width, size)

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        """Latents `[B, d]`, of which only the number is read, to `[B, T, V]`."""
        del label
        count, size = len(z), self.outputs.out_features
        # The gates have no second bias.
        bias = F.pad(self.hidden_bias, (2 * self.width, 0))
        w, ends = self.inputs, torch.zeros(count, 1, dtype=torch.bool, device=z.device)
        h = torch.zeros(count, self.width, device=z.device)
        ids, rows = torch.full((count,), size, device=z.device), []
        for _ in range(self.length):
            x = F.embedding(ids, self.embedding)
            h = torch.gru_cell(x, h, w.weight, self.hidden, w.bias, bias)
            logits = self.outputs(h)
            noisy = logits - torch.empty_like(logits).exponential_().log()
            with torch.no_grad():
                ids = noisy.argmax(-1).masked_fill(ends[:, 0], 0)
                hard = F.one_hot(ids, size).to(logits.dtype)
            soft = noisy.softmax(-1)
            rows.append(torch.where(ends, hard, hard - soft.detach() + soft))
            ends = ends | (ids == 0)[:, None]
        return torch.stack(rows, 1)


class Reader(nn.Module):
    """Judges rows by several embeddings and convolutions over neighbors."""

    def __init__(
        self,
        size: int,
        embeddings: int,
        embedding: int,
        spans: Sequence[int],
        filters: int,
        hidden: int,
    ):
        super().__init__()
        self.shape, self.spans = (embeddings, embedding), spans
        self.table = nn.Parameter(torch.randn(size, embeddings * embedding))
        self.near = nn.ModuleList(nn.Linear(k * embedding, filters) for k in spans)
        self.hidden = nn.Linear(filters * len(spans), hidden)
        self.last = nn.Linear(hidden, 1)

    def forward(self, x: Tensor, label: Tensor) -> Judged:
        """`[B, T, V]` to logits `[B, S]` and features."""
        del label
        x = (x @ self.table).unflatten(2, self.shape).transpose(1, 2)
        found = []
        for span, layer in zip(self.spans, self.near, strict=True):
            # `[B, S, places, E, span]`; the neighbors come before their numbers.
            near = x.unfold(2, span, 1).transpose(3, 4).flatten(3)
            found.append(F.leaky_relu(layer(near), 0.2).amax(2))
        features = torch.cat(found, -1)
        hidden = F.leaky_relu(self.hidden(features), 0.2)
        return [self.last(hidden)[..., 0]], [features]


def text(latent: int, shape: Shape, width: int = 256, embedding: int = 64) -> Pair:
    """Returns a pair for texts of `shape`: tokens, and those of the vocabulary."""
    del latent
    length, size = shape
    reader = Reader(size, 8, 8, (2, 3, 4, 5), 32, 64)
    return Writer(length, size, width, embedding), reader

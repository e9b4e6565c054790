"""A pair of tiny networks whose generator has styles: a mapping and a synthesis."""

import flax.linen as nn
import jax.numpy as jnp

from jaxgan.networks import small
from jaxgan.networks.conditions import condition_size, condition_vectors
from jaxgan.types import Players


class Styled(nn.Module):
    """Maps latents to w `[B, 5]`, and w of three layers to images."""

    shape: tuple
    classes: int = 0
    layers = 3

    def setup(self):
        self.first = nn.Dense(5)
        self.label = nn.Dense(5)
        self.parts = [
            nn.Dense(self.shape[0] * self.shape[1] * self.shape[2])
            for _ in range(self.layers)
        ]

    def mapping(self, z, condition=None, *, train):
        w = nn.tanh(self.first(z))
        if self.classes:
            own = condition_vectors(condition, len(z), self.classes, "styled")
            w = w + self.label(own)
        return w

    def synthesis(self, w, *, train):
        if w.ndim == 2:
            w = jnp.repeat(w[:, None], self.layers, 1)
        x = sum(part(w[:, i]) for i, part in enumerate(self.parts))
        return nn.tanh(x).reshape(-1, *self.shape)

    def __call__(self, z, condition=None, *, train):
        return self.synthesis(self.mapping(z, condition, train=train), train=train)


def styled(*, example):
    """Returns the pair, which reads labels if there are any."""
    own = Styled(example.shape, condition_size(example))
    return Players(own, small.pair(4, example=example).discriminator)

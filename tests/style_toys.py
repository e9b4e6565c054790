"""A pair of tiny networks with styles, and workdirs of runs with latents."""

import contextlib

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from sharing_runs import GRAY, written

from jaxgan.config.resolve import make_config
from jaxgan.networks import NETWORKS, mlp
from jaxgan.networks.conditions import condition_size, condition_vectors
from jaxgan.types import ExampleSpec, Field, Players, image_example


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
    return Players(own, mlp.pair((8,), (8,), example=example).discriminator)


TRAITS = ExampleSpec(
    image=Field((8, 8, 1)),
    attributes=Field((2,), np.dtype(bool), "attributes", ("beard", "hat")),
)
MLP = {"networks": "mlp((16,), (16,))", "dataset": "mnist", "batch_size": 8}
LABELS = {"task": "conditional(4)", "discriminator_wrap": "projection"}
CASES = {
    "plain": (image_example((8, 8, 1)), {**MLP, "task": "generate(4)"}),
    "embed": (GRAY, {**MLP, **LABELS, "generator_wrap": "embed"}),
    "traits": (TRAITS, {**MLP, "task": "conditional(4)", "generator_wrap": "embed"}),
    "styled": (GRAY, {**MLP, **LABELS, "networks": "styled", "remat": True}),
}
"""Fields of the data, and flags, by name of the run."""
REAL = {
    "stylegan2": {
        "preset": "stylegan2-small",
        "networks": "stylegan2(16, 4, 6, 1, group=32)",
        "task": "generate(4)",
    },
    "biggan": {
        "preset": "biggan-small",
        "networks": "biggan(1, embedding=4)",
        "task": "conditional(4)",
        "discriminator_wrap": "spectral_norm|minibatch_std",
    },
}
"""Flags of narrow published networks, for the same images."""


@contextlib.contextmanager
def runs_in(folder):
    """Writes a workdir of each case, which are not trained."""
    NETWORKS["styled"] = styled
    yield {
        name: written(example, make_config(**flags), folder / name)
        for name, (example, flags) in CASES.items()
    }
    del NETWORKS["styled"]


def real_runs_in(folder, names=tuple(REAL)):
    """Writes workdirs of `REAL`, which are not trained."""
    return {
        name: written(GRAY, make_config(dataset="mnist", **REAL[name]), folder / name)
        for name in names
    }

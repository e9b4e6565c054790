"""Tiny networks for the tasks that map images to images, and a set for each task."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import kinds
import numpy as np
from kinds import Kind

from jaxgan.data import SOURCES
from jaxgan.networks import NETWORKS
from jaxgan.types import DiscriminatorOutput, ExampleSpec, Field, Players

IMAGE = Field((8, 8, 3))
SMALL = Field((4, 4, 3))
LABEL = Field((), np.dtype(np.int32), "label", ("zero", "one", "two"))
ATTRIBUTES = Field((4,), np.dtype(bool), "attributes", tuple("abcd"))


def conv(features, strides=1):
    """A convolution whose first kernel is fast to compile, as no number is random."""

    def kernel(key, shape, dtype=jnp.float32):
        numbers = jnp.arange(np.prod(shape), dtype=dtype)
        return jnp.sin(12.9898 * numbers + shape[2]).reshape(shape) / shape[2] ** 0.5

    return nn.Conv(features, (3, 3), strides, kernel_init=kernel)


def planes(x, size):
    """Labels `[B]` or attributes `[B, k]` as channels, and images enlarged."""
    x = jax.nn.one_hot(x, 3) if x.ndim == 1 else x
    if x.ndim == 2:
        return jnp.broadcast_to(x[:, None, None], (len(x), size, size, x.shape[-1]))
    scale = size // x.shape[1]
    return x.repeat(scale, 1).repeat(scale, 2)


class Translator(nn.Module):
    """Two layers, from images to images of `shape`."""

    shape: tuple[int, ...]
    width: int = 8

    @nn.compact
    def __call__(self, inputs, condition=None, *, train):
        size = self.shape[0]
        parts = [planes(x, size) for x in jax.tree.leaves((inputs, condition))]
        x = conv(self.width)(jnp.concatenate(parts, -1))
        return nn.tanh(conv(self.shape[-1])(nn.relu(x)))


class Translators(nn.Module):
    """One from each domain to the other."""

    shape: tuple[int, ...]
    width: int = 8

    @nn.compact
    def __call__(self, inputs, condition=None, *, train):
        to_image = Translator(self.shape, self.width, name="to_image")
        to_source = Translator(self.shape, self.width, name="to_source")
        return {
            "image": to_image(inputs["source"], train=train),
            "source": to_source(inputs["image"], train=train),
        }


class Critic(nn.Module):
    """Logits of the patches of each leaf, beside the images of its condition."""

    outputs: int = 0

    @nn.compact
    def __call__(self, x, condition=None, *, train):
        beside = [c for c in jax.tree.leaves(condition) if c.ndim == 4]
        features = []

        def judge(leaf):
            parts = [leaf, *(planes(c, leaf.shape[1]) for c in beside)]
            h = conv(8, 2)(jnp.concatenate(parts, -1))
            features.append(nn.leaky_relu(h, 0.2))
            return conv(1)(features[-1])[..., 0]

        logits = jax.tree.map(judge, x)
        labels = None
        if self.outputs:
            labels = nn.Dense(self.outputs, kernel_init=nn.initializers.ones)(
                features[0].mean((1, 2))
            )
        return DiscriminatorOutput(logits, class_logits=labels)


TOYS = {
    "toy_pairs": Kind(
        "paired(jitter=2)", "toy_translator", ExampleSpec(image=IMAGE, source=IMAGE)
    ),
    "toy_unpaired": Kind(
        "unpaired(past=12)", "toy_translators", ExampleSpec(image=IMAGE, source=IMAGE)
    ),
    "toy_domains": Kind("domains", "toy_labels", ExampleSpec(image=IMAGE, label=LABEL)),
    "toy_attributes": Kind(
        "domains(2)",
        "toy_labels(4)",
        ExampleSpec(
            image=IMAGE,
            attributes=ATTRIBUTES,
            target=IMAGE,
            target_attributes=ATTRIBUTES,
        ),
    ),
    "toy_large": Kind(
        "super_resolution(2)", "toy_translator", ExampleSpec(image=IMAGE)
    ),
    "toy_holes": Kind(
        "inpainting('any(center(4)|boxes|strokes)')",
        "toy_translator",
        ExampleSpec(image=IMAGE),
    ),
}
"""By the name of the data set."""


def pair(*, example) -> Players[nn.Module]:
    return Players(Translator(example.shape), Critic())


def pairs(width: int = 8, *, example) -> Players[nn.Module]:
    return Players(Translators(example.shape, width), Critic())


def labels(count: int = 3, *, example) -> Players[nn.Module]:
    return Players(Translator(example.shape), Critic(count))


def register():
    """Adds them to the tables; `kinds.TABLES` and `kinds.KINDS` hold what they were."""
    kinds.KINDS.update(TOYS)
    NETWORKS["toy_translator"] = pair
    NETWORKS["toy_translators"] = pairs
    NETWORKS["toy_labels"] = labels
    SOURCES.update(dict.fromkeys(TOYS, kinds.source))

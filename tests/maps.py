"""Toys that map images to images: known functions as networks, tasks, and data.

`register` adds them to the tables; `--import=maps_registered` does so for a program.
"""

import functools
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.config.resolve import make_config
from jaxgan.data import SOURCES, from_fields
from jaxgan.evaluation.load_run import Run
from jaxgan.gan import builder
from jaxgan.networks import NETWORKS
from jaxgan.networks.streams import example_rngs
from jaxgan.tasks import TASKS
from jaxgan.types import (
    DiscriminatorOutput,
    ExampleSpec,
    Field,
    Players,
    Samples,
    Task,
)

KERNEL = np.array([[1, 2, 1], [0, 4, 0], [3, 2, 3]], np.float32) / 16


def frozen(module, x):
    """Adds a parameter of value 0 without a gradient, so that training keeps it."""
    zero = module.param("zero", nn.initializers.zeros, (1,))
    return x + jax.lax.stop_gradient(zero) + 0 * zero


def blur(x):
    """Filters each channel of `[B, H, W, C]` by KERNEL, with zeros around."""
    height, width = x.shape[1:3]
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    terms = (
        KERNEL[i, j] * padded[:, i : i + height, j : j + width]
        for i in range(3)
        for j in range(3)
    )
    return functools.reduce(jnp.add, terms)


class Blur(nn.Module):
    """The filter KERNEL, at `scale` times the size, with its first `out` channels."""

    scale: int = 1
    out: int = 3
    sigma: float = 0.0

    @nn.compact
    def __call__(self, inputs, condition=None, *, train):
        x = blur(frozen(self, inputs))[..., : self.out]
        if self.sigma:
            keys = example_rngs(self, "noise", len(x))
            noise = jax.vmap(lambda key: jax.random.normal(key, x.shape[1:]))(keys)
            x += self.sigma * noise
        return x.repeat(self.scale, 1).repeat(self.scale, 2)


class Hourglass(nn.Module):
    """Halves the size `depth` times, doubles it again, and adds the input."""

    depth: int = 2

    @nn.compact
    def __call__(self, inputs, condition=None, *, train):
        x = frozen(self, inputs)
        for _ in range(self.depth):
            x = nn.avg_pool(x, (2, 2), (2, 2), padding="SAME")
        for _ in range(self.depth):
            x = x.repeat(2, 1).repeat(2, 2)
        return (x + inputs) / 2


class Fixed(nn.Module):
    """Accepts one size only: adds a parameter of the size of the image."""

    @nn.compact
    def __call__(self, inputs, condition=None, *, train):
        shape = inputs.shape[1:]
        zero = self.param("zero", nn.initializers.zeros, (int(np.prod(shape)),))
        return inputs / 2 + zero.reshape(shape)


class Judge(nn.Module):
    """One logit per image."""

    @nn.compact
    def __call__(self, x, condition=None, *, train):
        return DiscriminatorOutput(nn.Dense(1)(x.reshape(len(x), -1))[:, 0])


def both_ways():
    """Adds 0.5 to the one domain, and subtracts it from the other."""

    def play(generator, batch, keys, step):
        return Samples(batch["image"], generator(batch["source"]) + 0.5)

    def transform(generator, inputs, keys):
        if "image" in inputs:
            return generator(inputs["image"]) - 0.5
        return generator(inputs["source"]) + 0.5

    return Task(play, ("image", "source"), ("source",), transform=transform)


def shift():
    """Adds 0.1 for each label, and the sum of the attributes."""

    def play(generator, batch, keys, step):
        return Samples(batch["image"], generator(batch["image"]))

    def transform(generator, inputs, keys):
        extra = 0.1 * inputs["label"] if "label" in inputs else 0.0
        if "attributes" in inputs:
            extra = inputs["attributes"].sum(-1)
        return generator(inputs["source"]) + jnp.reshape(extra, (-1, 1, 1, 1))

    return Task(play, ("image",), ("image",), transform=transform)


def spec(name, channels=3, side=16):
    """The fields of a data set: `pair`, `single`, `label` or `attributes`."""
    image = Field((side, side, channels))
    more = {
        "pair": {"source": image},
        "single": {},
        "label": {"label": Field((), np.dtype(np.int32), "label", ("ink", "oil"))},
        "attributes": {
            "attributes": Field(
                (2,), np.dtype(np.uint8), "attributes", ("hat", "beard")
            )
        },
    }
    return ExampleSpec(image=image, **more[name])


def source(request):
    """A data set of SOURCES: `map_pair` and the others of `spec`."""
    example, rng = spec(request.name.removeprefix("map_")), np.random.default_rng(5)
    arrays: dict[str, Any] = {
        name: rng.integers(
            0, 2 if field.names else 256, (32, *field.shape), field.dtype
        )
        for name, field in example.items()
    }
    return from_fields(request.name, arrays, example=example, origin="made-up images")


NETS = {
    "blur": lambda: Blur(),
    "blur_noise": lambda: Blur(sigma=0.1),
    "blur_twice": lambda: Blur(scale=2),
    "blur_4_times": lambda: Blur(scale=4),
    "hourglass": lambda: Hourglass(),
    "fixed": lambda: Fixed(),
}


def register():
    """Adds all of them to the tables."""
    TASKS.update({f.__name__: f for f in (both_ways, shift)})
    for name, make in NETS.items():
        NETWORKS[name] = lambda *, example, make=make: Players(make(), Judge())
    NETWORKS["blur_gray"] = lambda *, example: Players(Blur(out=1), Judge())
    SOURCES.update(
        {f"map_{x}": source for x in ("pair", "single", "label", "attributes")}
    )


TABLES: list[dict[str, Any]] = [TASKS, NETWORKS, SOURCES]


class Untrained(Run):
    """A run without a folder, whose variables are zeros, as those of the toys are."""

    def restore_step(self, which="last", *, raw=False):
        """Returns step 0 and the variables."""
        shapes = jax.eval_shape(self.gan.init, jax.random.key(0)).ema
        return 0, jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)


def untrained(task, networks, example):
    """Returns a run that maps images by a known function."""
    config = make_config(
        dataset="map_pair", task=task, networks=networks, batch_size=2, loss="hinge"
    )
    return Untrained(Path("a_run"), config, example, builder.build_gan(config, example))

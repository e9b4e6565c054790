"""Unpaired translation between two domains."""

import jax.numpy as jnp

from jaxgan.ranges import Probability, Size
from jaxgan.tasks.flips import flips
from jaxgan.tasks.pool import pool
from jaxgan.types import ExampleSpec, Players, Samples, Task, Tree

DOMAINS = ("image", "source")
"""The fields with the two domains."""


def unpaired(
    flip: Probability = 0.5,
    past: Size = 50,
    *,
    example: ExampleSpec | None = None,
) -> Task:
    """Translates between two domains, https://arxiv.org/abs/1703.10593 (CycleGAN).

    Samples are dicts: `fake["image"]` is made of the field `source`, `fake["source"]`
    of `image`, and the `reconstruction` of both is the generator of the fakes. Images
    of an example need not belong together. The discriminator sees past fakes half of
    the time. It adds the terms `cycle(10)` and `identity(5)`.

    Args:
      flip: probability that an image is mirrored horizontally, in training only.
      past: the number of past fakes that are kept; 0 for none.
      example: the fields of an example, by which other inputs of `transform` are as
        wide as they must be.
    """

    def play(generator, batch, keys, step):
        real = {name: batch[name] for name in DOMAINS}
        fake = generator(real)
        return Samples(real, fake, reconstruction=generator(fake))

    def transform(generator, inputs, keys):
        # Both directions are networks of one module; only one is computed under `jit`.
        given, wanted = DOMAINS if "source" not in inputs else DOMAINS[::-1]
        x = inputs[given]
        width = example[wanted].shape[-1] if example else x.shape[-1]
        unused = jnp.zeros((*x.shape[:-1], width))
        return generator({given: x, wanted: unused})[wanted]

    return Task(
        play,
        requires=DOMAINS,
        inputs=DOMAINS,
        preview=columns,
        defaults=Players("cycle(10)|identity(5)", ""),
        stage=pool(past) if past else None,
        transform=transform,
        augment=flips(flip, alike=False),
    )


def columns(samples: Samples) -> dict[str, Tree]:
    """Returns the columns of a preview: from the field `source` to `image`."""
    return {
        "source": samples.real["source"],
        "fake": samples.fake["image"],
        "real": samples.real["image"],
    }

"""Unpaired translation between two domains."""

from jaxgan.ranges import Probability, Size
from jaxgan.tasks.flips import flips
from jaxgan.tasks.pool import pool
from jaxgan.types import Players, Samples, Task, Tree

DOMAINS = ("image", "source")
"""The fields with the two domains."""


def unpaired(flip: Probability = 0.5, past: Size = 50) -> Task:
    """Translates between two domains, https://arxiv.org/abs/1703.10593 (CycleGAN).

    Samples are dicts: `fake["image"]` is made of the field `source`, `fake["source"]`
    of `image`, and the `reconstruction` of both is the generator of the fakes. Images
    of an example need not belong together. The discriminator sees past fakes half of
    the time. It adds the terms `cycle(10)` and `identity(5)`.

    Args:
      flip: probability that an image is mirrored horizontally, in training only.
      past: the number of past fakes that are kept; 0 for none.
    """

    def play(generator, batch, keys, step):
        real = {name: batch[name] for name in DOMAINS}
        fake = generator(real)
        return Samples(real, fake, reconstruction=generator(fake))

    def transform(generator, inputs, keys):
        # The direction is that of what is given.
        given, wanted = DOMAINS if "source" not in inputs else DOMAINS[::-1]
        return generator({given: inputs[given]})[wanted]

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

"""Paired translation of images."""

from typing import Annotated

from jaxgan.errors import FieldError
from jaxgan.ranges import Probability, Range
from jaxgan.tasks.flips import flips
from jaxgan.types import ExampleSpec, Players, Samples, Task, Tree

Jitter = Annotated[int, Range(0, 2**12)]
"""A shift in pixels."""


def paired(
    flip: Probability = 0.5,
    jitter: Jitter = 0,
    *,
    example: ExampleSpec | None = None,
) -> Task:
    """Translates a source image into its target, https://arxiv.org/abs/1611.07004.

    `fake = G(source)`, as in pix2pix. The discriminator sees the source beside the
    target, the field `image`, and beside the fake. It adds the term `l1(100)`.

    Args:
      flip: probability that a pair is mirrored horizontally, in training only.
      jitter: the largest shift of a pair in training, in pixels.
      example: the fields of an example.

    Raises:
      FieldError: for a shift of images of two sizes.
    """
    check_jitter(jitter, example)

    def play(generator, batch, keys, step):
        source = batch["source"]
        return Samples(batch["image"], generator(source), condition=source)

    return Task(
        play,
        requires=("image", "source"),
        inputs=("source",),
        preview=columns,
        defaults=Players("l1(100)", ""),
        transform=lambda generator, inputs, keys: generator(inputs["source"]),
        augment=flips(flip, jitter),
        aligned=True,
    )


def columns(samples: Samples) -> dict[str, Tree]:
    """Returns the columns of a preview, where the condition is the source."""
    return {"source": samples.condition, "fake": samples.fake, "real": samples.real}


def check_jitter(jitter: int, example: ExampleSpec | None) -> None:
    """Raises FieldError if fields of different sizes would be shifted by pixels."""
    if not jitter or example is None:
        return
    sizes = {name: x.shape[:2] for name, x in example.items() if len(x.shape) == 3}
    if len(set(sizes.values())) > 1:
        named = ", ".join(f"{name} {list(size)}" for name, size in sizes.items())
        raise FieldError(
            f"jitter={jitter} shifts all images of an example by as many pixels, but "
            f"they have different sizes ({named}): use jitter=0"
        )

"""Super-resolution: large images of small ones."""

from typing import Annotated

import jax
import jax.numpy as jnp

from jaxgan.errors import FieldError
from jaxgan.metrics.features.resize import resize
from jaxgan.ranges import Probability, Range
from jaxgan.tasks.flips import flips
from jaxgan.tasks.paired import columns
from jaxgan.types import ExampleSpec, Players, Samples, Task

Factor = Annotated[int, Range(2, 64)]


def super_resolution(
    factor: Factor = 4,
    flip: Probability = 0.5,
    *,
    example: ExampleSpec | None = None,
) -> Task:
    """Enlarges images, https://arxiv.org/abs/1609.04802 (SRGAN).

    `fake = G(source)`, where `source` is the field `image` made smaller by `shrink`. If
    the examples have a field `source` that is smaller by the factor, it is used
    instead; a `source` of any other size is ignored. The source is the condition. It
    adds the term `l1(100)`.

    Args:
      factor: the ratio of the sides of `image` and `source`.
      flip: probability that an example is mirrored horizontally, in training only.
      example: the fields of an example.

    Raises:
      FieldError: for images whose sides are no multiples of the factor.
    """
    field = example.generated if example else "image"
    check_size(factor, example)
    given = has_source(factor, example)

    def play(generator, batch, keys, step):
        image = batch[field]
        source = batch["source"] if given else shrink(image, factor)
        return Samples(image, generator(source), condition=source)

    return Task(
        play,
        requires=(field, "source") if given else (field,),
        inputs=("source",) if given else (field,),
        preview=columns,
        defaults=Players("l1(100)", ""),
        transform=lambda generator, inputs, keys: generator(inputs["source"]),
        augment=flips(flip),
    )


def shrink(images: jax.Array, factor: int) -> jax.Array:
    """Returns images `[B, H, W, C]` in [-1, 1] with smaller sides, in 256 levels.

    Pillow's bicubic filter, anti-aliased, like MATLAB's `imresize` away from borders,
    which papers on super-resolution use. Values are clipped and rounded, as those of a
    file with 8 bits are.

    Args:
      images: `[B, H, W, C]` in [-1, 1].
      factor: divides H and W.
    """
    height, width = (side // factor for side in images.shape[1:3])
    small = resize(images, (height, width))
    levels = jnp.round((jnp.clip(small, -1, 1) + 1) * 127.5)
    return (levels - 127.5) / 127.5


def has_source(factor: int, example: ExampleSpec | None) -> bool:
    """Returns True if a field `source` has the images made smaller by a factor."""
    if example is None or "source" not in example:
        return False
    height, width, *rest = example.shape
    small = (height // factor, width // factor, *rest)
    return example["source"].shape == small


def check_size(factor: int, example: ExampleSpec | None) -> None:
    """Raises FieldError unless the factor divides the sides of the images."""
    if example is None:
        return
    shape = example.shape
    if len(shape) != 3 or any(side % factor for side in shape[:2]):
        raise FieldError(
            f"super_resolution({factor}) needs images with sides that are multiples of "
            f"{factor}, not {list(shape)}: use another factor, or other images"
        )

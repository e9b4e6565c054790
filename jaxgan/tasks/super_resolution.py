"""Super-resolution: large images of small ones."""

from typing import Annotated

import jax
import jax.numpy as jnp

from jaxgan.errors import FieldError
from jaxgan.metrics.features.resize import resize
from jaxgan.ranges import Probability, Range
from jaxgan.tasks.flips import flips
from jaxgan.tasks.images import check_images
from jaxgan.tasks.paired import columns
from jaxgan.types import ExampleSpec, Field, Players, Samples, Task

Factor = Annotated[int, Range(2, 64)]


def super_resolution(
    factor: Factor = 4,
    flip: Probability = 0.5,
    source: bool = True,
    *,
    example: ExampleSpec | None = None,
) -> Task:
    """Enlarges images, https://arxiv.org/abs/1609.04802 (SRGAN).

    `fake = G(source)`, where `source` is the field `image` made smaller by `shrink`. If
    the examples have a field `source`, it is used instead. It must be smaller by the
    factor, and have the channels of `image`. The source is the condition. It adds the
    term `l1(100)`.

    Args:
      factor: the ratio of the sides of `image` and `source`.
      flip: probability that an example is mirrored horizontally, in training only.
      source: False to make `image` smaller even if the examples have a `source`.
      example: the fields of an example.

    Raises:
      FieldError: for images whose sides are no multiples of the factor, and for
        examples that are not images.
    """
    field = example.generated if example else "image"
    check_size(factor, example)
    given = source and has_source(factor, example)

    def play(generator, batch, keys, step):
        image = batch[field]
        small = batch["source"] if given else shrink(image, factor)
        return Samples(image, generator(small), condition=small)

    return Task(
        play,
        requires=(field, "source") if given else (field,),
        inputs=("source",) if given else (field,),
        preview=columns,
        defaults=Players("l1(100)", ""),
        transform=lambda generator, inputs, keys: generator(inputs["source"]),
        augment=flips(flip),
        aligned=given,
        source=Field(small_shape(factor, example)) if example and not given else None,
        refused="" if given or not source else why_unused(factor, example),
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
    return example["source"].shape == small_shape(factor, example)


def small_shape(factor: int, example: ExampleSpec) -> tuple[int, ...]:
    """Returns the shape of images made smaller by a factor, `(h, w, C)`."""
    height, width, *rest = example.shape
    return (height // factor, width // factor, *rest)


def why_unused(factor: int, example: ExampleSpec | None) -> str:
    """Returns why a field `source` has no smaller images, and what to do.

    Empty without such a field.

    >>> fields = ExampleSpec(image=Field((32, 32, 3)), source=Field((16, 16, 3)))
    >>> why_unused(4, fields).partition(": ")[2]
    'use super_resolution(2), or use super_resolution(4, source=False) to shrink images'
    """
    if example is None or "source" not in example:
        return ""
    shape, image = example["source"].shape, example.shape
    sides = image[0] // factor, image[1] // factor
    advice = f"resize sources to {sides[0]}x{sides[1]}"
    if len(shape) != 3 or shape[2] != image[2]:
        why = f"sources have the shape {list(shape)} and images {list(image)}"
        advice = f"convert sources to {image[2]} channel(s)"
    else:
        why = (
            f"images of {image[0]}x{image[1]} are not {factor} times as large as their "
            f"sources of {shape[0]}x{shape[1]}"
        )
        ratio = image[0] // shape[0]
        if shape == image:
            advice = "use paired"
        elif ratio > 1 and image[:2] == (ratio * shape[0], ratio * shape[1]):
            advice = f"use super_resolution({ratio})"
    own = f"super_resolution({factor}, source=False) to shrink images"
    return f"{why}: {advice}, or use {own}"


def check_size(factor: int, example: ExampleSpec | None) -> None:
    """Raises FieldError unless the factor divides the sides of the images."""
    check_images(f"super_resolution({factor})", example)
    if example is None:
        return
    shape = example.shape
    if any(side % factor for side in shape[:2]):
        raise FieldError(
            f"super_resolution({factor}) needs images with sides that are multiples of "
            f"{factor}, not {list(shape)}: use another factor, or other images"
        )

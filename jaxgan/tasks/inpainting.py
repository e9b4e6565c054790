"""Inpainting: the filling of holes in images."""

import jax
import jax.numpy as jnp

from jaxgan import spec
from jaxgan.errors import UsageError
from jaxgan.ranges import Probability
from jaxgan.tasks.flips import flips
from jaxgan.tasks.images import check_images
from jaxgan.tasks.masks import MASKS
from jaxgan.types import ExampleSpec, Players, Samples, Task, Tree


def inpainting(
    mask: str = "center(16)",
    flip: Probability = 0.5,
    *,
    example: ExampleSpec | None = None,
) -> Task:
    """Fills holes in images, https://arxiv.org/abs/1604.07379 (context encoders).

    The generator reads the image with holes of 0 (gray), and the mask, `[B, H, W,
    C + 1]`. Its output replaces the holes only; known pixels stay, bit for bit. Both
    are the condition: `source` `[B, H, W, C]` and `mask` `[B, H, W, 1]`, 1 in holes. It
    adds the term `l1(100, region='holes')`.

    Args:
      mask: how holes are drawn for each example: a recipe of `MASKS`. If the examples
        have a field `mask`, its values above 0.5 are the holes instead.
      flip: probability that an example is mirrored horizontally, in training only.
      example: the fields of an example.

    Raises:
      UsageError: for an unknown mask.
      FieldError: if the examples are not images.
    """
    check_images("inpainting", example)
    draw = spec.build_one(mask, MASKS, MASKS)
    field = example.generated if example else "image"
    given = example is not None and "mask" in example

    def play(generator, batch, keys, step):
        image = batch[field]
        height, width = image.shape[1:3]
        drawn = (
            batch["mask"]
            if given
            else jax.vmap(lambda key: draw(key, height, width))(keys)
        )
        fake, source, holes = fill(generator, image, drawn)
        return Samples(image, fake, condition={"source": source, "mask": holes})

    return Task(
        play,
        requires=(field, "mask") if given else (field,),
        inputs=(field, "mask") if given else (field,),
        preview=columns,
        defaults=Players("l1(100, region='holes')", ""),
        transform=transform,
        augment=flips(flip),
    )


def fill(generator, image: jax.Array, mask: jax.Array) -> tuple[jax.Array, ...]:
    """Returns (filled image, image with holes, mask of 0 and 1).

    Args:
      generator: maps `[B, H, W, C + 1]` to `[B, H, W, C]`.
      image: `[B, H, W, C]`, whose pixels in holes are not read.
      mask: `[B, H, W, 1]`, above 0.5 in holes.
    """
    holes = mask > 0.5
    # Not a product, so that what is in a hole cannot matter, even if it is NaN.
    source = jnp.where(holes, 0, image)
    numbers = holes.astype(image.dtype)
    made = generator(jnp.concatenate([source, numbers], -1))
    return jnp.where(holes, made, image), source, numbers


def transform(generator, inputs, keys) -> Tree:
    """Returns the user's images with their holes filled."""
    if "mask" not in inputs:
        raise UsageError("inpainting needs a mask for each image, 1 in holes")
    return fill(generator, inputs["source"], inputs["mask"])[0]


def columns(samples: Samples) -> dict[str, Tree]:
    """Returns the columns of a preview."""
    return {
        "source": samples.condition["source"],
        "mask": samples.condition["mask"],
        "fake": samples.fake,
        "real": samples.real,
    }

"""Augmentations that copy, hide or tint pixels: DiffAugment's, flips, turns, noise.

DiffAugment is https://arxiv.org/abs/2006.10738. Its translation and cutout fill with 0,
which is mid-gray in images in [-1, 1], also where the background is black. Colours may
leave [-1, 1]; they are not clipped.
"""

import math

import jax
import jax.numpy as jnp

from jaxgan.augment.random_apply import (
    Augmentation,
    chain,
    check_probability,
    integers,
    on_colors,
    random_apply,
)
from jaxgan.ranges import NonNegative, Probability
from jaxgan.types import UsageError


def color() -> Augmentation:
    """DiffAugment's: brightness, saturation, contrast, each with probability p.

    Brightness adds U(-0.5, 0.5); saturation and contrast multiply the distance to the
    mean by U(0, 2) and by U(0.5, 1.5). Alpha stays; saturation leaves gray as it is.
    """

    def drawn(change, low, high):
        def apply(key, image):
            amount = jax.random.uniform(key, (), minval=low, maxval=high)
            return on_colors(lambda colors: change(colors, amount), image)

        return random_apply(apply)

    return chain(
        [drawn(jnp.add, -0.5, 0.5), drawn(saturate, 0.0, 2.0), drawn(stretch, 0.5, 1.5)]
    )


def saturate(colors: jax.Array, factor: jax.Array) -> jax.Array:
    """Colours `[H, W, 1 or 3]` moved from the mean of each pixel; gray stays."""
    if colors.shape[-1] == 1:
        return colors
    mean = jnp.mean(colors, -1, keepdims=True)
    return mean + factor * (colors - mean)


def stretch(colors: jax.Array, factor: jax.Array) -> jax.Array:
    """Colours `[H, W, 1 or 3]` moved from the mean of the whole image: contrast."""
    mean = jnp.mean(colors)
    return mean + factor * (colors - mean)


def translation(ratio: Probability = 0.125) -> Augmentation:
    """DiffAugment's: a shift by whole pixels along both axes, with 0 from outside.

    Uniform in -n .. n for n = ratio H rounded to the nearest, halves up; and so along
    W.
    """
    check_probability("ratio", ratio, 0.125)

    def change(key, image):
        height, width, _ = image.shape
        y, x = (_rounded(ratio * height), _rounded(ratio * width))
        top, left = integers(key, (2 * y + 1, 2 * x + 1))
        padded = jnp.pad(image, ((y, y), (x, x), (0, 0)))
        return jax.lax.dynamic_slice(padded, (top, left, 0), image.shape)

    return random_apply(change)


def _rounded(size: float) -> int:
    """To the nearest, halves up as in DiffAugment's reference; `round` makes 2.5 2."""
    return math.floor(size + 0.5)


def cutout(ratio: Probability = 0.5) -> Augmentation:
    """A rectangle of `ratio` of both sides is 0 in all channels, alpha too.

    Both papers have it. Its sides are rounded, halves up. Its center is uniform over
    the pixels, so that it may end at the border.
    """
    check_probability("ratio", ratio, 0.5)

    def change(key, image):
        height, width, _ = image.shape
        y, x = integers(key, (height, width))
        hidden = _near(y, height, ratio)[:, None] & _near(x, width, ratio)
        return jnp.where(hidden[..., None], 0, image)

    return random_apply(change)


def _near(center: jax.Array, count: int, ratio: float) -> jax.Array:
    """The mask of `ratio` of `count` pixels about a center, `[count]`."""
    size = _rounded(ratio * count)
    offset = jnp.arange(count) - (center - size // 2)
    return (offset >= 0) & (offset < size)


def flip() -> Augmentation:
    """With probability p one of the image and its mirror image, left for right.

    As in ADA (https://arxiv.org/abs/2006.06676, appendix B), where p/2 are mirrored, so
    that the upright image is never the rarer one.
    """

    def change(key, image):
        return jnp.where(jax.random.bernoulli(key), image[:, ::-1], image)

    return random_apply(change)


def rotate90() -> Augmentation:
    """With probability p one of four quarter turns, the empty one among them (ADA).

    Images that are not square are turned by 0 or 180 degrees, which keep their shape.
    """

    def change(key, image):
        square = image.shape[0] == image.shape[1]
        turns = range(4) if square else (0, 2)
        turned = [jnp.rot90(image, turn) for turn in turns]
        (which,) = integers(key, (len(turned),))
        return jax.lax.select_n(which, *turned)

    return random_apply(change)


def noise(sigma: NonNegative = 0.1) -> Augmentation:
    """ADA's: normal noise on all channels; its deviation is |N(0, sigma^2)|.

    Raises:
      UsageError: if sigma is negative.
    """
    if not sigma >= 0:
        raise UsageError(f"sigma is at least 0, not {sigma}: take 0.1")

    def change(key, image):
        scale_key, key = jax.random.split(key)
        scale = sigma * jnp.abs(jax.random.normal(scale_key))
        return image + scale * jax.random.normal(key, image.shape)

    return random_apply(change)

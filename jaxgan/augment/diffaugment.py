"""Augmentations that move, hide or recolor pixels: DiffAugment, flips, turns, noise.

DiffAugment is https://arxiv.org/abs/2006.10738. Its translation and cutout fill with 0,
which is mid-gray in images in [-1, 1], even if the background is black. Colors may
leave [-1, 1] and are not clipped.
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
from jaxgan.errors import UsageError
from jaxgan.ranges import NonNegative, Probability


def color() -> Augmentation:
    """DiffAugment's brightness, saturation and contrast, each with probability p.

    Brightness adds U(-0.5, 0.5). Saturation and contrast multiply the distance to the
    mean by U(0, 2) and by U(0.5, 1.5). Alpha does not change, and saturation does not
    change gray images.
    """

    def sampled(change, low, high):
        def apply(key, image):
            # One amount per image.
            amount = jax.random.uniform(key, (), minval=low, maxval=high)
            return on_colors(lambda colors: change(colors, amount), image)

        return random_apply(apply)

    # Brightness, saturation and contrast, in the order of the reference.
    return chain(
        [
            sampled(jnp.add, -0.5, 0.5),
            sampled(saturate, 0.0, 2.0),
            sampled(stretch, 0.5, 1.5),
        ]
    )


def saturate(colors: jax.Array, factor: jax.Array) -> jax.Array:
    """Scales the distance of colors `[H, W, 1 or 3]` to the mean of their pixel.

    Gray images `[H, W, 1]` do not change.
    """
    # A gray pixel is its own mean, up to rounding.
    if colors.shape[-1] == 1:
        return colors
    mean = jnp.mean(colors, -1, keepdims=True)
    return mean + factor * (colors - mean)


def stretch(colors: jax.Array, factor: jax.Array) -> jax.Array:
    """Scales the distance of colors `[H, W, 1 or 3]` to the image's mean: contrast."""
    mean = jnp.mean(colors)
    return mean + factor * (colors - mean)


def translation(ratio: Probability = 0.125) -> Augmentation:
    """DiffAugment's shift by whole pixels along both axes, filled with 0.

    The shift is uniform in -n, ..., n, with n = ratio * H rounded half up; the same for
    W.

    Args:
      ratio: maximum shift as a fraction of each side.

    Raises:
      UsageError: if `ratio` is not in [0, 1].
    """
    check_probability("ratio", ratio, 0.125)

    def change(key, image):
        height, width, _ = image.shape
        # Maximum shifts, in pixels.
        y, x = (_round_half_up(ratio * height), _round_half_up(ratio * width))
        top, left = integers(key, (2 * y + 1, 2 * x + 1))
        # A window of the padded image is the shifted image.
        padded = jnp.pad(image, ((y, y), (x, x), (0, 0)))
        return jax.lax.dynamic_slice(padded, (top, left, 0), image.shape)

    return random_apply(change)


def _round_half_up(size: float) -> int:
    """Rounds halves up like DiffAugment's reference; `round(2.5)` is 2."""
    return math.floor(size + 0.5)


def cutout(ratio: Probability = 0.5) -> Augmentation:
    """Sets a rectangle to 0 in all channels, alpha included (DiffAugment and ADA).

    The sides of the rectangle are rounded half up. Its center is uniform over the
    pixels, so that the border may cut it off.

    Args:
      ratio: sides of the rectangle as a fraction of those of the image.

    Raises:
      UsageError: if `ratio` is not in [0, 1].
    """
    check_probability("ratio", ratio, 0.5)

    def change(key, image):
        height, width, _ = image.shape
        # The center of the rectangle.
        y, x = integers(key, (height, width))
        # A rectangle is the product of two intervals, `[H, W]`.
        hidden = _interval(y, height, ratio)[:, None] & _interval(x, width, ratio)
        return jnp.where(hidden[..., None], 0, image)

    return random_apply(change)


def _interval(center: jax.Array, count: int, ratio: float) -> jax.Array:
    """Returns the mask of ratio * count pixels around a center, bool `[count]`."""
    size = _round_half_up(ratio * count)
    # Distance of each pixel from the first one of the interval.
    offset = jnp.arange(count) - (center - size // 2)
    return (offset >= 0) & (offset < size)


def flip() -> Augmentation:
    """Horizontal flip: with probability p, returns the image or its mirror image.

    A fraction p/2 of the images is mirrored, like in ADA
    (https://arxiv.org/abs/2006.06676, appendix B), so that originals are never the
    minority.
    """

    def change(key, image):
        # A second random choice, so that p/2 are mirrored.
        return jnp.where(jax.random.bernoulli(key), image[:, ::-1], image)

    return random_apply(change)


def rotate90() -> Augmentation:
    """Rotation: with probability p, by a random multiple of 90 degrees (ADA).

    0 degrees is one of the four choices. Images that are not square are rotated by 0 or
    180 degrees, which keeps their shape.
    """

    def change(key, image):
        square = image.shape[0] == image.shape[1]
        turns = range(4) if square else (0, 2)
        # All rotations are computed, as the choice differs between examples.
        turned = [jnp.rot90(image, turn) for turn in turns]
        (choice,) = integers(key, (len(turned),))
        return jax.lax.select_n(choice, *turned)

    return random_apply(change)


def noise(sigma: NonNegative = 0.1) -> Augmentation:
    """ADA's normal noise on all channels, with standard deviation |N(0, sigma^2)|.

    Args:
      sigma: scale of the standard deviation, which differs between images.

    Raises:
      UsageError: if sigma is negative.
    """
    if not sigma >= 0:
        raise UsageError(f"sigma must be at least 0, not {sigma}: use 0.1")

    def change(key, image):
        # The noise of an image has one standard deviation.
        scale_key, key = jax.random.split(key)
        scale = sigma * jnp.abs(jax.random.normal(scale_key))
        return image + scale * jax.random.normal(key, image.shape)

    return random_apply(change)

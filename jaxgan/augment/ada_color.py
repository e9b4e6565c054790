"""ADA's colour transformations, as one matrix.

https://arxiv.org/abs/2006.06676, appendix B. A pixel is the row (r, g, b, 1), which is
multiplied by the matrices from the right, the first transformation first.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxgan.augment.random_apply import (
    COLORS,
    Augmentation,
    RandomMatrix,
    check_image,
    check_probability,
    matmul_highest,
    on_colors,
    random_product,
)
from jaxgan.ranges import Probability

LUMA = np.zeros((4, 4), np.float32)
"""Projects colours on the gray axis: v v^T with v = (1, 1, 1, 0) / sqrt(3)."""
LUMA[:3, :3] = 1 / 3
CHROMA = np.diag(np.array([1, 1, 1, 0], np.float32)) - LUMA
"""Projects colours on the plane that is orthogonal to the gray axis."""
ONE = np.diag(np.array([0, 0, 0, 1], np.float32))
"""Keeps the last coordinate."""
CROSS = np.zeros((4, 4), np.float32)
"""The cross product with the gray axis."""
CROSS[:3, :3] = np.cross(np.eye(3), np.full(3, -(3**-0.5)))


def ada_color(
    brightness: Probability = 1.0,
    contrast: Probability = 1.0,
    luma_flip: Probability = 1.0,
    hue: Probability = 1.0,
    saturation: Probability = 1.0,
) -> Augmentation:
    """ADA's colours: five transformations, each drawn on its own.

    With N standard normal: brightness adds 0.2 N, contrast multiplies by 2^(0.5 N), the
    luma is mirrored at mid-gray or not, hues turn by U(-pi, pi) about the gray axis,
    saturation multiplies the distance to that axis by 2^N.

    Gray images have no hue and saturation. Alpha stays. Nothing is clipped.

    Args:
      brightness: times p is its probability; the others alike; 0 leaves one out.
    """
    rates = (brightness, contrast, luma_flip, hue, saturation)
    names = ("brightness", "contrast", "luma_flip", "hue", "saturation")
    for name, rate in zip(names, rates, strict=True):
        check_probability(name, rate, 1.0)

    def augment(key, image, p):
        check_image(image)
        gray = COLORS.get(image.shape[-1]) == 1
        seen = (*rates[:3], 0.0, 0.0) if gray else rates
        matrix = random_product(key, DRAWS, [rate * p for rate in seen])
        changed = on_colors(lambda colors: saturation_shift(colors, matrix), image)
        return jnp.where(jnp.all(matrix == jnp.eye(4)), image, changed)

    return augment


def saturation_shift(colors: jax.Array, matrix: jax.Array) -> jax.Array:
    """Colours `[H, W, 3]` times a matrix; `[H, W, 1]` as three equal ones, averaged."""
    weights, offset = matrix[:3, :3], matrix[3, :3]
    if colors.shape[-1] == 1:
        return colors * jnp.sum(weights) / 3 + jnp.mean(offset)
    return matmul_highest(colors, weights) + offset


def brighter(amount: ArrayLike) -> jax.Array:
    """The amount is added to r, g and b."""
    return jnp.eye(4).at[3, :3].set(amount)


def contrasted(factor: ArrayLike) -> jax.Array:
    """The distance to mid-gray is multiplied."""
    return jnp.asarray(factor) * (LUMA + CHROMA) + ONE


def luma_flipped(flipped: ArrayLike) -> jax.Array:
    """The luma changes its sign if `flipped` is 1, and hues stay: I - 2 v v^T."""
    return jnp.eye(4) - 2 * jnp.asarray(flipped) * LUMA


def hue_turned(angle: ArrayLike) -> jax.Array:
    """Colours are turned about the gray axis by radians; 2 pi/3 takes r, g, b round."""
    return jnp.cos(angle) * CHROMA + jnp.sin(angle) * CROSS + LUMA + ONE


def saturated(factor: ArrayLike) -> jax.Array:
    """The distance to the gray axis is multiplied: v v^T + s (I - v v^T)."""
    return jnp.asarray(factor) * CHROMA + LUMA + ONE


DRAWS: tuple[RandomMatrix, ...] = (
    lambda drawn: brighter(0.2 * drawn.normal[0]),
    lambda drawn: contrasted(2 ** (0.5 * drawn.normal[0])),
    lambda drawn: luma_flipped(jnp.where(drawn.uniform[0] < 0.5, 1.0, 0.0)),
    lambda drawn: hue_turned(math.pi * (2 * drawn.uniform[0] - 1)),
    lambda drawn: saturated(2 ** drawn.normal[0]),
)

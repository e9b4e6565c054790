"""ADA's color transformations as one matrix, https://arxiv.org/abs/2006.06676.

Appendix B of the paper. A pixel is the row (r, g, b, 1). Matrices are multiplied to it
from the right, the first transformation first.
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
"""The projection of colors on the gray axis: v v^T with v = (1, 1, 1, 0) / sqrt(3)."""
LUMA[:3, :3] = 1 / 3
CHROMA = np.diag(np.array([1, 1, 1, 0], np.float32)) - LUMA
"""The projection of colors on the plane that is orthogonal to the gray axis."""
ONE = np.diag(np.array([0, 0, 0, 1], np.float32))
"""The projection on the last coordinate."""
CROSS = np.zeros((4, 4), np.float32)
"""The cross product with the gray axis."""
# Row i is v x e_i, so that c CROSS = v x c for a row c.
CROSS[:3, :3] = np.cross(np.eye(3), np.full(3, -(3**-0.5)))


def ada_color(
    brightness: Probability = 1.0,
    contrast: Probability = 1.0,
    luma_flip: Probability = 1.0,
    hue: Probability = 1.0,
    saturation: Probability = 1.0,
) -> Augmentation:
    """ADA's color transformations: five, each applied independently.

    With N standard normal: brightness adds 0.2 N. Contrast multiplies by 2^(0.5 N). The
    luma flip mirrors the luma at mid-gray half of the time. Hue rotates by U(-pi, pi)
    about the gray axis. Saturation multiplies the distance to that axis by 2^N.

    Gray images have no hue and saturation. Alpha does not change. Nothing is clipped.

    Args:
      brightness: its probability is `brightness` * p; 0 leaves it out.
      contrast: likewise.
      luma_flip: likewise.
      hue: likewise.
      saturation: likewise.

    Raises:
      UsageError: if one of them is not in [0, 1].
    """
    # The order is that of DRAWS.
    rates = (brightness, contrast, luma_flip, hue, saturation)
    names = ("brightness", "contrast", "luma_flip", "hue", "saturation")
    for name, rate in zip(names, rates, strict=True):
        check_probability(name, rate, 1.0)

    def augment(key, image, p):
        check_image(image)
        # A probability of 0 leaves out hue and saturation.
        gray = COLORS.get(image.shape[-1]) == 1
        used = (*rates[:3], 0.0, 0.0) if gray else rates
        matrix = random_product(key, DRAWS, [rate * p for rate in used])
        changed = on_colors(lambda colors: saturation_shift(colors, matrix), image)
        # A product with the identity could change the last bits.
        return jnp.where(jnp.all(matrix == jnp.eye(4)), image, changed)

    return augment


def saturation_shift(colors: jax.Array, matrix: jax.Array) -> jax.Array:
    """Multiplies colors `[H, W, 3]` by a matrix `[4, 4]`.

    Gray `[H, W, 1]` counts as three equal colors, whose results are averaged.
    """
    # (r, g, b, 1) times the matrix: a product, and its last row as an offset.
    weights, offset = matrix[:3, :3], matrix[3, :3]
    # The mean over r, g and b of the product, written out.
    if colors.shape[-1] == 1:
        return colors * jnp.sum(weights) / 3 + jnp.mean(offset)
    return matmul_highest(colors, weights) + offset


def brighter(amount: ArrayLike) -> jax.Array:
    """Returns the matrix that adds `amount` to r, g and b."""
    return jnp.eye(4).at[3, :3].set(amount)


def contrasted(factor: ArrayLike) -> jax.Array:
    """Returns the matrix that multiplies the distance to mid-gray."""
    # LUMA + CHROMA is the identity on r, g and b.
    return jnp.asarray(factor) * (LUMA + CHROMA) + ONE


def luma_flipped(flipped: ArrayLike) -> jax.Array:
    """Returns the matrix I - 2 v v^T, which negates the luma, if `flipped` is 1."""
    return jnp.eye(4) - 2 * jnp.asarray(flipped) * LUMA


def hue_turned(angle: ArrayLike) -> jax.Array:
    """Returns the rotation about the gray axis in radians; 2 pi/3 permutes r, g, b."""
    # Rodrigues' formula.
    return jnp.cos(angle) * CHROMA + jnp.sin(angle) * CROSS + LUMA + ONE


def saturated(factor: ArrayLike) -> jax.Array:
    """Returns v v^T + s (I - v v^T), which multiplies the distance to the gray axis."""
    return jnp.asarray(factor) * CHROMA + LUMA + ONE


DRAWS: tuple[RandomMatrix, ...] = (
    lambda numbers: brighter(0.2 * numbers.normal[0]),
    lambda numbers: contrasted(2 ** (0.5 * numbers.normal[0])),
    lambda numbers: luma_flipped(jnp.where(numbers.uniform[0] < 0.5, 1.0, 0.0)),
    lambda numbers: hue_turned(math.pi * (2 * numbers.uniform[0] - 1)),
    lambda numbers: saturated(2 ** numbers.normal[0]),
)
"""The random matrices, in the order of the parameters of `ada_color`."""

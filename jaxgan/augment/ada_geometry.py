"""ADA's pixel blitting and geometric transformations, as one resampling.

https://arxiv.org/abs/2006.06676, appendix B. A point is (x, y, 1) in pixels from the
centre of the image, x to the right and y down. A matrix maps a pixel of the result to
the place it is read from: it is the inverse of what happens to the picture.
"""

import math

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxgan.augment.random_apply import (
    Augmentation,
    RandomMatrix,
    check_image,
    check_probability,
    random_product,
)
from jaxgan.ranges import Probability

BLIT, AFFINE = 3, 5  # how many matrices either group has


def geometric(blit: Probability = 1.0, affine: Probability = 1.0) -> Augmentation:
    """ADA's geometry: eight transformations, each drawn on its own.

    Blitting: mirroring, quarter turns (half turns if the image is not square), shifts
    by U(-0.125, 0.125) of the sides in whole pixels. Affine, with N standard normal:
    scaling by 2^(0.2 N), rotation by U(-pi, pi) before and after stretching by
    2^(0.2 N) and its inverse, shifts by 0.125 N of the sides.

    All of them are one matrix and one bilinear reading of the image, mirrored at its
    border pixels. The paper reads from a filtered image of twice the size: here, what
    an affine transformation moves is a little blurred, and what it shrinks may alias.
    Blitting alone copies pixels exactly.

    Args:
      blit: times p is the probability of each blitting; 0 for none of it.
      affine: times p is the probability of each affine transformation; a rotation
        has 1 - sqrt(1 - p), so that either of the two happens with p.
    """
    check_probability("blit", blit, 1.0)
    check_probability("affine", affine, 1.0)

    def augment(key, image, p):
        check_image(image)
        height, width, _ = image.shape
        matrix = draw(key, height, width, blit * p, affine * p)
        read = resample(image, matrix).astype(image.dtype)
        return jnp.where(jnp.all(matrix == jnp.eye(3)), image, read)

    return augment


def draw(
    key: jax.Array, height: int, width: int, blit: ArrayLike, affine: ArrayLike
) -> jax.Array:
    """A matrix `[3, 3]`, for the probabilities of the two groups.

    The inverses stand in the order of what they undo. They are drawn themselves:
    an inverse has the same distribution as the transformation.
    """
    turned = 1 - jnp.sqrt(1 - jnp.asarray(affine))
    rates = (*[blit] * BLIT, affine, turned, affine, turned, affine)
    parts = (*_blitting(height, width), *_affine(height, width))
    return random_product(key, parts, rates)


def _blitting(height: int, width: int) -> list[RandomMatrix]:
    """Matrices that map pixels to pixels."""

    def mirror(drawn):
        return scaled(jnp.where(drawn.uniform[0] < 0.5, -1, 1), 1)

    def turn(drawn):
        count = 4 if height == width else 2
        return quarter_turns(jnp.int32(drawn.uniform[0] * count) * (4 // count))

    def shift(drawn):
        x, y = 0.125 * (2 * drawn.uniform - 1)
        return translation(jnp.round(x * width), jnp.round(y * height))

    return [mirror, turn, shift]


def _affine(height: int, width: int) -> list[RandomMatrix]:
    """Matrices that map pixels to places between them."""

    def scale(drawn):
        factor = 2 ** (0.2 * drawn.normal[0])
        return scaled(factor, factor)

    def turn(drawn):
        return rotated(math.pi * (2 * drawn.uniform[0] - 1))

    def stretch(drawn):
        factor = 2 ** (0.2 * drawn.normal[0])
        return scaled(factor, 1 / factor)

    def shift(drawn):
        x, y = 0.125 * drawn.normal
        return translation(x * width, y * height)

    return [scale, turn, stretch, turn, shift]


def scaled(x: ArrayLike, y: ArrayLike) -> jax.Array:
    """Coordinates are multiplied."""
    return jnp.diag(jnp.stack([jnp.float32(x), jnp.float32(y), jnp.float32(1)]))


def translation(x: ArrayLike, y: ArrayLike) -> jax.Array:
    """Coordinates are added to, in pixels."""
    return jnp.eye(3).at[:2, 2].set(jnp.stack([jnp.float32(x), jnp.float32(y)]))


def rotated(angle: ArrayLike) -> jax.Array:
    """Coordinates are turned from x to y by an angle in radians."""
    return _turned(jnp.cos(angle), jnp.sin(angle))


def quarter_turns(count: ArrayLike) -> jax.Array:
    """As `rotated` by so many times 90 degrees, exactly: `np.rot90` of the picture."""
    cosine = jnp.array([1.0, 0.0, -1.0, 0.0])
    return _turned(cosine[count], cosine[(jnp.asarray(count) + 3) % 4])


def _turned(cosine: jax.Array, sine: jax.Array) -> jax.Array:
    turn = jnp.stack([jnp.stack([cosine, -sine]), jnp.stack([sine, cosine])])
    return jnp.eye(3).at[:2, :2].set(turn)


def resample(image: jax.Array, matrix: jax.Array) -> jax.Array:
    """The image `[H, W, C]` read where a matrix says, bilinearly.

    Outside, it is mirrored about its border pixels.
    """
    height, width, _ = image.shape
    x = jnp.arange(width) - (width - 1) / 2
    y = (jnp.arange(height) - (height - 1) / 2)[:, None]
    to_x, to_y, _ = matrix  # written out, for devices whose products are not exact
    at_x = to_x[0] * x + to_x[1] * y + to_x[2] + (width - 1) / 2
    at_y = to_y[0] * x + to_y[1] * y + to_y[2] + (height - 1) / 2
    left, top = jnp.floor(at_x), jnp.floor(at_y)

    def row(down):
        v = mirrored(jnp.int32(top) + down, height)
        u = [mirrored(jnp.int32(left) + right, width) for right in (0, 1)]
        near, far = (image.at[v, i].get(mode="promise_in_bounds") for i in u)
        return _between(near, far, at_x - left)

    return _between(row(0), row(1), at_y - top)


def _between(near: jax.Array, far: jax.Array, share: jax.Array) -> jax.Array:
    """Both `[H, W, C]`; exactly `near` where the share `[H, W]` of `far` is 0."""
    return (1 - share)[..., None] * near + share[..., None] * far


def mirrored(index: ArrayLike, count: int) -> jax.Array:
    """The pixel of `count` that stands at an index, as `np.pad` has it in `reflect`.

    >>> [int(mirrored(i, 3)) for i in range(-2, 7)]
    [2, 1, 0, 1, 2, 1, 0, 1, 2]
    """
    period = max(2 * (count - 1), 1)
    index = jnp.mod(index, period)
    return jnp.minimum(index, period - index)

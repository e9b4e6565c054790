"""ADA's pixel blitting and geometric transformations as one resampling.

https://arxiv.org/abs/2006.06676, appendix B. A point is (x, y, 1) in pixels from the
center of the image, x to the right and y down. A matrix maps a pixel of the result to
the point of the image that it is read from: it is the inverse of the transformation.
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

BLIT, AFFINE = 3, 5
"""The number of matrices of each group."""


def geometric(blit: Probability = 1.0, affine: Probability = 1.0) -> Augmentation:
    """ADA's geometric transformations: eight, each applied independently.

    Blitting: mirroring, quarter turns (half turns if the image is not square), and
    shifts by U(-0.125, 0.125) of the sides, in whole pixels. Affine, with N standard
    normal: scaling by 2^(0.2 N), rotation by U(-pi, pi) before and after stretching by
    2^(0.2 N) and its inverse, and shifts by 0.125 N of the sides.

    All of them are one matrix and one bilinear resampling of the image, which is
    mirrored at its border pixels. The paper resamples a filtered image of twice the
    size. Here an affine transformation blurs an image slightly, and shrinking may cause
    aliasing. Blitting alone copies pixels exactly.

    Args:
      blit: each blitting has probability `blit` * p; 0 leaves all out.
      affine: each affine transformation has probability `affine` * p; 0 leaves all out.
        Each of the two rotations has 1 - sqrt(1 - affine * p), so that at least one of
        them is applied with probability `affine` * p.

    Raises:
      UsageError: if one of them is not in [0, 1].
    """
    check_probability("blit", blit, 1.0)
    check_probability("affine", affine, 1.0)

    def augment(key, image, p):
        check_image(image)
        height, width, _ = image.shape
        # Both groups are one matrix, so that the image is resampled once.
        matrix = draw(key, height, width, blit * p, affine * p)
        changed = resample(image, matrix).astype(image.dtype)
        # With p = 0 the image is unchanged, bit for bit.
        return jnp.where(jnp.all(matrix == jnp.eye(3)), image, changed)

    return augment


def draw(
    key: jax.Array, height: int, width: int, blit: ArrayLike, affine: ArrayLike
) -> jax.Array:
    """Samples a matrix `[3, 3]`.

    The inverse matrices are in the order of the transformations. They are sampled
    directly, as an inverse has the same distribution as its transformation.

    Args:
      key: PRNG key of one example.
      height: of the image, in pixels.
      width: of the image, in pixels.
      blit: probability of each blitting.
      affine: probability of each affine transformation.
    """
    # Each rotation is left out with sqrt(1 - p), so both are with 1 - p.
    rotation = 1 - jnp.sqrt(1 - jnp.asarray(affine))
    rates = (*[blit] * BLIT, affine, rotation, affine, rotation, affine)
    # In the order of `rates`.
    parts = (*_blitting(height, width), *_affine(height, width))
    return random_product(key, parts, rates)


def _blitting(height: int, width: int) -> list[RandomMatrix]:
    """Returns the random matrices that map pixels to pixels."""

    def mirror(numbers):
        return scaled(jnp.where(numbers.uniform[0] < 0.5, -1, 1), 1)

    def turn(numbers):
        # A quarter turn would change the shape of an image that is not square.
        count = 4 if height == width else 2
        return quarter_turns(jnp.int32(numbers.uniform[0] * count) * (4 // count))

    def shift(numbers):
        # Whole pixels, so that blitting copies them exactly.
        x, y = 0.125 * (2 * numbers.uniform - 1)
        return translation(jnp.round(x * width), jnp.round(y * height))

    return [mirror, turn, shift]


def _affine(height: int, width: int) -> list[RandomMatrix]:
    """Returns the random matrices that map pixels to points between pixels."""

    def scale(numbers):
        factor = 2 ** (0.2 * numbers.normal[0])
        return scaled(factor, factor)

    def turn(numbers):
        return rotated(math.pi * (2 * numbers.uniform[0] - 1))

    def stretch(numbers):
        factor = 2 ** (0.2 * numbers.normal[0])
        # The area does not change.
        return scaled(factor, 1 / factor)

    def shift(numbers):
        x, y = 0.125 * numbers.normal
        return translation(x * width, y * height)

    # With a rotation on each side, the stretch has any direction.
    return [scale, turn, stretch, turn, shift]


def scaled(x: ArrayLike, y: ArrayLike) -> jax.Array:
    """Returns the matrix that multiplies coordinates."""
    return jnp.diag(jnp.stack([jnp.float32(x), jnp.float32(y), jnp.float32(1)]))


def translation(x: ArrayLike, y: ArrayLike) -> jax.Array:
    """Returns the matrix that adds to coordinates, in pixels."""
    return jnp.eye(3).at[:2, 2].set(jnp.stack([jnp.float32(x), jnp.float32(y)]))


def rotated(angle: ArrayLike) -> jax.Array:
    """Returns the rotation of coordinates from x to y by an angle in radians."""
    return _rotation(jnp.cos(angle), jnp.sin(angle))


def quarter_turns(count: ArrayLike) -> jax.Array:
    """Returns the exact rotation by `count` * 90 degrees: `np.rot90` of the image."""
    cosine = jnp.array([1.0, 0.0, -1.0, 0.0])
    # sin(x) = cos(x - 90 degrees) = cos(x + 270 degrees).
    return _rotation(cosine[count], cosine[(jnp.asarray(count) + 3) % 4])


def _rotation(cosine: jax.Array, sine: jax.Array) -> jax.Array:
    """Returns the rotation matrix `[3, 3]` of an angle."""
    turn = jnp.stack([jnp.stack([cosine, -sine]), jnp.stack([sine, cosine])])
    return jnp.eye(3).at[:2, :2].set(turn)


def resample(image: jax.Array, matrix: jax.Array) -> jax.Array:
    """Resamples an image `[H, W, C]` bilinearly at the points of a matrix `[3, 3]`.

    Outside, the image is mirrored at its border pixels.
    """
    height, width, _ = image.shape
    # Coordinates from the center of the image.
    x = jnp.arange(width) - (width - 1) / 2
    y = (jnp.arange(height) - (height - 1) / 2)[:, None]
    # The matrix product is written out, as accelerators round the inputs of products.
    to_x, to_y, _ = matrix
    at_x = to_x[0] * x + to_x[1] * y + to_x[2] + (width - 1) / 2
    at_y = to_y[0] * x + to_y[1] * y + to_y[2] + (height - 1) / 2
    # The fractions of pixels are the weights of the interpolation.
    left, top = jnp.floor(at_x), jnp.floor(at_y)

    # The four pixels around a point: its row and the next, at two columns each.
    def row(down):
        v = mirrored(jnp.int32(top) + down, height)
        u = [mirrored(jnp.int32(left) + right, width) for right in (0, 1)]
        # Mirrored indices are in bounds, so that none are checked.
        near, far = (image.at[v, i].get(mode="promise_in_bounds") for i in u)
        return _interpolate(near, far, at_x - left)

    return _interpolate(row(0), row(1), at_y - top)


def _interpolate(near: jax.Array, far: jax.Array, weight: jax.Array) -> jax.Array:
    """Interpolates `[H, W, C]` with weights `[H, W]` of `far`; exact at weight 0."""
    return (1 - weight)[..., None] * near + weight[..., None] * far


def mirrored(index: ArrayLike, count: int) -> jax.Array:
    """Returns the pixel in [0, count) for any index, like `np.pad` in `reflect` mode.

    >>> [int(mirrored(i, 3)) for i in range(-2, 7)]
    [2, 1, 0, 1, 2, 1, 0, 1, 2]
    """
    # A mirrored row repeats after 2 (count - 1) pixels.
    period = max(2 * (count - 1), 1)
    index = jnp.mod(index, period)
    return jnp.minimum(index, period - index)

"""Sliced Wasserstein distance: between two sets, along many random directions."""

import jax
import jax.numpy as jnp

PATCH = 7


def sliced_wasserstein(
    a: jax.Array, b: jax.Array, key: jax.Array, directions: int = 128
) -> jax.Array:
    """Mean over directions of the 1-Wasserstein distance of the projections, `[]`.

    Args:
      a: `[n, d]` float.
      b: `[n, d]`, as many.
      key: the directions' PRNG key.
      directions: how many, uniform on the sphere.

    >>> points = jnp.array([[0.0], [1.0], [2.0]])
    >>> float(sliced_wasserstein(points, points[::-1] + 3.0, jax.random.key(0)))
    3.0
    """
    axes = jax.random.normal(key, (a.shape[-1], directions))
    axes = axes / jnp.linalg.norm(axes, axis=0)
    return jnp.mean(jnp.abs(ascending((a @ axes).T) - ascending((b @ axes).T)))


def ascending(x: jax.Array) -> jax.Array:
    """Each row `[n, d]` in order, as `jnp.sort` has it for all numbers but NaN.

    They are sorted as integers in the same order, which XLA for CPU does four times
    faster; of negative floats all bits but the sign are turned around for that.

    >>> ascending(jnp.array([[1.5, -2.0, 0.0, -0.5]])).tolist()
    [[-2.0, -0.5, 0.0, 1.5]]
    """

    def turned(bits):
        return bits ^ ((bits >> 31) & 0x7FFFFFFF)

    bits = jax.lax.bitcast_convert_type(x.astype(jnp.float32), jnp.int32)
    ordered = jax.lax.sort(turned(bits), is_stable=False)
    return jax.lax.bitcast_convert_type(turned(ordered), jnp.float32)


def patches(images: jax.Array, key: jax.Array, per_image: int = 32) -> jax.Array:
    """Random square patches as vectors, `[n * per_image, s * s * C]`.

    s is 7, or the shorter side of smaller images. The places depend on the key alone,
    so two sets of one size are cut alike.
    """
    n, height, width, channels = images.shape
    size = min(PATCH, height, width)
    y_key, x_key = jax.random.split(key)
    y = jax.random.randint(y_key, (n, per_image), 0, height - size + 1)
    x = jax.random.randint(x_key, (n, per_image), 0, width - size + 1)

    def cut(image, y, x):
        return jax.lax.dynamic_slice(image, (y, x, 0), (size, size, channels))

    cut_all = jax.vmap(jax.vmap(cut, (None, 0, 0)))
    return cut_all(images, y, x).reshape(n * per_image, -1)


def pyramid(images: jax.Array) -> list[jax.Array]:
    """A Laplacian pyramid, from the finest level to the coarsest.

    Levels are halved while both sides stay at least 14 pixels, by the linear filter of
    `jax.image.resize`: a triangle, [1, 3, 3, 1] / 8 along each axis where a side is
    even. A level is what enlarging the next one linearly leaves out.
    """
    levels = []
    while min(images.shape[1:3]) >= 2 * PATCH * 2:
        n, height, width, channels = images.shape
        low = (n, height // 2, width // 2, channels)
        coarse = jax.image.resize(images, low, "linear")
        levels.append(images - jax.image.resize(coarse, images.shape, "linear"))
        images = coarse
    return [*levels, images]


def image_distance(real: jax.Array, fake: jax.Array, key: jax.Array) -> jax.Array:
    """Sliced Wasserstein distance of patches, after https://arxiv.org/abs/1710.10196.

    Per level of a Laplacian pyramid: the distance of 7x7 patches at random places.
    Those of both sides are shifted and scaled by two numbers, the mean and deviation of
    all entries of the real patches (not one pair per channel, as in the paper). With
    these counts the distance of the whole images of the coarsest level, which are not
    scaled. The mean over all of them is returned, `[]`.

    Args:
      real: `[n, H, W, C]` in [-1, 1].
      fake: `[n, H, W, C]`, as many.
      key: of the patches' places and the directions.
    """
    pairs = list(zip(pyramid(real), pyramid(fake), strict=True))
    distances = []
    for i, (a, b) in enumerate(pairs):
        place, axes = jax.random.split(jax.random.fold_in(key, i))
        a, b = patches(a, place), patches(b, place)
        mean, deviation = jnp.mean(a), jnp.std(a) + 1e-6
        deviation = jnp.where(deviation > 1e-5, deviation, 1.0)  # of equal pixels
        a, b = (a - mean) / deviation, (b - mean) / deviation
        distances.append(sliced_wasserstein(a, b, axes))
    a, b = (x.reshape(len(x), -1) for x in pairs[-1])
    whole = sliced_wasserstein(a, b, jax.random.fold_in(key, len(pairs)))
    return (sum(distances) + whole) / (len(distances) + 1)


def distance(real: jax.Array, fake: jax.Array, key: jax.Array) -> jax.Array:
    """`image_distance` for images, `sliced_wasserstein` for vectors."""
    if real.ndim == 4:
        return image_distance(real, fake, key)
    a, b = (x.reshape(len(x), -1) for x in (real, fake))
    return sliced_wasserstein(a, b, key)

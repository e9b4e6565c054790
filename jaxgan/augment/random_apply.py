"""Shared parts of augmentations: random application, composition and checks."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxgan.errors import UsageError

Augmentation = Callable[[jax.Array, jax.Array, ArrayLike], jax.Array]
"""(key, image `[H, W, C]`, p) to an image of the same shape and dtype."""

Transform = Callable[[jax.Array, jax.Array], jax.Array]
"""(key, image) to image: an augmentation that is always applied."""


class RandomNumbers(NamedTuple):
    """Random numbers for one random matrix, two of each distribution."""

    uniform: jax.Array
    """Uniform in [0, 1), `[2]`."""
    normal: jax.Array
    """Standard normal, `[2]`."""


RandomMatrix = Callable[[RandomNumbers], jax.Array]
"""A function of random numbers that returns a matrix `[n, n]`."""

COLORS = {1: 1, 2: 1, 3: 3, 4: 3}
"""Number of color channels by number of channels; the last of 2 or 4 is alpha."""


def random_apply(change: Transform) -> Augmentation:
    """Applies a transform with probability p, else returns the image unchanged."""

    def augment(key, image, p):
        check_image(image)
        # The choice and the change are independent.
        apply_key, key = jax.random.split(key)
        # Always computed: under `vmap`, a `cond` would compute both sides too.
        changed = change(key, image).astype(image.dtype)
        # A uniform number is less than 1 and never less than 0, so p = 1 is always and
        # p = 0 is never.
        return jnp.where(jax.random.uniform(apply_key) < p, changed, image)

    return augment


def chain(parts: Sequence[Augmentation]) -> Augmentation:
    """Applies augmentations in order, each with the key folded with its position."""

    def augment(key, image, p):
        for i, part in enumerate(parts):
            image = part(jax.random.fold_in(key, i), image, p)
        return image

    return augment


def random_product(
    key: jax.Array, parts: Sequence[RandomMatrix], rates: Sequence[ArrayLike]
) -> jax.Array:
    """Returns a product of random matrices, each replaced by I with some probability.

    Args:
      key: PRNG key of one example.
      parts: the random matrices, first factor first.
      rates: the probability of each; otherwise the factor is the identity.
    """
    apply_key, uniform_key, normal_key = jax.random.split(key, 3)
    count = len(parts)
    # `[count]` booleans.
    applied = jax.random.uniform(apply_key, (count,)) < jnp.stack(
        [jnp.asarray(rate, jnp.float32) for rate in rates]
    )
    # One call per distribution, instead of one per matrix.
    numbers = RandomNumbers(
        jax.random.uniform(uniform_key, (count, 2)),
        jax.random.normal(normal_key, (count, 2)),
    )
    sampled = [
        part(RandomNumbers(*(x[i] for x in numbers))) for i, part in enumerate(parts)
    ]
    eye = jnp.eye(len(sampled[0]))
    matrices = [jnp.where(a, m, eye) for a, m in zip(applied, sampled, strict=True)]
    # From the left: the first factor comes first.
    return functools.reduce(matmul_highest, matrices)


def matmul_highest(left: jax.Array, right: jax.Array) -> jax.Array:
    """Returns the product of two matrices in full float32 precision on any device."""
    return jnp.matmul(left, right, precision=jax.lax.Precision.HIGHEST)


def integers(key: jax.Array, counts: Sequence[int]) -> list[jax.Array]:
    """Samples a uniform integer in [0, count) for each count.

    With the same key the integer is the same fraction of any count, so that images of
    one example at several scales are changed alike.
    """
    fractions = jax.random.uniform(key, (len(counts),))
    # Truncated, so that each is less than its count.
    return [jnp.int32(x * n) for x, n in zip(fractions, counts, strict=True)]


def on_colors(change: Callable[[jax.Array], jax.Array], image: jax.Array) -> jax.Array:
    """Applies `change` to the color channels of an image, not to its alpha channel.

    Raises:
      UsageError: if the image has more than 4 channels.
    """
    if image.shape[-1] not in COLORS:
        raise UsageError(
            f"colors can be changed in images of 1 to 4 channels, not "
            f"{image.shape[-1]}: use translation, cutout, flip, rotate90, geometric or "
            "noise"
        )
    # Alpha, if there is one, is last.
    count = COLORS[image.shape[-1]]
    changed = change(image[..., :count]).astype(image.dtype)
    return jnp.concatenate([changed, image[..., count:]], -1)


def check_image(image: jax.Array) -> None:
    """Raises UsageError unless the image is `[H, W, C]`, not empty, and of floats."""
    if image.ndim != 3 or 0 in image.shape:
        raise UsageError(
            f"augmentations need images [H, W, C], not examples of shape "
            f"{image.shape}: leave them out"
        )
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise UsageError(f"augmentations need floats in [-1, 1], not {image.dtype}")


def check_probability(name: str, value: float, usual: float) -> None:
    """Raises UsageError unless a number is in [0, 1]."""
    if not 0 <= value <= 1:
        raise UsageError(f"{name} must be in [0, 1], not {value}: use {usual}")

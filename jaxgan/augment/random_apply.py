"""What all augmentations share: chance, and what an image is."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxgan.types import UsageError

Augmentation = Callable[[jax.Array, jax.Array, ArrayLike], jax.Array]
"""(key, image `[H, W, C]`, p) to an image of the same shape and type."""

Transform = Callable[[jax.Array, jax.Array], jax.Array]
"""(key, image) to image: an augmentation that always takes place."""


class RandomNumbers(NamedTuple):
    """What a matrix is drawn from, two numbers of either kind."""

    uniform: jax.Array
    """In [0, 1)."""
    normal: jax.Array
    """Of mean 0 and deviation 1."""


RandomMatrix = Callable[[RandomNumbers], jax.Array]
"""Random numbers to a matrix `[n, n]`."""

COLORS = {1: 1, 2: 1, 3: 3, 4: 3}
"""How many of the channels are colours; the last of 2 or 4 is alpha."""


def random_apply(change: Transform) -> Augmentation:
    """A change with probability p; else the image stays as it is, bit for bit."""

    def augment(key, image, p):
        check_image(image)
        coin, key = jax.random.split(key)
        changed = change(key, image).astype(image.dtype)
        return jnp.where(jax.random.uniform(coin) < p, changed, image)

    return augment


def chain(parts: Sequence[Augmentation]) -> Augmentation:
    """One augmentation after another; the key of each is folded with its place."""

    def augment(key, image, p):
        for place, part in enumerate(parts):
            image = part(jax.random.fold_in(key, place), image, p)
        return image

    return augment


def random_product(
    key: jax.Array, parts: Sequence[RandomMatrix], rates: Sequence[ArrayLike]
) -> jax.Array:
    """The product of matrices, each drawn with a probability, else the identity.

    Args:
      key: of one example.
      parts: the matrices, first factor first.
      rates: the probability of each.
    """
    coin, uniform, normal = jax.random.split(key, 3)
    count = len(parts)
    taken = jax.random.uniform(coin, (count,)) < jnp.stack(
        [jnp.asarray(rate, jnp.float32) for rate in rates]
    )
    numbers = RandomNumbers(
        jax.random.uniform(uniform, (count, 2)), jax.random.normal(normal, (count, 2))
    )
    drawn = [
        part(RandomNumbers(*(x[i] for x in numbers))) for i, part in enumerate(parts)
    ]
    eye = jnp.eye(len(drawn[0]))
    matrices = [jnp.where(take, m, eye) for take, m in zip(taken, drawn, strict=True)]
    return functools.reduce(matmul_highest, matrices)


def matmul_highest(left: jax.Array, right: jax.Array) -> jax.Array:
    """The product of two matrices, in full precision on devices that round it."""
    return jnp.matmul(left, right, precision=jax.lax.Precision.HIGHEST)


def integers(key: jax.Array, counts: Sequence[int]) -> list[jax.Array]:
    """For each count a uniform integer in [0, count).

    The same key draws the same share of every count, so that the scales of one example
    are changed alike.
    """
    shares = jax.random.uniform(key, (len(counts),))
    return [jnp.int32(share * n) for share, n in zip(shares, counts, strict=True)]


def on_colors(change: Callable[[jax.Array], jax.Array], image: jax.Array) -> jax.Array:
    """The image with its colour channels changed; alpha, if there is one, stays."""
    if image.shape[-1] not in COLORS:
        raise UsageError(
            f"colours are changed in images of 1 to 4 channels, not {image.shape[-1]}: "
            "take translation, cutout, flip, rotate90, geometric or noise"
        )
    count = COLORS[image.shape[-1]]
    changed = change(image[..., :count]).astype(image.dtype)
    return jnp.concatenate([changed, image[..., count:]], -1)


def check_image(image: jax.Array) -> None:
    """Raises UsageError unless it is `[H, W, C]`, with none of them 0, and float."""
    if image.ndim != 3 or 0 in image.shape:
        raise UsageError(
            f"augmentations want images [H, W, C], not examples of shape {image.shape}"
        )
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise UsageError(f"augmentations want floats in [-1, 1], not {image.dtype}")


def check_probability(name: str, value: float, usual: float) -> None:
    """Raises UsageError unless a number is in [0, 1]."""
    if not 0 <= value <= 1:
        raise UsageError(f"{name} is in [0, 1], not {value}: take {usual}")

"""Few real images per class, their validation part, and batches mixed with fakes."""

import hashlib
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.augment import flip
from jaxgan.errors import UsageError, printable
from jaxgan.metrics.features.classifier_training import (
    BATCH,
    Change,
    Labelled,
    order,
)

VALIDATION = 0.2
"""Share of the real images that choose the mixing ratio; at least one per class."""

SHIFT = 0.08
"""Largest shift as a fraction of a side: 2 of 28 pixels."""


class RealImages(NamedTuple):
    """Real images of one repetition, in two parts."""

    fit: Labelled
    """Images that the GAN is trained on."""
    validation: Labelled
    """Images that choose between ratios."""

    @property
    def all(self) -> Labelled:
        """Both parts, which the compared classifiers are trained on."""
        return Labelled(
            np.concatenate([self.fit.images, self.validation.images]),
            np.concatenate([self.fit.labels, self.validation.labels]),
        )


def few_shot(
    labels: np.ndarray, classes: tuple[str, ...], per_class: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draws a few examples of every class, without repetition.

    Args:
      labels: of all training examples, `[n]` int.
      classes: names of the classes.
      per_class: number of examples of a class; smaller classes give all of theirs.
      seed: of the choice.

    Returns:
      Numbers of the examples to fit, and of those for validation, sorted.

    Raises:
      UsageError: for a class of fewer than two examples.

    >>> fit, validation = few_shot(np.array([0, 1] * 9), ("a", "b"), 5, seed=0)
    >>> len(fit), len(validation), set(fit) & set(validation)
    (8, 2, set())
    """
    rng = np.random.default_rng([seed, 16])
    fit, validation = [], []
    for label, name in enumerate(classes):
        own = rng.permutation(np.flatnonzero(labels == label))[:per_class]
        if len(own) < 2:
            raise UsageError(
                f"class {printable(name)!r} has {len(own)} training image(s), and a "
                "comparison needs two or more: add images, or remove the class"
            )
        apart = max(1, round(VALIDATION * len(own)))
        validation.append(own[:apart])
        fit.append(own[apart:])
    return np.sort(np.concatenate(fit)), np.sort(np.concatenate(validation))


def count_equal(one: np.ndarray, other: np.ndarray) -> int:
    """Counts the images of `other` whose pixels are those of an image of `one`.

    >>> count_equal(np.array([[1, 2], [3, 4]]), np.array([[3, 4], [5, 6], [3, 4]]))
    2
    """

    def digests(images: np.ndarray) -> list[bytes]:
        return [
            hashlib.sha256(np.ascontiguousarray(x).tobytes()).digest() for x in images
        ]

    known = set(digests(one))
    return sum(x in known for x in digests(other))


def balanced(images: Labelled, keep: np.ndarray, per_class: int, seed: int) -> Labelled:
    """Returns equally many images of every class, of those that are kept.

    Images are repeated if too few of a class are kept. Of a class without any, all are
    used.

    Args:
      images: generated images.
      keep: `[n]` bool.
      per_class: number of images of a class.
      seed: of the repetition.
    """
    rng = np.random.default_rng([seed, 17])
    numbers = []
    for label in np.unique(images.labels):
        own = np.flatnonzero(keep & (images.labels == label))
        own = own if len(own) else np.flatnonzero(images.labels == label)
        # The first ones, and then any of them again.
        more = rng.choice(own, max(per_class - len(own), 0))
        numbers.append(np.concatenate([own[:per_class], more]))
    return images.at(np.concatenate(numbers))


def mixed(
    real: Labelled, fake: Labelled | None, ratio: float, seed: int, steps: int
) -> Callable[[int], Labelled]:
    """Returns a function from steps to batches with a share of generated images.

    Real and generated images come in epochs of their own. With a ratio of 0 there are
    only real ones, in the order of `classifier_training.train`.

    Args:
      real: real images.
      fake: generated images, or None for a ratio of 0.
      ratio: share of a batch that is generated, rounded to whole images.
      seed: of the orders.
      steps: number of batches.
    """
    count = round(BATCH * ratio) if fake is not None else 0
    sets = [(real, BATCH - count, seed)]
    if fake is not None:
        sets.append((fake, count, seed + 2**31))
    # The images of each set in their order, a part of a batch at a time.
    orders = [
        (images, order(seed, len(images.labels), size * steps), size)
        for images, size, seed in sets
        if size
    ]

    def draw(step: int) -> Labelled:
        parts = [
            images.at(numbers[step * size : (step + 1) * size])
            for images, numbers, size in orders
        ]
        return Labelled(*(np.concatenate(x) for x in zip(*parts, strict=True)))

    return draw


def classic(text: str) -> Change:
    """Returns the classic augmentation of a batch.

    Args:
      text: names joined by `|`, or empty for none.
    """
    changes = [CHANGES[name] for name in text.split("|") if name]

    def change(key: jax.Array, images: jax.Array) -> jax.Array:
        keys = jax.random.split(key, (len(changes), len(images))) if changes else ()
        for own, apply in zip(keys, changes, strict=True):
            images = jax.vmap(apply)(own, images)
        return images

    return change


def shift(key: jax.Array, image: jax.Array) -> jax.Array:
    """Shifts an image `[H, W, C]` by whole pixels; the border pixels are repeated.

    The shift along each side is uniform in -n, ..., n, with n = 0.08 of the side.
    """
    most = [max(1, round(SHIFT * side)) for side in image.shape[:2]]
    pads = [(n, n) for n in most]
    padded = jnp.pad(image, (*pads, (0, 0)), mode="edge")
    top, left = jax.random.randint(key, (2,), 0, jnp.array([2 * n + 1 for n in most]))
    return jax.lax.dynamic_slice(padded, (top, left, 0), image.shape)


def _mirror(key: jax.Array, image: jax.Array) -> jax.Array:
    """Mirrors an image `[H, W, C]` with probability 1/2."""
    return flip()(key, image, jnp.float32(1))


CHANGES: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "shift": shift,
    "flip": _mirror,
}
"""Classic augmentations of one image by name."""

"""Differentiable augmentations of the discriminator's inputs.

An augmentation is a pure function `(key, image, p) -> image` of one example
`[H, W, C]` in [-1, 1]. It applies each of its random changes with probability p. With
p = 0 it is the identity, bit for bit. Its parameters are random, not learned;
derivatives are with respect to the image.
"""

from collections.abc import Callable

from jaxgan.augment.ada_colors import ada_color
from jaxgan.augment.ada_geometry import geometric
from jaxgan.augment.diffaugment import color, cutout, flip, noise, rotate90, translation
from jaxgan.augment.probability import PROBABILITIES as PROBABILITIES
from jaxgan.augment.probability import ada as ada
from jaxgan.augment.probability import build as build
from jaxgan.augment.probability import chain_batch as chain_batch
from jaxgan.augment.random_apply import Augmentation as Augmentation

AUGMENTATIONS: dict[str, Callable[..., Augmentation]] = {
    f.__name__: f
    for f in (
        color,
        translation,
        cutout,
        flip,
        rotate90,
        geometric,
        ada_color,
        noise,
    )
}
"""Factories of augmentations by name."""

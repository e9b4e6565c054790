"""Differentiable augmentations of what the discriminator sees.

An augmentation is a pure function `(key, image, p) -> image` of one example
`[H, W, C]` in [-1, 1]. It makes each of its random choices with probability p, and with
p = 0 it is the identity, bit for bit. Parameters are drawn, never learned: derivatives
are taken with respect to the image.
"""

from jaxgan.augment.ada_color import ada_color
from jaxgan.augment.ada_geometry import geometric
from jaxgan.augment.diffaugment import color, cutout, flip, noise, rotate90, translation
from jaxgan.augment.probability import PROBABILITIES as PROBABILITIES
from jaxgan.augment.probability import ada as ada
from jaxgan.augment.probability import build as build
from jaxgan.augment.probability import chain_batch as chain_batch
from jaxgan.augment.random_apply import Augmentation as Augmentation

AUGMENTATIONS = {
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

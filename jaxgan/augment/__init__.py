"""Differentiable augmentations of what the discriminator sees.

An augmentation is a pure function `(key, image, p) -> image` of one example
`[H, W, C]` in [-1, 1]. It makes each of its random choices with probability p, and with
p = 0 it is the identity, bit for bit. Parameters are drawn, never learned: derivatives
are taken with respect to the image.
"""

from jaxgan.augment.affine import geometric
from jaxgan.augment.chance import Augmentation as Augmentation
from jaxgan.augment.colour import ada_color
from jaxgan.augment.local import color, cutout, flip, noise, rotate90, translation
from jaxgan.augment.strength import STRENGTHS as STRENGTHS
from jaxgan.augment.strength import ada as ada
from jaxgan.augment.strength import build as build
from jaxgan.augment.strength import pipe as pipe

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

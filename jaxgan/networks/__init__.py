"""Pairs of generator and discriminator, and wrappers of single networks."""

from collections.abc import Callable

import flax.linen as nn

from jaxgan.networks import dcgan, encoders, mlp, r3gan, small
from jaxgan.networks import image_to_image as images
from jaxgan.networks import text as texts
from jaxgan.networks.image_to_image import (
    Make,
    image_to_image,
    two_domains,
)
from jaxgan.networks.recurrent import recurrent_generator
from jaxgan.networks.wrappers import WRAPPERS as WRAPPERS
from jaxgan.types import Players

GENERATORS: dict[str, Callable[..., Make]] = {
    **images.GENERATORS,
    "recurrent_generator": recurrent_generator,
}
"""Factories of generators by name."""

DISCRIMINATORS: dict[str, Callable[..., Make]] = {
    **images.DISCRIMINATORS,
    "text_discriminator": texts.text_discriminator,
    "no_discriminator": texts.no_discriminator,
}
"""Factories of discriminators by name."""

NETWORKS: dict[str, Callable[..., Players[nn.Module]]] = {
    "mlp": mlp.pair,
    "dcgan": dcgan.pair,
    "small": small.pair,
    "r3gan": r3gan.pair,
    "residual": r3gan.pair,  # its name in version 0.1.0
    "image_to_image": image_to_image,
    "two_domains": two_domains,
    "encoder_mlp": encoders.encoder_mlp,
    "encoder_small": encoders.encoder_small,
    "text": texts.text,
}
"""Factories of pairs by name."""

"""Pairs of generator and discriminator, and wrappers of single networks."""

from collections.abc import Callable

import flax.linen as nn

from jaxgan.networks import (
    biggan,
    dcgan,
    encoders,
    griffin_lim,
    hifigan,
    mlp,
    r3gan,
    resnet,
    sagan,
    small,
    spectrograms,
    stylegan2,
    wavegan,
)
from jaxgan.networks.image_to_image import (
    DISCRIMINATORS as OF_IMAGES,
)
from jaxgan.networks.image_to_image import (
    GENERATORS as FROM_IMAGES,
)
from jaxgan.networks.image_to_image import (
    Make,
    image_to_image,
    two_domains,
)
from jaxgan.networks.text import DISCRIMINATORS as OF_TEXTS
from jaxgan.networks.text import GENERATORS as FROM_TEXTS
from jaxgan.networks.text import text
from jaxgan.networks.wrappers import WRAPPERS as WRAPPERS
from jaxgan.types import Players

GENERATORS: dict[str, Callable[..., Make]] = {
    **FROM_IMAGES,
    **FROM_TEXTS,
}
"""Factories of generators by name."""

DISCRIMINATORS: dict[str, Callable[..., Make]] = {
    **OF_IMAGES,
    **OF_TEXTS,
}
"""Factories of discriminators by name."""

NETWORKS: dict[str, Callable[..., Players[nn.Module]]] = {
    "mlp": mlp.pair,
    "dcgan": dcgan.pair,
    "small": small.pair,
    "r3gan": r3gan.pair,
    "residual": r3gan.pair,  # its name in version 0.1.0
    "resnet": resnet.pair,
    "sagan": sagan.pair,
    "biggan": biggan.pair,
    "stylegan2": stylegan2.pair,
    "image_to_image": image_to_image,
    "two_domains": two_domains,
    "wavegan": wavegan.pair,
    "specgan": spectrograms.pair,
    "encoder_mlp": encoders.encoder_mlp,
    "encoder_small": encoders.encoder_small,
    "hifigan": hifigan.pair,
    "griffin_lim": griffin_lim.pair,
    "text": text,
}
"""Factories of pairs by name."""

"""Pairs of generator and discriminator, and wrappers of single networks."""

from collections.abc import Callable

import flax.linen as nn

from jaxgan.networks import dcgan, mlp, r3gan, small
from jaxgan.networks.wrappers import WRAPPERS as WRAPPERS
from jaxgan.types import Players

NETWORKS: dict[str, Callable[..., Players[nn.Module]]] = {
    "mlp": mlp.pair,
    "dcgan": dcgan.pair,
    "small": small.pair,
    "r3gan": r3gan.pair,
    "residual": r3gan.pair,  # its name in version 0.1.0
}
"""Factories of pairs by name."""

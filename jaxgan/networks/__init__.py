"""Pairs of networks by name, and what they can be wrapped in."""

from jaxgan.networks import dcgan, mlp, r3gan, small
from jaxgan.networks.wrappers import WRAPPERS as WRAPPERS

NETWORKS = {
    "mlp": mlp.pair,
    "dcgan": dcgan.pair,
    "small": small.pair,
    "residual": r3gan.pair,
}

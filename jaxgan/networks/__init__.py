"""Pairs of networks by name."""

from jaxgan.networks import dcgan, mlp, small

NETWORKS = {"mlp": mlp.pair, "dcgan": dcgan.pair, "small": small.pair}

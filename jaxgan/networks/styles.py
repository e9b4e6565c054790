"""Inputs of a generator with a mapping network, in place of latents.

Such a generator maps latents to a style `w` and synthesizes images from it,
https://arxiv.org/abs/1812.04948. Wrappers pass these inputs on, and the condition is
beside them like for latents: `generator(Truncated(z, 0.7), label)`.
"""

from typing import NamedTuple

import flax.linen as nn
import jax


class Styles(NamedTuple):
    """Styles to synthesize images from."""

    w: jax.Array
    """`[B, d]`, or `[B, layers, d]` for a style per layer."""


class ToStyles(NamedTuple):
    """Latents `[B, dim]` that are mapped only: the generator returns their `Styles`."""

    z: jax.Array


class Truncated(NamedTuple):
    """Latents whose styles are moved towards the mean style."""

    z: jax.Array
    """`[B, dim]`."""
    psi: jax.typing.ArrayLike
    """0 for the mean, 1 for the styles as they are."""


def innermost(net: nn.Module) -> nn.Module:
    """Returns the network inside of all wrappers."""
    while inside := getattr(net, "inside", getattr(net, "net", None)):
        net = inside
    return net


def has_styles(net: nn.Module) -> bool:
    """Returns True if a generator has a mapping to w, and a synthesis from it.

    Wrappers around it make no difference.
    """
    inside = innermost(net)
    return all(callable(getattr(inside, x, None)) for x in ("mapping", "synthesis"))

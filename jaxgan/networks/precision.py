"""How a network is computed: in bfloat16, and without keeping its activations."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.types import Tree

PRECISIONS = {"float32": None, "mixed": jnp.bfloat16}
"""What networks compute in, by the name that `--precision` has for it."""


class MixedPrecision(nn.Module):
    """A network under its own names, computed in `dtype`, or twice, or both.

    Its variables are those of the network alone, float32 as ever: parameters are cast
    at each call, so that their gradients are float32 too. Other collections are not
    cast. What goes in is cast to `dtype`, what comes out to float32.
    """

    inside: nn.Module
    """Not `net`, as others call theirs: the names of both stand in one scope."""
    dtype: Any
    remat: bool

    def setup(self):
        nn.share_scope(self, self.inside)

    def __call__(self, *args: Tree, **kwargs: Any) -> Tree:
        def call(net, *args):
            return net(*args, **kwargs)

        if self.is_initializing():
            return call(self.inside, *args)
        if self.dtype is not None:
            call = cast_inputs(self.dtype, call)
        if self.remat:
            call = nn.remat(call)
        return call(self.inside, *args)


def cast_inputs(dtype: Any, call: Any) -> Any:
    """`call(net, *args)` on parameters and arguments of a type, back in float32."""
    cast = functools.partial(cast_floats, dtype=dtype)
    mapped = nn.map_variables(call, "params", cast)

    def run(net, *args):
        return cast_floats(mapped(net, *cast(args)), jnp.float32)

    return run


def cast_floats(tree: Tree, dtype: Any) -> Tree:
    """Floating arrays in another type; labels, keys and all else as they are.

    >>> cast_floats((jnp.ones(2), jnp.arange(2)), jnp.bfloat16)[0].dtype.name
    'bfloat16'
    """

    def cast(x):
        floating = jnp.issubdtype(getattr(x, "dtype", jnp.int32), jnp.floating)
        return x.astype(dtype) if floating else x

    return jax.tree.map(cast, tree)


def with_precision(net: nn.Module, dtype: Any = None, remat: bool = False) -> nn.Module:
    """The network with the same variables, computed another way.

    It goes around a network before anything else does, so that what other wrappers
    compute (norms of kernels, heads on features) stays in float32.

    Args:
      net: any network, called with `train`.
      dtype: what it computes in, such as `jnp.bfloat16`; None for what it is given.
      remat: compute activations again for gradients instead of keeping them, all of
        the network at once; one with a field `remat` sees to that itself.
    """
    remat = remat and not hasattr(net, "remat")
    return net if dtype is None and not remat else MixedPrecision(net, dtype, remat)

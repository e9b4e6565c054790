"""Mixed precision and rematerialization of whole networks."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.types import Tree

PRECISIONS = {"float32": None, "mixed": jnp.bfloat16}
"""Dtypes of computation by name; None for that of the inputs."""


class MixedPrecision(nn.Module):
    """A network that is computed in `dtype`, with rematerialization, or both.

    Its variables are the same as those of the network alone, in float32. Parameters are
    cast at each call, so that gradients are float32 too. Other collections are not
    cast. Inputs are cast to `dtype`, and outputs to float32.
    """

    inside: nn.Module
    """Named unlike the `net` of other wrappers, as both share one scope of names."""
    dtype: Any
    remat: bool

    def setup(self):
        # The wrapper must not change parameter paths.
        nn.share_scope(self, self.inside)

    def __call__(self, *args: Tree, **kwargs: Any) -> Tree:
        # Lifted transformations, such as `nn.remat`, take a function of the module.
        def call(net, *args):
            return net(*args, **kwargs)

        # Variables are created in float32.
        if self.is_initializing():
            return call(self.inside, *args)
        # The cast is inside the rematerialized part, so that casts are not kept either.
        if self.dtype is not None:
            call = cast_inputs(self.dtype, call)
        if self.remat:
            call = nn.remat(call)
        return call(self.inside, *args)


def cast_inputs(dtype: Any, call: Any) -> Any:
    """Returns `call` on parameters and arguments in `dtype`, with float32 outputs."""
    # Parameters are cast in the call, so their gradients are cast back to float32.
    cast = functools.partial(cast_floats, dtype=dtype)
    mapped = nn.map_variables(call, "params", cast)

    def run(net, *args):
        return cast_floats(mapped(net, *cast(args)), jnp.float32)

    return run


def cast_floats(tree: Tree, dtype: Any) -> Tree:
    """Casts the floating arrays of a tree; labels, keys and all else do not change.

    >>> cast_floats((jnp.ones(2), jnp.arange(2)), jnp.bfloat16)[0].dtype.name
    'bfloat16'
    """

    def cast(x):
        # Leaves without a dtype count as integers.
        floating = jnp.issubdtype(getattr(x, "dtype", jnp.int32), jnp.floating)
        return x.astype(dtype) if floating else x

    return jax.tree.map(cast, tree)


def with_precision(net: nn.Module, dtype: Any = None, remat: bool = False) -> nn.Module:
    """Returns a network with the same variables, computed in another way.

    It must be the innermost wrapper, so that the computations of other wrappers, such
    as norms of kernels and heads on features, stay in float32.

    Args:
      net: any network, called with `train`.
      dtype: dtype of its computations, such as `jnp.bfloat16`; None for that of its
        inputs.
      remat: if True, gradients recompute the activations of the whole network instead
        of keeping them. A network with a field `remat` does so itself.
    """
    remat = remat and not hasattr(net, "remat")
    return net if dtype is None and not remat else MixedPrecision(net, dtype, remat)

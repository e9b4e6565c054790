"""Spectral normalization of a whole network, https://arxiv.org/abs/1802.05957."""

from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxgan.types import Tree

TABLE = "table"
"""The last word in names of parameters that are no kernels, such as the scales of a
normalization by class. Their size is not normalized."""


def singular_value(
    kernel: jax.Array, u: jax.Array, steps: int
) -> tuple[jax.Array, jax.Array]:
    """Returns the largest singular value of a kernel by power iteration.

    Algorithm 1 of https://arxiv.org/abs/1802.05957. The kernel is reshaped to a matrix
    with O columns. The vectors of the iteration are constants to the gradient.

    Args:
      kernel: `[..., O]`.
      u: the right singular vector to start from, `[O]`.
      steps: number of iterations.

    Returns:
      The singular value `[]`, and the new `u` `[O]`.
    """
    # Only the last product has a gradient.
    matrix = kernel.reshape(-1, kernel.shape[-1])
    fixed = jax.lax.stop_gradient(matrix)
    for _ in range(steps):
        v = _unit(fixed @ u)
        new_u = _unit(v @ fixed)
        # A kernel of zeros, as some are at first, would make u zero for ever.
        u = jnp.where(jnp.any(new_u != 0), new_u, u)
    # sigma = v^T W u.
    return v @ matrix @ u, u


def _unit(x: jax.Array) -> jax.Array:
    """Returns a vector scaled to norm 1; zeros stay zeros."""
    return x / (jnp.linalg.norm(x) + 1e-12)


def _flat(tree: Tree) -> dict[Any, jax.Array]:
    """Returns the leaves of a nested dict by path."""
    return cast(dict, flatten_dict(tree))


class SpectralNorm(nn.Module):
    """A network whose kernels are divided by their largest singular value.

    `nn.SpectralNorm` is for single layers. Around a whole network, it would divide the
    stored parameters, and matrices that are not parameters.
    """

    net: nn.Module
    steps: int

    @nn.compact
    def __call__(self, *args: Tree, train: bool, **kwargs: Tree) -> Tree:
        # The network must be called once before its variables exist.
        out = self.net(*args, train=train, **kwargs) if self.is_initializing() else ()
        flat = _flat(self.net.variables["params"])
        # Biases and scales have one axis.
        kernels = {
            path: value
            for path, value in flat.items()
            if value.ndim > 1 and not path[-1].endswith(TABLE)
        }
        variable = self.variable("spectral", "u", self._initial_vectors, kernels)
        if self.is_initializing():
            return out
        vectors = _flat(variable.value)
        for path, kernel in kernels.items():
            sigma, vectors[path] = singular_value(kernel, vectors[path], self.steps)
            # A kernel of zeros is left alone.
            flat[path] = kernel / jnp.where(sigma > 0, sigma, 1)
        # Sampling leaves the statistics alone.
        if train:
            variable.value = unflatten_dict(vectors)
        # Call the network with divided kernels, instead of its stored parameters.
        divided = {"params": unflatten_dict(flat)}
        return nn.map_variables(
            lambda net: net(*args, train=train, **kwargs), "params", lambda _: divided
        )(self.net)

    def _initial_vectors(self, kernels: dict[Any, jax.Array]) -> Tree:
        """Returns a random vector for each kernel, from which the iteration starts."""
        keys = jax.random.split(self.make_rng("params"), len(kernels))
        return unflatten_dict(
            {
                path: jax.random.normal(key, kernel.shape[-1:])
                for key, (path, kernel) in zip(keys, kernels.items(), strict=True)
            }
        )

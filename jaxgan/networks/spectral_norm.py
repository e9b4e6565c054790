"""Spectral normalisation of a whole network, https://arxiv.org/abs/1802.05957."""

from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxgan.types import Tree


def singular_value(
    kernel: jax.Array, u: jax.Array, steps: int
) -> tuple[jax.Array, jax.Array]:
    """The largest singular value of a kernel `[..., O]` as a matrix of O columns.

    By power iteration from `u` `[O]`, whose newest value is returned too; both vectors
    are constants to the gradient, https://arxiv.org/abs/1802.05957, algorithm 1.
    """
    matrix = kernel.reshape(-1, kernel.shape[-1])
    fixed = jax.lax.stop_gradient(matrix)
    for _ in range(steps):
        v = _unit(fixed @ u)
        newest = _unit(v @ fixed)
        u = jnp.where(jnp.any(newest != 0), newest, u)  # a kernel may begin as zeros
    return v @ matrix @ u, u


def _unit(x: jax.Array) -> jax.Array:
    return x / (jnp.linalg.norm(x) + 1e-12)


def _flat(tree: Tree) -> dict[Any, jax.Array]:
    return cast(dict, flatten_dict(tree))


class SpectralNorm(nn.Module):
    """A network whose kernels are divided by their largest singular value.

    Flax's layer of this name is for single layers: around a whole network it would
    divide the parameters that are stored, and matrices that are no parameters.
    """

    net: nn.Module
    steps: int

    @nn.compact
    def __call__(self, *args: Tree, train: bool, **kwargs: Tree) -> Tree:
        made = self.net(*args, train=train, **kwargs) if self.is_initializing() else ()
        flat = _flat(self.net.variables["params"])
        kernels = {path: value for path, value in flat.items() if value.ndim > 1}
        memory = self.variable("spectral", "u", self._directions, kernels)
        if self.is_initializing():
            return made
        directions = _flat(memory.value)
        for path, kernel in kernels.items():
            sigma, newest = singular_value(kernel, directions[path], self.steps)
            flat[path] = kernel / jnp.where(sigma > 0, sigma, 1)
            directions[path] = newest
        if train:
            memory.value = unflatten_dict(directions)
        divided = {"params": unflatten_dict(flat)}
        return nn.map_variables(
            lambda net: net(*args, train=train, **kwargs), "params", lambda _: divided
        )(self.net)

    def _directions(self, kernels: dict[Any, jax.Array]) -> Tree:
        """Where the power iterations start: at random, a vector for each kernel."""
        keys = jax.random.split(self.make_rng("params"), len(kernels))
        return unflatten_dict(
            {
                path: jax.random.normal(key, kernel.shape[-1:])
                for key, (path, kernel) in zip(keys, kernels.items(), strict=True)
            }
        )

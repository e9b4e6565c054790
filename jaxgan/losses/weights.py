"""Penalties on a player's parameters."""

import jax
import jax.numpy as jnp

from jaxgan.schedules import Weight, at
from jaxgan.terms import stateless
from jaxgan.types import LossInputs, Term, Tree


def orthogonal(weight: Weight = 1e-4) -> Term:
    """Orthogonal regularization, https://arxiv.org/abs/1809.11096, equation 3.

    weight sum |W^T W * (1 - I)|^2 over the kernels of the player, each reshaped to a
    matrix `[-1, out]`. It makes filters orthogonal and leaves their norms free. Biases
    and scales do not count.

    Args:
      weight: factor of the sum.
    """

    def penalty(kernel):
        # Each column is a filter.
        matrix = kernel.reshape(-1, kernel.shape[-1])
        gram = matrix.T @ matrix
        # The diagonal holds the squared norms of the filters.
        return jnp.sum((gram - jnp.diag(jnp.diag(gram))) ** 2)

    def term(s: LossInputs) -> jax.Array:
        return at(weight, s.step) * sum(map(penalty, kernels(s.params)), jnp.zeros(()))

    return stateless(term)


def kernels(params: Tree) -> list[jax.Array]:
    """Returns the leaves named `kernel` that have at least two axes."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    # Path entries of lists and tuples have an index and no key.
    return [
        leaf
        for path, leaf in leaves
        if leaf.ndim >= 2 and getattr(path[-1], "key", None) == "kernel"
    ]

"""What the parameters may be: penalties on a player's own weights."""

import jax
import jax.numpy as jnp

from jaxgan.schedules import Weight, at
from jaxgan.terms import stateless
from jaxgan.types import LossInputs, Term, Tree


def orthogonal(weight: Weight = 1e-4) -> Term:
    """Filters at right angles, of any length, https://arxiv.org/abs/1809.11096, eq. 3.

    weight sum |W^T W * (1 - I)|^2 over the player's own kernels, each as a matrix
    `[-1, out]`; biases and scales are left alone.
    """

    def penalty(kernel):
        matrix = kernel.reshape(-1, kernel.shape[-1])
        gram = matrix.T @ matrix
        return jnp.sum((gram - jnp.diag(jnp.diag(gram))) ** 2)

    def term(s: LossInputs) -> jax.Array:
        return at(weight, s.step) * sum(map(penalty, kernels(s.params)), jnp.zeros(()))

    return stateless(term)


def kernels(params: Tree) -> list[jax.Array]:
    """The leaves named `kernel` that have at least two axes."""
    found = jax.tree_util.tree_leaves_with_path(params)
    return [
        leaf
        for path, leaf in found
        if leaf.ndim >= 2 and getattr(path[-1], "key", None) == "kernel"
    ]

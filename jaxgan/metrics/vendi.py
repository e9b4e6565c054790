"""How many distinct samples there are among some: what a collapse takes away."""

import jax
import jax.numpy as jnp

from jaxgan.types import Tree

LEAST_WIDTH = 1e-6


def vendi_score(samples: Tree, width: jax.typing.ArrayLike) -> jax.Array:
    """The number of distinct samples, `[]`: 1 for n equal ones, n for n far apart.

    The Vendi score (https://arxiv.org/abs/2210.02410) of order 2
    (https://arxiv.org/abs/2310.12952), which needs no eigenvalues: 1 / mean_ij K_ij^2
    for K_ij = exp(-|x_i - x_j|^2 / (2 width^2)).

    Args:
      samples: leaves `[n, ...]`; the distance is over all of an example's numbers.
      width: of the kernel, as `kernel_width` has it.

    >>> float(effective_number(jnp.array([[0.0], [0.0], [9.0], [9.0]]), 1.0))
    2.0
    """
    scaled = flat(samples) / width
    return 1 / jnp.mean(jnp.exp(-squared_distances(scaled)))


def kernel_width(real: Tree) -> jax.Array:
    """A quarter of the median distance between two real examples, `[]`.

    Then two ordinary examples differ (K = exp(-8)), and those of one tight cluster
    count once. Where most pairs are equal the median is of the others. It is positive
    even where all examples are equal.

    Args:
      real: leaves `[n, ...]`.
    """
    every = jnp.sqrt(squared_distances(flat(real)))
    if len(every) < 2:
        return jnp.float32(LEAST_WIDTH)
    pairs = every[jnp.triu_indices(len(every), 1)]
    unequal = jnp.nanmedian(jnp.where(pairs > 0, pairs, jnp.nan))
    median = jnp.where(jnp.median(pairs) > 0, jnp.median(pairs), unequal)
    return jnp.maximum(jnp.nan_to_num(median) / 4, LEAST_WIDTH)


def squared_distances(x: jax.Array) -> jax.Array:
    """Between all rows, `[n, n]`, row by row.

    Differences are squared, not products subtracted: equal rows are exactly 0 apart,
    however far off the others are.
    """
    return jax.lax.map(lambda row: jnp.sum((x - row) ** 2, -1), x)


def flat(samples: Tree) -> jax.Array:
    """Each example as one vector, `[n, d]` float32."""
    rows = [x.reshape(len(x), -1) for x in jax.tree.leaves(samples)]
    return jnp.concatenate(rows, -1).astype(jnp.float32)

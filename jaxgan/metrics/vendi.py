"""The Vendi score: the number of distinct samples, which mode collapse lowers."""

import jax
import jax.numpy as jnp

from jaxgan.types import Tree

LEAST_WIDTH = 1e-6
"""Minimum width of the kernel."""


def vendi_score(samples: Tree, width: jax.typing.ArrayLike) -> jax.Array:
    """Returns the number of distinct samples, `[]`, between 1 and n.

    It is 1 for n equal samples and n for n samples that are far apart. This is the
    Vendi score (https://arxiv.org/abs/2210.02410) of order 2
    (https://arxiv.org/abs/2310.12952), which needs no eigenvalues: 1 / mean_ij K_ij^2
    for K_ij = exp(-|x_i - x_j|^2 / (2 width^2)).

    Args:
      samples: leaves `[n, ...]`; distances are over all numbers of an example.
      width: width of the kernel, such as `kernel_width` of real examples.

    >>> float(vendi_score(jnp.array([[0.0], [0.0], [9.0], [9.0]]), 1.0))
    2.0
    """
    scaled = flat(samples) / width
    # K^2, as the exponent is not halved.
    return 1 / jnp.mean(jnp.exp(-squared_distances(scaled)))


def relative_diversity(real: Tree, fake: Tree) -> tuple[jax.Array, jax.Array]:
    """Returns the diversity of samples relative to examples, and that of the examples.

    The first is the number of distinct samples beyond the first, divided by that of the
    examples, `[]`: 0 if all samples are equal, about 1 if they vary like the examples.
    The second is the number of distinct examples, `[]`. Near 1, the first means
    nothing. Both sides have the kernel width of the examples.

    Args:
      real: examples, leaves `[n, ...]`.
      fake: samples, with the same structure.

    >>> points = jnp.array([[0.0], [9.0], [-9.0]])
    >>> [round(float(x), 3) for x in relative_diversity(points, points)]
    [1.0, 3.0]
    """
    width = kernel_width(real)
    samples, examples = (vendi_score(x, width) for x in (fake, real))
    return (samples - 1) / jnp.maximum(examples - 1, 1e-6), examples


def kernel_width(real: Tree) -> jax.Array:
    """Returns a quarter of the median distance between two real examples, `[]`.

    With this width two typical examples are distinct (K = exp(-8)), and those of one
    tight cluster count once. If most pairs are equal, the median is that of the other
    pairs. The width is positive even if all examples are equal.

    Args:
      real: leaves `[n, ...]`.
    """
    distances = jnp.sqrt(squared_distances(flat(real)))
    # A single example has no pairs.
    if len(distances) < 2:
        return jnp.float32(LEAST_WIDTH)
    # Each pair once, without the diagonal.
    pairs = distances[jnp.triu_indices(len(distances), 1)]
    # If more than half of the pairs are equal, the plain median is 0.
    unequal = jnp.nanmedian(jnp.where(pairs > 0, pairs, jnp.nan))
    median = jnp.where(jnp.median(pairs) > 0, jnp.median(pairs), unequal)
    # If all examples are equal, the median is NaN.
    return jnp.maximum(jnp.nan_to_num(median) / 4, LEAST_WIDTH)


def squared_distances(x: jax.Array) -> jax.Array:
    """Returns the squared distances between all rows of `[n, d]`, `[n, n]`.

    Differences are squared, instead of expanding the square into products, so that
    equal rows have distance exactly 0. Only one row's differences are in memory.
    """
    return jax.lax.map(lambda row: jnp.sum((x - row) ** 2, -1), x)


def flat(samples: Tree) -> jax.Array:
    """Flattens each example to one vector, `[n, d]` float32."""
    rows = [x.reshape(len(x), -1) for x in jax.tree.leaves(samples)]
    return jnp.concatenate(rows, -1).astype(jnp.float32)

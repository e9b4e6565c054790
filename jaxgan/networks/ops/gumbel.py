"""Samples of categorical distributions, and their gradients."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.networks.ops.threefry import threefry


def gumbel_noise(words: jax.Array, step: jax.typing.ArrayLike, size: int) -> jax.Array:
    """Returns standard Gumbel noise, -log(-log(u)) for u uniform in (0, 1).

    Args:
      words: a key per example, uint32 `[B, 2]`.
      step: number of the draw, as other draws of a key are independent.
      size: entries per example.

    Returns:
      float32, `[B, size]`.
    """
    # One pair of counters gives two words, hence two entries.
    entries = jnp.arange((size + 1) // 2, dtype=jnp.uint32)
    counters = jnp.asarray(step).astype(jnp.uint32), entries
    # A key is indexed by its two words, which are columns here.
    key = words.T[:, :, None]
    bits = jnp.concatenate(threefry(key, counters), -1)[:, :size]
    # 23 bits and a half: never 0 or 1.
    uniform = ((bits >> np.uint32(9)).astype(jnp.float32) + 0.5) * 2.0**-23
    return -jnp.log(-jnp.log(uniform))


def straight_through(soft: jax.Array, ids: jax.Array) -> jax.Array:
    """Returns one-hot rows whose gradient is that of `soft`.

    The estimator of https://arxiv.org/abs/1611.01144, section 2.2.

    Args:
      soft: probabilities, `[..., V]`.
      ids: the chosen entries, `[...]`.
    """
    hard = jax.nn.one_hot(ids, soft.shape[-1], dtype=soft.dtype)
    return soft + jax.lax.stop_gradient(hard - soft)

"""Self-attention between the pixels of feature maps."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.networks.layers import Dense, Initializer
from jaxgan.networks.ops.arrays import at_least_float32


class SelfAttention(nn.Module):
    """Adds features of all pixels to each pixel, https://arxiv.org/abs/1805.08318.

    Maps x `[B, H, W, C]`, of 2x2 pixels or more, to x + gain * attention(x). The gain
    is learned and starts at 0: the layer starts as the identity. Queries and keys are
    1x1 convolutions to C / 8 channels, values one to C / 2. Keys and values are pooled:
    the largest of each 2x2 pixels. The softmax is computed in float32.
    """

    kernel_init: Initializer = nn.initializers.glorot_uniform()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        b, h, w, channels = x.shape

        def mix(features, name):
            init = self.kernel_init
            return Dense(max(features, 1), False, kernel_init=init, name=name)

        # `[B, N, C / 8]` of all pixels, and `[B, M, ...]` of the pooled ones.
        queries = mix(channels // 8, "query")(x).reshape(b, h * w, -1)
        keys, values = (
            max_pool(mix(channels // part, name)(x)).reshape(b, (h // 2) * (w // 2), -1)
            for part, name in ((8, "key"), (2, "value"))
        )
        scores = at_least_float32(jnp.einsum("bnc,bmc->bnm", queries, keys))
        weights = jax.nn.softmax(scores, -1).astype(x.dtype)
        mixed = jnp.einsum("bnm,bmc->bnc", weights, values).reshape(b, h, w, -1)
        gain = self.param("gain", nn.initializers.zeros, ())
        # The gradient of the gain is a sum over all pixels, in float32.
        added = at_least_float32(gain) * at_least_float32(mix(channels, "out")(mixed))
        return (at_least_float32(x) + added).astype(x.dtype)


def max_pool(x: jax.Array) -> jax.Array:
    """Returns the largest of each 2x2 pixels: `[B, H, W, C]` to `[B, H/2, W/2, C]`.

    The last row or column of odd sides is left out.

    >>> max_pool(jnp.arange(6.0).reshape(1, 2, 3, 1)).tolist()
    [[[[4.0]]]]
    """
    b, h, w, c = x.shape
    x = x[:, : h // 2 * 2, : w // 2 * 2].reshape(b, h // 2, 2, w // 2, 2, c)
    rows = jnp.maximum(x[:, :, 0], x[:, :, 1])
    return jnp.maximum(rows[:, :, :, 0], rows[:, :, :, 1])

"""Small operations on arrays: precision, biases and pixel shuffling."""

import jax
import jax.numpy as jnp


def at_least_float32(x: jax.Array) -> jax.Array:
    """Casts `x` to float32, unless it is float32 or wider.

    For arrays that are summed over many entries, or whose gradient is, such as a bias
    that is broadcast over batch and pixels. XLA for CPU accumulates bfloat16 in
    bfloat16, where a sum of ones stays at 256.
    """
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def add_bias(x: jax.Array, bias: jax.Array) -> jax.Array:
    """Adds a bias `[C]` to x `[..., C]` in the dtype of x, with float32 gradients."""
    # Broadcast in float32, as the gradient of the bias sums over batch and pixels.
    return (at_least_float32(x) + at_least_float32(bias)).astype(x.dtype)


def depth_to_space(x: jax.Array, factor: int = 2) -> jax.Array:
    """Rearranges `[B, H, W, f * f * C]` to `[B, f * H, f * W, C]`.

    >>> depth_to_space(jnp.arange(4.0).reshape(1, 1, 1, 4))[0, :, :, 0].tolist()
    [[0.0, 1.0], [2.0, 3.0]]
    """
    b, h, w, c = x.shape
    # Channels are (row, column, channel) of the square that they become.
    x = x.reshape(b, h, w, factor, factor, c // factor**2)
    # `[B, H, f, W, f, C]`: rows and columns of the squares are next to H and W.
    return x.swapaxes(2, 3).reshape(b, h * factor, w * factor, c // factor**2)


def space_to_depth(x: jax.Array, factor: int = 2) -> jax.Array:
    """Rearranges `[B, f * H, f * W, C]` to `[B, H, W, f * f * C]`.

    The inverse of `depth_to_space`: height and width must be divisible by `factor`.
    """
    b, h, w, c = x.shape
    x = x.reshape(b, h // factor, factor, w // factor, factor, c)
    # `[B, H, W, f, f, C]`: the pixels of a square become channels.
    return x.swapaxes(2, 3).reshape(b, h // factor, w // factor, c * factor**2)

"""TODO."""

import jax
import jax.numpy as jnp


def at_least_float32(x: jax.Array) -> jax.Array:
    """x in float32 at least, where it or its gradient is summed over many entries.

    XLA for CPU adds bfloat16 as such, where a sum of ones stays at 256. The gradient of
    what is broadcast over batch and pixels, such as a bias, is such a sum.
    """
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def add_bias(x: jax.Array, bias: jax.Array) -> jax.Array:
    """x `[..., C]` + bias `[C]` in the type of x, whose gradients have all digits."""
    return (at_least_float32(x) + at_least_float32(bias)).astype(x.dtype)


def depth_to_space(x: jax.Array, factor: int = 2) -> jax.Array:
    """Rearranges `[B, H, W, f * f * C]` to `[B, f * H, f * W, C]`.

    >>> depth_to_space(jnp.arange(4.0).reshape(1, 1, 1, 4))[0, :, :, 0].tolist()
    [[0.0, 1.0], [2.0, 3.0]]
    """
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, factor, factor, c // factor**2)
    return x.swapaxes(2, 3).reshape(b, h * factor, w * factor, c // factor**2)


def space_to_depth(x: jax.Array, factor: int = 2) -> jax.Array:
    """The inverse of `depth_to_space`; H and W are divisible by `factor`."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // factor, factor, w // factor, factor, c)
    return x.swapaxes(2, 3).reshape(b, h // factor, w // factor, c * factor**2)

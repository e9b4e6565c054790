"""Convolutions, rearranged where XLA is slow at the plain form.

XLA for CPU has no fast form of the gradients of transposed convolutions. These are the
same sums as convolutions of stride 1, of which each makes the pixels of one phase of
the stride, or all of them as channels. Nor has it one of the gradients of grouped
convolutions, which are sums of products of matrices; XLA for TPU pads their groups to
the width of its registers, which they fill here. Strided convolutions are as fast
as they come, and so are their gradients of both orders.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.backend import platform
from jaxgan.networks.layers import depth_to_space, plus

LAYOUT = ("NHWC", "HWIO", "NHWC")


def form(plain: Callable, **others: Callable) -> Callable:
    """What a convolution is on this backend: the one place that decides."""
    return others.get(platform(), plain)


def same(
    x: jax.Array, kernel: jax.Array, stride: int = 1, groups: int = 1
) -> jax.Array:
    """`lax.conv` of `[B, H, W, C]` with SAME padding."""
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        "SAME",
        dimension_numbers=LAYOUT,
        feature_group_count=groups,
    )


def plain_transposed(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """`lax.conv_transpose` of `[B, H, W, C]` with SAME padding."""
    return jax.lax.conv_transpose(
        x, kernel, (stride, stride), "SAME", dimension_numbers=LAYOUT
    )


def transposed(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """`lax.conv_transpose` with SAME padding, in the faster of two forms.

    Args:
      x: `[B, H, W, C]`.
      kernel: `[k, k, C, O]`.
      stride: in both directions.

    Returns:
      `[B, stride * H, stride * W, O]`.
    """
    few = kernel.shape[-1] < 8
    return by_depth(x, kernel, stride) if few else by_phases(x, kernel, stride)


def _ahead(k: int, stride: int) -> int:
    """Zeros before the first pixel, as `lax.conv_transpose` has them.

    Output `stride * m + a` reads input `m + o` through tap `stride * o + ahead - a`.
    """
    return k - 1 if stride > k - 1 else -(-(k + stride - 2) // 2)


def by_phases(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """As `transposed`, by one convolution for each phase: no product is wasted."""
    b, height, width, _ = x.shape
    k, _, _, features = kernel.shape
    reads = [_taps(k, stride, phase) for phase in range(stride)]

    def one(rows, columns):
        if not (rows and columns):
            return jnp.zeros((b, height, width, features), x.dtype)
        part = kernel[rows[0][0] :: stride, columns[0][0] :: stride]
        pads = [(-taps[0][1], taps[-1][1]) for taps in (rows, columns)]
        return jax.lax.conv_general_dilated(
            x, part, (1, 1), pads, dimension_numbers=LAYOUT
        )

    rows = [jnp.stack([one(r, c) for c in reads], 3) for r in reads]
    return jnp.stack(rows, 2).reshape(b, stride * height, stride * width, features)


def _taps(k: int, stride: int, phase: int) -> list[tuple[int, int]]:
    """(tap, offset of the input it meets) for the outputs of one phase."""
    first = _ahead(k, stride) - phase
    return [(t, (t - first) // stride) for t in range(k) if not (t - first) % stride]


def by_depth(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """As `transposed`, by one convolution to all phases and `depth_to_space`."""
    k, _, channels, features = kernel.shape
    ahead = _ahead(k, stride)
    low = -(ahead // stride)
    before = stride - 1 - (ahead + stride * low)
    taps = -(-(before + k) // stride)
    after = stride * taps - before - k
    kernel = jnp.pad(kernel, [(before, after), (before, after), (0, 0), (0, 0)])
    kernel = kernel.reshape(taps, stride, taps, stride, channels, features)
    kernel = kernel[:, ::-1, :, ::-1].transpose(0, 2, 4, 1, 3, 5)
    y = jax.lax.conv_general_dilated(
        x,
        kernel.reshape(taps, taps, channels, -1),
        (1, 1),
        [(-low, taps - 1 + low)] * 2,
        dimension_numbers=LAYOUT,
    )
    return depth_to_space(y, stride)


def plain_grouped(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """`lax.conv` of `[B, H, W, C]` with as many groups as the kernel has."""
    return same(x, kernel, groups=x.shape[-1] // kernel.shape[2])


def grouped(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """`lax.conv` with SAME padding and `feature_group_count`, as products of matrices.

    Args:
      x: `[B, H, W, C]`.
      kernel: `[k, k, C / groups, C]`; k is odd.

    Returns:
      `[B, H, W, C]`.
    """
    k, _, size, channels = kernel.shape
    b, height, width, _ = x.shape
    x = jnp.pad(x, [(0, 0), (k // 2, k // 2), (k // 2, k // 2), (0, 0)])
    x = x.reshape(*x.shape[:3], channels // size, size).transpose(3, 0, 1, 2, 4)
    kernel = kernel.reshape(k, k, size, channels // size, size)
    taps = [
        jnp.einsum(
            "gbhwi,igo->gbhwo", x[:, :, i : i + height, j : j + width], kernel[i, j]
        )
        for i in range(k)
        for j in range(k)
    ]
    return sum(taps[1:], taps[0]).transpose(1, 2, 3, 0, 4).reshape(b, height, width, -1)


def merged(x: jax.Array, kernel: jax.Array, lanes: int = 128) -> jax.Array:
    """As `grouped`, by convolutions as wide as a TPU's registers, with zeros in them.

    A TPU multiplies `lanes` channels at once, and lays them out so in memory. Of a
    narrower group it fills up the rest, which costs more than products with zeros.
    """
    _, _, size, channels = kernel.shape
    groups, most = channels // size, max(lanes // size, 1)
    many = max(n for n in range(1, most + 1) if groups % n == 0)
    row, column = jnp.arange(many * size)[:, None], jnp.arange(channels)
    own = row // size == column // size % many
    kernel = jnp.where(own, jnp.tile(kernel, (1, 1, many, 1)), 0)
    parts = zip(
        jnp.split(x, groups // many, -1),
        jnp.split(kernel, groups // many, -1),
        strict=True,
    )
    return jnp.concatenate([same(x, kernel) for x, kernel in parts], -1)


class Conv(nn.Module):
    """`nn.Conv` of a square kernel with SAME padding."""

    features: int
    size: int
    stride: int = 1
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (self.size, self.size, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        y = same(x, kernel, self.stride)
        return plus(y, bias)


class ConvTranspose(nn.Module):
    """`nn.ConvTranspose` of a square kernel with SAME padding, without bias."""

    features: int
    size: int
    stride: int = 1
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (self.size, self.size, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        return form(plain_transposed, cpu=transposed)(x, kernel, self.stride)


class GroupedConv(nn.Module):
    """`nn.Conv` of a square kernel, each group of channels by itself, without bias.

    As many channels come out as go in, with SAME padding.
    """

    group: int
    size: int = 3
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (self.size, self.size, self.group, x.shape[-1])
        kernel = self.param("kernel", self.kernel_init, shape)
        return form(plain_grouped, cpu=grouped, tpu=merged)(x, kernel)

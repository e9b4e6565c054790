"""Convolutions, rearranged where XLA is slow at the plain form.

XLA for CPU has no fast form of dilated convolutions, and those are what the gradients
of strided ones, and transposed ones themselves, are. Both are the same sums as one
convolution of stride 1 between pixels and channels rearranged by the stride. Nor has it
one of the gradients of grouped convolutions, which are sums of products of matrices.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.backend import platform
from jaxgan.networks.layers import depth_to_space, plus, space_to_depth

LAYOUT = ("NHWC", "HWIO", "NHWC")


def _rearranges() -> bool:
    """Whether this backend wants the rearranged form: the one place that decides."""
    return platform() == "cpu"


def strided(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """`lax.conv` with SAME padding and a stride, by `space_to_depth`.

    Args:
      x: `[B, H, W, C]`.
      kernel: `[k, k, C, O]`.
      stride: in both directions.

    Returns:
      `[B, ceil(H / stride), ceil(W / stride), O]`.
    """
    k, _, channels, features = kernel.shape
    taps = -(-k // stride)
    pads = [(0, 0, 0)]
    for side in x.shape[1:3]:
        out = -(-side // stride)
        low = max((out - 1) * stride + k - side, 0) // 2
        high = stride * (out + taps - 1) - side - low  # below 0 if the kernel is small
        pads.append((low, high, 0))
    x = jax.lax.pad(x, jnp.zeros((), x.dtype), [*pads, (0, 0, 0)])
    more = stride * taps - k
    kernel = jnp.pad(kernel, [(0, more), (0, more), (0, 0), (0, 0)])
    kernel = kernel.reshape(taps, stride, taps, stride, channels, features)
    kernel = kernel.transpose(0, 2, 1, 3, 4, 5).reshape(taps, taps, -1, features)
    return jax.lax.conv_general_dilated(
        space_to_depth(x, stride), kernel, (1, 1), "VALID", dimension_numbers=LAYOUT
    )


def transposed(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """`lax.conv_transpose` with SAME padding, by `depth_to_space`.

    Args:
      x: `[B, H, W, C]`.
      kernel: `[k, k, C, O]`.
      stride: in both directions.

    Returns:
      `[B, stride * H, stride * W, O]`.
    """
    k, _, channels, features = kernel.shape
    ahead = k - 1 if stride > k - 1 else -(-(k + stride - 2) // 2)
    # output s * m + a reads input m + o through tap t = s * o + ahead - a
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
        if self.stride > 1 and _rearranges():
            return plus(strided(x, kernel, self.stride), bias)
        strides: Sequence[int] = (self.stride, self.stride)
        y = jax.lax.conv_general_dilated(
            x, kernel, strides, "SAME", dimension_numbers=LAYOUT
        )
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
        if _rearranges():
            return transposed(x, kernel, self.stride)
        strides: Sequence[int] = (self.stride, self.stride)
        return jax.lax.conv_transpose(
            x, kernel, strides, "SAME", dimension_numbers=LAYOUT
        )


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
        if _rearranges():
            return grouped(x, kernel)
        groups = x.shape[-1] // self.group
        return jax.lax.conv_general_dilated(
            x,
            kernel,
            (1, 1),
            "SAME",
            dimension_numbers=LAYOUT,
            feature_group_count=groups,
        )

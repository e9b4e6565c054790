"""Convolutions, rearranged where XLA is slow at the plain form.

On a CPU products bound them, of which `winograd` takes fewer where channels are many.
XLA for CPU has no fast form of the gradients of transposed convolutions. These are the
same sums as convolutions of stride 1, of which each makes the pixels of one phase of
the stride, or all of them as channels. Nor has it one of the gradients of grouped
convolutions, which are sums of products of matrices; XLA for TPU pads their groups to
the width of its registers, which they fill here.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from jaxgan.networks.ops import winograd
from jaxgan.networks.ops.arrays import depth_to_space, space_to_depth

LAYOUT = ("NHWC", "HWIO", "NHWC")
Padding = Sequence[tuple[int, int]]
"""Zeros before and after an image, in each direction."""


def conv_same(
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


def conv_winograd(x: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
    """As `same`, with fewer products where that is faster.

    A convolution with a stride is one without, of an image with the pixels of each
    `stride x stride` square as channels of one.
    """
    k, _, channels, features = kernel.shape
    window, steps = kernel.shape[:2], (stride, stride)
    pads = jax.lax.padtype_to_pads(x.shape[1:3], window, steps, "SAME")
    leads = [-before % stride for before, _ in pads]
    taps = max(-(-(lead + k) // stride) for lead in leads)
    sides = [-(-size // stride) for size in x.shape[1:3]]
    if not winograd_pays_off(x.dtype, sides, taps, channels * stride**2, features):
        return conv_same(x, kernel, stride)
    rest = [(0, -size % stride) for size in x.shape[1:3]]
    x = space_to_depth(jnp.pad(x, [(0, 0), *rest, (0, 0)]), stride)
    around = [(lead, stride * taps - lead - k) for lead in leads]
    kernel = jnp.pad(kernel, [*around, (0, 0), (0, 0)])
    kernel = kernel.reshape(taps, stride, taps, stride, channels, features)
    kernel = kernel.swapaxes(1, 2).reshape(taps, taps, -1, features)
    firsts = [-(-before // stride) for before, _ in pads]
    return winograd.convolve(x, kernel, [(n, taps - 1 - n) for n in firsts])


def winograd_pays_off(
    dtype: jnp.dtype, sides: Sequence[int], taps: int, channels: int, features: int
) -> bool:
    """Whether `winograd.convolve` is faster than the plain sums, gradients included.

    What it saves grows with the pairs of channels and features, what its matrices cost
    with their number; more so where it cuts images into blocks.
    """
    if dtype not in (jnp.float32, jnp.float64) or not 2 <= taps <= 5:
        return False
    least = 16 if max(sides) <= winograd.BLOCK else 32
    return channels * features / (channels + features) >= least


def conv_transpose_same(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """`lax.conv_transpose` of `[B, H, W, C]` with SAME padding."""
    return jax.lax.conv_transpose(
        x, kernel, (stride, stride), "SAME", dimension_numbers=LAYOUT
    )


def conv_transpose_fast(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """`lax.conv_transpose` with SAME padding, in the fastest of three forms.

    Args:
      x: `[B, H, W, C]`.
      kernel: `[k, k, C, O]`.
      stride: in both directions.

    Returns:
      `[B, stride * H, stride * W, O]`.
    """
    k, _, channels, features = kernel.shape
    taps = depth_taps(k, stride)
    if winograd_pays_off(x.dtype, x.shape[1:3], taps, channels, features * stride**2):
        return conv_transpose_by_depth(x, kernel, stride, winograd.convolve)
    return (conv_transpose_by_depth if features < 8 else conv_transpose_by_phases)(
        x, kernel, stride
    )


def _ahead(k: int, stride: int) -> int:
    """Zeros before the first pixel, as `lax.conv_transpose` has them.

    Output `stride * m + a` reads input `m + o` through tap `stride * o + ahead - a`.
    """
    return k - 1 if stride > k - 1 else -(-(k + stride - 2) // 2)


def conv_transpose_by_phases(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """As `transposed`, by one convolution for each phase: no product is wasted."""
    b, height, width, _ = x.shape
    k, _, _, features = kernel.shape
    reads = [_taps(k, stride, phase) for phase in range(stride)]

    def one(rows, columns):
        if not (rows and columns):
            return jnp.zeros((b, height, width, features), x.dtype)
        part = kernel[rows[0][0] :: stride, columns[0][0] :: stride]
        return conv_explicit_padding(
            x, part, [(-taps[0][1], taps[-1][1]) for taps in (rows, columns)]
        )

    rows = [jnp.stack([one(r, c) for c in reads], 3) for r in reads]
    return jnp.stack(rows, 2).reshape(b, stride * height, stride * width, features)


def _taps(k: int, stride: int, phase: int) -> list[tuple[int, int]]:
    """(tap, offset of the input it meets) for the outputs of one phase."""
    first = _ahead(k, stride) - phase
    return [(t, (t - first) // stride) for t in range(k) if not (t - first) % stride]


def conv_explicit_padding(x: jax.Array, kernel: jax.Array, pads: Padding) -> jax.Array:
    """`lax.conv` of `[B, H, W, C]` with stride 1."""
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), pads, dimension_numbers=LAYOUT
    )


def depth_taps(k: int, stride: int) -> int:
    """Taps of the kernel that makes all phases at once, in each direction."""
    return -(-(_before(k, stride) + k) // stride)


def _before(k: int, stride: int) -> int:
    """Zeros in front of the kernel that make its taps whole squares of the stride."""
    return -(_ahead(k, stride) + 1) % stride


def conv_transpose_by_depth(
    x: jax.Array,
    kernel: jax.Array,
    stride: int,
    convolve: Callable[
        [jax.Array, jax.Array, Padding], jax.Array
    ] = conv_explicit_padding,
) -> jax.Array:
    """As `transposed`, by one convolution to all phases and `depth_to_space`."""
    k, _, channels, features = kernel.shape
    first, taps = _ahead(k, stride) // stride, depth_taps(k, stride)
    before = _before(k, stride)
    after = stride * taps - before - k
    kernel = jnp.pad(kernel, [(before, after), (before, after), (0, 0), (0, 0)])
    kernel = kernel.reshape(taps, stride, taps, stride, channels, features)
    kernel = kernel[:, ::-1, :, ::-1].transpose(0, 2, 4, 1, 3, 5)
    kernel = kernel.reshape(taps, taps, channels, -1)
    y = convolve(x, kernel, [(first, taps - 1 - first)] * 2)
    return depth_to_space(y, stride)


def grouped_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """`lax.conv` of `[B, H, W, C]` with as many groups as the kernel has."""
    return conv_same(x, kernel, groups=x.shape[-1] // kernel.shape[2])


def grouped_conv_matmul(x: jax.Array, kernel: jax.Array) -> jax.Array:
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


def grouped_conv_tpu(x: jax.Array, kernel: jax.Array, lanes: int = 128) -> jax.Array:
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
    return jnp.concatenate([conv_same(x, kernel) for x, kernel in parts], -1)

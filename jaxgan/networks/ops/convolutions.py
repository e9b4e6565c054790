"""Convolutions in other forms, for cases in which XLA is slow.

* On a CPU, multiplications limit convolutions. `winograd` needs fewer of them, and is
  faster if there are many channels.
* XLA for CPU is slow at gradients of gradients of convolutions that shrink an image.
  `trilinear` has the same gradients, and other gradients of gradients.
* XLA for CPU is slow at gradients of transposed convolutions. Here they are written as
  convolutions with stride 1: one for each phase of the stride, or one that returns all
  phases as channels.
* XLA for CPU is slow at gradients of grouped convolutions. Here they are sums of matrix
  products.
* XLA for TPU pads each group of a grouped convolution to the width of its registers.
  Here several groups fill a register.
"""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from jaxgan.networks.ops import trilinear, winograd
from jaxgan.networks.ops.arrays import depth_to_space, space_to_depth
from jaxgan.ranges import ceil_div

LAYOUT = ("NHWC", "HWIO", "NHWC")
"""Axes of the input, the kernel and the output."""

FEW_POSITIONS = 1_024
"""Pixels of a batch up to which a TPU is faster with one grouped convolution."""

Padding = Sequence[tuple[int, int]]
"""Zeros before and after an image, in both directions."""


def conv_same(
    x: jax.Array,
    kernel: jax.Array,
    stride: int = 1,
    groups: int = 1,
    padding: str | Padding = "SAME",
) -> jax.Array:
    """Convolves `[B, H, W, C]`, with SAME padding by default.

    Args:
      x: `[B, H, W, C]`.
      kernel: `[k, k, C / groups, O]`.
      stride: stride in both directions.
      groups: number of groups of channels.
      padding: SAME, VALID, or zeros before and after, in both directions.
    """
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        padding,
        dimension_numbers=LAYOUT,
        feature_group_count=groups,
    )


def conv_winograd(
    x: jax.Array,
    kernel: jax.Array,
    stride: int = 1,
    *,
    padding: str | Padding = "SAME",
) -> jax.Array:
    """Convolves like `conv_same`, with Winograd's algorithm if that is faster.

    A convolution with a stride is one without, of an image in which the pixels of each
    `stride x stride` square are the channels of one pixel.

    Args:
      x: `[B, H, W, C]`.
      kernel: `[k, k, C, O]`.
      stride: stride in both directions; 1 unless the padding is SAME.
      padding: SAME, VALID, or zeros before and after, in both directions.
    """
    k, _, channels, features = kernel.shape
    pads = zeros_around(x, kernel, stride, padding)
    # Zeros in front of the kernel that align its first tap with a square.
    leads = [-before % stride for before, _ in pads]
    # Side of the kernel, in squares.
    taps = max(ceil_div(lead + k, stride) for lead in leads)
    # Height and width of the output.
    ends = list(zip(x.shape[1:3], pads, strict=True))
    sides = [(size + sum(zeros) - k) // stride + 1 for size, zeros in ends]
    direct = (k / stride) ** 2
    if (stride > 1 and padding != "SAME") or not winograd_pays_off(
        x.dtype, sides, taps, channels * stride**2, features, direct
    ):
        return trilinear.convolve(x, kernel, stride, pads)
    # Pad image and kernel to whole squares, and turn squares into channels.
    rest = [(0, -size % stride) for size in x.shape[1:3]]
    x = space_to_depth(jnp.pad(x, [(0, 0), *rest, (0, 0)]), stride)
    around = [(lead, stride * taps - lead - k) for lead in leads]
    kernel = jnp.pad(kernel, [*around, (0, 0), (0, 0)])
    kernel = kernel.reshape(taps, stride, taps, stride, channels, features)
    # `[taps, taps, stride * stride * C, O]`, in the order of `space_to_depth`.
    kernel = kernel.swapaxes(1, 2).reshape(taps, taps, -1, features)
    # Whole squares of zeros before the image, and after it up to the last output.
    firsts = [ceil_div(before, stride) for before, _ in pads]
    lasts = [
        side + taps - 1 - first - squares
        for side, first, squares in zip(sides, firsts, x.shape[1:3], strict=True)
    ]
    return winograd.convolve(x, kernel, list(zip(firsts, lasts, strict=True)))


def zeros_around(
    x: jax.Array, kernel: jax.Array, stride: int, padding: str | Padding
) -> Padding:
    """Returns the zeros before and after an image of SAME, VALID, or as they are."""
    if not isinstance(padding, str):
        return padding
    steps = (stride, stride)
    return jax.lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], steps, padding)


def winograd_pays_off(
    dtype: jnp.dtype,
    sides: Sequence[int],
    taps: int,
    channels: int,
    features: int,
    direct: float,
) -> bool:
    """Returns True if `winograd.convolve` is faster, gradients included.

    The multiplications that it saves grow with channels * features, and the cost of its
    matrices with channels + features. The cost is higher if it cuts images into blocks.
    Little is saved where tiles are larger than the image, or where a stride pads the
    kernel with many zeros, such as one of 4x4 with stride 2.

    Args:
      dtype: dtype of the image.
      sides: height and width of the output.
      taps: side of the kernel.
      channels: input channels.
      features: output channels.
      direct: products per output, input channel and feature without it.
    """
    # POINTS are enough for 5 taps at most, and a single tap leaves nothing to save.
    if dtype not in (jnp.float32, jnp.float64) or not 2 <= taps <= 5:
        return False
    points = (winograd.TILE + taps - 1) ** 2
    tiles = math.prod(ceil_div(side, winograd.TILE) for side in sides)
    if direct * math.prod(sides) < 2 * points * tiles:
        return False
    # Cutting into blocks pays off with more channels only.
    least = 16 if max(sides) <= winograd.BLOCK else 25
    # Saved products over the cost of the matrices.
    return channels * features / (channels + features) >= least


def conv_transpose_same(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Computes `lax.conv_transpose` of `[B, H, W, C]` with SAME padding."""
    return jax.lax.conv_transpose(
        x, kernel, (stride, stride), "SAME", dimension_numbers=LAYOUT
    )


def conv_transpose_fast(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Computes `lax.conv_transpose` with SAME padding in the fastest of three forms.

    Args:
      x: `[B, H, W, C]`.
      kernel: `[k, k, C, O]`.
      stride: stride in both directions.

    Returns:
      `[B, stride * H, stride * W, O]`.
    """
    k, _, channels, features = kernel.shape
    taps = depth_taps(k, stride)
    direct, phases = (k / stride) ** 2, features * stride**2
    if winograd_pays_off(x.dtype, x.shape[1:3], taps, channels, phases, direct):
        return conv_transpose_by_depth(x, kernel, stride, winograd.convolve)
    # By depth, some products are with zeros; for few features it is still faster.
    return (conv_transpose_by_depth if features < 8 else conv_transpose_by_phases)(
        x, kernel, stride
    )


def leading_zeros(k: int, stride: int) -> int:
    """Returns the zeros before the first pixel, like in `lax.conv_transpose`.

    Output `stride * m + a` reads input `m + o` through tap `stride * o + zeros - a`.
    """
    # The larger half of k + stride - 2 zeros, unless the stride is k or more.
    return k - 1 if stride > k - 1 else ceil_div(k + stride - 2, 2)


def conv_transpose_by_phases(
    x: jax.Array,
    kernel: jax.Array,
    stride: int,
    convolve: Callable[[jax.Array, jax.Array, Padding], jax.Array] | None = None,
) -> jax.Array:
    """Computes `conv_transpose_same` with one convolution per phase of the stride.

    No product is with a zero of the stride.

    Args:
      x: `[B, H, W, C]`.
      kernel: `[k, k, C, O]`.
      stride: stride in both directions.
      convolve: the convolution, of an image, a kernel and padding;
        `conv_explicit_padding` if None.
    """
    convolve = convolve or conv_explicit_padding
    b, height, width, _ = x.shape
    k, _, _, features = kernel.shape
    # The taps of each phase, and the inputs that they read, in one direction.
    reads = [_taps(k, stride, phase) for phase in range(stride)]

    def one_phase(rows, columns):
        # With a stride larger than the kernel, some phases read no input.
        if not (rows and columns):
            return jnp.zeros((b, height, width, features), x.dtype)
        # The taps of a phase are `stride` apart.
        part = kernel[rows[0][0] :: stride, columns[0][0] :: stride]
        # Zeros as far as the first and the last offset reach.
        return convolve(
            x, part, [(-taps[0][1], taps[-1][1]) for taps in (rows, columns)]
        )

    # Interleave the phases: `[B, H, stride, W, stride, O]`.
    rows = [jnp.stack([one_phase(r, c) for c in reads], 3) for r in reads]
    return jnp.stack(rows, 2).reshape(b, stride * height, stride * width, features)


def _taps(k: int, stride: int, phase: int) -> list[tuple[int, int]]:
    """Returns (tap, offset of the input that it reads) for the outputs of one phase."""
    # Tap first + stride * o reads the input at offset o.
    first = leading_zeros(k, stride) - phase
    return [(t, (t - first) // stride) for t in range(k) if not (t - first) % stride]


def conv_explicit_padding(x: jax.Array, kernel: jax.Array, pads: Padding) -> jax.Array:
    """Convolves `[B, H, W, C]` with stride 1 and explicit padding."""
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), pads, dimension_numbers=LAYOUT
    )


def depth_taps(k: int, stride: int) -> int:
    """Returns the side of the kernel of `conv_transpose_by_depth`."""
    return ceil_div(kernel_zeros(k, stride) + k, stride)


def kernel_zeros(k: int, stride: int) -> int:
    """Returns the zeros before a kernel that align its taps with the stride."""
    return -(leading_zeros(k, stride) + 1) % stride


def conv_transpose_by_depth(
    x: jax.Array,
    kernel: jax.Array,
    stride: int,
    convolve: Callable[
        [jax.Array, jax.Array, Padding], jax.Array
    ] = conv_explicit_padding,
) -> jax.Array:
    """Computes `conv_transpose_same` with one convolution and `depth_to_space`.

    The convolution returns all phases of the stride as channels.

    Args:
      x: `[B, H, W, C]`.
      kernel: `[k, k, C, O]`.
      stride: stride in both directions.
      convolve: the convolution, of an image, a kernel and padding.
    """
    k, _, channels, features = kernel.shape
    # Zeros before the image, and the side of the kernel, in input pixels.
    first, taps = leading_zeros(k, stride) // stride, depth_taps(k, stride)
    before = kernel_zeros(k, stride)
    after = stride * taps - before - k
    # Pad the kernel to whole squares of the stride.
    kernel = jnp.pad(kernel, [(before, after), (before, after), (0, 0), (0, 0)])
    kernel = kernel.reshape(taps, stride, taps, stride, channels, features)
    # A later phase reads an earlier tap.
    kernel = kernel[:, ::-1, :, ::-1].transpose(0, 2, 4, 1, 3, 5)
    # `[taps, taps, C, stride * stride * O]`.
    kernel = kernel.reshape(taps, taps, channels, -1)
    y = convolve(x, kernel, [(first, taps - 1 - first)] * 2)
    return depth_to_space(y, stride)


def grouped_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolves `[B, H, W, C]` with SAME padding and the groups of the kernel.

    Args:
      x: `[B, H, W, C]`.
      kernel: `[k, k, C / groups, C]`.
    """
    return conv_same(x, kernel, groups=x.shape[-1] // kernel.shape[2])


def grouped_conv_matmul(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Computes `grouped_conv` as a sum of matrix products, one per tap.

    Args:
      x: `[B, H, W, C]`.
      kernel: `[k, k, C / groups, C]`; k is odd.

    Returns:
      `[B, H, W, C]`.
    """
    k, _, size, channels = kernel.shape
    b, height, width, _ = x.shape
    # SAME padding of an odd kernel.
    x = jnp.pad(x, [(0, 0), (k // 2, k // 2), (k // 2, k // 2), (0, 0)])
    # `[G, B, H + k - 1, W + k - 1, C / G]`: groups are the products' batch axis.
    x = x.reshape(*x.shape[:3], channels // size, size).transpose(3, 0, 1, 2, 4)
    kernel = kernel.reshape(k, k, size, channels // size, size)
    # Each tap multiplies a shifted image by one matrix per group.
    taps = [
        jnp.einsum(
            "gbhwi,igo->gbhwo", x[:, :, i : i + height, j : j + width], kernel[i, j]
        )
        for i in range(k)
        for j in range(k)
    ]
    # `[G, B, H, W, C / G]` to `[B, H, W, C]`.
    return sum(taps[1:], taps[0]).transpose(1, 2, 3, 0, 4).reshape(b, height, width, -1)


def grouped_conv_tpu(x: jax.Array, kernel: jax.Array, lanes: int = 128) -> jax.Array:
    """Computes `grouped_conv` with convolutions as wide as a TPU's registers.

    A TPU multiplies `lanes` channels at a time, and stores them in this width. It pads
    narrower groups, which costs more than products with zeros. Here a block has several
    groups, and a kernel that is zero between different groups. Few pixels have one
    convolution, whose groups are the blocks. More pixels have one for each block, which
    XLA fuses better with the operations around it (docs/plan.md has the cycles).

    Args:
      x: `[B, H, W, C]`.
      kernel: `[k, k, C / groups, C]`.
      lanes: width of a register in channels.
    """
    _, _, size, channels = kernel.shape
    groups, limit = channels // size, max(lanes // size, 1)
    # The largest number of groups per block that divides all of them.
    merged = max(n for n in range(1, limit + 1) if groups % n == 0)
    row, column = jnp.arange(merged * size)[:, None], jnp.arange(channels)
    # An output channel reads the inputs of its own group only.
    same_group = row // size == column // size % merged
    kernel = jnp.where(same_group, jnp.tile(kernel, (1, 1, merged, 1)), 0)
    blocks = groups // merged
    if math.prod(x.shape[:3]) <= FEW_POSITIONS:
        return conv_same(x, kernel, groups=blocks)
    # One convolution for each block.
    parts = zip(
        jnp.split(x, blocks, -1),
        jnp.split(kernel, blocks, -1),
        strict=True,
    )
    return jnp.concatenate([conv_same(x, kernel) for x, kernel in parts], -1)

"""Convolutions with fewer products, https://arxiv.org/abs/1509.09308.

A filter of r taps needs m * r products for m neighbouring outputs. Read backwards, they
are the coefficients of a product of polynomials, which its values at m + r - 1 points
determine (Toom and Cook; Winograd): so as many products do, and in two directions 64
for the 4x4 outputs of a 5x5 kernel instead of 400. With x the pixels of a small image
and w the taps of a kernel,

    y = Y ((G w) * (X x)),

where X, G and Y are constant and * is a sum of products over channels, at each point of
each tile by itself. So all is products of matrices, as are its gradients of any order.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

POINTS = np.array([0, 1, -1, 1 / 2, -2, 2, -1 / 2])
"""Where polynomials are evaluated, beside infinity: the first few of them that do."""

TILE = 4
"""Outputs of a tile, in each direction."""

BLOCK = 8
"""Outputs of an image that X takes as a whole, at most, in each direction."""


class Side(NamedTuple):
    """One direction of a small image."""

    size: int
    outputs: int
    before: int
    """Zeros before its first pixel."""


class Matrices(NamedTuple):
    """X, G and Y; z are the points of a tile in both directions."""

    image: np.ndarray
    """`[z * tiles, pixels]`"""
    kernel: np.ndarray
    """`[z, taps]`"""
    output: np.ndarray
    """`[pixels, z * tiles]`"""


def convolve(
    x: jax.Array, kernel: jax.Array, pads: Sequence[tuple[int, int]]
) -> jax.Array:
    """A convolution of stride 1, as `lax.conv`.

    Its rounding in float32 is 3e-6 of the result for 5x5 kernels and 1e-6 for 3x3 (root
    mean square), where that of the plain sums is about 3e-7.

    Args:
      x: `[B, H, W, C]`, of float32 or float64.
      kernel: `[k, k, C, O]`, k from 2 to 5.
      pads: zeros before and after the image, in each direction.

    Returns:
      `[B, H', W', O]`, H' being H with its zeros, less k - 1.
    """
    k, _, _, features = kernel.shape
    ends = list(zip(x.shape[1:3], pads, strict=True))
    wanted = [size + before + after - k + 1 for size, (before, after) in ends]
    counts = [-(-size // BLOCK) for size in wanted]
    blocks = [-(-size // count) for size, count in zip(wanted, counts, strict=True)]
    if counts == [1, 1]:
        own = (Side(x.shape[i + 1], blocks[i], pads[i][0]) for i in (0, 1))
        return whole(x, kernel, *own)
    sides = [Side(block + k - 1, block, 0) for block in blocks]
    for i in (0, 1):
        x = windows(x, i + 1, counts[i], sides[i]._replace(before=pads[i][0]))
    y = whole(x, kernel, *sides)
    y = y.reshape(*counts[::-1], -1, *blocks, features).transpose(2, 1, 3, 0, 4, 5)
    y = y.reshape(len(y), counts[0] * blocks[0], counts[1] * blocks[1], features)
    return y[:, : wanted[0], : wanted[1]]


def whole(x: jax.Array, kernel: jax.Array, rows: Side, columns: Side) -> jax.Array:
    """As `convolve`, each image at once: its matrices hold all of its pixels."""
    k, _, channels, features = kernel.shape
    made = matrices(k, rows, columns)
    image, taps, output = (jnp.asarray(part, x.dtype) for part in made)
    x = image @ x.transpose(1, 2, 0, 3).reshape(image.shape[1], -1)
    w = taps @ kernel.reshape(k * k, -1)
    z = len(taps)
    y = jnp.einsum(
        "znc,zco->zno", x.reshape(z, -1, channels), w.reshape(z, channels, features)
    )
    y = output @ y.reshape(output.shape[1], -1)
    y = y.reshape(rows.outputs, columns.outputs, -1, features)
    return y.transpose(2, 0, 1, 3)


def windows(x: jax.Array, axis: int, count: int, side: Side) -> jax.Array:
    """What each of `count` blocks of outputs reads along an axis, as more examples."""
    starts = range(0, count * side.outputs, side.outputs)
    pads = [(0, 0)] * x.ndim
    pads[axis] = (side.before, starts[-1] + side.size - side.before - x.shape[axis])
    x = jnp.pad(x, pads)
    return jnp.concatenate(
        [jax.lax.slice_in_dim(x, i, i + side.size, axis=axis) for i in starts]
    )


@functools.cache
def matrices(k: int, rows: Side, columns: Side) -> Matrices:
    """Those of a kernel of k x k taps and images of one size."""
    _, _, taps = polynomials(k)
    down, across = along(k, rows), along(k, columns)
    image = np.einsum("pih,qjw->pqijhw", down[0], across[0])
    kernel = np.einsum("pa,qb->pqab", taps, taps)
    output = np.einsum("ypi,xqj->yxpqij", down[1], across[1])
    z = len(taps) ** 2
    return Matrices(
        image.reshape(-1, rows.size * columns.size),
        kernel.reshape(z, -1),
        output.reshape(rows.outputs * columns.outputs, -1),
    )


def along(k: int, side: Side) -> tuple[np.ndarray, np.ndarray]:
    """X `[points, tiles, size]` and Y `[outputs, points, tiles]` in one direction."""
    evaluate, image, _ = polynomials(k)
    n, tiles = len(image), -(-side.outputs // TILE)
    x, y = np.zeros((n, tiles, side.size)), np.zeros((side.outputs, n, tiles))
    for tile in range(tiles):
        first = tile * TILE
        for i in range(n):
            pixel = first + i - side.before
            if 0 <= pixel < side.size:
                x[:, tile, pixel] = image[:, i]
        for i in range(min(TILE, side.outputs - first)):
            y[first + i, :, tile] = evaluate[:, i]
    return x, y


@functools.cache
def polynomials(k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of outputs `[n, TILE]`, a tile's pixels `[n, n]` and taps `[n, k]`, at n points.

    Lagrange's polynomials give back coefficients from values; what they divide by goes
    to the taps. The last point is infinity, where a value is the leading coefficient.
    """
    points = POINTS[: TILE + k - 2]
    others = [np.delete(points, i) for i in range(len(points))]
    scale = np.array([np.prod(a - b) for a, b in zip(points, others, strict=True)])
    pixels = [np.append(np.poly(roots)[::-1], 0.0) for roots in others]
    outputs = np.vander(points, TILE, increasing=True)
    taps = np.vander(points, k, increasing=True) / scale[:, None]
    return (
        np.vstack([outputs, np.eye(TILE)[-1]]),
        np.vstack([*pixels, np.poly(points)[::-1]]),
        np.vstack([taps, np.eye(k)[-1]]),
    )

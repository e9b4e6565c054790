"""Exact nearest neighbors and counts of balls, with blocks of float32 products.

A product of matrices gives all distances of a block of rows, with an error that has a
bound. The few entries for which the bound leaves a comparison open are computed again
from differences in float64. Results are thus those of the float64 differences: equal
points have distance 0, and a pair has one distance wherever it occurs.
"""

from collections.abc import Iterator

import numpy as np

BLOCK = 2**20
"""Maximum number of entries of a block."""

UNIT = 2.0**-24
"""Largest relative error of rounding to float32."""


def nearest(
    queries: np.ndarray, points: np.ndarray, k: int = 1, *, same: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the squared distances and indices of the k nearest points.

    Args:
      queries: `[n, d]`, finite.
      points: `[m, d]`, finite.
      k: number of neighbors, at most m, or m - 1 with `same`.
      same: True if both are one set, whose points are not their own neighbors.

    Returns:
      Squared distances `[n, k]` float64, ascending, and indices `[n, k]` of `points`.
      Of equally distant points, those of lower index come first.

    >>> line = np.array([[0.0], [1.0], [3.0]])
    >>> [x.tolist() for x in nearest(line, line, same=True)]
    [[[1.0], [1.0], [4.0]], [[1], [0], [1]]]
    """
    queries, points, exponent = scaled(queries, points)
    shape = (len(queries), k)
    squares, indices = np.empty(shape), np.empty(shape, np.int64)
    for rows, low, high in brackets(queries, points):
        if same:
            own = np.arange(len(low))
            low[own, rows.start + own] = high[own, rows.start + own] = np.inf
        # k points are at most this far, so that others need not be looked at.
        limit = np.partition(high, k - 1, axis=1)[:, k - 1 : k]
        i, j = np.nonzero(low <= limit)
        exact = squared(queries, rows.start + i, points, j)
        # By row, then by distance, then by index.
        order = np.lexsort((j, exact, i))
        first = np.searchsorted(i, np.arange(len(low)))
        kept = order[first[:, None] + np.arange(k)]
        squares[rows], indices[rows] = exact[kept], j[kept]
    return np.ldexp(squares, 2 * exponent), indices


def balls_around(
    queries: np.ndarray, centers: np.ndarray, squared_radii: np.ndarray
) -> np.ndarray:
    """Counts the closed balls that contain each query, `[n]` int64.

    Args:
      queries: `[n, d]`, finite.
      centers: `[m, d]`, finite.
      squared_radii: `[m]` float64, such as squared distances of `nearest`.

    >>> balls_around(np.array([[1.0], [5.0]]), np.array([[0.0], [3.0]]), [1.0, 4.0])
    array([2, 1])
    """
    queries, centers, exponent = scaled(queries, centers)
    limits = np.ldexp(np.asarray(squared_radii, np.float64), -2 * exponent)
    counts = np.empty(len(queries), np.int64)
    for rows, low, high in brackets(queries, centers):
        inside = high <= limits
        i, j = np.nonzero((low <= limits) & ~inside)
        exact = squared(queries, rows.start + i, centers, j) <= limits[j]
        counts[rows] = inside.sum(1) + np.bincount(i[exact], minlength=len(low))
    return counts


def scaled(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Divides two sets by one power of two, so that all entries are below 1.

    Squares in float32 then neither overflow nor vanish. The division is exact.

    Returns:
      The two sets, and the exponent of the power.
    """
    largest = max(float(np.max(np.abs(x))) for x in (a, b))
    exponent = int(np.frexp(largest)[1])
    return np.ldexp(a, -exponent), np.ldexp(b, -exponent), exponent


def brackets(
    queries: np.ndarray, points: np.ndarray
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Yields bounds of the squared distances of a block of queries to all points.

    Args:
      queries: `[n, d]` in (-1, 1).
      points: `[m, d]` in (-1, 1).

    Yields:
      The rows of the block, lower bounds `[rows, m]` float32 and upper bounds.
    """
    dim = points.shape[1]
    # |a - b|^2 = |a|^2 + |b|^2 - 2 a.b loses least around the mean.
    center = points.mean(0, dtype=np.float64)
    b = centered(points, center)
    b_squares = lengths(b)
    # The sum of d products is off by at most d units of |a||b|; the rest is for the
    # rounding of a, b, their squares and the bounds, and for vanishing products.
    relative, absolute = np.float32((dim + 40) * UNIT), np.float32(dim * 2.0**-76)
    size = max(1, BLOCK // len(points))
    for start in range(0, len(queries), size):
        rows = slice(start, min(start + size, len(queries)))
        a = centered(queries[rows], center)
        a_squares = lengths(a)
        slack = a_squares[:, None] + b_squares
        # In place, as the time is that of reading and writing blocks.
        low = a @ b.T
        low *= -2
        low += slack
        slack *= relative
        slack += absolute
        high = low + slack
        low -= slack
        yield rows, low, high


def centered(x: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Returns x - center, computed in float64 and rounded to float32."""
    # With an output, no float64 copy of all of x is in memory.
    return np.subtract(x, center, out=np.empty(x.shape, np.float32))


def lengths(x: np.ndarray) -> np.ndarray:
    """Returns the squared lengths of rows of `[n, d]` float32, summed in float64."""
    return np.einsum("nd,nd->n", x, x, dtype=np.float64).astype(np.float32)


def squared(a: np.ndarray, i: np.ndarray, b: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Returns |a_i - b_j|^2 of pairs of rows in float64, `[len(i)]`."""
    squares = np.empty(len(i))
    size = max(1, BLOCK // a.shape[1])
    for start in range(0, len(i), size):
        part = slice(start, start + size)
        difference = a[i[part]].astype(np.float64) - b[j[part]]
        squares[part] = np.square(difference).sum(-1)
    return squares

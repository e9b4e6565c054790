"""Points between latents: on lines and on great arcs."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.errors import UsageError


def slerp(a: np.ndarray, b: np.ndarray, t: float) -> np.ndarray:
    """Returns the point between two vectors at `t` in [0, 1], on the arc.

    Spherical interpolation, https://arxiv.org/abs/1609.04468.

    >>> slerp(np.array([1.0, 0.0]), np.array([0.0, 1.0]), 0.5).round(4)
    array([0.7071, 0.7071])
    """
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    cosine = np.clip(np.dot(a, b) / max(lengths, 1e-12), -1, 1)
    angle = np.arccos(cosine)
    if np.sin(angle) < 1e-4:  # parallel vectors have no arc
        return (1 - t) * a + t * b
    return (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)


def lerp(a: np.ndarray, b: np.ndarray, t: float) -> np.ndarray:
    """Returns the point between two vectors at `t` in [0, 1], on the line.

    >>> lerp(np.array([1.0, 0.0]), np.array([0.0, 1.0]), 0.25)
    array([0.75, 0.25])
    """
    return (1 - t) * a + t * b


WAYS = {"linear": lerp, "spherical": slerp}
"""Interpolations of two vectors by name."""


def blend_corners(corners: np.ndarray, across: float, down: float) -> np.ndarray:
    """Interpolates between two or four latents, on great arcs.

    Args:
      corners: `[2, dim]` (left, right) or `[4, dim]` (the upper two, the lower two).
      across: from 0 (left) to 1 (right).
      down: from 0 (upper) to 1 (lower); has no effect on two.

    Returns:
      `[dim]`.
    """
    upper = slerp(corners[0], corners[1], across)
    if len(corners) < 4:
        return upper
    return slerp(upper, slerp(corners[2], corners[3], across), down)


def rows_between(count: int, columns: int) -> list[tuple[int, int, float]]:
    """Returns places between neighbors, `columns` from each point to the next.

    Args:
      count: number of points.
      columns: places in a row, both ends included, at least 2.

    Returns:
      (number of a point, number of the next one, part of the way in [0, 1]).

    >>> rows_between(2, 3)
    [(0, 1, 0.0), (0, 1, 0.5), (0, 1, 1.0)]
    """
    parts = [i / (columns - 1) for i in range(columns)]
    return [(row, row + 1, part) for row in range(count - 1) for part in parts]


def closed_loop(count: int, frames: int) -> list[tuple[int, int, float]]:
    """Returns places on the way through all points and back to the first.

    The first place follows the last at the same distance as any other.

    Args:
      count: number of points.
      frames: number of places.

    >>> closed_loop(2, 4)
    [(0, 1, 0.0), (0, 1, 0.5), (1, 0, 0.0), (1, 0, 0.5)]
    """
    found = []
    for frame in range(frames):
        # Whole numbers, as points are to be met exactly.
        point, rest = divmod(frame * count, frames)
        found.append((point, (point + 1) % count, rest / frames))
    return found


def interpolate_all(
    points: np.ndarray, places: list[tuple[int, int, float]], way: str
) -> np.ndarray:
    """Returns latents at places between points.

    Args:
      points: `[p, n, dim]`, n latents at each point.
      places: as `rows_between` and `closed_loop` return them.
      way: a name in `WAYS`.

    Returns:
      `[places, n, dim]` float32.
    """
    between = WAYS[way]
    found = [
        [between(a, b, t) for a, b in zip(points[i], points[j], strict=True)]
        for i, j, t in places
    ]
    return np.asarray(found, np.float32)


def interpolate(z: jax.Array, columns: int, way: str = "spherical") -> jax.Array:
    """Interpolates latents along each row, from its first to its last.

    Spherical interpolation, https://arxiv.org/abs/1609.04468.

    Args:
      z: `[n, d]`, in rows of `columns`. The last row may be shorter.
      columns: latents in a row.
      way: `spherical` or `linear`.

    Returns:
      `[n, d]`.

    Raises:
      UsageError: if `z` is not an array.

    >>> row = interpolate(jnp.array([[1.0, 0.0], [5.0, 5.0], [0.0, 1.0]]), columns=3)
    >>> [round(float(x), 4) for x in row[1]]
    [0.7071, 0.7071]
    """
    if not isinstance(z, jax.Array):
        raise UsageError(
            "--interpolate needs a generator whose only input is a latent; leave it out"
        )
    place = jnp.arange(len(z))
    # The index of the first latent in each row.
    first = place // columns * columns
    a, b = z[first], z[jnp.minimum(first + columns - 1, len(z) - 1)]
    # The place in a full row, from 0 to 1: `[n, 1]`.
    t = ((place - first) / max(columns - 1, 1))[:, None]
    if way == "linear":
        return (1 - t) * a + t * b
    # The angle w between the ends of each row, at least 1e-4 as its sine divides.
    lengths = jnp.linalg.norm(a, axis=-1) * jnp.linalg.norm(b, axis=-1)
    cosine = jnp.clip(jnp.sum(a * b, -1) / jnp.maximum(lengths, 1e-8), -1, 1)
    angle = jnp.maximum(jnp.arccos(cosine), 1e-4)[:, None]
    # (sin((1 - t) w) a + sin(t w) b) / sin(w).
    return (jnp.sin((1 - t) * angle) * a + jnp.sin(t * angle) * b) / jnp.sin(angle)

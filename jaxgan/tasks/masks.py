"""Masks of holes in images: 1 in holes, drawn from a PRNG key by a fixed program."""

from collections.abc import Callable, Sequence
from typing import Annotated

import jax
import jax.numpy as jnp

from jaxgan.errors import UsageError
from jaxgan.ranges import Range, Size

Mask = Callable[[jax.Array, int, int], jax.Array]
"""(key, height, width) to a mask `[height, width, 1]` float32, 1 in holes, else 0."""

Part = Annotated[float, Range(0, 1, "(]")]
"""A length as a fraction of a side."""
Count = Annotated[int, Range(1, 64)]


def center(size: Size = 0) -> Mask:
    """A square in the center, the same for all images.

    Args:
      size: its side in pixels; 0 for a rectangle of half the height and width.
    """

    def draw(key: jax.Array, height: int, width: int) -> jax.Array:
        if size > min(height, width):
            raise UsageError(
                f"center({size}) does not fit into images of {height} x {width} "
                f"pixels: use center({min(height, width) // 2})"
            )
        rows, columns = size or height // 2, size or width // 2
        top, left = (height - rows) // 2, (width - columns) // 2
        holes = jnp.zeros((height, width, 1), jnp.float32)
        return holes.at[top : top + rows, left : left + columns].set(1)

    return draw


def boxes(most: Count = 4, low: Part = 0.1, high: Part = 0.5) -> Mask:
    """One to `most` boxes of random size and place, which may overlap.

    Args:
      most: the largest number of boxes; all numbers are equally likely.
      low: the shortest height and width, as a fraction of the image's.
      high: the longest.

    Raises:
      UsageError: if `low` is above `high`.
    """
    check_order("boxes", low, high)

    def draw(key: jax.Array, height: int, width: int) -> jax.Array:
        count_key, row_key, column_key = jax.random.split(key, 3)
        used = jnp.arange(most) < jax.random.randint(count_key, (), 1, most + 1)
        # `[most, height, 1]` and `[most, 1, width]`.
        rows = spans(row_key, height, most, low, high)[:, :, None]
        columns = spans(column_key, width, most, low, high)[:, None, :]
        inside = used[:, None, None] & rows & columns
        return jnp.any(inside, 0)[..., None].astype(jnp.float32)

    return draw


def spans(key: jax.Array, side: int, count: int, low: float, high: float) -> jax.Array:
    """Returns random intervals of the pixels of a side, `[count, side]` bool."""
    length_key, first_key = jax.random.split(key)
    parts = jax.random.uniform(length_key, (count,), minval=low, maxval=high)
    lengths = jnp.clip(jnp.round(parts * side), 1, side).astype(jnp.int32)
    # All places at which an interval is inside are equally likely.
    free = side - lengths + 1
    first = jnp.int32(jax.random.uniform(first_key, (count,)) * free)
    pixels = jnp.arange(side)
    return (pixels >= first[:, None]) & (pixels < (first + lengths)[:, None])


def strokes(
    most: Count = 4, vertices: Count = 8, low: Part = 0.05, high: Part = 0.15
) -> Mask:
    """Free-form strokes of a brush, https://arxiv.org/abs/1806.03589 (algorithm 1).

    One to `most` strokes begin anywhere and turn back and forth at each vertex: angles
    are U(2 pi/5 - 2 pi/15, 2 pi/5 + 2 pi/15), every second one negated, and lengths
    N(r, r/2), cut off at 0 and 2 r, for r = 1/8 of the diagonal. Ends are round. The
    whole mask is mirrored along each axis half of the time.

    Args:
      most: the largest number of strokes.
      vertices: the largest number of segments of a stroke.
      low: the smallest width of a brush, as a fraction of the shorter side.
      high: the largest width.

    Raises:
      UsageError: if `low` is above `high`.
    """
    check_order("strokes", low, high)

    def draw(key: jax.Array, height: int, width: int) -> jax.Array:
        keys = jax.random.split(jax.random.fold_in(key, 0), most)
        count_key, flip_key = jax.random.split(jax.random.fold_in(key, 1))
        used = jnp.arange(most) < jax.random.randint(count_key, (), 1, most + 1)
        # The pixels of each stroke, `[most, height, width]`.
        drawn = jax.vmap(lambda k: stroke(k, height, width, vertices, low, high))(keys)
        holes = jnp.any(used[:, None, None] & drawn, 0)
        down, across = jax.random.bernoulli(flip_key, 0.5, (2,))
        holes = jnp.where(down, holes[::-1], holes)
        holes = jnp.where(across, holes[:, ::-1], holes)
        return holes[..., None].astype(jnp.float32)

    return draw


def stroke(
    key: jax.Array, height: int, width: int, vertices: int, low: float, high: float
) -> jax.Array:
    """Returns the pixels of one stroke, `[height, width]` bool; see `strokes`."""
    count_key, start_key, angle_key, length_key, brush_key = jax.random.split(key, 5)
    count = jax.random.randint(count_key, (), (vertices + 1) // 2, vertices + 1)
    spread = jax.random.uniform(angle_key, (vertices,), minval=-1, maxval=1)
    angles = 2 * jnp.pi * (1 / 5 + spread / 15)
    angles = jnp.where(jnp.arange(vertices) % 2 == 0, -angles, angles)
    mean = (height**2 + width**2) ** 0.5 / 8
    normal = jax.random.normal(length_key, (vertices,))
    lengths = jnp.clip(mean + mean / 2 * normal, 0, 2 * mean)
    # Segments after the last vertex have no length.
    lengths = jnp.where(jnp.arange(vertices) < count, lengths, 0.0)
    moves = lengths[:, None] * jnp.stack([jnp.sin(angles), jnp.cos(angles)], -1)
    # Vertices as (row, column), kept inside, so that strokes do not leave the image.
    size = jnp.array([height, width], jnp.float32)
    start = jax.random.uniform(start_key, (2,)) * size
    ends = jnp.clip(start + jnp.cumsum(moves, 0), 0, size)
    starts = jnp.concatenate([start[None], ends[:-1]])
    brush = jax.random.uniform(brush_key, minval=low, maxval=high) * jnp.min(size)
    return jnp.min(distances(starts, ends, height, width), 0) <= brush / 2


def distances(starts: jax.Array, ends: jax.Array, height: int, width: int) -> jax.Array:
    """Returns the distance of each pixel's center to each segment, in pixels.

    Args:
      starts: ends of the segments as (row, column), `[n, 2]`.
      ends: the other ends, `[n, 2]`.
      height: of the image.
      width: of the image.

    Returns:
      `[n, height, width]`.
    """
    rows = jnp.arange(height)[:, None] + 0.5 - starts[:, 0, None, None]
    columns = jnp.arange(width)[None, :] + 0.5 - starts[:, 1, None, None]
    down, across = (ends - starts).T[:, :, None, None]
    # The nearest point of a segment, from 0 at its start to 1 at its end.
    along = (rows * down + columns * across) / jnp.maximum(down**2 + across**2, 1e-6)
    along = jnp.clip(along, 0, 1)
    return jnp.hypot(rows - along * down, columns - along * across)


def mixture(of: Mask | Sequence[Mask] | None = None) -> Mask:
    """One of several masks, all equally likely.

    Args:
      of: the masks, such as `center(16)|strokes`; `center|boxes|strokes` if None.
    """
    if of is None:
        of = (center(), boxes(), strokes())
    masks = (of,) if callable(of) else tuple(of)

    def draw(key: jax.Array, height: int, width: int) -> jax.Array:
        choice_key, mask_key = jax.random.split(key)
        drawn = jnp.stack([mask(mask_key, height, width) for mask in masks])
        return drawn[jax.random.randint(choice_key, (), 0, len(masks))]

    return draw


def check_order(name: str, low: float, high: float) -> None:
    """Raises UsageError if the smallest size is above the largest."""
    if low > high:
        raise UsageError(
            f"{name}: low={low} is above high={high}: use {name}(low={high}, "
            f"high={low})"
        )


MASKS: dict[str, Callable[..., Mask]] = {
    "center": center,
    "boxes": boxes,
    "strokes": strokes,
    "any": mixture,
}
"""Factories of masks by name."""

"""Masks of holes in images: 1 in holes, drawn from a PRNG key by a fixed program."""

import itertools
import math
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
        numbers = split_uniform(key, (), *[(most,)] * 4)
        count, heights, tops, widths, lefts = numbers
        used = jnp.arange(most) <= jnp.floor(count * most)
        # `[most, height, 1]` and `[most, 1, width]`.
        rows = spans(heights, tops, height, low, high)[:, :, None]
        columns = spans(widths, lefts, width, low, high)[:, None, :]
        inside = used[:, None, None] & rows & columns
        return jnp.any(inside, 0)[..., None].astype(jnp.float32)

    return draw


def split_uniform(key: jax.Array, *shapes: tuple[int, ...]) -> list[jax.Array]:
    """Returns numbers that are uniform in [0, 1), an array of each shape.

    They are of a single call, as each one takes XLA a third of a second to compile.
    """
    sizes = [math.prod(shape) for shape in shapes]
    numbers = jax.random.uniform(key, (sum(sizes),))
    ends = itertools.accumulate(sizes)
    return [
        numbers[end - size : end].reshape(shape)
        for size, end, shape in zip(sizes, ends, shapes, strict=True)
    ]


def spans(
    length: jax.Array, first: jax.Array, side: int, low: float, high: float
) -> jax.Array:
    """Returns intervals of the pixels of a side, `[n, side]` bool.

    Args:
      length: uniform numbers in [0, 1), `[n]`, of the lengths.
      first: those of the places.
      side: number of pixels.
      low: the shortest length, as a fraction of the side.
      high: the longest.
    """
    lengths = jnp.clip(jnp.round((low + (high - low) * length) * side), 1, side)
    # All places at which an interval is inside are equally likely.
    start = jnp.floor(first * (side - lengths + 1))
    pixels = jnp.arange(side)
    return (pixels >= start[:, None]) & (pixels < (start + lengths)[:, None])


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
        each = (most, 2 * vertices + 4)
        count, down, across, numbers = split_uniform(key, (), (), (), each)
        used = jnp.arange(most) <= jnp.floor(count * most)
        # The pixels of each stroke, `[most, height, width]`.
        drawn = jax.vmap(lambda u: stroke(u, height, width, low, high))(numbers)
        holes = jnp.any(used[:, None, None] & drawn, 0)
        holes = jnp.where(down < 0.5, holes[::-1], holes)
        holes = jnp.where(across < 0.5, holes[:, ::-1], holes)
        return holes[..., None].astype(jnp.float32)

    return draw


def stroke(
    numbers: jax.Array, height: int, width: int, low: float, high: float
) -> jax.Array:
    """Returns the pixels of one stroke, `[height, width]` bool; see `strokes`.

    Args:
      numbers: uniform in [0, 1), two for each of the largest number of segments and 4.
      height: of the image.
      width: of the image.
      low: the smallest width of a brush, as a fraction of the shorter side.
      high: the largest width.
    """
    count, brush, *start = numbers[:4]
    spread, lengths = jnp.split(numbers[4:], 2)
    place = jnp.arange(len(spread))
    # U(2 pi/5 - 2 pi/15, 2 pi/5 + 2 pi/15).
    angles = 2 * jnp.pi * (1 / 5 + (2 * spread - 1) / 15)
    angles = jnp.where(place % 2 == 0, -angles, angles)
    mean = (height**2 + width**2) ** 0.5 / 8
    # N(0, 1), by the quantiles of uniform numbers.
    normal = jax.scipy.special.ndtri(jnp.clip(lengths, 1e-6, 1 - 1e-6))
    lengths = jnp.clip(mean + mean / 2 * normal, 0, 2 * mean)
    # From half of the segments to all; the others have no length.
    lengths = jnp.where(place <= (1 + count) / 2 * len(place), lengths, 0.0)
    moves = lengths[:, None] * jnp.stack([jnp.sin(angles), jnp.cos(angles)], -1)
    # Vertices as (row, column), kept inside, so that strokes do not leave the image.
    size = jnp.array([height, width], jnp.float32)
    begin = jnp.stack(start) * size
    ends = jnp.clip(begin + jnp.cumsum(moves, 0), 0, size)
    starts = jnp.concatenate([begin[None], ends[:-1]])
    brush = (low + (high - low) * brush) * jnp.min(size)
    # Else XLA for CPU draws all numbers again for each pixel.
    starts, ends, brush = jax.lax.optimization_barrier((starts, ends, brush))
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

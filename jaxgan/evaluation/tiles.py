"""Overlapping tiles of a picture: their places, and the blend of their results.

Each tile has the same size, so that one compiled program maps all of them. Where two
tiles overlap, the outer quarter of the overlap at the edge of each is left out, since
networks see less there, and the rest is blended linearly. Weights sum to 1. A network
that reads at most a quarter of the overlap beyond a pixel therefore gives the same
result in tiles as for the whole picture. Others, such as those with instance
normalization, differ between tiles, which the blend hides.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from jaxgan.data.resize import Size
from jaxgan.ranges import ceil_div


class Axis(NamedTuple):
    """The tiles along one side of a picture.

    >>> Axis(length=10, tile=4, overlap=2).starts.tolist()
    [0, 2, 4, 6]
    """

    length: int
    """Pixels of the picture."""
    tile: int
    """Pixels of a tile."""
    overlap: int
    """Pixels that neighbors share at least, at most half a tile."""
    multiple: int = 1
    """Tiles start at multiples of this, as a network with strides would."""

    @property
    def padded(self) -> int:
        """The length that tiles cover: at least one tile, a multiple of `multiple`."""
        rounded = ceil_div(self.length, self.multiple) * self.multiple
        return max(self.tile, rounded)

    @property
    def starts(self) -> np.ndarray:
        """The first pixels of the tiles, `[k]`."""
        # The last tile ends with the picture, and may overlap more.
        last = self.padded - self.tile
        free = self.tile - self.overlap
        stride = free // self.multiple * self.multiple
        # Only neighbors may be blended, so that a tile is not shifted too little.
        if stride < max(self.overlap, 1):
            stride = free
        return np.append(np.arange(0, last, stride), last)

    def weights(self, scale: int = 1) -> np.ndarray:
        """Returns the weight of each pixel of each tile, `[k, tile * scale]` float32.

        The weights of a pixel of the picture sum to 1.

        Args:
          scale: pixels of the result for each pixel of the picture.
        """
        tile, overlap = scale * self.tile, scale * self.overlap
        starts = scale * self.starts
        ramp = blend(overlap)
        weights = np.ones((len(starts), tile), np.float32)
        for i in range(1, len(starts)):
            # The end of the earlier tile, of which it gives its last pixels away.
            end = starts[i - 1] + tile - starts[i]
            weights[i, : end - overlap] = 0
            weights[i, end - overlap : end] = ramp
            weights[i - 1, tile - overlap :] = 1 - ramp
        return weights


def blend(overlap: int) -> np.ndarray:
    """Returns the rising weights of a tile in its overlap with the one before.

    Args:
      overlap: its length.

    Returns:
      `[overlap]` float32: 0 in the first quarter, 1 in the last, and linear between.

    >>> blend(8).tolist()
    [0.0, 0.0, 0.125, 0.375, 0.625, 0.875, 1.0, 1.0]
    """
    margin = overlap // 4
    inner = overlap - 2 * margin
    rising = (np.arange(inner, dtype=np.float32) + 0.5) / max(inner, 1)
    return np.concatenate([np.zeros(margin), rising, np.ones(margin)], dtype=np.float32)


def reflected(length: int, padded: int) -> np.ndarray:
    """Returns the pixels that pad a side by reflection, as often as necessary.

    Args:
      length: pixels of the picture.
      padded: pixels with the padding, which is at the end.

    Returns:
      Indices `[padded]` from 0 to length - 1.

    >>> reflected(3, 8).tolist(), reflected(1, 3).tolist()
    ([0, 1, 2, 1, 0, 1, 2, 1], [0, 0, 0])
    """
    # Without a repetition of the first and the last pixel.
    period = max(2 * (length - 1), 1)
    place = np.arange(padded) % period
    return np.minimum(place, period - place) if length > 1 else place


def map_tiles(
    image: np.ndarray,
    axes: tuple[Axis, Axis],
    run: Callable[[np.ndarray], np.ndarray],
    *,
    scale: int = 1,
    at_once: int = 1,
    finish: Callable[[np.ndarray], np.ndarray] = lambda rows: rows,
) -> np.ndarray:
    """Maps a picture in tiles, and blends the results.

    Besides the picture and the result, one row of tiles is in memory at a time.

    Args:
      image: `[H, W, C]`, of any dtype.
      axes: the tiles along the height and the width.
      run: maps tiles `[at_once, h, w, C]` to float32 `[at_once, scale * h, scale * w,
        D]`.
      scale: pixels of the result for each pixel of the picture.
      at_once: tiles per call of `run`; the last one of a row is repeated to fill it up.
      finish: converts finished rows, such as to uint8.

    Returns:
      `[scale * H, scale * W, D]`.
    """
    down, across = axes
    height, width = scale * down.length, scale * across.length
    vertical = down.weights(scale)
    # The top of each row of tiles, and of what follows it.
    tops = [*(scale * down.starts).tolist(), height]
    rows, result = None, None
    for i, strip in enumerate(_strips(image, axes)):
        row = _map_row(strip, across, run, scale, at_once) * vertical[i][:, None, None]
        # The end of the previous row of tiles lies in this one.
        if rows is not None:
            row[: len(rows)] += rows
        done = tops[i + 1] - tops[i]
        part = finish(row[:done, :width])
        if result is None:
            result = np.empty((height, width, part.shape[-1]), part.dtype)
        result[tops[i] : tops[i + 1]] = part
        rows = row[done:]
    assert result is not None  # there is at least one tile
    return result


def _strips(image: np.ndarray, axes: tuple[Axis, Axis]) -> Iterator[np.ndarray]:
    """Yields the rows of pixels of each row of tiles, with reflected padding."""
    down, across = axes
    rows = reflected(down.length, down.padded)
    columns = reflected(across.length, across.padded)
    for top in down.starts:
        yield image[np.ix_(rows[top : top + down.tile], columns)]


def _map_row(
    strip: np.ndarray, across: Axis, run: Callable, scale: int, at_once: int
) -> np.ndarray:
    """Maps one row of tiles.

    Returns:
      Blended along the width, float32 `[scale * tile, scale * padded, D]`.
    """
    starts, weights = across.starts, across.weights(scale)
    row = None
    for first in range(0, len(starts), at_once):
        # Beyond the last tile, that one is repeated.
        numbers = np.minimum(np.arange(first, first + at_once), len(starts) - 1)
        tiles = run(np.stack([strip[:, x : x + across.tile] for x in starts[numbers]]))
        if row is None:
            shape = (tiles.shape[1], scale * across.padded, tiles.shape[-1])
            row = np.zeros(shape, np.float32)
        for i in range(min(at_once, len(starts) - first)):
            left, weight = scale * starts[first + i], weights[first + i]
            row[:, left : left + len(weight)] += tiles[i] * weight[:, None]
    assert row is not None  # there is at least one tile
    return row


def axes_for(
    size: Size, tile: Size, overlap: int, multiple: int = 1
) -> tuple[Axis, Axis]:
    """Returns the tiles along the height and the width.

    Args:
      size: height and width of the picture.
      tile: height and width of a tile.
      overlap: pixels that neighbors share; less in tiles that are smaller than twice.
      multiple: tiles start at multiples of this.
    """
    down, across = (
        Axis(length, side, min(overlap, side // 2), multiple)
        for length, side in zip(size, tile, strict=True)
    )
    return down, across

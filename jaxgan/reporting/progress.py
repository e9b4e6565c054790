"""The same latents through training, made from the saved sample pictures alone."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jaxgan.files import kind
from jaxgan.reporting.images import Layout, Picture, load_png

log = logging.getLogger("jaxgan")

ROWS, COLUMNS = 10, 12
LABEL, GAP, WIDTH = 84, 8, 1350
"""Pixels: a step's label, the distance of drawings, all drawings side by side."""


def moments(steps: Sequence[int], count: int = ROWS) -> list[int]:
    """About `count` of the steps, denser at the start, with the first and the last.

    Most of what can be seen changes early, so they are spread evenly in log time.

    >>> moments([0, 1, 2, 4, 8, 16, 32, 64], count=5)
    [0, 1, 4, 16, 64]
    >>> moments([0, 100, 200], count=10)
    [0, 100, 200]
    """
    steps = sorted(set(steps))
    if len(steps) <= count:
        return steps
    first, *rest = steps
    chosen, left = [first], np.array(rest, float)
    for place, target in enumerate(np.geomspace(rest[0], rest[-1], count - 1)):
        # each takes the nearest of those that leave enough for the rest
        room = left[: len(left) - (count - 2 - place)]
        nearest = int(np.abs(np.log(room / target)).argmin())
        chosen.append(int(left[nearest]))
        left = left[nearest + 1 :]
    return chosen


def progress(paths: Sequence[str | Path]) -> np.ndarray | None:
    """Draws a row per moment: its step, and the first tiles of its picture.

    Pictures of one drawing stand side by side. Pictures that cannot be read, or are
    of another layout than the last, are left out; None if nothing is left.
    """
    pictures = [found for path in paths if (found := _load(Path(path)))]
    if not pictures:
        return None
    last = max(pictures, key=lambda found: found.step or 0)
    alike = {found.step or 0: found for found in pictures if _alike(found, last)}
    chosen = [alike[step] for step in moments(list(alike))]
    return _rows(chosen, last.layout) if last.layout else _side_by_side(chosen)


def _alike(one: Picture, other: Picture) -> bool:
    return one.layout == other.layout and one.pixels.shape == other.pixels.shape


def _load(path: Path) -> Picture | None:
    """A picture whose step is in itself or in its name, or None."""
    try:
        if kind(path) != "a file":
            return None
        found = load_png(path)
        step = int(path.stem.split("_")[-1]) if found.step is None else found.step
    except Exception as error:  # damaged pictures raise anything
        log.debug("%s: %s", path, error)
        return None
    pixels = found.pixels
    if pixels.ndim == 2:
        pixels = pixels[..., None].repeat(3, axis=-1)
    return Picture(pixels, found.layout, step)


def _rows(pictures: Sequence[Picture], place: Layout) -> np.ndarray:
    first = [_first_tiles(found.pixels, place) for found in pictures]
    height, width = first[0].shape[:2]
    high = max(height, 16) + place.pad
    sheet = Image.new("RGB", (LABEL + width, high * len(first) + 4), (255, 255, 255))
    for number, (found, tiles) in enumerate(zip(pictures, first, strict=True)):
        top = 2 + number * high
        sheet.paste(Image.fromarray(tiles), (LABEL, top))
        _write(sheet, (LABEL - 8, top + height // 2), found.step, "rm")
    return np.asarray(sheet)


def _first_tiles(pixels: np.ndarray, place: Layout) -> np.ndarray:
    """The first tiles in one row, `[height, ~COLUMNS * (width + pad), 3]`.

    Wide tiles are fewer and small ones more, so that a row is about as wide always.
    """
    wide = place.width + place.pad
    count = min(place.count, max(COLUMNS * 64 // max(wide, 64), 1))
    row = np.full((place.height, count * wide, 3), 255, np.uint8)
    for number in range(count):
        top = place.pad + number // place.columns * (place.height + place.pad)
        left = place.pad + number % place.columns * wide
        tile = pixels[top : top + place.height, left : left + place.width]
        row[:, number * wide : number * wide + place.width] = tile
    return row


def _side_by_side(pictures: Sequence[Picture]) -> np.ndarray:
    height, width = pictures[0].pixels.shape[:2]
    high, wide = height + 24, width + GAP
    columns = min(len(pictures), max(WIDTH // wide, 1))
    size = (columns * wide, -(-len(pictures) // columns) * high)
    sheet = Image.new("RGB", size, (255, 255, 255))
    for number, found in enumerate(pictures):
        top, left = number // columns * high, number % columns * wide
        sheet.paste(Image.fromarray(found.pixels), (left, top + 20))
        _write(sheet, (left + width // 2, top + 10), found.step, "mm")
    return np.asarray(sheet)


def _write(sheet: Image.Image, at: tuple[int, int], step: int | None, where: str):
    font = ImageFont.load_default(14)
    draw = ImageDraw.Draw(sheet)
    draw.text(at, f"{step or 0:,}", (40, 40, 40), font=font, anchor=where)

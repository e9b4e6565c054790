"""Draws the same latents over the course of training, from the saved pictures."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jaxgan.files import kind
from jaxgan.ranges import ceil_div
from jaxgan.reporting.images import Layout, Picture, load_png

log = logging.getLogger("jaxgan")

ROWS, COLUMNS = 10, 12
LABEL, GAP, WIDTH = 84, 8, 1350
"""In pixels: width of a label, gap between drawings, width of a row of drawings."""


def moments(steps: Sequence[int], count: int = ROWS) -> list[int]:
    """Selects about `count` of the steps, always with the first and the last.

    They are spaced evenly in log time, as most of the visible change is early.

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
    # Targets grow by a constant factor from the second step, as log(0) is undefined.
    for number, target in enumerate(np.geomspace(rest[0], rest[-1], count - 1)):
        # Takes the nearest step that leaves enough steps for the remaining targets.
        room = left[: len(left) - (count - 2 - number)]
        nearest = int(np.abs(np.log(room / target)).argmin())
        chosen.append(int(left[nearest]))
        # Later targets choose among later steps, so that none repeats.
        left = left[nearest + 1 :]
    return chosen


def progress(paths: Sequence[str | Path]) -> np.ndarray | None:
    """Draws one row per selected step: the step and the first tiles of its picture.

    Pictures without a layout (a single drawing each) are put side by side. Pictures
    that cannot be read, or whose layout differs from that of the last, are left out.

    Args:
      paths: the PNG files of a run's samples.

    Returns:
      uint8 `[height, width, 3]`, or None if no picture is left.
    """
    pictures = pictures_alike(paths)
    if not pictures:
        return None
    by_step = {picture.step or 0: picture for picture in pictures}
    chosen = [by_step[step] for step in moments(list(by_step))]
    layout = chosen[-1].layout
    return _rows(chosen, layout) if layout else _side_by_side(chosen)


def pictures_alike(paths: Sequence[str | Path]) -> list[Picture]:
    """Reads pictures of a run, in the order of their steps, as RGB.

    Pictures that cannot be read, or whose form differs from that of the last, are left
    out.

    Args:
      paths: the PNG files of a run's samples.
    """
    pictures = [picture for path in paths if (picture := _load(Path(path)))]
    if not pictures:
        return []
    last = max(pictures, key=lambda picture: picture.step or 0)
    # One picture per step.
    alike = {x.step or 0: x for x in pictures if _is_alike(x, last)}
    return [alike[step] for step in sorted(alike)]


def _is_alike(one: Picture, other: Picture) -> bool:
    return one.layout == other.layout and one.pixels.shape == other.pixels.shape


def _load(path: Path) -> Picture | None:
    """Loads a picture and its step; returns None if the file is damaged."""
    try:
        if kind(path) != "a file":
            return None
        picture = load_png(path)
        # Pictures of other programs have the step in their name only.
        step = int(path.stem.split("_")[-1]) if picture.step is None else picture.step
    except Exception as error:  # a damaged picture may raise anything
        log.debug("%s: %s", path, error)
        return None
    pixels = picture.pixels
    if pixels.ndim == 2:
        # Gray [H, W] to RGB [H, W, 3].
        pixels = pixels[..., None].repeat(3, axis=-1)
    return picture._replace(pixels=pixels, step=step)


def _rows(pictures: Sequence[Picture], layout: Layout) -> np.ndarray:
    """Draws one labeled row of tiles per picture."""
    rows = [_first_tiles(picture.pixels, layout) for picture in pictures]
    height, width = rows[0].shape[:2]
    # At least as high as a label, about 16 pixels.
    high = max(height, 16) + layout.pad
    sheet = Image.new("RGB", (LABEL + width, high * len(rows) + 4), (255, 255, 255))
    for number, (picture, tiles) in enumerate(zip(pictures, rows, strict=True)):
        top = 2 + number * high
        sheet.paste(Image.fromarray(tiles), (LABEL, top))
        # Right-aligned, beside the middle of the row.
        _write(sheet, (LABEL - 8, top + height // 2), picture.step, "rm")
    return np.asarray(sheet)


def _first_tiles(pixels: np.ndarray, layout: Layout) -> np.ndarray:
    """Returns the first tiles in one row, `[height, ~COLUMNS * (width + pad), 3]`.

    A row has fewer tiles if they are wider than 64 pixels, so that it stays narrow.
    """
    wide = layout.width + layout.pad
    count = min(layout.count, max(COLUMNS * 64 // max(wide, 64), 1))
    row = np.full((layout.height, count * wide, 3), 255, np.uint8)
    for number in range(count):
        # The grid is filled row by row, with `pad` pixels before each tile.
        top = layout.pad + number // layout.columns * (layout.height + layout.pad)
        left = layout.pad + number % layout.columns * wide
        tile = pixels[top : top + layout.height, left : left + layout.width]
        row[:, number * wide : number * wide + layout.width] = tile
    return row


def _side_by_side(pictures: Sequence[Picture]) -> np.ndarray:
    """Draws pictures of equal size row by row, each below its step."""
    height, width = pictures[0].pixels.shape[:2]
    # 20 pixels for the label above each drawing, and 4 below.
    high, wide = height + 24, width + GAP
    columns = min(len(pictures), max(WIDTH // wide, 1))
    # The number of rows is rounded up.
    size = (columns * wide, ceil_div(len(pictures), columns) * high)
    sheet = Image.new("RGB", size, (255, 255, 255))
    for number, picture in enumerate(pictures):
        top, left = number // columns * high, number % columns * wide
        sheet.paste(Image.fromarray(picture.pixels), (left, top + 20))
        _write(sheet, (left + width // 2, top + 10), picture.step, "mm")
    return np.asarray(sheet)


def _write(sheet: Image.Image, at: tuple[int, int], step: int | None, anchor: str):
    """Writes a step; `anchor` is Pillow's text anchor."""
    font = ImageFont.load_default(14)
    draw = ImageDraw.Draw(sheet)
    draw.text(at, f"{step or 0:,}", (40, 40, 40), font=font, anchor=anchor)

"""Draws samples as one picture: a grid of images, a scatter plot or curves."""

import io
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, PngImagePlugin

from jaxgan.data.decode import open_picture
from jaxgan.data.kinds import as_8_bit
from jaxgan.files import atomic_write
from jaxgan.ranges import ceil_div

LEAST_SIDE = 32
"""Images whose longer side is shorter than this, in pixels, are enlarged."""

REAL, FAKE = (190, 190, 190), (31, 95, 191)
"""RGB colors of real and generated points and curves."""


class Layout(NamedTuple):
    """The position of the tiles in a grid. Lengths are in pixels."""

    height: int
    width: int
    pad: int
    columns: int
    count: int


class Picture(NamedTuple):
    """A picture and the layout of its tiles."""

    pixels: np.ndarray
    """uint8, `[H, W]` or `[H, W, 3]`."""
    layout: Layout | None = None
    """None if the picture is a single drawing."""
    step: int | None = None
    columns: tuple[str, ...] = ()
    """Names of the parts of a tile, from left to right, if there are several."""
    sound: bytes = b""
    """A WAV file of the samples, if they are sounds."""
    texts: tuple[str, ...] = ()
    """The texts that are drawn, if samples are texts."""


ORDER = {"source": 0, "mask": 1, "fake": 2, "real": 3}
"""Columns of a preview from left to right; others stand with the mask."""


def picture(
    samples: np.ndarray, real: np.ndarray | None = None, columns: int | None = None
) -> Picture:
    """Draws samples in the form that fits their shape.

    Args:
      samples: `[B, H, W, C]` is drawn as a grid of images, `[B, 2]` as points, and any
        other shape as one curve per sample: `[B, d]` over d, the first channel of
        `[B, T, C]` over T, and `[B, 1]` sorted as a single curve.
      real: real examples of the same shape, drawn behind points and curves.
      columns: images in a row; by default the grid is nearly square.
    """
    samples = np.asarray(samples)
    if samples.ndim == 4:
        return Picture(grid(samples, columns), layout(samples.shape, columns))
    if samples.ndim == 2 and samples.shape[1] == 2:
        # Follows the real points, so that the pictures of a run have the same axes.
        extent = 1.25 * float(np.abs(samples if real is None else real).max())
        return Picture(scatter(samples, real, extent=extent))
    return Picture(curves(samples, real))


def picture_of_columns(columns: dict[str, Any], real: np.ndarray | None) -> Picture:
    """Draws the columns of a preview side by side, example by example.

    Images stand in the order source, mask, fake, real, and others before `fake`.

    Args:
      columns: samples by name, such as source, fake and real: images `[B, H, W, C]`,
        uint8 or floats in [-1, 1], and `mask` in [0, 1], 1 in holes, which are white.
        Smaller ones are enlarged to the largest, pixel by pixel, and gray ones become
        colored beside colored ones. If they are no images, only `fake`, or the first
        column, is drawn.
      real: real examples, drawn behind points and curves.
    """
    arrays = {name: np.asarray(x) for name, x in columns.items()}
    if any(x.ndim != 4 for x in arrays.values()):
        shown = arrays.get("fake", next(iter(arrays.values())))
        return picture(shown, real)
    if len(arrays) == 1:
        return picture(next(iter(arrays.values())), real)
    # Sorting is stable: other columns keep their order.
    names = sorted(arrays, key=lambda name: ORDER.get(name, ORDER["mask"]))
    tiles = [_tile(name, arrays[name]) for name in names]
    size = tuple(max(x.shape[axis] for x in tiles) for axis in (1, 2))
    channels = max(x.shape[3] for x in tiles)
    tiles = [_widened(enlarged(x, size), size, channels) for x in tiles]
    return picture(np.concatenate(tiles, axis=2))._replace(columns=tuple(names))


def _tile(name: str, images: np.ndarray) -> np.ndarray:
    """Returns the images of a column as uint8 with one or three channels."""
    if name == "mask" and images.dtype != np.uint8:
        images = 2 * images.astype(np.float32) - 1
    return _colors(as_8_bit(images))


def enlarged(images: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Enlarges images to fit into a size, by repeating pixels; keeps their form.

    Args:
      images: `[B, h, w, C]`.
      size: `(H, W)`.

    >>> enlarged(np.zeros((1, 4, 6, 3)), (8, 24)).shape
    (1, 8, 12, 3)
    """
    height, width = images.shape[1:3]
    scale = min(size[0] / height, size[1] / width)
    # The source of each pixel, for factors that are no integers too.
    rows = (np.arange(round(height * scale)) / scale).astype(int).clip(0, height - 1)
    places = (np.arange(round(width * scale)) / scale).astype(int).clip(0, width - 1)
    return images[:, rows][:, :, places]


def _widened(images: np.ndarray, size: tuple[int, ...], channels: int) -> np.ndarray:
    """Pads images with white to a size, and repeats a single channel."""
    if images.shape[-1] == 1:
        images = images.repeat(channels, -1)
    below, right = (size[i] - images.shape[i + 1] for i in range(2))
    pads = [(0, 0), (0, below), (0, right), (0, 0)]
    return np.pad(images, pads, constant_values=255)


def layout(shape: tuple[int, ...], columns: int | None = None, pad: int = 2) -> Layout:
    """Computes the layout of images `[B, H, W, C]`; nearly square by default.

    >>> layout((64, 28, 28, 1))
    Layout(height=56, width=56, pad=2, columns=8, count=64)
    """
    count, height, width = shape[:3]
    # The smallest factor with which the longer side reaches LEAST_SIDE.
    scale = max(1, math.ceil(LEAST_SIDE / max(height, width)))
    if columns is None:
        # Square if columns * width = rows * height, where rows = count / columns.
        columns = math.ceil(math.sqrt(count * height / width))
    columns = min(max(columns, 1), count)
    return Layout(height * scale, width * scale, pad, columns, count)


def grid(images: np.ndarray, columns: int | None = None, pad: int = 2) -> np.ndarray:
    """Arranges images row by row on white; small images are enlarged.

    Args:
      images: `[B, H, W, C]`, integers over the whole range of their type or floats in
        [-1, 1]. Four channels are RGBA, shown over white. Of two channels only the
        first is shown, of more than four only the first three.
      columns: images per row; by default the grid is nearly square.
      pad: pixels between images.

    Returns:
      uint8 `[height, width]` for one channel (gray), `[height, width, 3]` otherwise.
    """
    images = _colors(as_8_bit(np.asarray(images)))
    tiles = layout(images.shape, columns, pad)
    scale = tiles.height // images.shape[1]
    # [B, H, W, C] to [B, scale * H, scale * W, C].
    images = images.repeat(scale, axis=1).repeat(scale, axis=2)
    # Rounded up.
    rows = ceil_div(tiles.count, tiles.columns)
    high, wide = tiles.height + pad, tiles.width + pad
    sheet = (rows * high + pad, tiles.columns * wide + pad, images.shape[-1])
    pixels = np.full(sheet, 255, np.uint8)
    for number, image in enumerate(images):
        # Row by row, with `pad` pixels around each tile.
        top = pad + number // tiles.columns * high
        left = pad + number % tiles.columns * wide
        pixels[top : top + tiles.height, left : left + tiles.width] = image
    return pixels[..., 0] if pixels.shape[-1] == 1 else pixels


def scatter(
    points: np.ndarray,
    real: np.ndarray | None = None,
    *,
    extent: float = 1.25,
    size: int = 256,
) -> np.ndarray:
    """Draws points as a scatter plot with fixed axes, so that pictures are comparable.

    Args:
      points: generated points `[B, 2]`. Points outside of the axes are not drawn.
      real: real points `[B, 2]`, drawn in gray behind.
      extent: both axes cover [-extent, extent], x to the right and y upwards.
      size: the side of the picture in pixels.

    Returns:
      uint8 `[size, size, 3]`.
    """
    pixels = _framed(size, size)
    for values, color in ((real, REAL), (points, FAKE)):
        if values is not None:
            for row, column in _to_pixels(np.asarray(values), extent, size):
                # A point is a square of 3 x 3 pixels, cropped at the edges.
                top, left = max(row - 1, 0), max(column - 1, 0)
                pixels[top : row + 2, left : column + 2] = color
    return pixels


def curves(
    samples: np.ndarray,
    real: np.ndarray | None = None,
    *,
    most: int = 12,
    extent: float = 1.25,
    size: int = 256,
) -> np.ndarray:
    """Draws the first samples as curves over their index.

    Args:
      samples: generated samples `[B, d]`, `[B, T, C]` or `[B, 1]`, see `picture`.
      real: real examples of the same shape, drawn in gray behind.
      most: the maximum number of curves, for generated and for real ones each.
      extent: the y axis covers [-extent, extent].
      size: the height of the picture in pixels.

    Returns:
      uint8 `[size, 2 * size, 3]`.
    """
    sheet = Image.fromarray(_framed(size, 2 * size))
    draw = ImageDraw.Draw(sheet)
    for values, color in ((real, REAL), (samples, FAKE)):
        if values is None:
            continue
        for curve in _as_curves(np.asarray(values))[:most]:
            # From left to right, with a margin of 4 pixels.
            x = np.linspace(4, 2 * size - 5, len(curve))
            # Row 0 is +extent, the last row is -extent.
            y = (extent - np.nan_to_num(curve)) / (2 * extent) * (size - 1)
            points = [(float(a), float(b)) for a, b in zip(x, y, strict=True)]
            if len(points) == 1:  # a single value is a horizontal line
                points = [(4.0, points[0][1]), (2 * size - 5.0, points[0][1])]
            draw.line(points, fill=color, width=2, joint="curve")
    return np.asarray(sheet)


def save_png(path: str | Path, picture: Picture | np.ndarray) -> None:
    """Writes a picture atomically, with its layout and step in the PNG's text."""
    path = Path(path)
    if not isinstance(picture, Picture):
        picture = Picture(np.asarray(picture))
    text = PngImagePlugin.PngInfo()
    if picture.layout is not None:
        text.add_text("jaxgan:layout", json.dumps(picture.layout._asdict()))
    if picture.step is not None:
        text.add_text("jaxgan:step", str(picture.step))
    if picture.columns:
        text.add_text("jaxgan:columns", json.dumps(picture.columns))
    png = io.BytesIO()
    Image.fromarray(picture.pixels).save(png, format="PNG", pnginfo=text)
    # Not synced, since no resumed run depends on a picture.
    atomic_write(path, png.getvalue(), sync=False)


def load_png(path: str | Path) -> Picture:
    """Reads a picture; its layout and step are None unless `save_png` wrote it."""
    with open_picture(path) as image:
        # Other formats than PNG have no text.
        text: dict = getattr(image, "text", {})
        pixels = np.asarray(
            image if image.mode in ("L", "RGB") else image.convert("RGB")
        )
    tiles = text.get("jaxgan:layout")
    step = text.get("jaxgan:step")
    return Picture(
        pixels,
        Layout(**json.loads(tiles)) if tiles else None,
        int(step) if step else None,
        tuple(map(str, json.loads(text.get("jaxgan:columns", "[]")))),
    )


def _framed(height: int, width: int) -> np.ndarray:
    """Returns a white canvas with a gray frame, uint8 `[height, width, 3]`."""
    pixels = np.full((height, width, 3), 225, np.uint8)
    pixels[1:-1, 1:-1] = 255
    return pixels


def _colors(images: np.ndarray) -> np.ndarray:
    """Reduces `[B, H, W, C]` to the channels that can be shown: one or three."""
    channels = images.shape[-1]
    if channels == 4:
        alpha = images[..., 3:].astype(np.float32) / 255
        # Composite over white.
        over = images[..., :3] * alpha + 255 * (1 - alpha)
        return np.round(over).astype(np.uint8)
    return images[..., :1] if channels < 3 else images[..., :3]


def _to_pixels(points: np.ndarray, extent: float, size: int) -> np.ndarray:
    """Returns the rows and columns `[n, 2]` of the points within the axes."""
    inside = points[(np.abs(points) <= extent).all(axis=1)]
    # Flip y, as rows count downwards, and map [-extent, extent] to [0, 1].
    share = (inside * (1, -1) + extent) / (2 * extent)
    # (x, y) to (row, column).
    return np.round(share * (size - 1)).astype(int)[:, ::-1]


def _as_curves(values: np.ndarray) -> np.ndarray:
    """Converts samples `[B, ...]` to curves `[curves, points]`."""
    if values.size == len(values):
        # One value per sample: all of them make a single curve.
        return np.sort(values.reshape(1, -1))
    # [B, T, C] to [B, T], or [B, ...] to [B, d].
    return values[..., 0] if values.ndim == 3 else values.reshape(len(values), -1)

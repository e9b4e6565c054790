"""Samples as one picture: images in a grid, points as a scatter, others as curves."""

import io
import json
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, PngImagePlugin

from jaxgan.data.decode import open_picture
from jaxgan.files import atomic_write

LEAST_SIDE = 32
"""Images smaller than this, in pixels, are enlarged."""

REAL, FAKE = (190, 190, 190), (31, 95, 191)
"""Colours of real and generated points and curves."""


class Layout(NamedTuple):
    """Where the tiles of a grid lie."""

    height: int
    width: int
    pad: int
    columns: int
    count: int


class Picture(NamedTuple):
    """A picture that knows its tiles."""

    pixels: np.ndarray
    """uint8, `[H, W]` or `[H, W, 3]`."""
    layout: Layout | None = None
    """None where the whole is one drawing."""
    step: int | None = None


def picture(samples: np.ndarray, real: np.ndarray | None = None) -> Picture:
    """Shows samples as what they are, beside real examples where both fit into one.

    `[B, H, W, C]` as a grid of images, `[B, 2]` as points, and any other shape as a
    curve per sample: `[B, d]` over d, the first channel of `[B, T, C]` over T, and
    `[B, 1]` sorted as one curve.
    """
    samples = np.asarray(samples)
    if samples.ndim == 4:
        return Picture(grid(samples), layout(samples.shape))
    if samples.ndim == 2 and samples.shape[1] == 2:
        extent = 1.25 * float(np.abs(samples if real is None else real).max())
        return Picture(scatter(samples, real, extent=extent))
    return Picture(curves(samples, real))


def layout(shape: tuple[int, ...], columns: int | None = None, pad: int = 2) -> Layout:
    """Where the images of an array `[B, H, W, C]` lie; near to a square by default.

    >>> layout((64, 28, 28, 1))
    Layout(height=56, width=56, pad=2, columns=8, count=64)
    """
    count, height, width = shape[:3]
    scale = max(1, math.ceil(LEAST_SIDE / max(height, width)))
    if columns is None:
        columns = math.ceil(math.sqrt(count * height / width))
    columns = min(max(columns, 1), count)
    return Layout(height * scale, width * scale, pad, columns, count)


def grid(images: np.ndarray, columns: int | None = None, pad: int = 2) -> np.ndarray:
    """Lays images out row by row on white, uint8 `[H, W]` for gray or `[H, W, 3]`.

    `images` are `[B, H, W, C]`, of integers over their whole range or floats in
    [-1, 1]. An alpha channel is shown over white; of two channels or of more than four
    the first, or the first three, are shown. Small images are enlarged, pixel by pixel.
    """
    images = _colors(_as_uint8(np.asarray(images)))
    place = layout(images.shape, columns, pad)
    scale = place.height // images.shape[1]
    images = images.repeat(scale, axis=1).repeat(scale, axis=2)
    rows = -(-place.count // place.columns)
    high, wide = place.height + pad, place.width + pad
    sheet = (rows * high + pad, place.columns * wide + pad, images.shape[-1])
    pixels = np.full(sheet, 255, np.uint8)
    for number, image in enumerate(images):
        top = pad + number // place.columns * high
        left = pad + number % place.columns * wide
        pixels[top : top + place.height, left : left + place.width] = image
    return pixels[..., 0] if pixels.shape[-1] == 1 else pixels


def scatter(
    points: np.ndarray,
    real: np.ndarray | None = None,
    *,
    extent: float = 1.25,
    size: int = 256,
) -> np.ndarray:
    """Draws points `[B, 2]`, real ones in gray behind, uint8 `[size, size, 3]`.

    The picture covers [-extent, extent] in both axes, x to the right and y upwards,
    whatever the points are, so that pictures can be compared.
    """
    pixels = _framed(size, size)
    for values, colour in ((real, REAL), (points, FAKE)):
        if values is not None:
            for row, column in _places(np.asarray(values), extent, size):
                pixels[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = (
                    colour
                )
    return pixels


def curves(
    samples: np.ndarray,
    real: np.ndarray | None = None,
    *,
    most: int = 12,
    extent: float = 1.25,
    size: int = 256,
) -> np.ndarray:
    """Draws the first samples as curves, real ones in gray behind.

    uint8 `[size, 2 * size, 3]`; the picture covers [-extent, extent] upwards.
    """
    sheet = Image.fromarray(_framed(size, 2 * size))
    draw = ImageDraw.Draw(sheet)
    for values, colour in ((real, REAL), (samples, FAKE)):
        if values is None:
            continue
        for curve in _as_curves(np.asarray(values))[:most]:
            x = np.linspace(4, 2 * size - 5, len(curve))
            y = (extent - np.nan_to_num(curve)) / (2 * extent) * (size - 1)
            points = [(float(a), float(b)) for a, b in zip(x, y, strict=True)]
            if len(points) == 1:
                points = [(4.0, points[0][1]), (2 * size - 5.0, points[0][1])]
            draw.line(points, fill=colour, width=2, joint="curve")
    return np.asarray(sheet)


def save_png(path: str | Path, picture: Picture | np.ndarray) -> None:
    """Writes a picture, and with it its layout and step, whole or not at all."""
    path = Path(path)
    if not isinstance(picture, Picture):
        picture = Picture(np.asarray(picture))
    about = PngImagePlugin.PngInfo()
    if picture.layout is not None:
        about.add_text("jaxgan:layout", json.dumps(picture.layout._asdict()))
    if picture.step is not None:
        about.add_text("jaxgan:step", str(picture.step))
    png = io.BytesIO()
    Image.fromarray(picture.pixels).save(png, format="PNG", pnginfo=about)
    atomic_write(path, png.getvalue(), sync=False)


def load_png(path: str | Path) -> Picture:
    """Reads a picture that `save_png` wrote, or any other."""
    with open_picture(path) as image:
        about: dict = getattr(image, "text", {})
        pixels = np.asarray(
            image if image.mode in ("L", "RGB") else image.convert("RGB")
        )
    place = about.get("jaxgan:layout")
    step = about.get("jaxgan:step")
    return Picture(
        pixels,
        Layout(**json.loads(place)) if place else None,
        int(step) if step else None,
    )


def _framed(height: int, width: int) -> np.ndarray:
    pixels = np.full((height, width, 3), 225, np.uint8)
    pixels[1:-1, 1:-1] = 255
    return pixels


def _as_uint8(values: np.ndarray) -> np.ndarray:
    if values.dtype == np.uint8:
        return values
    if np.issubdtype(values.dtype, np.integer):
        return np.round(values * (255 / np.iinfo(values.dtype).max)).astype(np.uint8)
    values = np.nan_to_num(values.astype(np.float32), nan=-1.0)
    return np.round((values.clip(-1, 1) + 1) * 127.5).astype(np.uint8)


def _colors(images: np.ndarray) -> np.ndarray:
    """Of any channels, those that can be shown: one or three."""
    channels = images.shape[-1]
    if channels == 4:
        alpha = images[..., 3:].astype(np.float32) / 255
        over = images[..., :3] * alpha + 255 * (1 - alpha)
        return np.round(over).astype(np.uint8)
    return images[..., :1] if channels < 3 else images[..., :3]


def _places(points: np.ndarray, extent: float, size: int) -> np.ndarray:
    """Row and column of each point in the picture."""
    inside = points[(np.abs(points) <= extent).all(axis=1)]
    share = (inside * (1, -1) + extent) / (2 * extent)
    return np.round(share * (size - 1)).astype(int)[:, ::-1]


def _as_curves(values: np.ndarray) -> np.ndarray:
    """`[curves, points]` of an array `[B, ...]`."""
    if values.size == len(values):
        return np.sort(values.reshape(1, -1))
    return values[..., 0] if values.ndim == 3 else values.reshape(len(values), -1)

"""Pictures, sounds and texts of a run as data of a page, within a limit of bytes."""

import base64
import io
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from jaxgan.errors import printable
from jaxgan.files import kind, reason
from jaxgan.reporting.images import Picture, load_png
from jaxgan.reporting.progress import moments
from jaxgan.sharing.record import sample_files

log = logging.getLogger("jaxgan")

MOMENTS = 8
"""Steps whose pictures are shown."""

SIDE, LARGE = 400, 1_400
"""Maximum sides in pixels, of a picture of the progress and of a single one."""

LINES, LONGEST = 12, 200
"""Lines of texts that are shown of a step, and characters of each."""

SMALL = 40
"""Tiles below this side in pixels are enlarged without smoothing."""


class Embedded(NamedTuple):
    """A picture as a data URI."""

    uri: str
    width: int
    height: int
    caption: str
    pixelated: bool = False
    """True if its tiles are so small that they look better unsmoothed."""


class Sound(NamedTuple):
    """A sound as a data URI."""

    uri: str
    caption: str


class Texts(NamedTuple):
    """The first texts of a step."""

    step: int
    lines: list[str]


def embed(picture: Picture, caption: str, most: int, side: int) -> Embedded:
    """Returns a picture, as a PNG or a JPEG of at most `most` bytes.

    Args:
      picture: its pixels.
      caption: in words.
      most: maximum number of bytes.
      side: maximum height and width in pixels.
    """
    image = Image.fromarray(picture.pixels)
    image.thumbnail((side, side))
    content, form = _encoded(image, most)
    uri = f"data:image/{form};base64,{base64.b64encode(content).decode()}"
    tile = picture.layout
    small = tile is not None and max(tile.height, tile.width) <= SMALL
    return Embedded(uri, image.width, image.height, caption, small)


def _encoded(image: Image.Image, most: int) -> tuple[bytes, str]:
    """Returns content and format of a picture of at most `most` bytes."""
    file = io.BytesIO()
    image.save(file, "PNG")
    if file.tell() <= most:
        return file.getvalue(), "png"
    quality, smaller = 90, image
    while True:
        file = io.BytesIO()
        smaller.save(file, "JPEG", quality=quality)
        if file.tell() <= most or min(smaller.size) < 16:
            return file.getvalue(), "jpeg"
        if quality > 60:
            quality -= 10
        else:
            smaller = smaller.resize([max(x * 3 // 4, 1) for x in smaller.size])


def load(file: Path) -> Picture | None:
    """Returns a picture, None if it is damaged, which is logged."""
    try:
        return load_png(file)
    except Exception as error:  # a damaged file may raise anything
        log.warning(
            "%s cannot be read, and is left out (%s)",
            printable(file.name),
            reason(error),
        )
        return None


def last_picture(folder: Path, most: int) -> Embedded | None:
    """Returns the newest picture of samples, None if there is none."""
    for step, file in reversed(sample_files(folder).items()):
        if picture := load(file):
            columns = f": {', '.join(picture.columns)}" if picture.columns else ""
            caption = f"Samples at step {step:,}{columns}"
            return embed(picture, caption, most, LARGE)
    return None


def progress(folder: Path, most: int, count: int = MOMENTS) -> list[Embedded]:
    """Returns the first samples at several steps, always of the same latents.

    Args:
      folder: of the run.
      most: maximum number of bytes of all.
      count: number of steps.
    """
    files = sample_files(folder)
    chosen = moments(list(files), count) if files else []
    loaded = [(step, picture) for step in chosen if (picture := load(files[step]))]
    if len(loaded) < 2:
        return []
    share = most // len(loaded)
    return [
        embed(cropped(picture), f"Step {step:,}", share, SIDE)
        for step, picture in loaded
    ]


def cropped(picture: Picture) -> Picture:
    """Returns as many whole tiles as fit into `SIDE` pixels, at least one."""
    pixels, tiles = picture.pixels, picture.layout
    if tiles is None:
        return picture
    high, wide = tiles.height + tiles.pad, tiles.width + tiles.pad
    # A square number of small tiles, so that they are large enough to be seen.
    rows, columns = (max(min((SIDE - tiles.pad) // x, 4), 1) for x in (high, wide))
    part = pixels[: rows * high + tiles.pad, : columns * wide + tiles.pad]
    return picture._replace(pixels=np.ascontiguousarray(part))


def neighbors(folder: Path, names: Sequence[str], most: int) -> Iterator[Embedded]:
    """Yields the pictures that evaluations left, such as the nearest neighbors.

    Args:
      folder: of the run.
      names: of the files of the evaluations.
      most: maximum number of bytes of each.
    """
    for name in names:
        stem = name.removesuffix(".json")
        for file in sorted(folder.glob(f"{stem}-*.png"))[:4]:
            picture = load(file) if kind(file) == "a file" else None
            if picture is not None:
                metric = file.stem.removeprefix(f"{stem}-")
                yield embed(picture, caption_of(metric, picture), most, LARGE)


def caption_of(metric: str, picture: Picture) -> str:
    """Returns the caption of a picture of an evaluation."""
    columns = " | ".join(picture.columns)
    shown = f" Columns: {columns}." if columns else ""
    if metric.startswith("memorization"):
        return f"Samples beside their nearest training examples ({metric}).{shown}"
    return f"{metric}.{shown}"


def sounds(folder: Path, most: int) -> list[Sound]:
    """Returns the sounds of the last step and of earlier ones, as far as they fit."""
    files = sample_files(folder, ".wav")
    chosen = list(reversed(moments(list(files), 3))) if files else []
    found, left = [], most
    for step in chosen:
        content = _bytes(files[step], left)
        if content:
            left -= len(content)
            uri = f"data:audio/wav;base64,{base64.b64encode(content).decode()}"
            found.append(Sound(uri, f"Step {step:,}"))
    return found


def _bytes(file: Path, most: int) -> bytes:
    """Returns the content of a file, b"" if it is larger or cannot be read."""
    try:
        return file.read_bytes() if file.stat().st_size <= most else b""
    except OSError as error:
        log.warning("%s is left out (%s)", printable(file.name), reason(error))
        return b""


def texts(folder: Path, count: int = 4) -> list[Texts]:
    """Returns the first texts of several steps, the last one first."""
    files = sample_files(folder, ".txt")
    chosen = list(reversed(moments(list(files), count))) if files else []
    found = []
    for step in chosen:
        content = _bytes(files[step], 2**22).decode("utf-8", "replace")
        lines = [printable(x)[:LONGEST] for x in content.splitlines()[:LINES]]
        if lines:
            found.append(Texts(step, lines))
    return found

"""Animated pictures: walks, and the same pictures over the course of training."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jaxgan.files import atomic_write
from jaxgan.reporting.images import Picture
from jaxgan.reporting.progress import moments, pictures_alike

FRAMES = 40
"""Frames of an animation, at most."""

SIDE = 480
"""Largest height and width of a frame in pixels, without its title."""

TITLE = 20
"""Height of the title above a frame, in pixels."""

EACH, LAST = 250, 2_000
"""Milliseconds that a frame is shown, and the last one."""

WEBP_QUALITY = 90
"""From 0 to 100, where 80 is Pillow's."""

NEEDED = {"source", "fake"}
"""Columns of a picture that is worth an animation: an input and its output."""


def save_animation(paths: Sequence[str | Path], path: str | Path) -> bool:
    """Writes an animation of translated images, if the pictures show some.

    A frame has the names of its columns, the step, and the first tiles of a picture:
    those that fit into `SIDE` pixels. Large tiles are made smaller.

    Args:
      paths: the PNG files of a run's samples; those that differ in form from the last
        are left out.
      path: the GIF file.

    Returns:
      True if it was written. Other pictures than those with the columns `source` and
      `fake`, and a single one, have no animation.
    """
    pictures = pictures_alike(paths)
    if len(pictures) < 2 or not set(pictures[-1].columns) >= NEEDED:
        return False
    by_step = {picture.step or 0: picture for picture in pictures}
    chosen = [by_step[step] for step in moments(list(by_step), FRAMES)]
    frames = [frame(picture) for picture in chosen]
    durations = [EACH] * (len(frames) - 1) + [LAST]
    # Not synced, since no resumed run depends on it.
    atomic_write(Path(path), encode_frames(frames, "GIF", durations), sync=False)
    return True


def encode_frames(
    frames: Sequence[Image.Image], form: str, durations: int | Sequence[int]
) -> bytes:
    """Returns the content of an animated file, which repeats forever.

    Args:
      frames: pictures of the same size, at least one.
      form: `GIF`, of 256 colors in each frame, or `WEBP`.
      durations: milliseconds that all frames, or each, are shown.
    """
    if form == "GIF":
        # Pillow's own palette has fewer colors.
        frames = [
            x if x.mode in ("L", "P") else x.quantize(256, dither=Image.Dither.NONE)
            for x in frames
        ]
    more = {"quality": WEBP_QUALITY} if form == "WEBP" else {}
    file = io.BytesIO()
    first, *rest = frames
    first.save(
        file,
        form,
        save_all=True,
        append_images=rest,
        duration=durations if isinstance(durations, int) else list(durations),
        loop=0,  # forever
        **more,
    )
    return file.getvalue()


def frame(picture: Picture) -> Image.Image:
    """Returns the first tiles of a picture below a title, with 256 colors at most."""
    tiles = Image.fromarray(_cropped(picture))
    # Enlarging would show no more.
    tiles.thumbnail((SIDE, SIDE))
    font = ImageFont.load_default(12)
    columns, step = " | ".join(picture.columns), f"{picture.step or 0:,}"
    width = max(tiles.width, int(font.getlength(f"{columns}  {step}")) + 8)
    sheet = Image.new("RGB", (width, tiles.height + TITLE), (255, 255, 255))
    sheet.paste(tiles, (0, TITLE))
    draw, middle = ImageDraw.Draw(sheet), TITLE // 2
    draw.text((4, middle), columns, (40, 40, 40), font=font, anchor="lm")
    draw.text((width - 4, middle), step, (40, 40, 40), font=font, anchor="rm")
    return sheet.quantize(256, dither=Image.Dither.NONE)


def _cropped(picture: Picture) -> np.ndarray:
    """Returns as many whole tiles of a picture as fit, at least one."""
    pixels, layout = picture.pixels, picture.layout
    if layout is None:
        return pixels
    high, wide = layout.height + layout.pad, layout.width + layout.pad
    rows, columns = (max((SIDE - layout.pad) // x, 1) for x in (high, wide))
    return pixels[: rows * high + layout.pad, : columns * wide + layout.pad]

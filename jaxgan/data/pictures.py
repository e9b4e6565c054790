"""Encoded pictures of any kind to arrays of one kind."""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from jaxgan.data.resize import Frame, Size, fit, framed_size
from jaxgan.errors import UsageError

MODES = {
    **dict.fromkeys(("1", "L"), "L"),
    **dict.fromkeys(("LA", "La", "PA", "RGBA", "RGBa"), "RGBA"),
    **dict.fromkeys(("RGB", "RGBX", "P", "CMYK", "YCbCr", "LAB", "HSV"), "RGB"),
    **dict.fromkeys(("I;16", "I;16L", "I;16B", "I;16N"), "I;16"),
}
"""Pillow's modes to the four that we keep."""

CHANNELS = {"L": 1, "RGB": 3, "RGBA": 4, "I;16": 1}


class Header(NamedTuple):
    """What a picture's file says before its pixels are decoded."""

    size: Size
    mode: str
    """L, RGB, RGBA or `I;16`."""


def header(picture: Image.Image) -> Header:
    """The size and kind of an opened picture; decodes no pixels.

    Raises ValueError for pictures of floats or 32-bit integers.
    """
    mode = MODES.get(picture.mode)
    if mode is None:
        raise ValueError(f"pixels of mode {picture.mode} are not supported")
    if picture.mode == "P" and "transparency" in picture.info:
        mode = "RGBA"
    if _lies_on_its_side(picture):
        return Header((picture.width, picture.height), mode)
    return Header((picture.height, picture.width), mode)


def _lies_on_its_side(picture: Image.Image) -> bool:
    # Cameras store how they were held; other formats would need a full decode to tell.
    if picture.format not in ("JPEG", "MPO"):
        return False
    return picture.getexif().get(0x0112, 1) >= 5


def widest(modes: set[str]) -> str:
    """The mode that can show all of `modes`, of L, RGB and RGBA.

    >>> widest({"L", "RGBA", "RGB"})
    'RGBA'
    """
    return max(modes, key=lambda mode: CHANNELS[mode])


def decode(picture: Image.Image, mode: str, frame: Frame) -> np.ndarray:
    """The pixels of an opened picture, cropped and resized, `[H, W, C]`.

    uint8, or uint16 for the mode `I;16`. Raises OSError and the like for broken data.
    """
    if picture.format in ("JPEG", "MPO"):
        picture = ImageOps.exif_transpose(picture)
    if mode == "I;16":
        pixels = np.asarray(picture).astype(np.uint16)
        return fit(frame, Image.fromarray(pixels))
    return fit(frame, picture.convert(mode))


def example_shape(frame: Frame, size: Size, mode: str) -> tuple[int, int, int]:
    """`(H, W, C)` of pictures of `size` and `mode` once framed."""
    height, width = framed_size(frame, size)
    return height, width, CHANNELS[mode]


def dtype_of(mode: str) -> np.dtype:
    """uint16 for the mode `I;16`, uint8 for the others."""
    return np.dtype(np.uint16 if mode == "I;16" else np.uint8)


def common_mode(modes: dict[str, str], what: str) -> str:
    """One mode for all pictures: `modes` maps each mode found to a file that has it.

    Raises UsageError if 16-bit pictures are mixed with others.
    """
    if "I;16" in modes and len(modes) > 1:
        deep = modes["I;16"]
        other = next(file for mode, file in modes.items() if mode != "I;16")
        raise UsageError(
            f"{what}: {deep} has 16 bits per pixel and {other} has 8; convert one kind"
        )
    return widest(set(modes))

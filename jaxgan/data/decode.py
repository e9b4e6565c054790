"""Picture files of several formats to arrays of one kind."""

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from jaxgan.data.resize import Frame, Size, fit, framed_size
from jaxgan.errors import UsageError
from jaxgan.files import open_regular

# Pillow only warns of the smaller half of the pictures that it takes for bombs.
warnings.simplefilter("error", Image.DecompressionBombWarning)

SUFFIXES = {
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "AVIF": (".avif",),
    "JPEG2000": (".jp2", ".j2k", ".jpx"),
}
"""Pillow's formats that are read, whatever a file is called, and their suffixes.

Left out are formats that start other programs or draw (EPS, WMF), documents (PDF,
PSD), those without a signature (TGA), and those that nobody keeps pictures in.
"""

MODES = {
    **dict.fromkeys(("1", "L", "LA", "La"), "L"),
    **dict.fromkeys(("RGBA", "RGBa", "PA"), "RGB"),
    **dict.fromkeys(("RGB", "RGBX", "P", "CMYK", "YCbCr", "LAB", "HSV"), "RGB"),
    **dict.fromkeys(("I;16", "I;16L", "I;16B", "I;16N"), "I;16"),
}
"""Pillow's modes to those that are kept, but for their alpha channel."""

CHANNELS = {"L": 1, "RGB": 3, "RGBA": 4, "I;16": 1}

ORIENTATION = 0x0112
"""The EXIF tag that says how the camera was held."""
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Orientations to what turns a picture upright; 1 is upright, others are invalid."""


class Header(NamedTuple):
    """Facts of a picture file that need no decoding."""

    size: Size
    """Once upright."""
    mode: str
    """L, RGB or `I;16`."""
    alpha: bool
    """True with an alpha channel, or a transparent color of a palette."""
    animated: bool = False
    """True with more than one frame or page, where that was asked."""


@lru_cache(maxsize=1)
def formats() -> tuple[str, ...]:
    """The formats of `SUFFIXES` that this build of Pillow reads."""
    Image.init()
    return tuple(name for name in SUFFIXES if name in Image.OPEN)


def suffixes() -> tuple[str, ...]:
    """The suffixes, in lower case, of files that are taken for pictures."""
    return tuple(suffix for name in formats() for suffix in SUFFIXES[name])


@contextmanager
def open_picture(source: str | Path | bytes) -> Iterator[Image.Image]:
    """Opens a picture of one of `formats()`; reads its header only.

    Args:
      source: a path, or the content of a file.

    Raises:
      ValueError, OSError and others: Pillow's decoders raise nearly anything for what
        is no picture, is damaged, or has more pixels than `Image.MAX_IMAGE_PIXELS`.
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else open_regular(source)
    with file:
        try:
            picture = Image.open(file, formats=formats())
        except UnidentifiedImageError:
            raise ValueError(f"damaged, or none of {', '.join(formats())}") from None
        with picture:
            yield picture


def header(picture: Image.Image) -> Header:
    """The size and kind of an opened picture; decodes no pixels.

    Raises ValueError for pictures of floats or 32-bit integers.
    """
    mode = MODES.get(picture.mode)
    if picture.mode == "I" and picture.format == "PPM":
        mode = "I;16"  # Pillow's PGM files of more than 8 bits
    if mode is None:
        raise ValueError(f"pixels of mode {picture.mode} are not supported")
    size = picture.height, picture.width
    if orientation(picture) >= 5:
        size = picture.width, picture.height
    return Header(size, mode, has_alpha(picture))


def is_animated(picture: Image.Image) -> bool:
    """Returns True for a picture of several frames or pages; may look for them."""
    if picture.format == "MPO":  # phones add a preview or a depth map
        return False
    try:
        return bool(getattr(picture, "is_animated", False))
    except Exception:  # a damaged second frame does no harm
        return False


def has_alpha(picture: Image.Image) -> bool:
    """Returns True for a picture with an alpha channel, opaque or not."""
    keyed = picture.mode == "P" and "transparency" in picture.info
    return keyed or picture.mode in ("LA", "La", "PA", "RGBA", "RGBa")


def is_opaque(picture: Image.Image) -> bool:
    """Decodes a picture and returns True if no pixel is transparent, even in part."""
    alpha = picture.convert("RGBA").getchannel("A")
    return alpha.getextrema() == (255, 255)


def orientation(picture: Image.Image) -> int:
    """The EXIF orientation of an opened picture, 1 (upright) where it has no valid one.

    To be asked before pixels are decoded.
    """
    if picture.format == "TIFF":
        return 1  # Pillow turns these itself
    known = {"exif", "Raw profile type exif"} & picture.info.keys()
    if picture.format == "PNG" and not known:
        picture.info["exif"] = _late_exif(getattr(picture, "fp", None))
    try:
        # The base class's method, as that of PNG decodes the picture.
        found = Image.Image.getexif(picture).get(ORIENTATION)
    except Exception:  # damaged EXIF raises nearly anything
        return 1
    return found if isinstance(found, int) and found in TURNS else 1


def _late_exif(file: Any) -> bytes:
    """The EXIF of a PNG that stands behind the pixels, where some programs put it.

    It has at most 64 KiB, and so lies in as many bytes at the end of the file. Empty
    where there is none.
    """
    if file is None:  # decoded already
        return b""
    here = file.tell()
    try:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(size - 2**16 - 64, 0))
        tail = file.read()
    finally:
        file.seek(here)
    at = tail.rfind(b"eXIf")
    if at < 4:
        return b""
    (length,) = struct.unpack(">I", tail[at - 4 : at])
    chunk, check = tail[at : at + 4 + length], tail[at + 4 + length : at + 8 + length]
    whole = check == struct.pack(">I", zlib.crc32(chunk))  # and no chance bytes
    return b"Exif\0\0" + chunk[4:] if whole else b""


def widest(modes: set[str]) -> str:
    """The mode that can show all of `modes`, of L, RGB and RGBA.

    >>> widest({"L", "RGBA", "RGB"})
    'RGBA'
    """
    return max(modes, key=lambda mode: CHANNELS[mode])


def decode(
    picture: Image.Image,
    mode: str,
    frame: Frame,
    *,
    background: str = "white",
    upright: bool = True,
) -> np.ndarray:
    """The pixels of an opened picture, cropped and resized, `[H, W, C]`.

    Args:
      picture: of several frames, the first is taken.
      mode: L, RGB, RGBA (uint8) or `I;16` (uint16).
      frame: the crop and the size.
      background: the color below transparent pixels, where `mode` has no alpha.
      upright: whether the EXIF orientation is applied.

    Raises OSError and the like for broken data.
    """
    turn = TURNS.get(orientation(picture)) if upright else None
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture).astype(np.uint16))
    else:
        picture = _converted(picture, mode, background)
    if turn is not None:
        picture = picture.transpose(turn)
    return fit(frame, picture)


def _converted(picture: Image.Image, mode: str, background: str) -> Image.Image:
    if mode == "RGBA" or not has_alpha(picture):
        return picture.convert(mode)
    above = picture.convert("RGBA")
    below = Image.new("RGBA", above.size, background)
    return Image.alpha_composite(below, above).convert(mode)


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

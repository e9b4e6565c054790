"""Decoding of image files of several formats into arrays of one form."""

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

# Pillow raises for twice its limit of pixels, but only warns below that.
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
"""Pillow's name of each supported format, and its suffixes.

Suffixes select the files of a folder, and their content decides the format. Excluded
are formats that start other programs or draw (EPS, WMF), documents (PDF, PSD), formats
without a signature (TGA), and formats that are rarely used.
"""

MODES = {
    **dict.fromkeys(("1", "L", "LA", "La"), "L"),
    **dict.fromkeys(("RGBA", "RGBa", "PA"), "RGB"),
    **dict.fromkeys(("RGB", "RGBX", "P", "CMYK", "YCbCr", "LAB", "HSV"), "RGB"),
    **dict.fromkeys(("I;16", "I;16L", "I;16B", "I;16N"), "I;16"),
}
"""Maps Pillow's modes to the modes that are decoded to, without alpha channels."""

CHANNELS = {"L": 1, "RGB": 3, "RGBA": 4, "I;16": 1}

MODE_OF = {1: "L", 3: "RGB", 4: "RGBA"}
"""Maps the number of channels to the mode of 8-bit images."""

ORIENTATION = 0x0112
"""The EXIF tag of the orientation of the camera."""
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Maps orientations to the transposes that undo them; 1 is upright."""


TOO_MANY_PIXELS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
"""Errors of `open_picture` for pictures that are larger than its limit."""


class Header(NamedTuple):
    """Properties of an image file that are known without decoding."""

    size: Size
    """Height and width, once upright."""
    mode: str
    """L, RGB or `I;16`."""
    alpha: bool
    """True for an alpha channel, or a transparent color of a palette."""
    animated: bool = False
    """True for more than one frame or page, if the caller of `header` checked it."""


@lru_cache(maxsize=1)
def formats() -> tuple[str, ...]:
    """Returns the formats of `SUFFIXES` that this build of Pillow reads."""
    # Loads all of Pillow's plugins, which fill Image.OPEN.
    Image.init()
    return tuple(name for name in SUFFIXES if name in Image.OPEN)


def suffixes() -> tuple[str, ...]:
    """Returns the lower-case suffixes of image files."""
    return tuple(suffix for name in formats() for suffix in SUFFIXES[name])


@contextmanager
def any_number_of_pixels() -> Iterator[None]:
    """Lets `open_picture` open pictures of any size in the `with` block.

    For pictures whose headers are checked otherwise, and for the block alone.
    """
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


@contextmanager
def open_picture(source: str | Path | bytes) -> Iterator[Image.Image]:
    """Opens an image of one of `formats()`, and reads only its header.

    Args:
      source: a path, or the content of a file.

    Raises:
      ValueError, OSError and others: if the source is not an image, is damaged, or has
        more pixels than `Image.MAX_IMAGE_PIXELS`, which `any_number_of_pixels` lifts.
        Pillow's decoders raise many types.
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else open_regular(source)
    with file:
        try:
            # Other formats could start programs, such as Ghostscript for EPS.
            picture = Image.open(file, formats=formats())
        except UnidentifiedImageError:
            raise ValueError(f"damaged, or none of {', '.join(formats())}") from None
        with picture:
            yield picture


def header(picture: Image.Image) -> Header:
    """Returns the size and kind of an opened image, without decoding it.

    Raises:
      ValueError: for images of floats or 32-bit integers.
    """
    mode = MODES.get(picture.mode)
    if picture.mode == "I" and picture.format == "PPM":
        mode = "I;16"  # Pillow opens PGM files of more than 8 bits as 32-bit
    if mode is None:
        raise ValueError(f"pixels of mode {picture.mode} are not supported")
    size = picture.height, picture.width
    if orientation(picture) >= 5:  # a quarter turn
        size = picture.width, picture.height
    return Header(size, mode, has_alpha(picture))


def is_animated(picture: Image.Image) -> bool:
    """Returns True for an image of several frames or pages; may read the file."""
    if picture.format == "MPO":  # phones add a preview or a depth map
        return False
    try:
        return bool(getattr(picture, "is_animated", False))
    except Exception:  # only the first frame is decoded, so others may be damaged
        return False


def has_alpha(picture: Image.Image) -> bool:
    """Returns True for an image with an alpha channel, even if it is opaque."""
    # Any color of a palette may be marked as transparent.
    keyed = picture.mode == "P" and "transparency" in picture.info
    return keyed or picture.mode in ("LA", "La", "PA", "RGBA", "RGBa")


def is_opaque(picture: Image.Image) -> bool:
    """Returns True if no pixel is transparent, even partly; decodes the image."""
    alpha = picture.convert("RGBA").getchannel("A")
    return alpha.getextrema() == (255, 255)


def orientation(picture: Image.Image) -> int:
    """Returns the EXIF orientation of an opened image, 1 (upright) if none is valid.

    Must be called before the pixels are decoded.
    """
    if picture.format == "TIFF":
        return 1  # Pillow turns TIFF images itself
    # A PNG may hold EXIF after the pixels, which Pillow has not read yet.
    known = {"exif", "Raw profile type exif"} & picture.info.keys()
    if picture.format == "PNG" and not known:
        picture.info["exif"] = _late_exif(getattr(picture, "fp", None))
    try:
        # The base class's method, since that of PNG decodes the image.
        tag = Image.Image.getexif(picture).get(ORIENTATION)
    except Exception:  # damaged EXIF raises many types
        return 1
    return tag if isinstance(tag, int) and tag in TURNS else 1


def _late_exif(file: Any) -> bytes:
    """Returns the EXIF that some programs write after the pixels of a PNG.

    EXIF has at most 64 KiB, so only that much of the end of the file is searched.

    Returns:
      The EXIF with its prefix, empty if there is none.
    """
    if file is None:  # already decoded
        return b""
    # Pillow reads the pixels from this position later.
    here = file.tell()
    try:
        size = file.seek(0, io.SEEK_END)
        # 64 KiB of EXIF, the fields of its chunk, and small chunks after it.
        file.seek(max(size - 2**16 - 64, 0))
        tail = file.read()
    finally:
        file.seek(here)
    at = tail.rfind(b"eXIf")
    # Not found, or without room for the length before it.
    if at < 4:
        return b""
    # A chunk is length, type, data, and the CRC of type and data.
    (length,) = struct.unpack(">I", tail[at - 4 : at])
    chunk, check = tail[at : at + 4 + length], tail[at + 4 + length : at + 8 + length]
    valid = check == struct.pack(">I", zlib.crc32(chunk))  # pixels may contain "eXIf"
    # Pillow itself adds this prefix to the EXIF of a PNG.
    return b"Exif\0\0" + chunk[4:] if valid else b""


def widest(modes: set[str]) -> str:
    """Returns the mode of L, RGB and RGBA that can represent all of `modes`.

    >>> widest({"L", "RGBA", "RGB"})
    'RGBA'
    """
    # More channels can represent fewer: L, RGB, RGBA in this order.
    return max(modes, key=lambda mode: CHANNELS[mode])


def decode(
    picture: Image.Image,
    mode: str,
    frame: Frame,
    *,
    background: str = "white",
    upright: bool = True,
) -> np.ndarray:
    """Decodes, crops and resizes an opened image.

    Args:
      picture: the image; only its first frame is decoded.
      mode: L, RGB, RGBA (uint8) or `I;16` (uint16).
      frame: the crop and the size.
      background: the color behind transparent pixels, if `mode` has no alpha.
      upright: applies the EXIF orientation if True.

    Returns:
      Pixels `[H, W, C]`, uint8 or uint16.

    Raises:
      OSError and others: if the data is damaged.
      UsageError: if the crop is larger than the image.
    """
    # The orientation is unavailable after decoding.
    turn = TURNS.get(orientation(picture)) if upright else None
    if mode == "I;16":
        # The stored pixels may be big-endian, or 32-bit if the file is a PGM.
        picture = Image.fromarray(np.asarray(picture).astype(np.uint16))
    else:
        picture = _converted(picture, mode, background)
    # Before the crop, as the frame is that of the upright image.
    if turn is not None:
        picture = picture.transpose(turn)
    return fit(frame, picture)


def _converted(picture: Image.Image, mode: str, background: str) -> Image.Image:
    """Converts to `mode`, and composites over `background` if that has no alpha."""
    if mode == "RGBA" or not has_alpha(picture):
        return picture.convert(mode)
    # Palettes and gray images with alpha are composited as RGBA.
    above = picture.convert("RGBA")
    below = Image.new("RGBA", above.size, background)
    return Image.alpha_composite(below, above).convert(mode)


def example_shape(frame: Frame, size: Size, mode: str) -> tuple[int, int, int]:
    """Returns `(H, W, C)` of framed images.

    Args:
      frame: the crop and the size.
      size: height and width of the original images.
      mode: the mode that they are decoded to.

    Raises:
      UsageError: if the crop is larger than the images.
    """
    height, width = framed_size(frame, size)
    return height, width, CHANNELS[mode]


def dtype_of(mode: str) -> np.dtype:
    """Returns uint16 for the mode `I;16`, uint8 for the others."""
    return np.dtype(np.uint16 if mode == "I;16" else np.uint8)


def common_mode(modes: dict[str, str], what: str) -> str:
    """Returns one mode for all images of a data set.

    Args:
      modes: one file for each mode that occurs, by mode.
      what: the name of the data set, for errors.

    Raises:
      UsageError: if 16-bit images are mixed with others.
    """
    if "I;16" in modes and len(modes) > 1:
        # The values of 8-bit and 16-bit images differ in scale.
        deep = modes["I;16"]
        other = next(file for mode, file in modes.items() if mode != "I;16")
        raise UsageError(
            f"{what}: {deep} has 16 bits per pixel and {other} has 8; convert all to "
            "one of them"
        )
    return widest(set(modes))

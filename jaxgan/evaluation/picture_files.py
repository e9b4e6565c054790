"""Reads pictures of users for a network, and writes the results."""

import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from jaxgan.data.decode import MODE_OF, decode, has_alpha, header, open_picture
from jaxgan.data.resize import Frame, fit
from jaxgan.errors import UsageError, printable
from jaxgan.files import atomic_write, reason, remedy

FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".webp": ("WEBP", {"quality": 95}),
}
"""Pillow's format and its options, by the suffix of an output."""

LARGEST = {"JPEG": 65_500, "WEBP": 16_383}
"""Pixels of the longer side that a format can hold, at most."""

WHOLE = Frame()
"""No crop, and the size of the picture."""


class Picture(NamedTuple):
    """A decoded picture, upright."""

    pixels: np.ndarray
    """`[H, W, C]` uint8, over the background where it is transparent."""
    colors: np.ndarray
    """`pixels` without a background: transparent ones keep their colors."""
    alpha: np.ndarray | None = None
    """`[H, W]` uint8; None if the picture has none, or if it is among the channels."""
    profile: bytes | None = None
    """The ICC color profile."""


def read_picture(file: Path, channels: int, background: str = "white") -> Picture:
    """Reads a picture for a network.

    Args:
      file: the path.
      channels: 1, 3 or 4 (colors and alpha). Pictures are converted to it.
      background: the color behind transparent pixels, for 1 and 3 channels.

    Raises:
      ValueError, OSError and others: if the file is damaged or not a picture.
    """
    mode = MODE_OF[channels]
    with open_picture(file) as picture:
        profile = picture.info.get("icc_profile")
        deep, alpha = header(picture).mode == "I;16", has_alpha(picture)
        # 16 bits become 8; with alpha, colors are put on the background below.
        own = "I;16" if deep else "RGBA" if alpha else mode
        pixels = decode(picture, own, WHOLE)
    if deep:
        gray = np.round(pixels[..., 0] / 257).astype(np.uint8)
        pixels = _converted(gray, mode)
    if own != "RGBA" or mode == "RGBA":
        return Picture(pixels, pixels, None, profile)
    behind = decode(Image.fromarray(pixels), mode, WHOLE, background=background)
    colors = _converted(pixels[..., :3], mode)
    return Picture(behind, colors, pixels[..., 3], profile)


def _converted(pixels: np.ndarray, mode: str) -> np.ndarray:
    """Converts `[H, W]` or `[H, W, 3]` uint8 to a mode, `[H, W, C]`."""
    return fit(WHOLE, Image.fromarray(pixels).convert(mode))


def _fits(profile: bytes | None, *, gray: bool) -> bool:
    """Returns True if a color profile is for pictures in gray, or in RGB."""
    # The header of a profile has its color space at byte 16.
    return profile is not None and profile[16:20] == (b"GRAY" if gray else b"RGB ")


def read_mask(file: Path) -> np.ndarray:
    """Reads a mask: `[H, W]` bool, True where the picture is white.

    Raises:
      ValueError, OSError and others: if the file is damaged or not a picture.
    """
    with open_picture(file) as picture:
        # Transparent parts are no holes.
        pixels = decode(picture, "L", WHOLE, background="black")
    return pixels[..., 0] >= 128


def with_alpha(
    result: np.ndarray, alpha: np.ndarray, background: str = "white"
) -> np.ndarray:
    """Gives a result the alpha channel of its picture.

    Over the background the result looks the same as before.

    Args:
      result: `[H, W, C]` uint8 of 1 or 3 channels, over the background.
      alpha: of the picture, `[h, w]` uint8, resized to the result.
      background: its color, `white` or `black`.

    Returns:
      `[H, W, C + 1]` uint8.
    """
    size = result.shape[0], result.shape[1]
    alpha = fit(Frame(size, "none"), Image.fromarray(alpha))
    share = alpha.astype(np.float32) / 255
    below = np.float32(0 if background == "black" else 255)
    # result = share * colors + (1 - share) * below, solved for the colors.
    colors = (result - (1 - share) * below) / np.where(share > 0, share, 1)
    colors = np.where(share > 0, np.rint(colors), result)
    return np.concatenate([colors.clip(0, 255).astype(np.uint8), alpha], axis=-1)


def encode(
    pixels: np.ndarray,
    suffix: str,
    profile: bytes | None = None,
    background: str = "white",
) -> bytes:
    """Returns the content of a picture file.

    Args:
      pixels: `[H, W, C]` uint8: gray, gray and alpha, RGB or RGBA.
      suffix: of the file, in `FORMATS`.
      profile: an ICC color profile of the picture, left out if the channels are not
        those of its color space.
      background: the color behind transparent pixels in a format without alpha.

    Raises:
      ValueError, OSError and others: if the format cannot hold the picture.
    """
    name, options = FORMATS[suffix.lower()]
    gray, transparent = pixels.shape[-1] < 3, pixels.shape[-1] in (2, 4)
    if name == "JPEG" and transparent:
        mode = "L" if gray else "RGB"
        pixels = decode(Image.fromarray(pixels), mode, WHOLE, background=background)
    # Gray pictures have no axis of channels.
    pixels = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    content = io.BytesIO()
    kept = profile if _fits(profile, gray=gray) else None
    Image.fromarray(pixels).save(content, name, icc_profile=kept, **options)
    return content.getvalue()


def write(file: Path, content: bytes) -> None:
    """Writes a file completely or not at all, and its folder if there is none.

    Raises:
      UsageError: if it cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(file, content, sync=False)
    except OSError as error:
        raise UsageError(
            f"{printable(str(file))} cannot be written ({reason(error)}); "
            f"{remedy(error)}"
        ) from error

"""How pictures of any size become pictures of one size: `--image_size`, `--crop`."""

import re
from typing import NamedTuple

import numpy as np
from PIL import Image

from jaxgan.errors import UsageError

Size = tuple[int, int]
"""Height and width, in pixels."""


class Frame(NamedTuple):
    """What is cut out of a picture, and the size that it is brought to."""

    size: Size | None = None
    """None leaves pictures as large as they are after the crop."""
    crop: Size | str = "center"
    """`center`, `none`, or that many central pixels."""


def parse_frame(image_size: str | None, crop: str = "center") -> Frame:
    """What the flags `--image_size` and `--crop` say.

    Raises UsageError if they say nothing that makes sense.

    >>> parse_frame("48x64", "none")
    Frame(size=(48, 64), crop='none')
    >>> parse_frame("64", "108")
    Frame(size=(64, 64), crop=(108, 108))
    """
    size = None
    if image_size is not None:
        size = _parse_size(image_size, f"--image_size={image_size} is not a size")
    if crop in ("center", "none"):
        return Frame(size, crop)
    return Frame(
        size, _parse_size(crop, f"--crop={crop} is not center, none or a size")
    )


def _parse_size(text: str, problem: str) -> Size:
    match = re.fullmatch(r"([0-9]{1,9})(?:x([0-9]{1,9}))?", text.strip())
    if match is None:
        raise UsageError(f"{problem}: use 64, or 48x64 for height x width")
    size = int(match[1]), int(match[2] or match[1])
    if not all(0 < side <= 2**15 for side in size):
        raise UsageError(f"{problem}: each side must be from 1 to 32768, such as 64")
    return size


def framed_size(frame: Frame, size: Size) -> Size:
    """The height and width that a picture of `size` ends up with.

    Raises UsageError if the crop is larger than the picture.

    >>> framed_size(Frame(), (28, 28)), framed_size(Frame((64, 64)), (218, 178))
    ((28, 28), (64, 64))
    """
    top, left, bottom, right = _box(frame, size)
    return frame.size or (bottom - top, right - left)


def _box(frame: Frame, size: Size) -> tuple[int, int, int, int]:
    """Top, left, bottom, right of what is kept of a picture of `size`."""
    height, width = keep = size
    if isinstance(frame.crop, tuple):
        keep = frame.crop
    elif frame.crop == "center" and frame.size:
        high, wide = frame.size
        # The larger side is cut to the target's aspect ratio, never to nothing.
        keep = (
            min(height, max(1, round(width * high / wide))),
            min(width, max(1, round(height * wide / high))),
        )
    if keep[0] > height or keep[1] > width:
        raise UsageError(
            f"--crop={keep[0]}x{keep[1]} is larger than the picture, which is "
            f"{height}x{width}: use --crop={min(keep[0], height)}x{min(keep[1], width)}"
        )
    top, left = (height - keep[0]) // 2, (width - keep[1]) // 2
    return top, left, top + keep[0], left + keep[1]


def fit(frame: Frame, picture: Image.Image) -> np.ndarray:
    """The picture cropped and resized to the frame, `[H, W, C]`.

    uint8 for the modes L, RGB and RGBA, uint16 for `I;16`, float32 for F. Resizing is
    Pillow's, antialiased: Lanczos where a side shrinks, bicubic where none does.
    """
    top, left, bottom, right = _box(frame, (picture.height, picture.width))
    picture = picture.crop((left, top, right, bottom))
    if frame.size and frame.size != (picture.height, picture.width):
        picture = _resize(picture, frame.size)
    array = np.asarray(picture)
    return array[..., None] if array.ndim == 2 else array


def _resize(picture: Image.Image, size: Size) -> Image.Image:
    shrinks = size[0] < picture.height or size[1] < picture.width
    how = Image.Resampling.LANCZOS if shrinks else Image.Resampling.BICUBIC
    if not picture.mode.startswith("I;16"):
        return picture.resize((size[1], size[0]), how)
    # Pillow resizes 16-bit pictures poorly: go through floats, round, clip.
    floats = Image.fromarray(np.asarray(picture, np.float32))
    resized = np.asarray(floats.resize((size[1], size[0]), how))
    return Image.fromarray(np.clip(np.rint(resized), 0, 65535).astype(np.uint16))


def fit_array(frame: Frame, image: np.ndarray) -> np.ndarray:
    """As `fit`, for an image `[H, W, C]` in memory: uint8, uint16 or float32.

    Four channels are colors and alpha: colors count by their alpha where several pixels
    become one, so that those of transparent pixels do not show at the edges.
    """
    height, width, channels = image.shape
    top, left, bottom, right = _box(frame, (height, width))
    if channels < 4 or frame.size in (None, (bottom - top, right - left)):
        return _fit_channels(frame, image)
    if image.dtype == np.uint8:
        return fit(frame, Image.fromarray(image))  # Pillow's RGBA, which does the same
    low, high = _ends(image.dtype)
    parts = (image.astype(np.float32) - low) / (high - low)
    alpha = parts[..., 3:]
    parts[..., :3] *= alpha
    parts = _fit_channels(frame, parts)
    alpha = parts[..., 3:]
    opaque = np.where(alpha > 0, alpha, 1)
    parts[..., :3] = np.where(alpha > 0, parts[..., :3] / opaque, 0)
    values = np.clip(parts, 0, 1) * (high - low) + low
    return (values if low < 0 else np.rint(values)).astype(image.dtype)


def _ends(dtype: np.dtype) -> tuple[int, int]:
    """The least and the largest value of images of a dtype."""
    return (-1, 1) if dtype.kind == "f" else (0, int(np.iinfo(dtype).max))


def _fit_channels(frame: Frame, image: np.ndarray) -> np.ndarray:
    channels = [Image.fromarray(image[..., c]) for c in range(image.shape[-1])]
    return np.concatenate([fit(frame, channel) for channel in channels], axis=-1)

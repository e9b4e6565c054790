"""Cropping and resizing of images to one size: `--image_size`, `--crop`."""

import re
from typing import NamedTuple

import numpy as np
from PIL import Image

from jaxgan.errors import UsageError

Size = tuple[int, int]
"""Height and width, in pixels."""


class Frame(NamedTuple):
    """A crop, and the size to which it is resized."""

    size: Size | None = None
    """Size of the output; None keeps the size of the crop."""
    crop: Size | str = "center"
    """`center`, `none`, or the height and width of a central crop."""


def parse_frame(image_size: str | None, crop: str = "center") -> Frame:
    """Parses the flags `--image_size` and `--crop`.

    Args:
      image_size: `64` or `48x64` (height x width), None to keep the size of the crop.
      crop: `center` (the largest crop with the aspect ratio of `image_size`), `none`,
        or the size of a central crop such as `108`.

    Raises:
      UsageError: if a flag is malformed.

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
    """Parses `64` or `48x64`; errors begin with `problem`."""
    match = re.fullmatch(r"([0-9]{1,9})(?:x([0-9]{1,9}))?", text.strip())
    if match is None:
        raise UsageError(f"{problem}: use 64, or 48x64 for height x width")
    # A single number is the side of a square.
    size = int(match[1]), int(match[2] or match[1])
    if not all(0 < side <= 2**15 for side in size):
        raise UsageError(f"{problem}: each side must be from 1 to 32768, such as 64")
    return size


def scaled(frame: Frame, high: float, wide: float) -> Frame:
    """Returns the frame of an image that is `high` by `wide` times as large as another.

    >>> scaled(Frame((64, 64), (96, 96)), 0.25, 0.25)
    Frame(size=(16, 16), crop=(24, 24))
    """

    def of(size: Size) -> Size:
        return max(round(size[0] * high), 1), max(round(size[1] * wide), 1)

    crop = frame.crop if isinstance(frame.crop, str) else of(frame.crop)
    return Frame(frame.size and of(frame.size), crop)


def framed_size(frame: Frame, size: Size) -> Size:
    """Returns the height and width of a framed image.

    Args:
      frame: the crop and the size.
      size: height and width of the original image.

    Raises:
      UsageError: if the crop is larger than the image.

    >>> framed_size(Frame(), (28, 28)), framed_size(Frame((64, 64)), (218, 178))
    ((28, 28), (64, 64))
    """
    top, left, bottom, right = _box(frame, size)
    return frame.size or (bottom - top, right - left)


def _box(frame: Frame, size: Size) -> tuple[int, int, int, int]:
    """Returns top, left, bottom and right of the crop of an image of `size`."""
    # Without a crop, the box is the whole image.
    height, width = crop = size
    if isinstance(frame.crop, tuple):
        crop = frame.crop
    elif frame.crop == "center" and frame.size:
        high, wide = frame.size
        # Crop the longer side to the target's aspect ratio, to at least one pixel.
        crop = (
            min(height, max(1, round(width * high / wide))),
            min(width, max(1, round(height * wide / high))),
        )
    if crop[0] > height or crop[1] > width:
        raise UsageError(
            f"--crop={crop[0]}x{crop[1]} is larger than the picture, which is "
            f"{height}x{width}: use --crop={min(crop[0], height)}x{min(crop[1], width)}"
        )
    # All crops are central.
    top, left = (height - crop[0]) // 2, (width - crop[1]) // 2
    return top, left, top + crop[0], left + crop[1]


def mismatch(source: Size, target: Size, frame: Frame) -> str:
    """Checks that a frame shows the same part of two images that belong together.

    Without a frame, the source may be smaller, as for super-resolution.

    Args:
      source: height and width of the source.
      target: height and width of the image that belongs to it.
      frame: the crop and the size of both.

    Returns:
      The problem and a remedy, empty if they fit.

    >>> mismatch((8, 8), (32, 32), Frame()), mismatch((8, 8), (8, 16), Frame())[:27]
    ('', 'their aspect ratios differ:')
    """
    if source == target:
        return ""
    if isinstance(frame.crop, tuple):
        return "--crop shows the same part of equal sizes only: leave it out"
    if frame.size is None and max(source) > max(target):
        return "a source cannot be larger: resize both with --image_size=64x64"
    # Without a crop, resizing shows the whole of both.
    whole = frame.size and frame.crop == "none"
    if whole or _same_aspect(source, target):
        return ""
    return (
        "their aspect ratios differ: crop the files alike, or distort them with "
        "--crop=none --image_size=64x64"
    )


def _same_aspect(one: Size, other: Size) -> bool:
    """Returns True if one size is a multiple of the other, up to a pixel.

    >>> _same_aspect((83, 125), (333, 501)), _same_aspect((8, 8), (8, 9))
    (True, False)
    """
    if one[0] == other[0] or one[1] == other[1]:
        return one == other
    # A pixel of the smaller image changes the product by a side of the larger one.
    return abs(one[0] * other[1] - one[1] * other[0]) < max(*one, *other)


def fit(frame: Frame, picture: Image.Image) -> np.ndarray:
    """Crops and resizes an image to the frame.

    Pillow resizes with antialiasing: Lanczos if a side shrinks, bicubic otherwise.

    Args:
      frame: the crop and the size.
      picture: an image of mode L, RGB, RGBA, `I;16` or F.

    Returns:
      Pixels `[H, W, C]`: uint8 for L, RGB and RGBA, uint16 for `I;16`, float32 for F.

    Raises:
      UsageError: if the crop is larger than the image.
    """
    top, left, bottom, right = _box(frame, (picture.height, picture.width))
    # Pillow puts x before y.
    picture = picture.crop((left, top, right, bottom))
    if frame.size and frame.size != (picture.height, picture.width):
        picture = _resize(picture, frame.size)
    # Modes of one channel have no channel axis.
    array = np.asarray(picture)
    return array[..., None] if array.ndim == 2 else array


def _resize(picture: Image.Image, size: Size) -> Image.Image:
    shrinks = size[0] < picture.height or size[1] < picture.width
    how = Image.Resampling.LANCZOS if shrinks else Image.Resampling.BICUBIC
    if not picture.mode.startswith("I;16"):
        return picture.resize((size[1], size[0]), how)
    # Pillow resizes 16-bit images poorly: convert to float, resize, round and clip.
    floats = Image.fromarray(np.asarray(picture, np.float32))
    resized = np.asarray(floats.resize((size[1], size[0]), how))
    return Image.fromarray(np.clip(np.rint(resized), 0, 65535).astype(np.uint16))


def fit_array(frame: Frame, image: np.ndarray) -> np.ndarray:
    """Crops and resizes an array to the frame, like `fit`.

    The fourth of four channels is alpha. Resizing weights colors by their alpha, so
    that the colors of transparent pixels do not bleed into the edges.

    Args:
      frame: the crop and the size.
      image: `[H, W, C]` uint8, uint16 (full range), or float32 in [-1, 1].

    Returns:
      Pixels `[H, W, C]` in the dtype of `image`.

    Raises:
      UsageError: if the crop is larger than the image.
    """
    height, width, channels = image.shape
    top, left, bottom, right = _box(frame, (height, width))
    # Without alpha or resizing, channels can be treated one by one.
    if channels < 4 or frame.size in (None, (bottom - top, right - left)):
        return _fit_channels(frame, image)
    if image.dtype == np.uint8:
        return fit(frame, Image.fromarray(image))  # Pillow premultiplies RGBA itself
    # Scale to [0, 1], and premultiply the colors by alpha.
    low, high = _ends(image.dtype)
    parts = (image.astype(np.float32) - low) / (high - low)
    alpha = parts[..., 3:]
    parts[..., :3] *= alpha
    parts = _fit_channels(frame, parts)
    # Divide by the resized alpha; transparent pixels become black.
    alpha = parts[..., 3:]
    opaque = np.where(alpha > 0, alpha, 1)
    parts[..., :3] = np.where(alpha > 0, parts[..., :3] / opaque, 0)
    values = np.clip(parts, 0, 1) * (high - low) + low
    # Floats need no rounding.
    return (values if low < 0 else np.rint(values)).astype(image.dtype)


def _ends(dtype: np.dtype) -> tuple[int, int]:
    """Returns the smallest and the largest value of images of a dtype."""
    return (-1, 1) if dtype.kind == "f" else (0, int(np.iinfo(dtype).max))


def _fit_channels(frame: Frame, image: np.ndarray) -> np.ndarray:
    # Each channel is an image of mode L, I;16 or F.
    channels = [Image.fromarray(image[..., c]) for c in range(image.shape[-1])]
    # C arrays [H, W, 1] to [H, W, C].
    return np.concatenate([fit(frame, channel) for channel in channels], axis=-1)


def fit_masks(frame: Frame, masks: np.ndarray) -> np.ndarray:
    """Crops masks, and resizes them by taking the nearest pixels.

    Args:
      frame: the crop and the size.
      masks: `[n, H, W, 1]` of any dtype.

    Returns:
      Masks `[n, h, w, 1]`, without values that `masks` does not have.

    Raises:
      UsageError: if the crop is larger than the masks.

    >>> fit_masks(Frame((1, 2)), np.arange(8).reshape(1, 2, 4, 1)).ravel()
    array([5, 7])
    """
    top, left, bottom, right = _box(frame, (masks.shape[1], masks.shape[2]))
    high, wide = frame.size or (bottom - top, right - left)
    # The pixels of the crop in which the centers of the new pixels lie.
    rows = top + ((np.arange(high) + 0.5) * (bottom - top) / high).astype(int)
    columns = left + ((np.arange(wide) + 0.5) * (right - left) / wide).astype(int)
    return masks[:, rows][:, :, columns]

"""Arrays of images and vectors: their forms, values and frames."""

import numpy as np

from jaxgan.data.resize import Frame, fit_array, framed_size
from jaxgan.data.roles import Form
from jaxgan.errors import UsageError

FORMS = "[n, H, W], [n, H, W, C] (uint8, uint16 or floats in [-1, 1]) or [n, d] floats"
CHANNELS = 4
"""Largest number of channels; a last axis of at most this size holds channels."""


def check_form(where: str, form: Form) -> None:
    """Raises UsageError unless arrays of this shape and dtype are supported.

    Args:
      where: the name of the array, for errors.
      form: the array or its header.

    Raises:
      UsageError: if the array is not in one of `FORMS`, is empty, or has channels
        elsewhere than in the last of four axes.
    """
    shape, dtype = list(form.shape), form.dtype
    real = dtype.kind == "f"
    # Floats of any width, and unsigned integers of 8 or 16 bits.
    known = real or (dtype.kind == "u" and dtype.itemsize <= 2)
    if not known or len(shape) not in ((2, 3, 4) if real else (3, 4)):
        raise UsageError(f"{where} is {dtype} {shape}; use {FORMS}")
    if 0 in shape:
        raise UsageError(f"{where} is empty, {shape}; pass at least one example")
    # PyTorch stores channels first.
    if len(shape) == 4 and shape[-1] > CHANNELS:
        turned = "; try .transpose(0, 2, 3, 1)" if shape[1] <= CHANNELS else ""
        raise UsageError(
            f"{where} is {shape}; the 1 to {CHANNELS} channels must come last{turned}"
        )
    # [H, W, C] would otherwise be read as H gray images of W x C pixels.
    if len(shape) == 3 and shape[-1] <= CHANNELS < shape[1]:
        raise UsageError(
            f"{where} is {shape}, which is one picture with {shape[-1]} channels, or "
            f"{shape[0]} gray ones {shape[-1]} wide: use [n, H, W, C], for gray "
            "pictures array[..., None]"
        )


def as_examples(where: str, array: np.ndarray) -> np.ndarray:
    """Converts an array that `check_form` accepts to that of a field.

    Args:
      where: the name of the array, for errors.
      array: images or vectors.

    Returns:
      `[n, H, W, C]` uint8, uint16 or float32, or `[n, d]` float32.

    Raises:
      UsageError: for values that are not finite, and images of floats beyond [-1, 1].
    """
    if array.dtype.kind == "f":
        array = array.astype(np.float32, copy=False)
        _check_floats(where, array)
    # Files may have the byte order of another machine.
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    # [n, H, W] to [n, H, W, 1].
    return array[..., None] if array.ndim == 3 else array


def _check_floats(where: str, array: np.ndarray) -> None:
    # NaN and infinities show up in the minimum or the maximum.
    low, high = float(array.min()), float(array.max())
    if not np.isfinite([low, high]).all():
        raise UsageError(f"{where} has values that are not finite; remove those rows")
    # Vectors may have any range.
    if array.ndim > 2 and (low < -1 or high > 1):
        raise UsageError(
            f"{where} ranges from {low:g} to {high:g}; "
            "scale floats to [-1, 1], or save images as uint8"
        )


def framed(where: str, images: np.ndarray, frame: Frame) -> np.ndarray:
    """Crops and resizes images.

    Args:
      where: the name of the array, for errors.
      images: `[n, H, W, C]`, or vectors `[n, d]`, which only the empty frame accepts.
      frame: the crop and the size.

    Returns:
      Images in their dtype, `images` itself if nothing is to do.

    Raises:
      UsageError: for vectors, and if the crop is larger than the images.
    """
    if frame == Frame():
        return images
    if images.ndim == 2:
        raise UsageError(
            f"{where} holds vectors, not pictures; leave out --image_size and --crop"
        )
    # Images of the right size need no copy.
    if framed_size(frame, images.shape[1:3]) == images.shape[1:3]:
        return images
    resized = np.stack([fit_array(frame, image) for image in images])
    # Bicubic interpolation overshoots.
    return np.clip(resized, -1, 1) if resized.dtype == np.float32 else resized

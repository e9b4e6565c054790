"""Decoding of pictures to one form, in this process or in others.

The modules that this one imports do not import jax, so that processes that only decode
start in a fraction of a second and stay small.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from PIL import Image

from jaxgan.data.decode import (
    Header,
    decode,
    dtype_of,
    example_shape,
    header,
    open_picture,
)
from jaxgan.data.resize import Frame, fit_array
from jaxgan.errors import UsageError

Place = Any
"""The place of an encoded picture: a path, or a file with a position in it."""


class Form(NamedTuple):
    """The common form of pictures."""

    name: str
    """Name of the data set."""
    mode: str
    """L, RGB, RGBA or `I;16`."""
    shape: tuple[int, int, int]
    """`(H, W, C)` of each part, once framed."""
    frame: Frame
    background: str
    """The color behind transparent pixels."""
    parts: int = 1
    """Number of images that a picture holds side by side."""

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the pixels, uint8 or uint16."""
        return dtype_of(self.mode)


class Changed(UsageError):
    """Raised for a picture whose form is not the one it had when a run began."""


class Fetch(Protocol):
    """Reads encoded pictures; can be pickled, and is safe to call from threads."""

    def __call__(self, places: Sequence[Place]) -> Sequence[str | Path | bytes]:
        """Returns the content of each picture, or the path of a file that holds it."""
        ...


class Paths:
    """Fetches pictures that are files of their own."""

    def __call__(self, places: Sequence[Place]) -> Sequence[str]:
        """Returns the paths as they are."""
        return places


class PictureDecoder(NamedTuple):
    """Decodes pictures at given places. Can be pickled, for other processes."""

    form: Form
    fetch: Fetch

    def __call__(self, places: Sequence[Place]) -> np.ndarray:
        """Returns pixels `[n, parts, H, W, C]`, or `[n, H, W, C]` for one part."""
        form = self.form
        images = np.empty((len(places), form.parts, *form.shape), form.dtype)
        for i, source in enumerate(self.fetch(places)):
            images[i] = read_picture(source, form)
        return images if form.parts > 1 else images[:, 0]


def part_of_header(one: Header, parts: int) -> Header:
    """Returns the header of one of several images that a picture holds side by side."""
    height, width = one.size
    return one._replace(size=(height, width // parts))


def read_picture(source: str | Path | bytes, form: Form) -> np.ndarray:
    """Decodes a picture to `[parts, H, W, C]`.

    Args:
      source: a path, or the content of a file.
      form: the form that the picture is expected to have.

    Raises:
      Changed: if the picture has another shape or depth.
      OSError, ValueError and others: if it cannot be read. Pillow's decoders raise many
        types.
    """
    with open_picture(source) as picture:
        # The picture may have changed since its header was read.
        current = part_of_header(header(picture), form.parts)
        deep = current.mode == "I;16"
        shape = example_shape(form.frame, current.size, form.mode)
        if shape != form.shape or deep != (form.mode == "I;16"):
            raise Changed("has changed since this run began")
        return _decoded(picture, form)


def _decoded(picture: Image.Image, form: Form) -> np.ndarray:
    """Returns the framed parts `[parts, H, W, C]` of an opened picture."""
    if form.parts == 1:
        one = decode(picture, form.mode, form.frame, background=form.background)
        return one[None]
    # Parts are cropped and resized one by one, so that none bleeds into another.
    whole = decode(picture, form.mode, Frame(None, "none"), background=form.background)
    split = np.split(whole, form.parts, axis=1)
    return np.stack([fit_array(form.frame, part) for part in split])

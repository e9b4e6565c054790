"""Picture files with one common form: headers are read at once, pixels on demand."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from jaxgan.data.bad_examples import BadExample
from jaxgan.data.decode import (
    Header,
    common_mode,
    decode,
    dtype_of,
    example_shape,
    formats,
    header,
    is_animated,
    is_opaque,
    open_picture,
)
from jaxgan.data.resize import Frame, Size, fit_array, framed_size
from jaxgan.errors import UsageError, first_line, printable
from jaxgan.types import Field

LOG = logging.getLogger("jaxgan")

LOOKED_AT = 4096
"""Largest number of images that are decoded to see if their alpha channel is in use;
more would delay the start by minutes."""


class Reading(NamedTuple):
    """The way in which pictures are read."""

    frame: Frame
    alpha: str = "auto"
    """`keep` reads RGBA if any image has an alpha channel. `auto` does the same, unless
    only some images have one, all of them opaque. `white` and `black` composite
    transparent pixels over that color."""
    skip_bad: bool = False
    """If True, damaged headers raise `BadExample` on reading, not at once."""


class Form(NamedTuple):
    """The common form of picture files."""

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


class Pictures(NamedTuple):
    """Picture files of one form."""

    files: Sequence[Path]
    headers: Sequence[Header | None]
    """None for a file whose header cannot be read."""
    form: Form

    @property
    def field(self) -> Field:
        """The form of one image as a field of an example."""
        return Field(self.form.shape, dtype_of(self.form.mode), "image")

    def read(self, numbers: np.ndarray) -> np.ndarray:
        """Decodes the pictures with these numbers `[n]`.

        Returns:
          Pixels `[n, parts, H, W, C]`, uint8 or uint16.

        Raises:
          BadExample: if a picture cannot be read, or has another form now.
        """
        shape = (len(numbers), self.form.parts, *self.form.shape)
        images = np.empty(shape, self.field.dtype)
        for i, number in enumerate(numbers):
            images[i] = _picture(self.files[number], self.form)
        return images

    def encoded(self, numbers: np.ndarray) -> list[bytes]:
        """Returns the content of the files with these numbers."""
        return [self.files[n].read_bytes() for n in numbers]


def open_pictures(name: str, files: Sequence[Path], reading: Reading) -> Pictures:
    """Reads the headers of picture files, and finds their common form.

    Args:
      name: the name of the data set, for messages.
      files: the pictures.
      reading: the frame, and the treatment of transparency and of damage.

    Raises:
      UsageError: if a file cannot be read, if 16-bit pictures are mixed with others, or
        if sizes differ and the frame does not equalize them.
    """
    return examine(name, files, read_headers(name, files, reading.skip_bad), reading)


def examine(
    name: str,
    files: Sequence[Path],
    headers: Sequence[Header | None],
    reading: Reading,
    parts: int = 1,
) -> Pictures:
    """Finds the common form of picture files: gray beside color is read as RGB.

    Args:
      name: the name of the data set, for messages.
      files: the pictures.
      headers: those that `read_headers` returns for them.
      reading: the frame of each part, and the treatment of transparency.
      parts: the number of images of equal width that each picture holds side by side.

    Raises:
      UsageError: if 16-bit pictures are mixed with others, or if sizes differ and the
        frame does not equalize them.
    """
    frame, alpha, _ = reading
    # Unreadable files decide nothing here.
    known = [(f, h) for f, h in zip(files, headers, strict=True) if h]
    _log_animated(name, known)
    mode = _common_mode(name, known, alpha)
    # From here on, the size is that of a part.
    known = [(f, _part_of(h, parts)) for f, h in known]
    _check_sizes(name, known, frame)
    shape = example_shape(frame, known[0][1].size, mode)
    background = "black" if alpha == "black" else "white"
    form = Form(name, mode, shape, frame, background, parts)
    return Pictures(files, headers, form)


def _part_of(one: Header, parts: int) -> Header:
    height, width = one.size
    return one._replace(size=(height, width // parts))


def read_headers(
    name: str, files: Sequence[Path], skip_bad: bool = False
) -> list[Header | None]:
    """Reads the headers of all files.

    Args:
      name: the name of the data set, for errors.
      files: the pictures.
      skip_bad: if True, the header of a file that cannot be read is None.

    Raises:
      UsageError: if a file cannot be read, or none of them.
    """
    headers: list[Header | None] = []
    for file, found in zip(files, try_headers(files), strict=True):
        if isinstance(found, Exception) and not skip_bad:
            raise _broken(name, file, found) from found
        headers.append(None if isinstance(found, Exception) else found)
    if not any(headers):
        raise UsageError(f"{name}: none of {len(files):,} pictures can be read")
    return headers


def try_headers(files: Sequence[Path]) -> Iterator[Header | Exception]:
    """Yields the header of each file, or the error of one that cannot be read."""

    def read(file: Path) -> Header | Exception:
        try:
            with open_picture(file) as picture:
                return header(picture)._replace(animated=is_animated(picture))
        except Exception as error:  # Pillow's decoders raise many types
            return error

    formats()  # loads Pillow's decoders before the threads need them
    with ThreadPoolExecutor(8) as pool:
        # Threads read ahead while others wait for the disk.
        yield from pool.map(read, files)


def _picture(file: Path, form: Form) -> np.ndarray:
    """Decodes a file to `[parts, H, W, C]`; raises BadExample."""
    try:
        with open_picture(file) as picture:
            # The file may have changed since its header was read.
            current = _part_of(header(picture), form.parts)
            deep = current.mode == "I;16"
            shape = example_shape(form.frame, current.size, form.mode)
            if shape == form.shape and deep == (form.mode == "I;16"):
                return _decoded(picture, form)
    except Exception as error:
        raise _broken(form.name, file, error) from error
    # The image opens, but has another shape or depth than its first header.
    shown = printable(str(file))
    raise BadExample(
        f"{form.name}: {shown} has changed since this run began", "restore it"
    )


def _decoded(picture: Image.Image, form: Form) -> np.ndarray:
    """Returns the framed parts `[parts, H, W, C]` of an opened picture."""
    if form.parts == 1:
        one = decode(picture, form.mode, form.frame, background=form.background)
        return one[None]
    # Parts are cropped and resized one by one, so that none bleeds into another.
    whole = decode(picture, form.mode, Frame(None, "none"), background=form.background)
    split = np.split(whole, form.parts, axis=1)
    return np.stack([fit_array(form.frame, part) for part in split])


def _broken(name: str, file: Path, error: Exception) -> BadExample:
    # Pillow and the system may repeat the path, with any character in it.
    reason = getattr(error, "strerror", None) or printable(first_line(error))
    return BadExample(
        f"{name}: {printable(str(file))} cannot be read as a picture ({reason})",
        "fix it",
    )


def _common_mode(name: str, known: Sequence[tuple[Path, Header]], alpha: str) -> str:
    """Returns the mode of all images: L, RGB, RGBA or `I;16`."""
    mode = common_mode({h.mode: printable(str(f)) for f, h in known}, name)
    with_alpha = [file for file, h in known if h.alpha]
    # Compositing leaves no alpha channel.
    if not with_alpha or alpha in ("white", "black"):
        return mode
    first, why = with_alpha[0], "has an alpha channel"
    if alpha == "auto" and len(with_alpha) < len(known):
        # A few opaque alpha channels do not justify RGBA for all images.
        first = _first_transparent(name, with_alpha)
        why = "is transparent in part"
    count = (
        f"{name}: {len(with_alpha):,} of {len(known):,} pictures have an alpha channel"
    )
    # Every alpha channel is opaque, so that dropping them loses nothing.
    if first is None:
        LOG.info("%s, opaque in all of them: training on %s", count, mode)
        return mode
    LOG.warning(
        "%s (%s %s): training on RGBA; --alpha=white puts them on white and trains "
        "on %s",
        *(count, printable(str(first)), why, mode),
    )
    return "RGBA"


def _first_transparent(name: str, files: list[Path]) -> Path | None:
    """Returns the first file with a pixel that is not opaque, None if there is none.

    Returns the first file if there are too many to decode.
    """
    if len(files) > LOOKED_AT:
        return files[0]

    def opaque(file: Path) -> bool:
        try:
            with open_picture(file) as picture:
                return is_opaque(picture)
        except Exception:  # reading the example raises it, with the file's name
            return True

    with ThreadPoolExecutor(8) as pool:
        # The results have the order of the files.
        results = zip(files, pool.map(opaque, files), strict=True)
        return next((file for file, is_plain in results if not is_plain), None)


def _log_animated(name: str, known: Iterable[tuple[Path, Header]]) -> None:
    files = [file for file, h in known if h.animated]
    if files:
        LOG.info(
            "%s: %s picture(s) have several frames or pages, such as %s: the first of "
            "each is read",
            *(name, f"{len(files):,}", printable(str(files[0]))),
        )


def _check_sizes(name: str, known: Sequence[tuple[Path, Header]], frame: Frame) -> None:
    """Raises UsageError unless all framed images have one size."""
    first_file, first = known[0]
    expected = _framed_size(first_file, first, frame)
    for file, one in known:
        if _framed_size(file, one, frame) != expected:
            (high, wide), (other_high, other_wide) = first.size, one.size
            raise UsageError(
                f"{name}: pictures differ in size ({printable(str(first_file))} is "
                f"{high}x{wide}, {printable(str(file))} is {other_high}x{other_wide}); "
                "resize them with --image_size=64x64"
            )


def _framed_size(file: Path, one: Header, frame: Frame) -> Size:
    """Returns the size once framed; errors name the file."""
    try:
        return framed_size(frame, one.size)
    except UsageError as error:
        raise UsageError(f"{printable(str(file))}: {error}") from None

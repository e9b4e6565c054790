"""Pictures with one common form: headers are read at once, pixels on demand."""

import logging
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgan.data.bad_examples import BadExample
from jaxgan.data.decode import (
    Header,
    common_mode,
    example_shape,
    formats,
    header,
    is_animated,
    is_opaque,
    open_picture,
)
from jaxgan.data.picture_lists import HeaderBuilder, HeaderList, PathList
from jaxgan.data.picture_reader import (
    Changed,
    Fetch,
    Form,
    Paths,
    PictureDecoder,
    Place,
    part_of_header,
    read_picture,
)
from jaxgan.data.resize import Frame, Size, framed_size
from jaxgan.errors import UsageError, first_line, printable
from jaxgan.types import Field

LOG = logging.getLogger("jaxgan")

LOOKED_AT = 4096
"""Largest number of images that are decoded to see if their alpha channel is in use;
more would delay the start by minutes."""
AT_ONCE = 4096
"""Headers that are read ahead."""


class Reading(NamedTuple):
    """The way in which pictures are read."""

    frame: Frame
    alpha: str = "auto"
    """`keep` reads RGBA if any image has an alpha channel. `auto` does the same, unless
    only some images have one, all of them opaque. `white` and `black` composite
    transparent pixels over that color."""
    skip_bad: bool = False
    """If True, damaged headers raise `BadExample` on reading, not at once."""


class Pictures(NamedTuple):
    """Pictures of one form."""

    files: Sequence[Path | str]
    """Their paths, or texts that name them in messages."""
    headers: Sequence[Header | None]
    """None for a picture whose header cannot be read."""
    form: Form
    places: Callable[[np.ndarray], list[Place]] | None = None
    """Maps numbers `[n]` to the places that `fetch` reads; the paths if None."""
    fetch: Fetch = Paths()

    @property
    def field(self) -> Field:
        """The form of one image as a field of an example."""
        return Field(self.form.shape, self.form.dtype, "image")

    @property
    def decoder(self) -> PictureDecoder:
        """The function that decodes pictures at their places."""
        return PictureDecoder(self.form, self.fetch)

    def locate(self, numbers: np.ndarray) -> list[Place]:
        """Returns the places of the pictures with these numbers `[n]`."""
        if self.places is not None:
            return self.places(numbers)
        files, numbers = self.files, np.asarray(numbers)
        if isinstance(files, PathList):
            return [files.text(n) for n in numbers.tolist()]
        return [str(files[n]) for n in numbers.tolist()]

    def read(self, numbers: np.ndarray) -> np.ndarray:
        """Decodes the pictures with these numbers `[n]`.

        Returns:
          Pixels `[n, parts, H, W, C]`, uint8 or uint16.

        Raises:
          BadExample: if a picture cannot be read, or has another form now.
        """
        places, shape = self.locate(numbers), self.form.shape
        images = np.empty((len(places), self.form.parts, *shape), self.form.dtype)
        try:
            sources: Sequence[Any] = self.fetch(places)
        except Exception:  # fetched one by one, to name the damaged one
            sources = [None] * len(places)
        for i, source in enumerate(sources):
            try:
                one = self.fetch([places[i]])[0] if source is None else source
                images[i] = read_picture(one, self.form)
            except Exception as error:
                raise self._bad(int(numbers[i]), error) from error
        return images

    def _bad(self, number: int, error: Exception) -> BadExample:
        if not isinstance(error, Changed):
            return cannot_be_read(self.form.name, self.files[number], error)
        shown = f"{self.form.name}: {printable(str(self.files[number]))}"
        return BadExample(f"{shown} {error}", "restore it")

    def encoded(self, numbers: np.ndarray) -> list[bytes]:
        """Returns the encoded content of the pictures with these numbers."""
        sources = self.fetch(self.locate(numbers))
        return [x if isinstance(x, bytes) else Path(x).read_bytes() for x in sources]


def examine(
    name: str,
    files: Sequence[Path | str],
    headers: Sequence[Header | None],
    reading: Reading,
    parts: int = 1,
    places: Callable[[np.ndarray], list[Place]] | None = None,
    fetch: Fetch | None = None,
) -> Pictures:
    """Finds the common form of pictures: gray beside color is read as RGB.

    Args:
      name: the name of the data set, for messages.
      files: the paths of the pictures, or texts that name them.
      headers: those that `read_headers` returns for them.
      reading: the frame of each part, and the treatment of transparency.
      parts: the number of images of equal width that each picture holds side by side.
      places: maps numbers to places, if the pictures are not files of their own.
      fetch: reads the pictures at these places.

    Raises:
      UsageError: if 16-bit pictures are mixed with others, or if sizes differ and the
        frame does not equalize them.
    """
    frame = reading.frame
    if not isinstance(headers, HeaderList):
        headers = HeaderList.of(headers)
    # Unreadable files decide nothing here.
    distinct = headers.distinct()
    _log_animated(name, [(files[i], n) for i, n, one in distinct if one.animated])
    every = Pictures(files, headers, _ANY._replace(name=name), places, fetch or Paths())
    mode = _common_mode(every, distinct, reading.alpha)
    # From here on, the size is that of a part.
    known = [(files[i], part_of_header(one, parts)) for i, _, one in distinct]
    _check_sizes(name, known, frame)
    shape = example_shape(frame, known[0][1].size, mode)
    background = "black" if reading.alpha == "black" else "white"
    form = Form(name, mode, shape, frame, background, parts)
    return every._replace(form=form)


_ANY = Form("", "L", (1, 1, 1), Frame(), "white")


def read_headers(
    name: str, files: Sequence[Path | str], skip_bad: bool = False
) -> HeaderList:
    """Reads the headers of all files.

    Args:
      name: the name of the data set, for errors.
      files: the pictures.
      skip_bad: if True, the header of a file that cannot be read is None.

    Raises:
      UsageError: if a file cannot be read, or none of them.
    """
    # Closed here after an error, as its own threads cannot end it.
    with closing(try_headers(files)) as found:
        return checked_headers(name, files, found, skip_bad)


def checked_headers(
    name: str,
    files: Sequence[Path | str],
    found: Iterable[Header | Exception],
    skip_bad: bool,
) -> HeaderList:
    """Returns headers without errors, see `read_headers`.

    Args:
      name: the name of the data set, for errors.
      files: the pictures.
      found: the header or the error of each.
      skip_bad: if True, an error becomes None.
    """
    headers = HeaderBuilder()
    for number, one in enumerate(found):
        if isinstance(one, Exception) and not skip_bad:
            raise cannot_be_read(name, files[number], one) from one
        headers.add(None if isinstance(one, Exception) else one)
    made = headers.build()
    if not len(made.numbers()):
        raise UsageError(f"{name}: none of {len(files):,} pictures can be read")
    return made


def try_headers(files: Sequence[Any]) -> Generator[Header | Exception, None, None]:
    """Yields the header of each file, or the error of one that cannot be read.

    Args:
      files: paths, or the contents of files.
    """
    formats()  # loads Pillow's decoders before the threads need them
    with ThreadPoolExecutor(8) as pool:
        # A part at a time, since the pool keeps an object for each file.
        for start in range(0, len(files), AT_ONCE):
            part = [files[i] for i in range(start, min(start + AT_ONCE, len(files)))]
            # Threads read ahead while others wait for the disk.
            yield from pool.map(try_header, part)


def try_header(source: Path | str | bytes) -> Header | Exception:
    """Returns the header of a picture, or the error if it cannot be read."""
    try:
        with open_picture(source) as picture:
            return header(picture)._replace(animated=is_animated(picture))
    except Exception as error:  # Pillow's decoders raise many types
        return error


def cannot_be_read(name: str, file: Path | str, error: Exception) -> BadExample:
    """Returns the error for a picture that cannot be read."""
    # Pillow and the system may repeat the path, with any character in it.
    reason = getattr(error, "strerror", None) or printable(first_line(error))
    return BadExample(
        f"{name}: {printable(str(file))} cannot be read as a picture ({reason})",
        "fix it",
    )


def _common_mode(
    every: Pictures, distinct: Sequence[tuple[int, int, Header]], alpha: str
) -> str:
    """Returns the mode of all images: L, RGB, RGBA or `I;16`."""
    name, headers = every.form.name, HeaderList.of(every.headers)
    modes = {one.mode: printable(str(every.files[i])) for i, _, one in distinct[::-1]}
    mode = common_mode(modes, name)
    with_alpha, known = headers.numbers(alpha=True), len(headers.numbers())
    # Compositing leaves no alpha channel.
    if not len(with_alpha) or alpha in ("white", "black"):
        return mode
    first, why = with_alpha[0], "has an alpha channel"
    if alpha == "auto" and len(with_alpha) < known:
        # A few opaque alpha channels do not justify RGBA for all images.
        first = _first_transparent(every, with_alpha)
        why = "is transparent in part"
    count = f"{name}: {len(with_alpha):,} of {known:,} pictures have an alpha channel"
    # Every alpha channel is opaque, so that dropping them loses nothing.
    if first is None:
        LOG.info("%s, opaque in all of them: training on %s", count, mode)
        return mode
    LOG.warning(
        "%s (%s %s): training on RGBA; --alpha=white puts them on white and trains "
        "on %s",
        *(count, printable(str(every.files[first])), why, mode),
    )
    return "RGBA"


def _first_transparent(every: Pictures, numbers: np.ndarray) -> int | None:
    """Returns the first picture with a pixel that is not opaque, None if there is none.

    Returns the first picture if there are too many to decode.
    """
    if len(numbers) > LOOKED_AT:
        return int(numbers[0])

    def opaque(number: int) -> bool:
        try:
            (source,) = every.fetch(every.locate(np.array([number])))
            with open_picture(source) as picture:
                return is_opaque(picture)
        except Exception:  # reading the example raises it, with the file's name
            return True

    with ThreadPoolExecutor(8) as pool:
        # The results have the order of the files.
        results = zip(numbers.tolist(), pool.map(opaque, numbers.tolist()), strict=True)
        return next((number for number, is_plain in results if not is_plain), None)


def _log_animated(name: str, found: Sequence[tuple[Path | str, int]]) -> None:
    if found:
        LOG.info(
            "%s: %s picture(s) have several frames or pages, such as %s: the first of "
            "each is read",
            *(name, f"{sum(n for _, n in found):,}", printable(str(found[0][0]))),
        )


def _check_sizes(
    name: str, known: Sequence[tuple[Path | str, Header]], frame: Frame
) -> None:
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


def _framed_size(file: Path | str, one: Header, frame: Frame) -> Size:
    """Returns the size once framed; errors name the file."""
    try:
        return framed_size(frame, one.size)
    except UsageError as error:
        raise UsageError(f"{printable(str(file))}: {error}") from None

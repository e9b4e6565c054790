"""Image folders: `folder:PATH`, with or without class sub-folders."""

import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgan.data.bad_examples import BadExample
from jaxgan.data.dataset import Dataset, Examples
from jaxgan.data.decode import (
    SUFFIXES,
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
from jaxgan.data.listing import Walk, find_root, log_left_out
from jaxgan.data.resize import Frame, Size, framed_size
from jaxgan.errors import UsageError, first_line, printable
from jaxgan.types import image_example

LOG = logging.getLogger("jaxgan")

LOOKED_AT = 4096
"""Largest number of images that are decoded to see if their alpha channel is in use;
more would delay the start by minutes."""


class _Kind(NamedTuple):
    """The common form of all images of a folder."""

    name: str
    """Name of the data set."""
    mode: str
    """L, RGB, RGBA or `I;16`."""
    shape: tuple[int, int, int]
    """`(H, W, C)`, once framed."""
    frame: Frame
    background: str
    """The color behind transparent pixels."""


def folder(
    name: str,
    path: Path,
    frame: Frame,
    *,
    split: str = "train",
    alpha: str = "auto",
    skip_bad: bool = False,
) -> Dataset:
    """Loads all images below a folder, sorted by name.

    First-level sub-folders are the classes; images directly in `path` have no labels.
    If `path` has sub-folders such as `train` and `test`, each of them is a split of
    this form, and all splits have the classes of `train`. A mixture of gray and color
    is read as RGB. Reads all headers immediately, and pixels on demand.

    Args:
      name: the name of the data set, `folder:PATH`.
      path: the folder.
      frame: the crop and the size.
      split: the name of a sub-folder, or `train` if there are no splits.
      alpha: `keep` reads RGBA if any image has an alpha channel. `auto` does the same,
        unless only some images have one, all of them opaque. `white` and `black`
        composite transparent pixels over that color.
      skip_bad: if True, damaged headers raise `BadExample` on reading, not now.

    Raises:
      UsageError: if there are no images, if a file or a folder cannot be read, or if
        sizes differ and `frame` does not equalize them.
    """
    # List the files, and number their classes.
    root, splits = find_root(name, path, split)
    walk = _pictures_below(name, root)
    classes, labels = _classes(name, walk, splits)
    files = walk.files
    # Read the headers, which give modes and sizes without decoding.
    headers = zip(files, _headers(name, files, skip_bad), strict=True)
    # With skip_bad, unreadable files remain examples, but decide nothing here.
    known = [(f, h) for f, h in headers if h]
    _log_animated(name, known)
    kind = _common_kind(name, known, frame, alpha)
    dtype = dtype_of(kind.mode)

    def read(numbers: np.ndarray) -> Examples:
        images = np.empty((len(numbers), *kind.shape), dtype)
        for i, number in enumerate(numbers):
            images[i] = _picture(files[number], kind)
        examples = {"image": images}
        return {**examples, "label": labels[numbers]} if classes else examples

    return Dataset(
        name,
        len(files),
        image_example(kind.shape, dtype, classes),
        read,
        origin=f"{len(files):,} pictures in {printable(str(root))}",
        encoded=lambda numbers: [files[n].read_bytes() for n in numbers],
    )


def _common_kind(
    name: str, known: list[tuple[Path, Header]], frame: Frame, alpha: str
) -> _Kind:
    """Returns the common form; raises UsageError if modes or sizes do not allow one."""
    mode = _common_mode(name, known, alpha)
    _check_sizes(name, known, frame)
    shape = example_shape(frame, known[0][1].size, mode)
    return _Kind(name, mode, shape, frame, "black" if alpha == "black" else "white")


def _pictures_below(name: str, root: Path) -> Walk:
    """Walks a folder, and raises UsageError unless it holds images in one layout."""
    walk = Walk(name, root)
    log_left_out(walk)
    if not walk.files:
        # One suffix per format.
        kinds = ", ".join(SUFFIXES[one][0][1:] for one in formats())
        raise UsageError(
            f"{name}: {printable(str(root))} holds no pictures ({kinds}), nor do its "
            "sub-folders"
        )
    if walk.classes and walk.loose:
        raise UsageError(
            f"{name}: pictures are both beside ({printable(walk.loose)}) and inside "
            f"({printable(walk.classes[0])}/) class folders; move them all into "
            "folders, or all out of them"
        )
    return walk


def _classes(
    name: str, walk: Walk, splits: dict[str, Path]
) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns the sorted class names, and the class of each file, `[n]` int32.

    If there is a split `train`, all splits number their classes like it.
    """
    present = classes = walk.classes
    train = splits.get("train", splits.get("training"))
    if train is not None and train != walk.root and present:
        # Other splits may lack classes, but may not add any.
        classes = Walk(name, train).classes
        unknown = sorted(set(present) - set(classes))
        if classes and unknown:
            raise UsageError(
                f"{name}: {printable(walk.root.name)}/{printable(unknown[0])} is not "
                f"one of the {len(classes)} classes of {train.name}/; rename it, or "
                "move it away"
            )
    # Labels need class folders both in this split and in train.
    if not classes or not present:
        return (), np.zeros(len(walk.files), np.int32)
    # The class of a file is the first-level folder that holds it.
    number = {c: i for i, c in enumerate(classes)}
    return classes, np.array([number[top] for top in walk.tops], np.int32)


def _headers(name: str, files: list[Path], skip_bad: bool) -> list[Header | None]:
    """Reads the headers of all files, None for a bad one if `skip_bad`."""

    def read(file: Path) -> Header | None:
        try:
            with open_picture(file) as picture:
                return header(picture)._replace(animated=is_animated(picture))
        except Exception as error:  # Pillow's decoders raise many types
            if skip_bad:
                return None
            raise _broken(name, file, error) from error

    formats()  # loads Pillow's decoders before the threads need them
    with ThreadPoolExecutor(8) as pool:
        # Threads read ahead while others wait for the disk.
        headers = list(pool.map(read, files))
    if not any(headers):
        raise UsageError(f"{name}: none of {len(files):,} pictures can be read")
    return headers


def _picture(file: Path, kind: _Kind) -> np.ndarray:
    """Decodes a file to `[H, W, C]`; raises BadExample."""
    try:
        with open_picture(file) as picture:
            # The file may have changed since its header was read.
            current = header(picture)
            deep = current.mode == "I;16"
            shape = example_shape(kind.frame, current.size, kind.mode)
            if shape == kind.shape and deep == (kind.mode == "I;16"):
                return decode(
                    picture, kind.mode, kind.frame, background=kind.background
                )
    except Exception as error:
        raise _broken(kind.name, file, error) from error
    # The image opens, but has another shape or depth than its first header.
    shown = printable(str(file))
    raise BadExample(
        f"{kind.name}: {shown} has changed since this run began", "restore it"
    )


def _broken(name: str, file: Path, error: Exception) -> BadExample:
    # Pillow and the system may repeat the path, with any character in it.
    reason = getattr(error, "strerror", None) or printable(first_line(error))
    return BadExample(
        f"{name}: {printable(str(file))} cannot be read as a picture ({reason})",
        "fix it",
    )


def _common_mode(name: str, known: list[tuple[Path, Header]], alpha: str) -> str:
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


def _check_sizes(name: str, known: list[tuple[Path, Header]], frame: Frame) -> None:
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

"""Pictures in a folder: `folder:PATH`, with class sub-folders or without."""

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

LOG = logging.getLogger("jaxgan")

LOOKED_AT = 4096
"""Pictures with an alpha channel that are decoded at most to see whether they use it;
more would delay the start by minutes."""


class _Kind(NamedTuple):
    """The common form of all pictures."""

    name: str
    """Of the data set."""
    mode: str
    shape: tuple[int, int, int]
    frame: Frame
    background: str


def folder(
    name: str,
    path: Path,
    frame: Frame,
    *,
    split: str = "train",
    alpha: str = "auto",
    skip_bad: bool = False,
) -> Dataset:
    """All pictures below `path`, in the order of their names.

    First-level sub-folders are the classes; pictures directly in `path` have none. In
    a folder with sub-folders such as `train` and `test`, this holds for each of them;
    all have the classes of `train`. A mixture of gray and color is read as RGB. Every
    header is read now, pixels later.

    Args:
      name: of the data set, `folder:PATH`.
      path: the folder.
      frame: the crop and the size.
      split: a sub-folder, or `train` where there are none.
      alpha: `keep` reads RGBA where a picture has an alpha channel; `auto` the same,
        unless others have none and it is opaque in all that have; `white` and `black`
        put transparent pixels on that color.
      skip_bad: keeps files whose headers are damaged, so that reading them raises
        `BadExample`, instead of raising that now.

    Raises UsageError if there is nothing to read, if a file or a folder cannot be
    read, or if sizes differ and `frame` does not make them equal.
    """
    root, splits = find_root(name, path, split)
    walk = _pictures_below(name, root)
    classes, labels = _classes(name, walk, splits)
    files = walk.files
    headers = _headers(name, files, skip_bad)
    known = [(f, h) for f, h in zip(files, headers, strict=True) if h]
    _log_animated(name, known)
    mode = _common_mode(name, known, alpha)
    _check_sizes(name, known, frame)
    shape = example_shape(frame, known[0][1].size, mode)
    kind = _Kind(name, mode, shape, frame, "black" if alpha == "black" else "white")

    def read(numbers: np.ndarray) -> Examples:
        images = np.empty((len(numbers), *shape), dtype_of(mode))
        for i, number in enumerate(numbers):
            images[i] = _picture(files[number], kind)
        examples = {"image": images}
        return {**examples, "label": labels[numbers]} if classes else examples

    origin = f"{len(files):,} pictures in {printable(str(root))}"
    return Dataset(
        name,
        len(files),
        shape,
        dtype_of(mode),
        classes,
        read,
        origin=origin,
        encoded=lambda numbers: [files[n].read_bytes() for n in numbers],
    )


def _pictures_below(name: str, root: Path) -> Walk:
    walk = Walk(name, root)
    log_left_out(walk)
    if not walk.files:
        kinds = ", ".join(SUFFIXES[one][0][1:] for one in formats())
        raise UsageError(
            f"{name}: {printable(str(root))} holds no pictures ({kinds}), nor do its "
            "sub-folders"
        )
    if walk.classes and walk.loose:
        raise UsageError(
            f"{name}: pictures lie both beside ({printable(walk.loose)}) and inside "
            f"({printable(walk.classes[0])}/) class folders; move them all into "
            "folders, or all out of them"
        )
    return walk


def _classes(
    name: str, walk: Walk, splits: dict[str, Path]
) -> tuple[tuple[str, ...], np.ndarray]:
    """Class names, sorted, and the class of each file, `[n]` int32.

    All splits number their classes as `train` does, where there is one.
    """
    own = classes = walk.classes
    train = splits.get("train", splits.get("training"))
    if train is not None and train != walk.root and own:
        classes = Walk(name, train).classes
        strange = sorted(set(own) - set(classes))
        if classes and strange:
            raise UsageError(
                f"{name}: {printable(walk.root.name)}/{printable(strange[0])} is not "
                f"one of the {len(classes)} classes of {train.name}/; rename it, or "
                "move it away"
            )
    if not classes or not own:
        return (), np.zeros(len(walk.files), np.int32)
    number = {c: i for i, c in enumerate(classes)}
    return classes, np.array([number[top] for top in walk.tops], np.int32)


def _headers(name: str, files: list[Path], skip_bad: bool) -> list[Header | None]:
    """The headers of all files, None for a bad one if those are skipped."""

    def read(file: Path) -> Header | None:
        try:
            with open_picture(file) as picture:
                return header(picture)._replace(animated=is_animated(picture))
        except Exception as error:  # Pillow's decoders raise nearly anything
            if skip_bad:
                return None
            raise _broken(name, file, error) from error

    formats()  # loads Pillow's decoders, once
    with ThreadPoolExecutor(8) as pool:
        headers = list(pool.map(read, files))
    if not any(headers):
        raise UsageError(f"{name}: none of {len(files):,} pictures can be read")
    return headers


def _picture(file: Path, kind: _Kind) -> np.ndarray:
    """The pixels of a file, `[H, W, C]`; raises BadExample."""
    try:
        with open_picture(file) as picture:
            found = header(picture)
            deep = found.mode == "I;16"
            shape = example_shape(kind.frame, found.size, kind.mode)
            if shape == kind.shape and deep == (kind.mode == "I;16"):
                return decode(
                    picture, kind.mode, kind.frame, background=kind.background
                )
    except Exception as error:
        raise _broken(kind.name, file, error) from error
    shown = printable(str(file))
    raise BadExample(
        f"{kind.name}: {shown} has changed since this run began", "put it back"
    )


def _broken(name: str, file: Path, error: Exception) -> BadExample:
    # Pillow and the system may repeat the path, with any character in it.
    reason = getattr(error, "strerror", None) or printable(first_line(error))
    return BadExample(
        f"{name}: {printable(str(file))} cannot be read as a picture ({reason})",
        "fix it",
    )


def _common_mode(name: str, known: list[tuple[Path, Header]], alpha: str) -> str:
    """The mode of all pictures: L, RGB, RGBA or `I;16`."""
    mode = common_mode({h.mode: printable(str(f)) for f, h in known}, name)
    having = [file for file, h in known if h.alpha]
    if not having or alpha in ("white", "black"):
        return mode
    first, why = having[0], "has an alpha channel"
    if alpha == "auto" and len(having) < len(known):
        first = _first_transparent(name, having)
        why = "is transparent in part"
    count = f"{name}: {len(having):,} of {len(known):,} pictures have an alpha channel"
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
    """The first file with a pixel that is not opaque; None if there is none."""
    if len(files) > LOOKED_AT:
        return files[0]

    def opaque(file: Path) -> bool:
        try:
            with open_picture(file) as picture:
                return is_opaque(picture)
        except Exception:  # found, and named, when it is read
            return True

    with ThreadPoolExecutor(8) as pool:
        each = zip(files, pool.map(opaque, files), strict=True)
        return next((file for file, plain in each if not plain), None)


def _log_animated(name: str, known: Iterable[tuple[Path, Header]]) -> None:
    files = [file for file, h in known if h.animated]
    if files:
        LOG.info(
            "%s: %s picture(s) have several frames or pages, such as %s: the first of "
            "each is read",
            *(name, f"{len(files):,}", printable(str(files[0]))),
        )


def _check_sizes(name: str, known: list[tuple[Path, Header]], frame: Frame) -> None:
    first_file, first = known[0]
    wanted = _framed_size(first_file, first, frame)
    for file, one in known:
        if _framed_size(file, one, frame) != wanted:
            (high, wide), (other_high, other_wide) = first.size, one.size
            raise UsageError(
                f"{name}: pictures differ in size ({printable(str(first_file))} is "
                f"{high}x{wide}, {printable(str(file))} is {other_high}x{other_wide}); "
                "make them one with --image_size=64x64"
            )


def _framed_size(file: Path, one: Header, frame: Frame) -> Size:
    try:
        return framed_size(frame, one.size)
    except UsageError as error:
        raise UsageError(f"{printable(str(file))}: {error}") from None

"""The images to score: picture files, folders, patterns, and files of arrays."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgan import data
from jaxgan.config.scoring import ScoreConfig
from jaxgan.data.bad_examples import BadExample
from jaxgan.data.decode import CHANNELS, MODE_OF, Header
from jaxgan.data.picture_reader import Form
from jaxgan.data.pictures import Pictures
from jaxgan.data.resize import Frame, framed_size, parse_frame
from jaxgan.errors import UsageError, printable
from jaxgan.evaluation.load_run import Run
from jaxgan.evaluation.picture_paths import Found, find, read_headers
from jaxgan.files import kind, local_path

log = logging.getLogger("jaxgan")

ARRAYS = (".npz", ".npy")
"""Suffixes of files of arrays."""

WORDS = {"L": "gray", "RGB": "in color", "RGBA": "in color with alpha"}
"""Modes of 8-bit pictures in words."""


class Source(NamedTuple):
    """Images that are read by number."""

    names: list[str]
    """The name of each image in the table: its path, or `FILE.npz[3]`."""
    below: list[Path]
    """Of the file of each image's heat map, without its suffix."""
    read: Callable[[np.ndarray], np.ndarray]
    """Maps numbers `[n]` to images `[n, H, W, C]`; may raise BadExample."""


def sources_of(config: ScoreConfig, run: Run) -> tuple[list[Source], int]:
    """Finds all images, and checks their sizes and modes by their headers.

    Returns:
      The sources in the order of the arguments, and the number of pictures whose header
      cannot be read, which are logged.

    Raises:
      UsageError: if there are no images, or if some do not fit the run.
    """
    outputs = [x for x in (config.out, config.heatmaps) if x is not None]
    sources: list[Source] = []
    failed = 0
    for text in config.images:
        path = local_path("PATH", text)
        if path.suffix.lower() in ARRAYS and kind(path) == "a file":
            sources.append(_of_arrays(path, run, resize=config.resize))
            continue
        found = list(find(text, outputs, "PATH"))
        headers = read_headers(found, stop=config.on_bad_example == "stop")
        known = [(x, h) for x, h in zip(found, headers, strict=True) if h]
        failed += len(found) - len(known)
        sources.append(_of_pictures(known, run, resize=config.resize))
    return sources, failed


def _of_pictures(
    known: list[tuple[Found, Header]], run: Run, *, resize: bool
) -> Source:
    """Returns picture files as a source; raises UsageError if one does not fit."""
    form = form_of(run, resize=resize)
    for one, head in known:
        _check(one.file, head, form, resize=resize)
    pictures = Pictures([one.file for one, _ in known], [h for _, h in known], form)
    return Source(
        [str(one.file) for one, _ in known],
        [one.below.with_suffix("") for one, _ in known],
        lambda numbers: pictures.read(numbers)[:, 0],
    )


def form_of(run: Run, *, resize: bool) -> Form:
    """Returns the form in which pictures are read: that of the training examples.

    Args:
      run: the run.
      resize: True to crop and resize pictures of other sizes.

    Raises:
      UsageError: if pictures cannot have the form of the examples.
    """
    height, width, channels = _shape(run)
    mode = "I;16" if run.example.dtype == np.uint16 else MODE_OF.get(channels, "")
    if CHANNELS.get(mode) != channels:
        raise UsageError(
            f"the run reads images of {channels} channels, which picture files do not "
            "have: give an .npz file, or use jaxgan.score_run with arrays"
        )
    config = run.config
    # Training resized its pictures too.
    frame = parse_frame(config.image_size or None, config.crop)
    if resize:
        frame = Frame((height, width), frame.crop)
    background = "black" if config.alpha == "black" else "white"
    return Form("PATH", mode, (height, width, channels), frame, background)


def _shape(run: Run) -> tuple[int, int, int]:
    """Returns `(H, W, C)` of the examples; raises UsageError if they are no images."""
    if len(run.example.shape) != 3:
        raise UsageError(
            f"--workdir={run.folder}: the run reads {list(run.example.shape)} values, "
            "not pictures: use jaxgan.score_run with arrays"
        )
    height, width, channels = run.example.shape
    return height, width, channels


def _check(file: Path, head: Header, form: Form, *, resize: bool) -> None:
    """Raises UsageError unless a picture has the size and mode of the examples."""
    shown = printable(str(file))
    try:
        high, wide = framed_size(form.frame, head.size)
    except UsageError as error:
        raise UsageError(
            f"{shown} is {head.size[0]}x{head.size[1]}, smaller than the crop of the "
            "run: enlarge it"
        ) from error
    if (high, wide) != form.shape[:2]:
        raise UsageError(
            f"{shown} is {high}x{wide}, and the run was trained on {form.shape[0]}x"
            f"{form.shape[1]}: use --resize"
        )
    if (head.mode == "I;16") != (form.mode == "I;16"):
        depths = (16, 8) if head.mode == "I;16" else (8, 16)
        raise UsageError(
            f"{shown} has {depths[0]} bits per channel, and the run was trained on "
            f"{depths[1]}: convert it"
        )
    # Gray is read as color, and transparent pixels are put on the background.
    if form.mode == "L" and head.mode == "RGB" and not resize:
        raise UsageError(
            f"{shown} is {WORDS[head.mode]}, and the run was trained on gray pictures: "
            "use --resize, which converts it too"
        )


def _of_arrays(path: Path, run: Run, *, resize: bool) -> Source:
    """Returns the images of an .npz or .npy file; raises UsageError unless they fit."""
    shape = run.example.shape
    size = f"{shape[0]}x{shape[1]}" if resize and len(shape) == 3 else ""
    images = data.load(f"npz:{path}", image_size=size or None, label_field="none")
    check_shape(printable(str(path)), images.shape, shape, resize=resize)
    field, stem = images.example.generated, Path(path.stem)
    digits = len(str(images.size - 1))
    numbers = range(images.size)
    return Source(
        [f"{path}[{i}]" for i in numbers],
        [stem / f"{i:0{digits}d}" for i in numbers],
        lambda rows: images.read(rows)[field],
    )


def check_shape(
    name: str, shape: tuple[int, ...], wanted: tuple[int, ...], *, resize: bool = True
) -> None:
    """Raises UsageError unless images have the shape of the examples."""
    if tuple(shape) == tuple(wanted):
        return
    # Resizing does not change channels.
    fits = len(shape) == len(wanted) == 3 and shape[-1] == wanted[-1] and not resize
    remedy = "use --resize" if fits else "convert them"
    raise UsageError(
        f"{name}: its images are {list(shape)}, and the run was trained on "
        f"{list(wanted)}: {remedy}"
    )


class Block(NamedTuple):
    """Some images of a source."""

    images: np.ndarray
    """`[n, H, W, C]`."""
    names: list[str]
    below: list[Path]


def blocks_of(
    source: Source, at_once: int, *, stop: bool
) -> Iterator[tuple[Block, int]]:
    """Yields the images of a source some at a time, and how many cannot be read.

    Args:
      source: the images.
      at_once: most images of a block.
      stop: True to raise if an image cannot be read, False to log and skip it.

    Raises:
      UsageError: if an image cannot be read.
    """
    for first in range(0, len(source.names), at_once):
        numbers = np.arange(first, min(first + at_once, len(source.names)))
        try:
            images, good = source.read(numbers), numbers.tolist()
        except BadExample:
            images, good = _one_by_one(source, numbers, stop=stop)
        names, below = [source.names[i] for i in good], [source.below[i] for i in good]
        yield Block(images, names, below), len(numbers) - len(good)


def _one_by_one(
    source: Source, numbers: np.ndarray, *, stop: bool
) -> tuple[np.ndarray, list[int]]:
    """Returns the images that can be read, and their numbers; logs the others."""
    rows, good = [], []
    for number in numbers.tolist():
        try:
            rows.append(source.read(np.array([number]))[0])
        except BadExample as error:
            message = f"{error.reason}; fix it, or leave it out"
            if stop:
                raise UsageError(message) from error
            log.error("%s", message)
        else:
            good.append(number)
    return np.array(rows), good

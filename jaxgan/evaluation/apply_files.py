"""Finds the pictures to map, the files for the results, and the masks."""

import glob
import logging
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jaxgan.config.applying import ApplyConfig
from jaxgan.data.decode import Header, formats, header, open_picture
from jaxgan.data.decode import suffixes as read_suffixes
from jaxgan.data.listing import Walk
from jaxgan.data.pictures import try_headers
from jaxgan.errors import UsageError, printable
from jaxgan.evaluation.picture_files import FORMATS
from jaxgan.files import check_writable, kind, local_path, reason

log = logging.getLogger("jaxgan")


class Job(NamedTuple):
    """A picture to map, and the file for the result."""

    source: Path
    target: Path
    header: Header
    mask: Path | None = None


class Found(NamedTuple):
    """A picture, and its path below the folder or the pattern that named it."""

    file: Path
    below: Path


def find_jobs(config: ApplyConfig) -> tuple[list[Job], int]:
    """Finds all pictures and masks, reads their headers, and checks the outputs.

    Returns:
      The jobs, and the number of pictures whose header cannot be read, which are
      logged.

    Raises:
      UsageError: if there are no pictures, if an output cannot be written, exists, is
        an input, or has several pictures, or if a mask does not fit.
    """
    out = local_path("OUT", config.out)
    found = [x for text in config.pictures for x in _find(text, out)]
    targets = _targets(config, out, found)
    _check_targets(targets, found, overwrite=config.overwrite)
    headers = _headers(found, stop=config.on_bad_example == "stop")
    masks = _masks(config, found)
    jobs = [
        Job(one.file, target, head, mask)
        for one, target, head, mask in zip(found, targets, headers, masks, strict=True)
        if head
    ]
    _check_masks(jobs)
    return jobs, len(found) - len(jobs)


def _find(text: str, out: Path) -> Iterator[Found]:
    """Yields the pictures of a file, a folder or a pattern."""
    path, shown = local_path("IN", text), f"IN={printable(text)}"
    what = kind(path)
    if what == "a folder":
        files = Walk(shown, path).files
        # Results below the folder, of an earlier call, are no inputs.
        if out != path and out.is_relative_to(path):
            files = [file for file in files if not file.is_relative_to(out)]
        if not files:
            raise UsageError(
                f"{shown}: the folder has no pictures ({', '.join(formats())}); name "
                "another"
            )
        yield from (Found(file, file.relative_to(path)) for file in files)
    elif what:
        yield Found(path, Path(path.name))
    elif glob.has_magic(text):
        yield from _of_pattern(shown, str(path))
    else:
        raise UsageError(f"{shown}: there is no such file or folder")


def _of_pattern(shown: str, pattern: str) -> Iterator[Found]:
    matches = sorted(glob.glob(pattern, recursive=True))
    files = [
        Path(x)
        for x in matches
        if x.lower().endswith(read_suffixes()) and os.path.isfile(x)
    ]
    if not files:
        raise UsageError(f"{shown}: no picture matches; use one such as 'photos/*.jpg'")
    # The structure below the folders without a pattern is kept.
    fixed = Path(*_before_magic(Path(pattern)))
    yield from (Found(file, file.relative_to(fixed)) for file in files)


def _before_magic(pattern: Path) -> Iterator[str]:
    """Yields the leading parts of a pattern that have no special characters."""
    for part in pattern.parts[:-1]:
        if glob.has_magic(part):
            return
        yield part


def _targets(config: ApplyConfig, out: Path, found: list[Found]) -> list[Path]:
    """Returns the file for each result; raises UsageError for an unfit OUT."""
    suffix, shown = out.suffix.lower(), f"OUT={printable(config.out)}"
    is_folder = config.out.endswith("/") or out.is_dir()
    if suffix in FORMATS and not is_folder:
        if len(found) > 1:
            raise UsageError(
                f"{shown}: the results of {len(found):,} pictures need a folder, such "
                f"as {printable(str(out.with_suffix('')))}/"
            )
        check_writable("OUT", out)
        return [out]
    # Such as .gif; the name of a folder may have a dot too.
    if suffix in read_suffixes() and not is_folder:
        raise UsageError(
            f"{shown}: must end in one of {', '.join(FORMATS)}, or in / for a folder"
        )
    _check_folder(shown, out)
    return [out / one.below.with_suffix(".png") for one in found]


def _check_folder(shown: str, folder: Path) -> None:
    """Raises UsageError unless files can be written to a folder, new or not."""
    place = folder.absolute()
    # The folder, or the nearest one above it that exists.
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise UsageError(f"{shown}: {printable(str(place))} is not a folder")
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise UsageError(
            f"{shown} cannot be written ({error.strerror}); use a writable folder"
        ) from None


def _check_targets(targets: list[Path], found: list[Found], *, overwrite: bool) -> None:
    """Raises UsageError if results would replace inputs, files or one another."""
    numbers = {(s.st_dev, s.st_ino): x.file for x in found if (s := os.stat(x.file))}
    source_of: dict[Path, Path] = {}
    for target, one in zip(targets, found, strict=True):
        shown = printable(str(target))
        other = source_of.setdefault(target, one.file)
        if other is not one.file:
            raise UsageError(
                f"{printable(str(other))} and {printable(str(one.file))} would both "
                f"be written to {shown}; rename one, or use two outputs"
            )
        if not os.path.lexists(target):
            continue
        if not target.is_file():
            raise UsageError(f"{shown} is {kind(target)}, not a file; use another OUT")
        status = os.stat(target)
        if (status.st_dev, status.st_ino) in numbers:
            raise UsageError(f"{shown} is an input; write to another OUT")
        if not overwrite:
            raise UsageError(f"{shown} exists: use --overwrite, or another OUT")


def _headers(found: list[Found], *, stop: bool) -> list[Header | None]:
    """Reads the headers; those that cannot be read are logged, or raise UsageError."""
    results = list(try_headers([one.file for one in found]))
    if not any(isinstance(x, Header) for x in results):
        stop = True
    for one, error in zip(found, results, strict=True):
        if not isinstance(error, Exception):
            continue
        message = _unreadable(one.file, error)
        if stop:
            raise UsageError(f"{message}; fix it, or leave it out")
        log.error("%s", message)
    return [x if isinstance(x, Header) else None for x in results]


def _unreadable(file: Path, error: Exception) -> str:
    """Returns the message for a picture that cannot be read."""
    return f"{printable(str(file))} cannot be read as a picture ({reason(error)})"


def _masks(config: ApplyConfig, found: list[Found]) -> list[Path | None]:
    """Returns the mask of each picture, None without `--mask`."""
    if config.mask is None:
        return [None] * len(found)
    shown, what = f"--mask={printable(str(config.mask))}", kind(config.mask)
    if not what:
        raise UsageError(f"{shown}: there is no such file or folder")
    if what != "a folder":
        return [config.mask] * len(found)
    files = Walk(shown, config.mask).files
    by_name = {x.relative_to(config.mask).with_suffix(""): x for x in files}
    masks = [by_name.get(one.below.with_suffix("")) for one in found]
    missing = [x.below for x, mask in zip(found, masks, strict=True) if mask is None]
    if missing:
        raise UsageError(
            f"{shown}: {len(missing):,} picture(s) have no mask, such as "
            f"{printable(str(missing[0]))}; add {printable(str(missing[0].stem))}.png"
        )
    return masks


def _check_masks(jobs: list[Job]) -> None:
    """Raises UsageError unless each mask has the size of its picture."""
    sizes: dict[Path, tuple[int, int]] = {}
    for job in jobs:
        if job.mask is None:
            continue
        if job.mask not in sizes:
            try:
                with open_picture(job.mask) as picture:
                    sizes[job.mask] = header(picture).size
            except Exception as error:  # Pillow's decoders raise many types
                raise UsageError(f"--mask: {_unreadable(job.mask, error)}") from error
        (high, wide), (tall, broad) = sizes[job.mask], job.header.size
        if (high, wide) != (tall, broad):
            raise UsageError(
                f"--mask: {printable(str(job.mask))} is {high}x{wide}, and "
                f"{printable(str(job.source))} is {tall}x{broad}; make them equal"
            )


def log_conversions(jobs: list[Job], channels: int) -> None:
    """Logs how many pictures are converted for a network of this many channels."""
    counts = Counter[str]()
    for job in jobs:
        counts["have 16 bits per channel, and are read with 8"] += (
            job.header.mode == "I;16"
        )
        counts["are in color, and are read in gray"] += (
            channels == 1 and job.header.mode == "RGB"
        )
        counts["have several frames or pages: the first of each is read"] += (
            job.header.animated
        )
        counts["are transparent, which their .jpg is not"] += (
            job.header.alpha and FORMATS[job.target.suffix.lower()][0] == "JPEG"
        )
    for text, count in counts.items():
        if count:
            log.info("%d of %d picture(s) %s", count, len(jobs), text)

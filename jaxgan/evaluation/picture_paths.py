"""Finds the pictures that a user names, reads their headers, and checks outputs."""

import glob
import logging
import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from jaxgan.data.audio_files import SUFFIXES
from jaxgan.data.decode import Header, formats
from jaxgan.data.decode import suffixes as read_suffixes
from jaxgan.data.listing import Walk
from jaxgan.data.pictures import try_headers
from jaxgan.errors import UsageError, printable
from jaxgan.files import kind, local_path, reason

log = logging.getLogger("jaxgan")


OF_FILES = frozenset(
    (
        *(*read_suffixes(), *SUFFIXES, ".npz", ".npy"),
        *(".txt", ".csv", ".json", ".pdf", ".svg", ".mp4"),
    )
)
"""Lower-case suffixes that a name without a final slash has as that of a file, so that
no folder of that name is made. Folders may have dots otherwise."""


class Found(NamedTuple):
    """A picture, and its path below the folder or the pattern that named it."""

    file: Path
    below: Path


def find(
    text: str,
    outputs: Sequence[Path],
    name: str = "IN",
    of: tuple[tuple[str, ...], str] | None = None,
) -> Iterator[Found]:
    """Yields the pictures of a file, a folder or a pattern, or other files.

    Args:
      text: the path or the pattern.
      outputs: files and folders for results, which are no inputs if they are below the
        folder of the pictures.
      name: the argument to name in errors.
      of: lower-case suffixes and the plural of files that are no pictures.

    Raises:
      UsageError: if there are none.
    """
    path, shown = local_path(name, text), f"{name}={printable(text)}"
    ending, files_named = of or (read_suffixes(), "pictures")
    what = kind(path)
    if what == "a folder":
        files = Walk(shown, path, ending).files
        # Results below the folder, of an earlier call, are no inputs.
        for out in outputs:
            if out != path and out.is_relative_to(path):
                files = [file for file in files if not file.is_relative_to(out)]
        if not files:
            listed = ", ".join(ending if of else formats())
            raise UsageError(
                f"{shown}: the folder has no {files_named} ({listed}); name another"
            )
        yield from (Found(file, file.relative_to(path)) for file in files)
    elif what:
        yield Found(path, Path(path.name))
    elif glob.has_magic(text):
        yield from _of_pattern(shown, str(path), ending, files_named)
    else:
        raise UsageError(f"{shown}: there is no such file or folder")


def _of_pattern(
    shown: str, pattern: str, ending: tuple[str, ...], named: str
) -> Iterator[Found]:
    matches = sorted(glob.glob(pattern, recursive=True))
    files = [
        Path(x) for x in matches if x.lower().endswith(ending) and os.path.isfile(x)
    ]
    if not files:
        example = f"{named}/*{'.jpg' if named == 'pictures' else ending[0]}"
        raise UsageError(
            f"{shown}: no {named[:-1]} matches; use one such as '{example}'"
        )
    # The structure below the folders without a pattern is kept.
    fixed = Path(*_before_magic(Path(pattern)))
    yield from (Found(file, file.relative_to(fixed)) for file in files)


def _before_magic(pattern: Path) -> Iterator[str]:
    """Yields the leading parts of a pattern that have no special characters."""
    for part in pattern.parts[:-1]:
        if glob.has_magic(part):
            return
        yield part


def check_folder(shown: str, folder: Path) -> None:
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


def check_targets(
    targets: list[Path], found: list[Found], *, overwrite: bool, name: str = "OUT"
) -> None:
    """Raises UsageError if results would replace inputs, files or one another.

    Args:
      targets: the file for each result.
      found: the pictures.
      overwrite: True to replace results that exist.
      name: the argument to name in errors.
    """
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
            raise UsageError(
                f"{shown} is {kind(target)}, not a file; use another {name}"
            )
        status = os.stat(target)
        if (status.st_dev, status.st_ino) in numbers:
            raise UsageError(f"{shown} is an input; write to another {name}")
        if not overwrite:
            raise UsageError(f"{shown} exists: use --overwrite, or another {name}")


def read_headers(
    found: Sequence[Found], *, stop: bool, max_pixels: int | None = None
) -> list[Header | None]:
    """Reads the headers; those that cannot be read are logged, or raise UsageError.

    Args:
      found: the pictures.
      stop: True to raise. If none can be read, that is raised too.
      max_pixels: largest number of pixels of a picture, which is a flag of the caller
        under `any_number_of_pixels`; None for the limit of `open_picture`.
    """
    results = [
        _within(result, max_pixels)
        for result in try_headers([one.file for one in found])
    ]
    if not any(isinstance(x, Header) for x in results):
        stop = True
    for one, error in zip(found, results, strict=True):
        if not isinstance(error, Exception):
            continue
        message = unreadable(one.file, error)
        if stop:
            raise UsageError(f"{message}; fix it, or leave it out")
        log.error("%s", message)
    return [x if isinstance(x, Header) else None for x in results]


def _within(result: Header | Exception, max_pixels: int | None) -> Header | Exception:
    """Returns a header, or an error if the picture has too many pixels."""
    if isinstance(result, Exception) or max_pixels is None:
        return result
    count = math.prod(result.size)
    if count <= max_pixels:
        return result
    return ValueError(
        f"{count:,} pixels are more than --max_pixels={max_pixels}: use "
        f"--max_pixels={count}"
    )


def unreadable(file: Path, error: Exception) -> str:
    """Returns the message for a picture that cannot be read."""
    return f"{printable(str(file))} cannot be read as a picture ({reason(error)})"

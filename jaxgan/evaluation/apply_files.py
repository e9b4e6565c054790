"""Finds the pictures to map, the files for the results, and the masks."""

import logging
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from jaxgan.config.applying import ApplyConfig
from jaxgan.data.decode import Header, header, open_picture
from jaxgan.data.listing import Walk
from jaxgan.errors import UsageError, printable
from jaxgan.evaluation.picture_files import FORMATS
from jaxgan.evaluation.picture_paths import (
    OF_FILES,
    Found,
    check_folder,
    check_targets,
    find,
    read_headers,
    unreadable,
)
from jaxgan.files import check_writable, kind, local_path

log = logging.getLogger("jaxgan")


class Job(NamedTuple):
    """A picture to map, and the file for the result."""

    source: Path
    target: Path
    header: Header
    mask: Path | None = None


def find_jobs(config: ApplyConfig) -> tuple[list[Job], int]:
    """Finds all pictures and masks, reads their headers, and checks the outputs.

    Called under `any_number_of_pixels`, as `config.max_pixels` is the limit.

    Returns:
      The jobs, and the number of pictures whose header cannot be read, which are
      logged.

    Raises:
      UsageError: if there are no pictures, if an output cannot be written, exists, is
        an input, or has several pictures, or if a mask does not fit.
    """
    out = local_path("OUT", config.out)
    found = [x for text in config.pictures for x in find(text, [out])]
    targets = _targets(config, out, found)
    check_targets(targets, found, overwrite=config.overwrite)
    stop, most = config.on_bad_example == "stop", config.max_pixels
    headers = read_headers(found, stop=stop, max_pixels=most)
    masks = _masks(config, found)
    jobs = [
        Job(one.file, target, head, mask)
        for one, target, head, mask in zip(found, targets, headers, masks, strict=True)
        if head
    ]
    _check_masks(jobs)
    return jobs, len(found) - len(jobs)


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
    if suffix in OF_FILES and not is_folder:
        raise UsageError(
            f"{shown}: must end in one of {', '.join(FORMATS)}, or in / for a folder"
        )
    check_folder(shown, out)
    return [out / one.below.with_suffix(".png") for one in found]


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
                raise UsageError(f"--mask: {unreadable(job.mask, error)}") from error
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

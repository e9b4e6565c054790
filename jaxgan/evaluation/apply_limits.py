"""Checks of the results of pictures before any is mapped: formats and memory."""

from collections.abc import Sequence

import numpy as np

from jaxgan.errors import UsageError, printable
from jaxgan.evaluation.apply_files import Job
from jaxgan.evaluation.picture_files import FORMATS, LARGEST
from jaxgan.experiment import memory
from jaxgan.host_memory import host_bytes
from jaxgan.types import Tree

PILLOW = 4
"""Bytes of a pixel in an image of Pillow, and of one channel of a float32 array."""


def check_formats(jobs: Sequence[Job], scale: int) -> None:
    """Raises UsageError if the format of a file cannot hold a result of its size.

    Args:
      jobs: the pictures.
      scale: pixels of the result for each pixel of the picture, along a side.
    """
    for job in jobs:
        name, _ = FORMATS[job.target.suffix.lower()]
        high, wide = (scale * side for side in job.header.size)
        if max(high, wide) > LARGEST.get(name, max(high, wide)):
            raise UsageError(
                f"OUT={printable(str(job.target))}: the result has {high}x{wide} "
                f"pixels, and {name} files at most {LARGEST[name]:,} a side; use "
                f"{printable(str(job.target.with_suffix('.png')))}"
            )


def check_memory(
    jobs: Sequence[Job], variables: Tree, channels: tuple[int, int], scale: int
) -> None:
    """Raises UsageError if a picture, its result and its file do not fit into memory.

    Args:
      jobs: the pictures, of which one is in memory at a time.
      variables: arrays or shapes to restore.
      channels: those of the network's pictures, and of its results.
      scale: pixels of the result for each pixel of the picture, along a side.
    """
    free = host_bytes() - memory.nbytes(variables)
    for job in jobs:
        high, wide = job.header.size
        alpha = job.header.alpha and channels[1] < 4
        need = high * wide * bytes_per_pixel(channels, scale, alpha=alpha)
        if need > free:
            # Half of what is left, to be safe.
            most = max(int(high * wide * free / need / 2), 1)
            raise UsageError(
                f"{printable(str(job.source))} takes {memory.format_bytes(need)} of "
                f"memory for a result of {scale * high}x{scale * wide} pixels, and "
                f"{memory.format_bytes(free)} are free: use a picture of at most "
                f"{most:,} pixels, or a machine with more memory"
            )


def check_arrays(
    pictures: Sequence[np.ndarray],
    variables: Tree,
    channels: tuple[int, int],
    scale: int,
) -> None:
    """Raises UsageError if the results of arrays do not fit into memory together.

    Args:
      pictures: `[H, W, C]` each.
      variables: arrays or shapes to restore.
      channels: those of the network's pictures, and of its results.
      scale: pixels of the result for each pixel of the picture, along a side.
    """
    free = host_bytes() - memory.nbytes(variables)
    need = sum(x.shape[0] * x.shape[1] for x in pictures) * scale**2 * channels[1]
    if need > free:
        raise UsageError(
            f"the results of {len(pictures)} picture(s) take "
            f"{memory.format_bytes(need)} of memory, and "
            f"{memory.format_bytes(max(free, 0))} are free: give fewer or smaller "
            "pictures at a time, or use a machine with more memory"
        )


def bytes_per_pixel(channels: tuple[int, int], scale: int, *, alpha: bool) -> int:
    """Returns a lower bound of the memory for each pixel of a picture.

    Args:
      channels: those of the picture and of the result, without alpha.
      scale: pixels of the result for each pixel of the picture, along a side.
      alpha: True if the result gets the alpha channel of the picture.

    >>> bytes_per_pixel((3, 3), 1, alpha=False), bytes_per_pixel((3, 3), 4, alpha=True)
    (15, 691)
    """
    read, made = channels
    # Decoded, converted and cropped by Pillow, and as an array.
    reading = 3 * PILLOW + read
    # For Pillow, and encoded, which noise does not shrink.
    writing = PILLOW + made
    # Alpha and three arrays of colors, all float32.
    blending = PILLOW * (1 + 3 * made) if alpha else 0
    return max(reading, read + scale**2 * (made + max(writing, blending)))

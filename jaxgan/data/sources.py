"""Data sets by name: the one place that knows all kinds of them."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from jaxgan.data.arrays import npz
from jaxgan.data.dataset import Dataset
from jaxgan.data.folder import folder
from jaxgan.data.resize import Frame, parse_frame
from jaxgan.data.stacked import stacked_mnist
from jaxgan.data.tfds_sets import tfds_set
from jaxgan.data.toys import grid25, ring8
from jaxgan.errors import UsageError

LOG = logging.getLogger("jaxgan")


class Request(NamedTuple):
    """What the user asks for."""

    name: str
    split: str
    data_dir: str | None
    frame: Frame

    @property
    def path(self) -> Path:
        """What stands behind the prefix."""
        return Path(self.name.partition(":")[2]).expanduser()


def load(
    name: str,
    *,
    split: str = "train",
    data_dir: str | None = None,
    image_size: str | None = None,
    crop: str = "center",
) -> Dataset:
    """The data set of that name, ready to be read.

    `name` is `ring8`, `grid25`, `stacked_mnist`, `npz:PATH`, `folder:PATH`, or a set
    of TFDS such as `mnist`; MNIST and those of TFDS are prepared in `data_dir` (TFDS's
    default if None) the first time.
    `image_size` (`64`, `48x64`) and `crop` (`center`, `none`, `108`) fit pictures.
    Empty texts count as None. Logs where the data came from. Raises UsageError if it
    cannot be had.
    """
    request = Request(
        name, split, data_dir or None, parse_frame(image_size or None, crop)
    )
    source = SOURCES.get(name.partition(":")[0], _tfds)
    dataset = source(request)
    LOG.info("data: %s", dataset.origin)
    return dataset


def _npz(request: Request) -> Dataset:
    _no_splits(request)
    return npz(request.name, _named_path(request), request.frame)


def _folder(request: Request) -> Dataset:
    _no_splits(request)
    return folder(request.name, _named_path(request), request.frame)


def _named_path(request: Request) -> Path:
    if not request.name.partition(":")[2]:
        raise UsageError(
            f"--dataset={request.name} names no path; write it like "
            f"{request.name.rstrip(':')}:some/path"
        )
    return request.path


def _no_splits(request: Request) -> None:
    if request.split != "train":
        kind = request.name.partition(":")[0]
        raise UsageError(
            f"--split={request.split}: {request.name} has no splits; leave it at train "
            f"and give other data as another {kind}:PATH"
        )


def _toy(make: Callable[[str], Dataset]) -> Callable[[Request], Dataset]:
    def source(request: Request) -> Dataset:
        if request.split not in ("train", "test"):
            raise UsageError(
                f"--split={request.split}: {request.name} has the splits train, test"
            )
        if request.frame != Frame():
            raise UsageError(
                f"{request.name} holds points, not pictures; "
                "leave out --image_size and --crop"
            )
        return make(request.split)

    return source


def _stacked(request: Request) -> Dataset:
    return stacked_mnist(request.split, request.data_dir, request.frame)


def _tfds(request: Request) -> Dataset:
    return tfds_set(request.name, request.split, request.data_dir, request.frame)


SOURCES: dict[str, Callable[[Request], Dataset]] = {
    "ring8": _toy(ring8),
    "grid25": _toy(grid25),
    "stacked_mnist": _stacked,
    "npz": _npz,
    "folder": _folder,
}
"""What stands before the first colon of a name; all else is asked of TFDS."""

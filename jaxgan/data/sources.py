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
    alpha: str = "auto"
    skip_bad: bool = False

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
    alpha: str = "auto",
    on_bad_example: str = "stop",
) -> Dataset:
    """The data set of that name, ready to be read.

    `name` is `ring8`, `grid25`, `stacked_mnist`, `npz:PATH`, `folder:PATH`, or a set
    of TFDS such as `mnist`; MNIST and those of TFDS are prepared in `data_dir` (TFDS's
    default if None) the first time.
    `image_size` (`64`, `48x64`) and `crop` (`center`, `none`, `108`) fit pictures.
    `alpha` (`auto`, `keep`, `white`, `black`) says what becomes of transparent pixels
    of `folder:PATH`. `on_bad_example="skip"` also opens sets with pictures whose
    headers are damaged; reading these raises `BadExample`, unless they are replaced by
    `skip_bad_examples`.
    Empty texts count as None. Logs where the data came from. Raises UsageError if it
    cannot be had.
    """
    frame, skip_bad = parse_frame(image_size or None, crop), on_bad_example == "skip"
    request = Request(name, split, data_dir or None, frame, alpha, skip_bad)
    kind = name.partition(":")[0]
    if alpha in ("white", "black") and kind != "folder":
        raise UsageError(f"--alpha={alpha} is for folder:PATH; leave it at auto")
    source = SOURCES.get(kind, _tfds)
    dataset = source(request)
    LOG.info("data: %s", dataset.origin)
    return dataset


def _npz(request: Request) -> Dataset:
    _no_splits(request)
    return npz(request.name, _named_path(request), request.frame)


def _folder(request: Request) -> Dataset:
    return folder(
        request.name,
        _named_path(request),
        request.frame,
        split=request.split,
        alpha=request.alpha,
        skip_bad=request.skip_bad,
    )


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
    return tfds_set(
        request.name,
        request.split,
        request.data_dir,
        request.frame,
        skip_bad=request.skip_bad,
    )


SOURCES: dict[str, Callable[[Request], Dataset]] = {
    "ring8": _toy(ring8),
    "grid25": _toy(grid25),
    "stacked_mnist": _stacked,
    "npz": _npz,
    "folder": _folder,
}
"""What stands before the first colon of a name; all else is asked of TFDS."""

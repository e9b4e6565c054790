"""Data sets by name: the one place that knows all kinds of them."""

import difflib
import logging
import os
import re
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
from jaxgan.files import local_path

LOG = logging.getLogger("jaxgan")


class Request(NamedTuple):
    """What the user asks for."""

    name: str
    split: str
    data_dir: str | None
    frame: Frame

    @property
    def path(self) -> Path:
        """What stands behind the prefix, with `~` expanded.

        Raises UsageError for URLs, and for paths that no file can have.
        """
        kind, _, text = self.name.partition(":")
        return local_path("--dataset", text, prefix=f"{kind}:")


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
    place = str(local_path("--data_dir", data_dir)) if data_dir else None
    request = Request(name, split, place, parse_frame(image_size or None, crop))
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


def _no_path(request: Request) -> None:
    """Refuses text after the name of a set that is not in files."""
    name, colon, _ = request.name.partition(":")
    if colon:
        raise UsageError(f"--dataset={request.name}: write --dataset={name}")


def _no_splits(request: Request) -> None:
    if request.split != "train":
        kind = request.name.partition(":")[0]
        raise UsageError(
            f"--split={request.split}: {request.name} has no splits; leave it at train "
            f"and give other data as another {kind}:PATH"
        )


def _toy(make: Callable[[str], Dataset]) -> Callable[[Request], Dataset]:
    def source(request: Request) -> Dataset:
        _no_path(request)
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
    _no_path(request)
    request = _placed(request)
    return stacked_mnist(request.split, request.data_dir, request.frame)


def _tfds(request: Request) -> Dataset:
    _check_name(request.name)
    request = _placed(request)
    return tfds_set(request.name, request.split, request.data_dir, request.frame)


def _check_name(name: str) -> None:
    """Refuses paths without a prefix; TFDS is not asked for them.

    >>> _check_name("./pics")
    Traceback (most recent call last):
      ...
    jaxgan.errors.UsageError: --dataset=./pics is a path: did you mean folder:./pics?
    """
    prefix, colon, path = name.partition(":")
    if re.match(r"[a-z0-9+.-]*://", name, re.IGNORECASE):
        local_path("--dataset", name)  # raises
    near = difflib.get_close_matches(prefix.lower(), ("folder", "npz"), 1, 0.7)
    if prefix.lower() in ("dir", "directory", "path", "images", "imagefolder"):
        near = ["folder"]
    if colon and near:
        raise UsageError(f"--dataset={name}: did you mean {near[0]}:{path}?")
    suffix = Path(name).suffix.lower()
    if _looks_like_a_path(name):
        kind = "npz" if suffix in (".npz", ".npy") else "folder"
        raise UsageError(f"--dataset={name} is a path: did you mean {kind}:{name}?")


def _looks_like_a_path(name: str) -> bool:
    if name.startswith((".", "/", "~", "\\")) or re.match(r"[A-Za-z]:[\\/]", name):
        return True
    files = (".npz", ".npy", ".zip", ".tar", ".gz", ".png", ".jpg", ".h5", ".mat")
    return name.endswith("/") or name.lower().endswith(files)


def _placed(request: Request) -> Request:
    """The request with the folder in which TFDS keeps sets, None for TFDS's own.

    Raises UsageError where there is no home, as TFDS's own would be `./~`.
    """
    named = os.environ.get("TFDS_DATA_DIR")  # which TFDS does not expand
    if named and not request.data_dir:
        return request._replace(data_dir=str(local_path("TFDS_DATA_DIR", named)))
    if not request.data_dir and os.path.expanduser("~") == "~":
        raise UsageError(
            f"--dataset={request.name}: there is no home folder to keep it in; name "
            "one, such as --data_dir=/tmp/tensorflow_datasets"
        )
    return request


SOURCES: dict[str, Callable[[Request], Dataset]] = {
    "ring8": _toy(ring8),
    "grid25": _toy(grid25),
    "stacked_mnist": _stacked,
    "npz": _npz,
    "folder": _folder,
}
"""What stands before the first colon of a name; all else is asked of TFDS."""

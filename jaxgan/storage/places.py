"""The places of a run's checkpoints, and operations on their folders."""

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jaxgan.errors import UsageError
from jaxgan.files import is_url
from jaxgan.storage import uploads
from jaxgan.storage.copies import Copy, copy_of
from jaxgan.storage.limits import bound_waits

log = logging.getLogger("jaxgan")

DIRECT = ("gs://",)
"""Starts of URLs that Orbax and TensorStore write themselves."""


def writes_directly(copy: Copy) -> bool:
    """Returns True if checkpoints are written to the bucket without a local copy."""
    return copy.remote.url.startswith(DIRECT)


def checkpoints_in(folder: Any) -> Any:
    """Returns the folder of checkpoints that a local folder stands for.

    Args:
      folder: of checkpoints, in the folder of a run.

    Returns:
      The absolute path; for the copy of a run in a bucket, the path in the bucket, or
      a folder with the parts of its checkpoints but for their states.

    Raises:
      UsageError: if the bucket cannot be read.
    """
    if is_url(folder):
        return folder  # a path in a bucket already
    path = Path(folder).absolute()
    found = copy_of(path)
    if found is None:
        return path
    copy, name = found
    if writes_directly(copy):
        from etils import epath

        copy.remote.connect()  # bounded, unlike the libraries' own search
        bound_waits()
        return epath.Path(f"{copy.remote.url}/{name}")
    if not copy.is_mirrored:
        uploads.pull(copy, arrays=False)
    return path


def fetched(checkpoint: Any) -> Any:
    """Returns the folder of one checkpoint, with all of its files.

    Args:
      checkpoint: a folder in that of `checkpoints_in`.
    """
    if not isinstance(checkpoint, Path):
        return checkpoint
    found = copy_of(checkpoint)
    if found and not found[0].is_mirrored:
        uploads.pull_one(found[0], checkpoint.name)
    return checkpoint


def is_uploaded(folder: Any) -> bool:
    """Returns True if checkpoints are saved here and then uploaded."""
    return isinstance(folder, Path) and copy_of(folder) is not None


def is_remote(folder: Any) -> bool:
    """Returns True if a folder of `checkpoints_in` is in a bucket."""
    return is_url(folder)


def is_complete(checkpoint: Any) -> bool:
    """Returns True if a folder below that of `checkpoints_in` is complete.

    On this machine Orbax renames a complete folder; in a bucket it adds a file.
    """
    if isinstance(checkpoint, Path):
        return checkpoint.is_dir()
    return (checkpoint / "commit_success.txt").exists()


def copy_tree(folder: Any, target: Path) -> None:
    """Copies the folder of a checkpoint to a new folder of this machine."""
    folder = fetched(folder)
    if isinstance(folder, Path):
        shutil.copytree(folder, target)
        return
    for file in folder.rglob("*"):
        if file.is_file():
            name = os.path.relpath(os.fspath(file), os.fspath(folder))
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(file.read_bytes())


def remove_tree(folder: Any) -> None:
    """Removes a folder with all that is in it, if there is one."""
    if isinstance(folder, Path):
        shutil.rmtree(folder, ignore_errors=True)
    elif folder.exists():
        folder.rmtree()


def move(folder: Any, target: Any) -> None:
    """Renames the folder of a checkpoint.

    A bucket has no renames: files are copied, and removed, those first that make a
    checkpoint count as complete.
    """
    if isinstance(folder, Path):
        folder.rename(target)
        return
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            to = target / os.path.relpath(os.fspath(file), os.fspath(folder))
            file.copy(to, overwrite=True)
    (folder / "commit_success.txt").unlink(missing_ok=True)
    folder.rmtree()


def tolerate(work: Callable[[], None], what: str) -> bool:
    """Does work on a bucket; logs an error and returns False if it fails."""
    try:
        work()
    except UsageError as error:
        log.warning("%s: %s", what, error)
        return False
    return True

"""Checkpoints that are saved on this machine and then uploaded.

This is for file systems that TensorStore does not write. The last file of a checkpoint
is a marker with the sizes of the others: without it a checkpoint does not count.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from jaxgan.storage.copies import CHECKPOINTS, Copy, names_below
from jaxgan.storage.remote import Entry, Remote

MARKER = "uploaded.json"
"""The last file of a checkpoint: the sizes of the others by name."""

LINKED = ".uploading"
"""A folder of links to the files of the checkpoint that is uploaded."""

_STEP = re.compile(rf"{CHECKPOINTS}/(0|[1-9][0-9]*)/(.+)")

_ARRAYS = re.compile(rf"{CHECKPOINTS}/[0-9]+/state/.*")
"""Files that are needed only to read the state."""


def is_checkpoint(name: str) -> bool:
    """Returns True for the name of a file below the folder of checkpoints."""
    return name.startswith(f"{CHECKPOINTS}/")


def complete_steps(remote: Remote, files: dict[str, Entry]) -> dict[str, set[str]]:
    """Returns the names of the files of each complete checkpoint in a bucket, by step.

    Args:
      remote: the run.
      files: all of its files.
    """
    found = {}
    for name in files:
        match = _STEP.fullmatch(name)
        if not match or match[2] != MARKER:
            continue
        try:
            sizes = json.loads(remote.read(name) or b"")
            start = f"{CHECKPOINTS}/{match[1]}/"
            if all(files[start + x].size == size for x, size in sizes.items()):
                found[match[1]] = {start + x for x in sizes}
        except (ValueError, KeyError, AttributeError):
            continue  # an upload or a removal in progress
    return found


class Checkpoints:
    """Uploads the checkpoints of a working folder, and removes those that it removes.

    Args:
      copy: the working folder.
    """

    def __init__(self, copy: Copy) -> None:
        self._remote, self._folder = copy.remote, copy.folder / CHECKPOINTS
        self._uploaded = set(self.complete())

    def complete(self) -> list[str]:
        """Returns the steps that are complete on this machine."""
        if not self._folder.is_dir():
            return []
        # Orbax renames a folder to its step once it is complete.
        return [x for x in self._listed() if re.fullmatch("0|[1-9][0-9]*", x)]

    def _listed(self) -> list[str]:
        return sorted(x.name for x in self._folder.iterdir() if x.is_dir())

    def upload(self, steps: Collection[str]) -> None:
        """Uploads new checkpoints, and removes those that are gone here.

        Args:
          steps: from `complete`.
        """
        # The newest one first, as older ones may be removed meanwhile.
        for step in sorted(set(steps) - self._uploaded, key=int, reverse=True):
            if self._upload_one(step):
                self._uploaded.add(step)
        kept = set(self.complete())
        if self._uploaded and not self._uploaded & kept:
            kept.add(max(self._uploaded, key=int))  # until a newer one is uploaded
        for step in sorted(self._uploaded - kept, key=int):
            self._remove(step)
            self._uploaded.remove(step)

    def _upload_one(self, step: str) -> bool:
        """Uploads a checkpoint; returns False if it is removed before that."""
        start, sizes = f"{CHECKPOINTS}/{step}/", {}
        # Links stay if the run removes the checkpoint, or a run that saves more often
        # than it uploads would have none in the bucket.
        linked = self._folder.parent / LINKED
        shutil.rmtree(linked, ignore_errors=True)
        try:
            shutil.copytree(self._folder / step, linked, copy_function=_link)
        except (FileNotFoundError, shutil.Error):
            return False
        # What an interrupted upload of this step may have left.
        self._remove(step)
        for name in names_below(linked):
            sizes[name] = (linked / name).stat().st_size
            self._remote.write(start + name, linked / name)
        self._remote.write(start + MARKER, json.dumps(sizes).encode())
        shutil.rmtree(linked, ignore_errors=True)
        return True

    def _remove(self, step: str) -> None:
        """Removes a checkpoint from the bucket, its marker first."""
        start = f"{CHECKPOINTS}/{step}"
        names = sorted(self._remote.files(start))
        self._remote.remove([f"{start}/{MARKER}"] * (f"{start}/{MARKER}" in names))
        self._remote.remove([x for x in names if x != f"{start}/{MARKER}"])


def _link(source: str, target: str) -> None:
    """Links a file, or copies it where the file system has no links."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copy2(source, target)


def pull(copy: Copy, *, arrays: bool) -> None:
    """Fetches the complete checkpoints of a run.

    Args:
      copy: of the run.
      arrays: False to leave out the states.
    """
    files = copy.remote.files()
    names = set().union(*complete_steps(copy.remote, files).values())
    kept = _without_arrays(names) if not arrays else names
    # Other checkpoints of the copy are not in the bucket any more.
    known = {x: entry for x, entry in files.items() if x in names}
    copy.pull(_is_either(kept, names), known)
    _remove_others(copy.folder / CHECKPOINTS, names)


def _is_either(kept: set[str], names: set[str]) -> Callable[[str], bool]:
    return lambda x: is_checkpoint(x) and (x in kept or x not in names)


def _without_arrays(names: Iterable[str]) -> set[str]:
    return {x for x in names if not _ARRAYS.fullmatch(x)}


def pull_one(copy: Copy, step: str) -> None:
    """Fetches all of a checkpoint, if it is complete in the bucket."""
    files = copy.remote.files()
    names = complete_steps(copy.remote, files).get(step, set())
    copy.pull(names.__contains__, files)


def _remove_others(folder: Path, names: set[str]) -> None:
    """Removes folders of checkpoints that the bucket does not have."""
    steps = {x.split("/")[1] for x in names}
    for place in folder.iterdir() if folder.is_dir() else ():
        if place.is_dir() and place.name not in steps:
            shutil.rmtree(place, ignore_errors=True)

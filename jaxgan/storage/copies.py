"""Copies of buckets' folders in the cache folder of this machine.

A copy is named after its URL. What the bucket has is the truth: files that differ are
fetched again, and files that it does not have are removed.
"""

import contextlib
import hashlib
import json
import logging
import os
import re
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from jaxgan.environment import cache_folder
from jaxgan.errors import UsageError, first_line
from jaxgan.files import atomic_write, is_url, local_path, remedy
from jaxgan.storage.remote import Entry, Remote
from jaxgan.storage.urls import location, name_of

log = logging.getLogger("jaxgan")

INDEX = ".fetched.json"
"""The file of a copy with the versions of its files in the bucket."""

CONFIG = "config.json"
"""The file that a run writes first."""

CHECKPOINTS = "checkpoints"
"""The folder of a run that is handled apart from the small files."""

HEAVY = re.compile(rf"(.*/)?(({CHECKPOINTS}|profile)/.*|events\.out\.tfevents\.[^/]*)")
"""Files of a run that no program reads from a copy."""

CACHES = re.compile(r"(.*/)?anomaly/.*")
"""Files that programs keep in the copy of a run for the next program."""

FOLLOW_SECONDS = 10.0
"""Seconds between looks at a run that a program shows."""

CHANGES = 5
"""Tries to fetch a file that changes while it is read."""


class Copy:
    """A folder of this machine with files of a bucket.

    Args:
      remote: the folder in the bucket.
      folder: the folder on this machine.
    """

    def __init__(self, remote: Remote, folder: Path) -> None:
        self.remote, self.folder = remote, folder
        self.is_mirrored = False
        """True for the working folder of a run."""

    def pull(
        self, wanted: Callable[[str], bool], files: dict[str, Entry] | None = None
    ) -> dict[str, Entry]:
        """Fetches the files that differ, and removes those that the bucket lacks.

        Caches in the copy of a run stay while its config.json is of the same version.

        Args:
          wanted: returns True for the names of files to fetch.
          files: of the bucket, if they are known already.

        Returns:
          All files of the bucket.

        Raises:
          UsageError: if the bucket cannot be read, or the copy cannot be written.
        """
        files = self.remote.files() if files is None else files
        chosen = {name: entry for name, entry in files.items() if wanted(name)}
        with self._explained():
            self.folder.mkdir(parents=True, exist_ok=True)
            index = self._index()
            config = files.get(CONFIG)
            is_same = config is not None and self._is_current(CONFIG, config, index)
            for name in self._names():
                if is_same and CACHES.fullmatch(name):
                    continue
                if wanted(name) and name not in files:
                    (self.folder / name).unlink(missing_ok=True)
                    index.pop(name, None)
            changed = [
                x for x, e in chosen.items() if not self._is_current(x, e, index)
            ]
            for name in changed:
                self._fetch(name, chosen[name], index)
            if changed:
                atomic_write(
                    self.folder / INDEX, json.dumps(index).encode(), sync=False
                )
        return files

    def _fetch(self, name: str, entry: Entry, index: dict[str, Any]) -> None:
        """Fetches a file, which may change or vanish in the meantime."""
        latest: Entry | None = entry
        for attempt in range(CHANGES):
            if latest is None:
                return
            target = self.folder / name
            try:
                self.remote.fetch(name, target, latest)
            except UsageError:
                now = self.remote.entry(name)
                if now == latest or attempt == CHANGES - 1:
                    raise
                latest = now
                continue
            index[name] = [latest.size, latest.tag, target.stat().st_mtime_ns]
            return

    def _is_current(self, name: str, entry: Entry, index: dict[str, Any]) -> bool:
        """Returns True if the copy of a file is complete and of the same version."""
        with contextlib.suppress(OSError):
            status = (self.folder / name).stat()
            recorded = [entry.size, entry.tag, status.st_mtime_ns]
            return status.st_size == entry.size and index.get(name) == recorded
        return False

    def name_of(self, file: Path) -> str:
        """Returns the name in the bucket of a file of the copy."""
        return file.relative_to(self.folder).as_posix()

    def is_as_fetched(self, name: str) -> bool:
        """Returns True if no program of this machine has changed a file."""
        size, _, time = self._index().get(name, (None, "", None))
        status = (self.folder / name).stat()
        return (status.st_size, status.st_mtime_ns) == (size, time)

    def _index(self) -> dict[str, Any]:
        """Returns (size, tag, time of the copy) by name."""
        try:
            content = json.loads((self.folder / INDEX).read_bytes())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def _names(self) -> list[str]:
        """Returns the names of the files of the copy."""
        return names_below(self.folder)

    @contextlib.contextmanager
    def _explained(self):
        """Turns an error of this machine's disk into one line."""
        try:
            yield
        except OSError as error:
            raise UsageError(
                f"{self.remote.shown}: its copy in {self.folder} cannot be written "
                f"({first_line(error)}); {remedy(error)}, or set XDG_CACHE_HOME to a "
                "folder on another disk"
            ) from error


def names_below(folder: Path) -> list[str]:
    """Returns the names of all files below a folder, without hidden ones."""
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [x for x in folders if not x.startswith(".")]
        start = Path(place).relative_to(folder)
        found += [(start / x).as_posix() for x in names if not x.startswith(".")]
    return sorted(found)


_COPIES: dict[Path, Copy] = {}
"""The copies that this process uses, by their folders."""


def register(copy: Copy) -> Copy:
    """Makes a copy known to `copy_of`, `as_urls` and the rest."""
    _COPIES[copy.folder] = copy
    return copy


def folder_for(url: str, use: str) -> Path:
    """Returns the folder of this machine for the copy of a URL.

    Args:
      url: the URL.
      use: `work`, for the one run that writes, or `read`.

    Raises:
      UsageError: if there is no cache folder.
    """
    base = cache_folder()
    if base is None:
        raise UsageError(f"{url} needs a cache folder: set HOME or XDG_CACHE_HOME")
    digest = hashlib.sha256(url.encode()).hexdigest()[:16]
    # The last part keeps its name, which reports and samples show.
    return base / "buckets" / f"{use}-{digest}" / name_of(url)


def copy_of(path: Path) -> tuple[Copy, str] | None:
    """Returns the copy that a path is in, and the path's name there."""
    for folder in (path, *path.parents) if _COPIES else ():
        if copy := _COPIES.get(folder):
            return copy, "" if folder == path else path.relative_to(folder).as_posix()
    return None


def run_folder(flag: str, text: str | Path, prefix: str = "") -> Path:
    """Returns the local folder of a run, which for a URL is a copy of its small files.

    Each call fetches those that have changed.

    Args:
      flag: the flag to name in errors, such as `--workdir`.
      text: a path or a URL.
      prefix: the text before the path in the flag, such as `hf:`.

    Raises:
      UsageError: for an impossible path, or if the bucket cannot be read.
    """
    if prefix or not is_url(text):
        return local_path(flag, text, prefix)
    url = location(flag, text)
    folder = folder_for(url, "read")
    copy = _COPIES.get(folder) or Copy(Remote(url, f"{flag}={url}"), folder)
    _pull_small(copy)
    register(copy)
    return folder


def shared_folder(flag: str, text: str | Path, opened: Path) -> Path:
    """Returns the folder of a run that process 0 has opened, for another process.

    The working copy of a URL is process 0's own, so that others read from copies of
    theirs; any other folder is seen by all.

    Args:
      flag: the flag to name in errors.
      text: a path or a URL.
      opened: the folder that process 0 works in.
    """
    return run_folder(flag, text) if is_url(text) else opened


def _pull_small(copy: Copy) -> None:
    """Fetches the small files of a run, or of several below a folder."""
    files = copy.pull(is_small)
    mark_checkpoints(copy.folder, files)


def mark_checkpoints(folder: Path, files: Iterable[str]) -> None:
    """Makes an empty folder of checkpoints if the bucket has one."""
    for name in {x.partition(f"{CHECKPOINTS}/")[0] for x in files if CHECKPOINTS in x}:
        (folder / name / CHECKPOINTS).mkdir(parents=True, exist_ok=True)


def is_small(name: str) -> bool:
    """Returns True for the files of a run that programs read from a copy."""
    return not HEAVY.fullmatch(name) and not is_hidden(name)


def is_hidden(name: str) -> bool:
    """Returns True for files that are not outputs of a run, such as leases."""
    return any(part.startswith(".") for part in name.split("/"))


@contextlib.contextmanager
def followed(paths: Iterable[Path]) -> Iterator[None]:
    """Fetches again and again what changes in the bucket, of copies among `paths`."""
    copies = [x for path in paths if (x := _COPIES.get(path))]
    ended = threading.Event()

    def follow() -> None:
        while not ended.wait(FOLLOW_SECONDS):
            for copy in copies:
                try:
                    _pull_small(copy)
                except Exception as error:  # tried again
                    log.debug("%s", error)

    if copies:
        threading.Thread(target=follow, name="follow", daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def is_copy(path: str | Path) -> bool:
    """Returns True if a path is in a copy."""
    return copy_of(Path(path)) is not None


def push(file: Path, pattern: str = "") -> None:
    """Writes a result back to the bucket, if it is in a copy to read from.

    The files of a working folder are mirrored anyway.

    Args:
      file: the result.
      pattern: of the names of other results in its folder, which are written first if
        they are new here.

    Raises:
      UsageError: if it cannot be written there.
    """
    found = copy_of(file.absolute())
    if not found or found[0].is_mirrored:
        return
    copy, name = found
    others = sorted(file.absolute().parent.glob(pattern)) if pattern else []
    for other in others:
        if not copy.is_as_fetched(other_name := copy.name_of(other)):
            copy.remote.write(other_name, other)
    copy.remote.write(name, file)


def as_urls(text: str) -> str:
    """Replaces the folders of copies by their URLs, for messages."""
    for folder, copy in _COPIES.items():
        text = text.replace(str(folder), copy.remote.url)
    return text


EXAMPLES = re.compile(r".*-\d{5}-of-\d{5}(\..*)?|(.*/)?jaxgan/.*\.(npy|incomplete)")
"""Files with examples, which are fetched when they are needed, and decoded ones."""


def data_folder(flag: str, text: str, name: str) -> str:
    """Returns the local folder of prepared data sets; for a URL, a copy.

    The copy has the descriptions of one data set, and `fetch` adds its examples.

    Args:
      flag: the flag to name in errors.
      text: a path or a URL.
      name: `name[/config][:version]` of the data set.

    Raises:
      UsageError: for an impossible path, or if the bucket cannot be read.
    """
    if not is_url(text):
        return text
    url = location(flag, text)
    base = re.split("[/:]", name)[0]
    if not re.fullmatch(r"\w+", base):
        return str(folder_for(url, "data"))  # the caller names what is wrong
    root = folder_for(url, "data")
    # A copy per data set, as a listing of all sets may be long.
    copy = Copy(Remote(f"{url}/{base}", f"{flag}={url}"), root / base)
    if copy.folder not in _COPIES:
        register(copy)
        copy.pull(lambda x: not EXAMPLES.fullmatch(x) and not is_hidden(x))
        _COPIES[root] = Copy(Remote(url, f"{flag}={url}"), root)
    return str(root)


def fetch(files: Collection[str]) -> None:
    """Fetches files of copies that are missing here or have changed.

    Each is compared with the size and the checksum in the bucket.

    Raises:
      UsageError: if the bucket cannot be read, or the copy cannot be written.
    """
    by_copy: dict[Path, set[str]] = {}
    for file in files:
        if found := copy_of(Path(file)):
            by_copy.setdefault(found[0].folder, set()).add(found[1])
    for folder, names in by_copy.items():
        _COPIES[folder].pull(names.__contains__)

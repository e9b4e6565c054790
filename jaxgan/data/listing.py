"""The picture files below a folder, their classes, and the splits of a folder."""

import logging
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from jaxgan.data.decode import suffixes
from jaxgan.errors import UsageError, printable

LOG = logging.getLogger("jaxgan")

SPLITS = (
    ("train", "training"),
    ("val", "valid", "validation", "dev"),
    ("test", "testing"),
)
"""Names of folders that hold a split; those of one row mean the same."""

NOT_DATA = frozenset(
    (
        *("@eadir", "@recycle", "#recycle", "#snapshot", "$recycle.bin", "lost+found"),
        *("__macosx", "__pycache__", "thumbnails", "thumbs"),
        "system volume information",
    )
)
"""Folders that file managers, archives and disks leave behind, in lower case."""

CLUTTER = frozenset(("thumbs.db", "desktop.ini"))
"""Files that file managers leave behind, in lower case."""

KINDS = 8
"""Kinds of files that are named at most when some are left out."""


class NoSuchSplit(UsageError):
    """A folder does not have the split that was asked for."""


class Walk:
    """Finds the picture files below a folder; links are followed, loops are not.

    Hidden files and folders, and those of `NOT_DATA`, are passed over.
    """

    def __init__(self, name: str, root: Path) -> None:
        """Walks the folder `root` of the data set `name`.

        Raises UsageError for folders and links that cannot be read, and for folders
        that links lead to twice.
        """
        self.name, self.root = name, root
        self.files: list[Path] = []
        self.left_out: Counter[str] = Counter()
        """Suffixes (and other reasons) to the number of files."""
        self.ignored: set[str] = set()
        """Names of folders that were not looked into, but for hidden ones."""
        self._suffixes = suffixes()
        self._seen: dict[tuple[int, int], tuple[Path, bool]] = {}
        self._walk()
        found = sorted((file.relative_to(root).parts, file) for file in self.files)
        self.files = [file for _, file in found]
        """In the order of their names, folder by folder."""
        self.tops = [parts[0] for parts, _ in found]
        """Of each file, the first-level folder that it lies in, or its own name."""
        nested = {parts[0] for parts, _ in found if len(parts) > 1}
        self.classes: tuple[str, ...] = tuple(sorted(nested))
        """First-level folders that hold pictures."""
        self.loose = next((parts[0] for parts, _ in found if len(parts) == 1), None)
        """A picture directly in the folder, None if there is none."""

    def _walk(self) -> None:
        # Each folder with those above it, and whether one of them is a link.
        todo = [(self.root, frozenset[tuple[int, int]](), False)]
        while todo:
            folder, above, linked = todo.pop()
            try:
                status, entries = os.stat(folder), _entries(folder)
                here = status.st_dev, status.st_ino
                if linked and here in above:
                    continue  # a link to a folder that it lies in
                self._check_once(folder, here, linked)
                for entry in entries:
                    if self._enter(entry):
                        by_link = linked or entry.is_symlink()
                        todo.append((Path(entry.path), above | {here}, by_link))
            except OSError as error:
                raise UsageError(
                    f"{self.name}: {printable(error.filename or str(folder))} cannot "
                    f"be read ({error.strerror}); make it readable, or move it away"
                ) from None

    def _check_once(self, folder: Path, here: tuple[int, int], linked: bool) -> None:
        """Only links can lead to a folder twice; disks may repeat their numbers."""
        other, by_link = self._seen.setdefault(here, (folder, linked))
        if other != folder and (linked or by_link):
            raise UsageError(
                f"{self.name}: {printable(str(folder))} and {printable(str(other))} "
                "are the same folder; remove the link"
            )

    def _enter(self, entry: os.DirEntry[str]) -> bool:
        """Returns True for a folder to walk; records a file."""
        lower = entry.name.lower()
        if entry.name.startswith(".") or lower in CLUTTER:
            return False
        if entry.is_dir():
            if lower in NOT_DATA:
                self.ignored.add(entry.name)
            return lower not in NOT_DATA
        regular = entry.is_file()
        if not regular and entry.is_symlink():
            os.stat(entry.path)  # raises if it leads nowhere
        if not regular:
            self.left_out["FIFOs, sockets or devices"] += 1
        elif lower.endswith(self._suffixes):
            self.files.append(Path(entry.path))
        else:
            suffix = os.path.splitext(lower)[1]
            self.left_out[suffix or "without a suffix"] += 1
        return False


def find_root(name: str, path: Path, split: str) -> tuple[Path, dict[str, Path]]:
    """The folder that holds a split, and the folders of all splits, by name.

    Without such folders the only split is `train`, which is `path` itself.

    Raises:
      NoSuchSplit: if there is no such split.
      UsageError: if `path` is no folder, or if folders of splits lie beside others.
    """
    splits = _split_folders(name, path)
    if not splits and split == "train":
        return path, {}
    if not splits:
        raise NoSuchSplit(
            f"--split={split}: {name} has no splits, as it has no folders train/ and "
            "test/; leave it at train and give other data as another folder:PATH"
        )
    same = next((row for row in SPLITS if split in row), (split,))
    for alias in (split, *same):
        if alias in splits:
            return splits[alias], splits
    listed = ", ".join(splits)
    raise NoSuchSplit(f"--split={split}: {name} has the splits {listed}; use one")


def _split_folders(name: str, path: Path) -> dict[str, Path]:
    known = {alias for row in SPLITS for alias in row}
    shown = printable(str(path))
    try:
        entries = _entries(path)
    except FileNotFoundError:
        raise UsageError(f"{name}: there is no folder {shown}") from None
    except NotADirectoryError:
        raise UsageError(
            f"{name}: {shown} is not a folder; give the one it lies in"
        ) from None
    except OSError as error:
        raise UsageError(
            f"{name}: {shown} cannot be read ({error.strerror}); make it readable"
        ) from None
    folders = [Path(path, e.name) for e in entries if _is_data_folder(e)]
    splits = {f.name.lower(): f for f in folders if f.name.lower() in known}
    loose = any(e.name.lower().endswith(suffixes()) and e.is_file() for e in entries)
    if not splits or loose:
        return {}
    others = [f for f in folders if f.name.lower() not in known]
    beside = next((f.name for f in others if Walk(name, f).files), None)
    if beside is None:
        return splits
    if len(splits) == 1:
        return {}  # a class may be called train
    first, second, *_ = splits
    raise UsageError(
        f"{name}: {first}/ and {second}/ look like splits, and {printable(beside)}/ "
        f"like a class; move it away, or give {name}/{first}"
    )


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _is_data_folder(entry: os.DirEntry[str]) -> bool:
    hidden = entry.name.startswith(".") or entry.name.lower() in NOT_DATA
    try:
        return not hidden and entry.is_dir()
    except OSError:  # such as a link to itself; the walk tells
        return False


def log_left_out(walk: Walk) -> None:
    """Logs in one line the files and folders that are not part of the data."""
    kinds = [
        f"{count:,} {printable(kind)}" for kind, count in walk.left_out.most_common()
    ]
    if len(kinds) > KINDS:
        kinds[KINDS:] = [f"{len(kinds) - KINDS} more kinds of files"]
    kinds += [f"{_shown(sorted(walk.ignored))}"] if walk.ignored else []
    folders = {e.name for e in _entries(walk.root) if _is_data_folder(e)}
    empty = sorted(folders - set(walk.classes))
    kinds += [f"{_shown(empty)} without pictures"] if empty else []
    if kinds:
        LOG.info("%s: left out %s", printable(walk.name), "; ".join(kinds))


def _shown(names: Iterable[str]) -> str:
    names = [f"{printable(name)}/" for name in names]
    more = [f"{len(names) - KINDS} more folders"] if len(names) > KINDS else []
    return ", ".join(names[:KINDS] + more)

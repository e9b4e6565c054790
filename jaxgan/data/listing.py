"""Image files below a folder, with their classes and splits."""

import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgan.data.decode import SUFFIXES, formats, suffixes
from jaxgan.data.picture_lists import HeaderList, PathList
from jaxgan.errors import UsageError, printable

LOG = logging.getLogger("jaxgan")

PREFIXES = ("folder", "pairs", "unpaired", "domains")
"""Prefixes of the names of data sets that are read from folders of images."""

FOLDERS = (*PREFIXES, "audio")
"""Prefixes of the names of all data sets that are read from folders."""

SHARDED = ("array_record", "webdataset", "parquet")
"""Prefixes of the names of data sets that are read from shards."""

SPLITS = (
    ("train", "training"),
    ("val", "valid", "validation", "dev"),
    ("test", "testing"),
)
"""Names of folders that hold a split, with the synonyms of one split in each row."""

NOT_DATA = frozenset(
    (
        *("@eadir", "@recycle", "#recycle", "#snapshot", "$recycle.bin", "lost+found"),
        *("__macosx", "__pycache__", "thumbnails", "thumbs"),
        "system volume information",
    )
)
"""Lower-case names of folders that file managers, archives and disks leave behind."""

CLUTTER = frozenset(("thumbs.db", "desktop.ini"))
"""Lower-case names of files that file managers leave behind."""

KINDS = 8
"""Largest number of kinds of skipped files that a log line names."""


Ending = tuple[str, ...]
"""Lower-case suffixes of files."""


class NoSuchSplit(UsageError):
    """Raised if a folder does not have the requested split."""


class Visit(NamedTuple):
    """A folder at the time of a walk."""

    path: str
    mtime: int
    """Time of the last change of its entries, in nanoseconds."""
    count: int
    """Number of its entries, of all kinds."""


class Walk:
    """The image files below a folder, or those of other suffixes.

    Links are followed, except those that form a loop. Hidden files and folders, and
    those of `CLUTTER` and `NOT_DATA`, are skipped.
    """

    def __init__(
        self,
        name: str,
        root: Path,
        ending: Ending | None = None,
        known: Mapping[str, Any] | None = None,
    ) -> None:
        """Walks the folder.

        Args:
          name: the name of the data set, for errors.
          root: the folder.
          ending: lower-case suffixes of the files; those of images if None.
          known: an index of the folder, see `folder_index`; it is walked if None.

        Raises:
          UsageError: if a folder or a link cannot be read, or if links lead to a
            folder twice.
        """
        self.name, self.root = name, root
        self.left_out: Counter[str] = Counter()
        """Number of skipped files by suffix or other reason."""
        self.ignored: set[str] = set()
        """Names of skipped folders, without hidden ones."""
        self.ending = ending or suffixes()
        self.visits: list[Visit] = []
        """The folders that were read."""
        self.headers: HeaderList | None = None
        """The headers of the files, if an earlier run has read them."""
        # Path of each folder by device and inode; True if links led to it.
        self._seen: dict[tuple[int, int], tuple[Path, bool]] = {}
        if known is None:
            found = list(self._walk())
            self.files = PathList.of(root, found)
            self.classes, self.class_numbers = _first_folders(found)
        else:
            self.files = PathList(root, known["paths"].tobytes(), known["ends"])
            self.classes = tuple(known["classes"])
            self.class_numbers = known["class_numbers"]
            self.left_out, self.ignored = (
                Counter(known["left_out"]),
                set(known["ignored"]),
            )
            self.headers = HeaderList(known["headers"])

    files: PathList
    """The image files, sorted by name within each folder."""
    classes: tuple[str, ...]
    """First-level folders that hold images, sorted."""
    class_numbers: np.ndarray
    """The first-level folder of each file as a number in `classes`, `[n]` int32; -1 for
    a file directly in `root`."""

    @property
    def loose(self) -> str | None:
        """An image directly in `root`, None if there is none."""
        numbers = np.flatnonzero(self.class_numbers < 0)
        return self.files.relative(int(numbers[0])) if len(numbers) else None

    @property
    def tops(self) -> list[str]:
        """First component of each file's path below `root`: a folder or the file."""
        return [
            self.classes[number] if number >= 0 else self.files.relative(i)
            for i, number in enumerate(self.class_numbers.tolist())
        ]

    def _walk(self) -> Iterator[str]:
        """Yields the paths of files below `root`, sorted by their components."""
        # Each entry is a file, or a folder with the folders above it, and True if one
        # is a link. An explicit stack, as deep trees would exceed the recursion limit.
        todo: list[Any] = [(str(self.root), frozenset(), False)]
        skip = len(os.path.join(self.root, ""))
        while todo:
            entry = todo.pop()
            if isinstance(entry, str):
                yield entry[skip:]
                continue
            folder, above, linked = entry
            try:
                # Follows links, so that `here` identifies the target.
                status, entries = os.stat(folder), _entries(folder)
                here = status.st_dev, status.st_ino
                if linked and here in above:
                    continue  # a link to a folder that contains it
                self._check_once(Path(folder), here, linked)
                self.visits.append(Visit(folder, status.st_mtime_ns, len(entries)))
                inside = above | {here}
                # The first entry comes on top.
                for entry in reversed(entries):
                    match self._use(entry):
                        case "file":
                            todo.append(entry.path)
                        case "folder":
                            by_link = linked or entry.is_symlink()
                            todo.append((entry.path, inside, by_link))
            except OSError as error:
                raise UsageError(
                    f"{self.name}: {printable(error.filename or str(folder))} cannot "
                    f"be read ({error.strerror}); make it readable, or move it away"
                ) from None

    def _check_once(self, folder: Path, here: tuple[int, int], linked: bool) -> None:
        """Raises UsageError if links lead to the folder twice."""
        other, by_link = self._seen.setdefault(here, (folder, linked))
        # Without links, equal numbers are those of disks that reuse inode numbers.
        if other != folder and (linked or by_link):
            raise UsageError(
                f"{self.name}: {printable(str(folder))} and {printable(str(other))} "
                "are the same folder; remove the link"
            )

    def _use(self, entry: os.DirEntry[str]) -> str:
        """Returns `file` or `folder` for an entry that is used; counts the others."""
        lower = entry.name.lower()
        if entry.name.startswith(".") or lower in CLUTTER:
            return ""
        if entry.is_dir():
            if lower in NOT_DATA:
                self.ignored.add(entry.name)
            return "" if lower in NOT_DATA else "folder"
        regular = entry.is_file()
        if not regular and entry.is_symlink():
            os.stat(entry.path)  # raises if the link is broken
        if not regular:
            self.left_out["FIFOs, sockets or devices"] += 1
        elif lower.endswith(self.ending):
            return "file"
        else:
            suffix = os.path.splitext(lower)[1]
            self.left_out[suffix or "without a suffix"] += 1
        return ""


def _first_folders(paths: Sequence[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns the first folders of sorted relative paths, and the number of each."""
    names: dict[str, int] = {}
    numbers = np.full(len(paths), -1, np.int32)
    for i, path in enumerate(paths):
        top, separator, _ = path.partition(os.sep)
        if separator:
            numbers[i] = names.setdefault(top, len(names))
    return tuple(names), numbers


def find_root(
    name: str, path: Path, split: str, ending: Ending | None = None
) -> tuple[Path, dict[str, Path]]:
    """Finds the folder of a split.

    Without folders for splits, the only split is `train`, which is `path` itself.

    Args:
      name: the name of the data set, for errors.
      path: the folder of the data set.
      split: the name of the split, such as `train`.
      ending: lower-case suffixes of the data's files; those of images if None.

    Returns:
      The folder of the split, and the folders of all splits by name.

    Raises:
      NoSuchSplit: if there is no such split.
      UsageError: if `path` is not a folder, or if it mixes splits and classes.
    """
    splits = _split_folders(name, path, ending or suffixes())
    if not splits and split == "train":
        return path, {}
    if not splits:
        raise NoSuchSplit(
            f"--split={split}: {name} has no splits besides train, because it has no "
            "folders train/ and test/; use that, or load other data as another "
            f"{name.partition(':')[0]}:PATH"
        )
    # The exact name comes first, then its synonyms, such as val and validation.
    same = next((row for row in SPLITS if split in row), (split,))
    for alias in (split, *same):
        if alias in splits:
            return splits[alias], splits
    listed = ", ".join(splits)
    raise NoSuchSplit(
        f"--split={split}: {name} has the splits {listed}; use one of them"
    )


def _split_folders(name: str, path: Path, ending: Ending) -> dict[str, Path]:
    """Returns the folders of splits by lower-case name, empty if there are none."""
    known = {alias for row in SPLITS for alias in row}
    folders = subfolders(name, path)
    splits = {f.name.lower(): f for f in folders if f.name.lower() in known}
    # Images directly in the folder rule out splits.
    if not splits or _has_files(path, ending):
        return {}
    others = [f for f in folders if f.name.lower() not in known]
    # Folders without images, such as annotations/, may lie beside splits.
    beside = next((f.name for f in others if Walk(name, f, ending).files), None)
    if beside is None:
        return splits
    if len(splits) == 1:
        return {}  # a class may be called train
    # Several splits beside another folder with images are ambiguous.
    first, second, *_ = splits
    raise UsageError(
        f"{name}: {first}/ and {second}/ look like splits, and {printable(beside)}/ "
        f"like a class; move it away, or use {name}/{first}"
    )


def subfolders(name: str, path: Path) -> list[Path]:
    """Returns the folders in `path`, sorted, without hidden ones and `NOT_DATA`.

    Args:
      name: the name of the data set, for errors.
      path: a folder.

    Raises:
      UsageError: if `path` is not a folder, or cannot be read.
    """
    return [Path(path, one) for one in _listed(name, path)]


def _has_files(path: Path, ending: Ending) -> bool:
    """Returns True if a folder directly holds files with these suffixes."""
    with os.scandir(path) as entries:
        return any(e.name.lower().endswith(ending) and e.is_file() for e in entries)


def pictures_below(
    name: str,
    root: Path,
    used: Path | None = None,
    known: Mapping[str, Any] | None = None,
) -> Walk:
    """Walks a folder, and logs the files that are not part of the data.

    Args:
      name: the name of the data set, for errors.
      root: the folder.
      used: a file in it that is part of the data, though no picture.
      known: an index of the folder, see `folder_index`; it is walked if None.

    Raises:
      UsageError: if the folder holds no images, or cannot be read.
    """
    walk = Walk(name, root, known=known)
    if used is not None:
        walk.left_out[used.suffix] -= 1
        walk.left_out = +walk.left_out  # without zeros
    log_left_out(walk)
    if not walk.files:
        # One suffix per format.
        kinds = ", ".join(SUFFIXES[one][0][1:] for one in formats())
        raise UsageError(
            f"{name}: {printable(str(root))} holds no pictures ({kinds}), nor do its "
            "sub-folders"
        )
    return walk


def _listed(name: str, path: Path) -> list[str]:
    """Returns the sub-folders of a folder; raises UsageError if it cannot be read."""
    shown = printable(str(path))
    try:
        return _data_folders(path)
    except FileNotFoundError:
        raise UsageError(f"{name}: there is no folder {shown}") from None
    except NotADirectoryError:
        raise UsageError(
            f"{name}: {shown} is not a folder; use the folder that contains it"
        ) from None
    except OSError as error:
        raise UsageError(
            f"{name}: {shown} cannot be read ({error.strerror}); make it readable"
        ) from None


def _data_folders(path: Path) -> list[str]:
    """Returns the sorted names of sub-folders, without hidden ones and `NOT_DATA`."""
    with os.scandir(path) as entries:
        return sorted(entry.name for entry in entries if _is_data_folder(entry))


def _entries(folder: str) -> list[os.DirEntry[str]]:
    # Sorted, as the order of scandir depends on the file system.
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _is_data_folder(entry: os.DirEntry[str]) -> bool:
    hidden = entry.name.startswith(".") or entry.name.lower() in NOT_DATA
    try:
        return not hidden and entry.is_dir()
    except OSError:  # such as a link to itself, for which the walk raises
        return False


def log_left_out(walk: Walk, files: str = "pictures") -> None:
    """Logs in one line the files and folders that are not part of the data."""
    kinds = [
        f"{count:,} {printable(kind)}" for kind, count in walk.left_out.most_common()
    ]
    if len(kinds) > KINDS:
        # The rarest kinds are only counted.
        kinds[KINDS:] = [f"{len(kinds) - KINDS} more kinds of files"]
    kinds += [f"{_shown(sorted(walk.ignored))}"] if walk.ignored else []
    # First-level folders in which no image was found.
    empty = sorted(set(_data_folders(walk.root)) - set(walk.classes))
    kinds += [f"{_shown(empty)} without {files}"] if empty else []
    if kinds:
        LOG.info("%s: left out %s", printable(walk.name), "; ".join(kinds))


def _shown(names: Iterable[str]) -> str:
    """Returns up to `KINDS` folder names as text."""
    names = [f"{printable(name)}/" for name in names]
    more = [f"{len(names) - KINDS} more folders"] if len(names) > KINDS else []
    return ", ".join(names[:KINDS] + more)

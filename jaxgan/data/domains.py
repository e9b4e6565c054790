"""Images of several domains: `domains:PATH`, with a sub-folder for each domain."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from jaxgan.data import folder_index
from jaxgan.data.dataset import Dataset
from jaxgan.data.folder import labeled
from jaxgan.data.listing import SPLITS, Walk, find_root
from jaxgan.data.pictures import Reading
from jaxgan.errors import UsageError, printable

LEAST = 2
"""Smallest number of domains, and of images of a domain."""

SPLIT_NAMES = frozenset(alias for row in SPLITS for alias in row)


def domains(
    name: str, path: Path, reading: Reading, *, split: str = "train"
) -> Dataset:
    """Loads images whose labels are their domains, the sub-folders of a folder.

    Splits are folders above the domains: `train/photos`, `test/photos`.

    Args:
      name: the name of the data set, `domains:PATH`.
      path: the folder.
      reading: the frame, and the treatment of transparency and of damage.
      split: the name of a split, or `train` if there are no splits.

    Raises:
      UsageError: if the domains are on another level of folders, if there are fewer
        than two of them, or two images of one; and as `folder` does.
    """
    root, splits = find_root(name, path, split)
    walk = folder_index.walk_below(name, root)
    _check_level(walk, splits)
    _check_names(walk)
    # Other splits may lack domains of the training images.
    if not splits or root == splits.get("train", splits.get("training", root)):
        _check_counts(walk)
    return labeled(walk, splits, reading)


def _check_level(walk: Walk, splits: dict[str, Path]) -> None:
    """Raises UsageError if the first-level folders are not those of domains."""
    name, root = walk.name, printable(str(walk.root))
    if not walk.classes:
        why = f" ({_listed(splits)} are splits, not domains)" if splits else ""
        raise UsageError(
            f"{name}: {root} holds pictures, but no folder for each domain{why}; make "
            f"some, such as {root}/photos and {root}/paintings, or use the folder above"
        )
    # The folders of images inside each of the first-level folders.
    inside: dict[str, set[str]] = {one: set() for one in walk.classes}
    for top, file in zip(walk.tops, walk.files, strict=True):
        parts = file.relative_to(walk.root).parts
        if len(parts) > 1:
            inside[top].add(parts[1] if len(parts) > 2 else "")
    first, *others = inside
    below = inside[first]
    # An empty name stands for images without another folder.
    if any("" in names for names in inside.values()):
        return
    if {x.lower() for names in inside.values() for x in names} <= SPLIT_NAMES:
        one = printable(min(below))
        raise UsageError(
            f"{name}: splits belong above the domains: move "
            f"{printable(first)}/{one}/ to {one}/{printable(first)}/, and the others "
            "likewise"
        )
    if len(below) < LEAST or any(inside[other] != below for other in others):
        return
    what = "holds" if not others else "and the others each hold"
    raise UsageError(
        f"{name}: {printable(first)}/ {what} the folders {_listed(below)}: if those "
        f"are the domains, use domains:{root}/{printable(first)}"
    )


def _check_names(walk: Walk) -> None:
    """Raises UsageError if a split was taken for a domain."""
    for one in walk.classes:
        if one.lower() in SPLIT_NAMES:
            other = next((x for x in walk.classes if x != one), "photos")
            raise UsageError(
                f"{walk.name}: {printable(one)}/ is named like a split, and stands "
                f"beside {printable(other)}/ like a domain; rename it, or move the "
                f"domains into it ({printable(one)}/{printable(other)})"
            )
    # Names such as trainA, trainB, testA and testB, by what follows the split.
    same: defaultdict[str, list[str]] = defaultdict(list)
    pattern = re.compile(f"({'|'.join(sorted(SPLIT_NAMES, key=len)[::-1])})[_-]?(.+)")
    for one in walk.classes:
        if match := pattern.fullmatch(one.lower()):
            same[match[2]].append(one)
    for rest, names in same.items():
        if len(names) > 1:
            raise UsageError(
                f"{walk.name}: {_listed(names)} look like splits of one domain; move "
                f"them to folders such as train/{printable(rest)} and "
                f"test/{printable(rest)}"
            )


def _check_counts(walk: Walk) -> None:
    """Raises UsageError if there are too few domains, or images of one."""
    if len(walk.classes) < LEAST:
        (only,) = walk.classes
        raise UsageError(
            f"{walk.name}: there is one domain, {printable(only)}/, and at least "
            f"{LEAST} are needed; add a folder, or use folder:PATH"
        )
    counts = Counter(walk.tops)
    few = [one for one in walk.classes if counts[one] < LEAST]
    if few:
        raise UsageError(
            f"{walk.name}: {printable(few[0])}/ holds one picture, and a domain needs "
            f"at least {LEAST}; add more, or move the folder away"
        )


def _listed(names: Iterable[str]) -> str:
    """Formats up to four names of folders.

    >>> _listed(["b", "a"]), _listed("fedcba")
    ('a/, b/', 'a/, b/, c/, d/, ...')
    """
    shown = [f"{printable(name)}/" for name in sorted(names)]
    return ", ".join(shown[:4] + ["..."] * (len(shown) > 4))

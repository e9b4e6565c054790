"""Files of a data set in shards: `shards-{000000..000009}.tar`, globs and folders."""

import glob
import itertools
import logging
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jaxgan.data.listing import SPLITS, NoSuchSplit
from jaxgan.errors import UsageError, printable

LOG = logging.getLogger("jaxgan")

MOST = 1_000_000
"""Largest number of shards that braces may name."""

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d{1,9})\.\.(\d{1,9})")


class Shards(NamedTuple):
    """The shards of a split, and those of `train` if that is another, else none."""

    files: tuple[Path, ...]
    train: tuple[Path, ...]


def find_shards(name: str, pattern: Path, split: str, known: str) -> Shards:
    """Finds the shards of a split.

    The pattern is a file, a folder, a glob, or a name with braces: `{0..9}` for
    numbers, `{a,b}` for a choice. Files are of a split if a part of their name, or a
    folder below the pattern, is called like it, as `train-00000.tar`. Without such
    names, all of them are the split `train`.

    Args:
      name: the name of the data set, for errors.
      pattern: the path after the prefix.
      split: such as `train`.
      known: regular expression for the names of shards in a folder.

    Raises:
      NoSuchSplit: if there is no such split.
      UsageError: if there are no shards, or one of a sequence is missing.
    """
    base, files = _matching(name, pattern, known)
    # Braces are explicit.
    if not _BRACES.search(str(pattern)):
        _check_sequences(name, files)
    splits = defaultdict(list)
    for file in files:
        splits[_split_of(base, file)].append(file)
    if list(splits) == [""]:
        splits = {"train": splits[""]}
    elif left_out := splits.pop("", []):
        LOG.info(
            "%s: left out %s shards of no split, such as %s",
            *(printable(name), f"{len(left_out):,}", printable(left_out[0].name)),
        )
    row = _row(split)
    if row not in splits:
        listed = ", ".join(splits)
        raise NoSuchSplit(
            f"--split={printable(split)}: {name} has the splits {listed}; use one of "
            "them, or add files whose names contain it"
        )
    train = tuple(splits.get("train", ())) if row != "train" else ()
    return Shards(tuple(splits[row]), train)


def expand_braces(text: str) -> Iterator[str]:
    """Yields the names that a text with braces stands for.

    >>> list(expand_braces("{a,b}-{08..10}.tar"))[1:4]
    ['a-09.tar', 'a-10.tar', 'b-08.tar']
    """
    # Odd parts are the contents of braces.
    parts = _BRACES.split(text)
    choices = [_choices(x) if i % 2 else [x] for i, x in enumerate(parts)]
    for chosen in itertools.product(*choices):
        yield "".join(chosen)


def _choices(text: str) -> list[str]:
    """Returns the choices of the content of braces; other contents stay as they are."""
    if match := _RANGE.fullmatch(text):
        low, high = int(match[1]), int(match[2])
        width = len(match[1]) if match[1].startswith("0") else 0
        # One more than allowed is an error later.
        return [f"{i:0{width}}" for i in range(low, min(high, low + MOST) + 1)]
    return text.split(",") if "," in text else [f"{{{text}}}"]


def _matching(name: str, pattern: Path, known: str) -> tuple[Path, list[Path]]:
    """Returns the folder below which names matter, and the files of a pattern."""
    text, shown = str(pattern), printable(str(pattern))
    if pattern.is_dir():
        files = [Path(file) for file in sorted(_below(name, text, known))]
        if not files:
            raise UsageError(f"{name}: {shown} holds no shards, nor do its sub-folders")
        return pattern, files
    names = list(itertools.islice(expand_braces(text), MOST + 1))
    if len(names) > MOST:
        raise UsageError(f"{name}: the braces name more than {MOST:,} shards")
    if len(names) == 1 and not pattern.exists():
        names = sorted(glob.glob(text))
        if not names:
            raise UsageError(
                f"{name}: there is no file {shown}; name shards like "
                "shards-{000000..000009}.tar or shards-*.tar"
            )
    files = [Path(x) for x in names]
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise UsageError(
            f"{name}: {printable(str(missing[0]))} is missing, one of {len(missing):,} "
            f"of {len(files):,} shards; restore it, or change the braces"
        )
    return pattern.parent, files


def _below(name: str, folder: str, known: str) -> Iterator[str]:
    """Yields the paths of shards below a folder, without hidden ones."""

    def fail(error: OSError) -> None:
        shown = printable(error.filename or folder)
        raise UsageError(
            f"{name}: {shown} cannot be read ({error.strerror}); make it readable"
        )

    for root, folders, files in os.walk(folder, onerror=fail):
        folders[:] = [x for x in folders if not x.startswith(".")]
        for file in files:
            if re.search(known, file.lower()) and not file.startswith("."):
                yield os.path.join(root, file)


def _row(split: str) -> str:
    """Returns the first synonym of a split."""
    return next((row[0] for row in SPLITS if split in row), split)


def _split_of(base: Path, file: Path) -> str:
    """Returns the split that a file is named after, empty if there is none.

    >>> _split_of(Path("d"), Path("d/mnist-test.array_record-00000-of-00001"))
    'test'
    """
    aliases = {alias for row in SPLITS for alias in row}
    below = file.relative_to(base) if base in file.parents else Path(file.name)
    for part in below.parts[::-1]:
        for word in re.split(r"[^a-z]+", part.lower()):
            if word in aliases:
                return _row(word)
    return ""


def _check_sequences(name: str, files: list[Path]) -> None:
    """Raises UsageError if a numbered shard is missing between others."""
    sequences: dict[tuple[str, str], dict[int, Path]] = defaultdict(dict)
    for file in files:
        # The last number, or the one before `-of-`.
        if match := re.fullmatch(r"(.*?)(\d+)(-of-\d+.*|\D*)", file.name, re.DOTALL):
            prefix = str(file.with_name(match[1] or "_"))
            sequences[prefix, match[3]][int(match[2])] = file
    for (_, tail), known in sequences.items():
        low, high = min(known), max(known) + 1
        if match := re.match(r"-of-(\d+)", tail):
            low, high = 0, int(match[1])
        elif len(known) == 1:
            continue
        if len(known) < high - low:
            lost = next(i for i in range(low, high) if i not in known)
            one = next(iter(known.values()))
            raise UsageError(
                f"{name}: shard {lost} of {low} to {high - 1} is missing beside "
                f"{printable(one.name)}; restore it, or name the shards to read with "
                "braces, such as {000000..000009}"
            )

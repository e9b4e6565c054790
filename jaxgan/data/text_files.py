"""Text files of users: one file, or all `.txt` files below a folder, by split."""

import logging
import os
from collections import Counter
from pathlib import Path

from jaxgan.data.listing import CLUTTER, NOT_DATA, SPLITS
from jaxgan.errors import UsageError, printable
from jaxgan.files import open_regular, reason

LOG = logging.getLogger("jaxgan")

SUFFIX = ".txt"
LARGEST = 2**30
"""Most bytes of the files of a data set, which are all in memory."""

WHOLE = ""
"""The name of the only split of texts that are not split by their files."""


def read_texts(name: str, path: Path) -> dict[str, str]:
    """Reads the texts of a data set, by split.

    A folder whose files, or folders, are called `train` and `test` (or `val`) has these
    splits. All other files are one text, in the order of their names, which is not
    split yet.

    Args:
      name: the name of the data set, for errors.
      path: a file, or a folder.

    Returns:
      The text of each split, with line breaks `\\n`; the only one is named `WHOLE` if
      files say nothing about splits.

    Raises:
      UsageError: if there is no text, or if a file cannot be read or is no UTF-8 text.
    """
    files = _files(name, path)
    parts = _by_split(path, files)
    if sum(file.stat().st_size for file in files) > LARGEST:
        raise UsageError(
            f"{name}: more than {LARGEST >> 30} GiB of text, which is read into "
            "memory: use a part of it"
        )
    # A file that ends without a line break must not continue in the next one.
    return {
        split: "\n".join(read_text(name, file) for file in part)
        for split, part in parts.items()
    }


def _files(name: str, path: Path) -> list[Path]:
    """Returns the text files at a path, sorted; raises UsageError if there are none."""
    if path.is_file():
        return [path]
    if not path.exists():
        raise UsageError(f"{name}: there is no file or folder {printable(str(path))}")
    files: list[Path] = []
    left_out: Counter[str] = Counter()

    def stop(error: OSError) -> None:
        raise UsageError(
            f"{name}: {printable(str(error.filename))} cannot be read "
            f"({reason(error)}); make it readable, or move it away"
        ) from None

    for folder, folders, names in os.walk(path, onerror=stop):
        # In place, so that the walk does not enter them.
        folders[:] = [x for x in folders if x[0] != "." and x.lower() not in NOT_DATA]
        for one in names:
            suffix = os.path.splitext(one)[1].lower()
            if suffix == SUFFIX and one[0] != ".":
                files.append(Path(folder, one))
            elif one[0] != "." and one.lower() not in CLUTTER:
                left_out[suffix or "without a suffix"] += 1
    others = ", ".join(
        f"{n:,} {printable(kind)}" for kind, n in left_out.most_common(5)
    )
    if not files:
        found = f" but {others}" if others else ""
        raise UsageError(
            f"{name}: {printable(str(path))} holds no {SUFFIX} files{found}; name a "
            "text file, or use folder:PATH for pictures"
        )
    if others:
        LOG.info("%s: left out %s", printable(name), others)
    return sorted(files)


def _by_split(path: Path, files: list[Path]) -> dict[str, list[Path]]:
    """Returns the files by split, or all as `WHOLE`."""
    known = {alias: row[0] for row in SPLITS for alias in row}
    if files == [path]:
        return {WHOLE: files}
    # The first part of each path: a folder, or the name of a file.
    tops = [file.relative_to(path).parts[0] for file in files]
    tops = [top.lower().removesuffix(SUFFIX) for top in tops]
    splits = [known.get(top, WHOLE) for top in tops]
    if WHOLE in splits or len(set(splits)) < 2 or "train" not in splits:
        return {WHOLE: files}
    parts: dict[str, list[Path]] = {split: [] for split in splits}
    for split, file in zip(splits, files, strict=True):
        parts[split].append(file)
    return parts


def read_text(name: str, file: Path) -> str:
    """Reads a text file in UTF-8, with or without a byte order mark.

    Args:
      name: the name of the data set, for errors.
      file: the path.

    Returns:
      The text, with line breaks `\\n`.

    Raises:
      UsageError: if it cannot be read, or is no UTF-8 text.
    """
    shown = printable(str(file))
    try:
        with open_regular(file) as stream:
            content = stream.read()
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{name}: {shown} cannot be read ({reason(error)}); make it readable, or "
            "move it away"
        ) from None
    if b"\0" in content:
        raise UsageError(
            f"{name}: {shown} is no UTF-8 text, as it has NUL bytes: if it is UTF-16, "
            "convert it with iconv -f UTF-16 -t UTF-8"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{name}: {shown} is no UTF-8 text: byte {error.object[error.start]:#04x} "
            f"at {error.start:,}; convert it, such as with iconv -f LATIN1 -t UTF-8"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")

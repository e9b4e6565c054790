"""Paired images: `pairs:PATH`, of two folders or side by side in each picture."""

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from jaxgan.data import folder_index
from jaxgan.data.dataset import Dataset, Examples
from jaxgan.data.decode import Header
from jaxgan.data.listing import NoSuchSplit, Walk, find_root, subfolders
from jaxgan.data.picture_lists import HeaderList
from jaxgan.data.pictures import Pictures, Reading, examine
from jaxgan.data.resize import Frame, mismatch
from jaxgan.errors import UsageError, printable
from jaxgan.types import ExampleSpec

LOG = logging.getLogger("jaxgan")

SHOWN = 3
"""Largest number of files that a message names."""

LAYOUT = (
    "put the inputs in a folder A/ and the targets in a folder B/, with equal names, "
    "or each pair side by side in one picture, twice as wide as high"
)


def pairs(
    name: str, path: Path, reading: Reading, *, split: str = "train", image: str = "B"
) -> Dataset:
    """Loads pairs of images, the fields `image` (generated) and `source`.

    The folders `A` and `B`, in upper or lower case, hold files with equal names up to
    their suffix: `A/1.png` and `B/1.jpg`. Without these folders, every picture holds
    two images side by side, A on the left. Splits are folders above or below A and B
    (`train/A` or `A/train`). A and B have their own modes, such as gray and color.

    Args:
      name: the name of the data set, `pairs:PATH`.
      path: the folder.
      reading: the frame, which is the same for both images of a pair, the treatment of
        transparent pixels, and that of damaged headers, see `folder`.
      split: the name of a split, or `train` if there are no splits.
      image: `B` generates B from A, `A` generates A from B.

    Raises:
      UsageError: if images have no partner, if the layout is none of the above, if
        files cannot be read, or if sizes or bit depths do not match.
    """
    roots = _find_roots(name, path, split)
    if isinstance(roots, Path):
        return _side_by_side(name, path, roots, reading, image)
    walks = [
        folder_index.walk_below(f"{name} ({_below(path, root)})", root)
        for root in roots
    ]
    matched = zip(walks, _matched(name, path, walks), strict=True)
    sides = [_open_side(walk, numbers, reading) for walk, numbers in matched]
    source, target = sides if image == "B" else sides[::-1]
    _check_sizes(name, source, target, reading.frame)

    def read(numbers: np.ndarray) -> Examples:
        images = target.read(numbers)[:, 0]
        return {"image": images, "source": source.read(numbers)[:, 0]}

    first, second = (printable(str(root)) for root in roots)
    return Dataset(
        name,
        len(target.files),
        ExampleSpec(image=target.field, source=source.field),
        read,
        origin=f"{len(target.files):,} pairs of pictures in {first} and {second}",
        encoded=lambda numbers: joined(
            target.encoded(numbers), source.encoded(numbers)
        ),
    )


def _open_side(walk: Walk, numbers: np.ndarray, reading: Reading) -> Pictures:
    """Opens the pictures of one side, in the order of their numbers in the walk."""
    headers = HeaderList(folder_index.read_headers(walk, reading).table[numbers])
    files = [walk.files[number] for number in numbers.tolist()]
    return examine(walk.name, files, headers, reading)


def joined(first: Iterable[bytes], second: Iterable[bytes]) -> list[bytes]:
    """Returns the content of two files per example, delimited by the first's length.

    >>> joined([b"a"], [b"bc"])
    [b'\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00abc']
    """
    both = zip(first, second, strict=True)
    return [len(one).to_bytes(8, "little") + one + other for one, other in both]


def _side_by_side(
    name: str, path: Path, root: Path, reading: Reading, image: str
) -> Dataset:
    """Loads pictures that hold A on the left and B on the right."""
    walk = folder_index.walk_below(name, root)
    files, headers = walk.files, folder_index.read_headers(walk, reading)
    _check_halves(name, path, zip(files, headers, strict=True))
    halves = examine(name, files, headers, reading, parts=2)
    # The index of the half that is generated.
    target = "AB".index(image)

    def read(numbers: np.ndarray) -> Examples:
        both = halves.read(numbers)
        return {"image": both[:, target], "source": both[:, 1 - target]}

    return Dataset(
        name,
        len(files),
        ExampleSpec(image=halves.field, source=halves.field),
        read,
        origin=f"{len(files):,} pictures of two halves in {printable(str(root))}",
        # The files alone do not say which half is generated.
        encoded=lambda numbers: [image.encode() + x for x in halves.encoded(numbers)],
    )


def _find_roots(name: str, path: Path, split: str) -> tuple[Path, Path] | Path:
    """Returns the folders of A and B, or that of pictures side by side."""
    if sides := _sides(name, path):
        return _splits_below(name, sides, split)
    root, _ = find_root(name, path, split)
    if sides := _sides(name, root):
        return sides
    # Two folders of pictures with other names are probably A and B.
    folders = [x for x in subfolders(name, root) if Walk(name, x).files]
    for one in folders:
        if _has_sides(name, one):
            raise UsageError(
                f"{name}: A/ and B/ are one folder further down: did you mean "
                f"pairs:{printable(str(one))}?"
            )
    if len(folders) == 2 and Walk(name, root).loose is None:
        first, second = (printable(x.name) for x in folders)
        raise UsageError(
            f"{name}: {_below(path, root)} has the folders {first}/ and {second}/, but "
            "not A/ and B/: rename the one with the inputs to A, and the one with the "
            "targets to B"
        )
    return root


def _sides(name: str, path: Path) -> tuple[Path, Path] | None:
    """Returns the folders A and B in `path`, None if there are neither."""
    folders: dict[str, Path] = {}
    for one in subfolders(name, path):
        side = one.name.upper()
        if side in ("A", "B") and folders.setdefault(side, one) != one:
            raise UsageError(
                f"{name}: there are both {folders[side].name}/ and {one.name}/; rename "
                "one of them"
            )
    if len(folders) == 1:
        (there,) = folders
        lacking = "B" if there == "A" else "A"
        raise UsageError(
            f"{name}: {printable(str(path))} has a folder {there}/ and no folder "
            f"{lacking}/; {LAYOUT}"
        )
    return (folders["A"], folders["B"]) if folders else None


def _has_sides(name: str, path: Path) -> bool:
    names = {one.name.upper() for one in subfolders(name, path)}
    return {"A", "B"} <= names


def _splits_below(name: str, sides: tuple[Path, Path], split: str) -> tuple[Path, Path]:
    """Returns the folders of a split in A and B, or A and B if they have none."""
    roots: list[Path] = []
    failed: list[NoSuchSplit] = []
    for side in sides:
        try:
            roots.append(find_root(f"{name}/{side.name}", side, split)[0])
        except NoSuchSplit as error:
            failed.append(error)
    if len(failed) == 2:
        # Neither has it, which is no fault of the data.
        raise NoSuchSplit(str(failed[0]).replace(f"{name}/{sides[0].name}", name))
    if failed or (roots[0] == sides[0]) != (roots[1] == sides[1]):
        first, second = (printable(side.name) for side in sides)
        raise UsageError(
            f"{name}: only one of {first}/ and {second}/ has a folder "
            f"{printable(split)}/; give both the same splits"
        )
    return roots[0], roots[1]


def _below(path: Path, place: Path) -> str:
    """Returns a path relative to that of the data set, for messages."""
    text = str(place.relative_to(path))
    return printable(str(path) if text == "." else text)


def _matched(
    name: str, path: Path, walks: Sequence[Walk]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the numbers of the files of A and of B in one order.

    Raises:
      UsageError: if a file has no partner.
    """
    places = [_below(path, walk.root) for walk in walks]
    first, second = (_by_name(walk) for walk in walks)
    problems: list[str] = []
    for walk, here, own, there, other in (
        (walks[0], places[0], first, places[1], second),
        (walks[1], places[1], second, places[0], first),
    ):
        if alone := [own[key] for key in own if key not in other]:
            files = [walk.files[number] for number in alone[:SHOWN]]
            shown = ", ".join(_below(path, file) for file in files)
            more = ", ..." if len(alone) > SHOWN else ""
            problems.append(
                f"{len(alone):,} of {len(own):,} pictures in {here}/ have no partner "
                f"in {there}/ ({shown}{more})"
            )
    if problems:
        raise UsageError(
            f"{name}: {'; '.join(problems)}; give both of a pair the same name, or "
            "move the others away"
        )
    ordered = list(first.values()), [second[key] for key in first]
    return np.array(ordered[0], np.int64), np.array(ordered[1], np.int64)


def _by_name(walk: Walk) -> dict[str, int]:
    """Returns the numbers of files by their path without the suffix."""
    numbers: dict[str, int] = {}
    for i in range(len(walk.files)):
        key = os.path.splitext(walk.files.relative(i))[0]
        if numbers.setdefault(key, i) != i:
            file, other = walk.files[i], walk.files[numbers[key]]
            raise UsageError(
                f"{walk.name}: {printable(str(other))} and {printable(file.name)} "
                "differ in the suffix only; remove one of them"
            )
    return numbers


def _check_halves(
    name: str, path: Path, known: Iterable[tuple[Path, Header | None]]
) -> None:
    """Raises UsageError unless every picture is twice as wide as high."""
    for file, one in known:
        if one is None or one.size[1] == 2 * one.size[0]:
            continue
        height, width = one.size
        shown = printable(str(file))
        # The user may have named A itself.
        whole = path.absolute()
        if whole.name.upper() in ("A", "B") and _has_sides(name, whole.parent):
            raise UsageError(
                f"{name} is one side of the pairs: did you mean "
                f"pairs:{printable(str(whole.parent))}?"
            )
        odd = ", an odd width, which has no halves" if width % 2 else ""
        raise UsageError(
            f"{name}: {shown} is {height}x{width}{odd}, not two pictures side by side "
            f"({height}x{2 * height}); {LAYOUT}"
        )


def _check_sizes(name: str, source: Pictures, target: Pictures, frame: Frame) -> None:
    """Raises UsageError unless the frame shows the same part of both of each pair.

    Without a frame, sources may be smaller than their targets, as for
    super-resolution.
    """
    smaller = False
    for i, (one, other) in enumerate(zip(source.headers, target.headers, strict=True)):
        if one is None or other is None or one.size == other.size:
            continue
        smaller |= max(one.size) < max(other.size)
        if problem := mismatch(one.size, other.size, frame):
            (high, wide), (other_high, other_wide) = one.size, other.size
            raise UsageError(
                f"{name}: {printable(str(source.files[i]))} is {high}x{wide} and its "
                f"partner {printable(str(target.files[i]))} {other_high}x{other_wide}; "
                f"{problem}"
            )
    if smaller and frame.size:
        LOG.warning(
            "%s: sources are smaller than their targets, and --image_size makes both "
            "%dx%d; leave it out to train super-resolution",
            *(printable(name), *frame.size),
        )

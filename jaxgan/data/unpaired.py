"""Unpaired images of two domains: `unpaired:PATH_A,PATH_B`."""

import os
import re
from pathlib import Path

import numpy as np

from jaxgan.data import folder_index
from jaxgan.data.dataset import Dataset, Examples
from jaxgan.data.listing import SPLITS, NoSuchSplit, find_root
from jaxgan.data.pairs import joined
from jaxgan.data.pictures import Reading, examine
from jaxgan.data.shuffle import epoch_order
from jaxgan.errors import UsageError, printable
from jaxgan.types import ExampleSpec, image_example

SEED = 2**63
"""No run has it, so the order of partners is independent of every run's."""


def split_paths(name: str, text: str) -> tuple[str, str]:
    r"""Splits two paths at their comma. A comma within a path is written `\,`.

    Args:
      name: the name of the data set, for errors.
      text: the paths.

    Raises:
      UsageError: unless there are two paths.

    >>> split_paths("unpaired:a,b", "a,b"), split_paths("unpaired", r"a\,b,c")
    (('a', 'b'), ('a,b', 'c'))
    """
    paths = [x.replace(r"\,", ",") for x in re.split(r"(?<!\\),", text)]
    if len(paths) != 2 or not all(paths):
        count = len(list(filter(None, paths)))
        raise UsageError(
            f"--dataset={printable(name)} names {count} path{'s' * (count != 1)}; "
            r"write it like unpaired:photos,paintings, with a comma in a path as \,"
        )
    return paths[0], paths[1]


def unpaired(
    name: str, first: Path, second: Path, reading: Reading, *, split: str = "train"
) -> Dataset:
    """Loads images of two domains that do not belong together.

    Each path is a folder of images, with any sub-folders, or one whose sub-folders are
    splits such as `train` and `test`. The splits of `trainA` and `trainB` may also be
    the folders `testA` and `testB` beside them (Zhu et al., ICCV 2017).

    Args:
      name: the name of the data set, `unpaired:PATH_A,PATH_B`.
      first: the folder of domain A, the field `source`.
      second: the folder of domain B, the field `image`.
      reading: the frame, and the treatment of transparency and of damage.
      split: the name of a sub-folder of both, or `train` of those without splits.

    Raises:
      UsageError: if a domain has fewer than two images, if one folder is inside the
        other, if sizes differ, or if files cannot be read.
    """
    # Unlike Path.resolve, realpath accepts links to themselves.
    here, there = (Path(os.path.realpath(path)) for path in (first, second))
    if here.is_relative_to(there) or there.is_relative_to(here):
        raise UsageError(
            f"{printable(name)}: one path is the other, or inside it; use the folders "
            "of two domains"
        )
    source, image = (_domain(path, reading, split) for path in (first, second))
    (high, wide, _), (other_high, other_wide, _) = source.shape, image.shape
    if (high, wide) != (other_high, other_wide):
        raise UsageError(
            f"{name}: pictures in {printable(str(first))} are {high}x{wide} and those "
            f"in {printable(str(second))} {other_high}x{other_wide}; resize both with "
            "--image_size=64x64"
        )
    return combine(name, image, source)


def _domain(path: Path, reading: Reading, split: str) -> Dataset:
    """Loads the images of one domain, without labels."""
    shown = f"unpaired:{printable(str(path))}"
    root = _find_root(shown, path, split)
    walk = folder_index.walk_below(shown, root)
    files = walk.files
    if len(files) < 2:
        raise UsageError(
            f"{shown}: a domain needs at least 2 pictures, and {printable(str(root))} "
            "holds 1; add more, or crop it into several"
        )
    headers = folder_index.read_headers(walk, reading)
    pictures = examine(shown, files, headers, reading)
    return Dataset(
        shown,
        len(files),
        image_example(pictures.field.shape, pictures.field.dtype),
        lambda numbers: {"image": pictures.read(numbers)[:, 0]},
        origin=f"{len(files):,} pictures in {printable(str(root))}",
        encoded=pictures.encoded,
    )


def _find_root(name: str, path: Path, split: str) -> Path:
    """Returns the folder of a split, which may stand beside `trainA` as `testA`."""
    try:
        return find_root(name, path, split)[0]
    except NoSuchSplit:
        # The layout of CycleGAN's data sets.
        if match := re.fullmatch(r"train([_-]?[AB])", path.name, re.IGNORECASE):
            for alias in next((row for row in SPLITS if split in row), ()):
                beside = path.with_name(alias + match[1])
                if beside.is_dir():
                    return beside
        raise


def combine(name: str, image: Dataset, source: Dataset) -> Dataset:
    """Returns the data set that combines images of two sets at will.

    It is as large as the larger set. Images of the smaller one, or of `source`, are in
    a fixed pseudo-random order, and repeat in other combinations.

    Args:
      name: the name of the data set.
      image: the set that provides the field `image`.
      source: the set whose field `image` becomes `source`.
    """
    size = max(image.size, source.size)
    order = _partners(min(image.size, source.size), size)

    def numbers_of(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        partners = order[numbers]
        return (numbers, partners) if image.size == size else (partners, numbers)

    def read(numbers: np.ndarray) -> Examples:
        mine, others = numbers_of(numbers)
        return {
            "image": image.read(mine)["image"],
            "source": source.read(others)["image"],
        }

    def encoded(numbers: np.ndarray) -> list[bytes]:
        mine, others = numbers_of(numbers)
        return joined(_stored(image, mine), _stored(source, others))

    return Dataset(
        name,
        size,
        ExampleSpec(image=image.example["image"], source=source.example["image"]),
        read,
        origin=f"{image.origin}, and as source {source.origin}",
        encoded=encoded,
        aligned=False,
        domains=(image, source),
    )


def _stored(domain: Dataset, numbers: np.ndarray) -> list[bytes]:
    """Returns the stored bytes of images, or their pixels if there are none."""
    if domain.encoded is not None:
        return domain.encoded(numbers)
    return [np.ascontiguousarray(x).tobytes() for x in domain.read(numbers)["image"]]


def _partners(small: int, size: int) -> np.ndarray:
    """Returns the number below `small` that belongs to each of `size` examples.

    Every `small` consecutive examples have all numbers. Example i < `small` does not
    have the number i, unless `small` is 1.

    >>> _partners(3, 7)
    array([2, 0, 1, 1, 2, 0, 0])
    """
    # A random cycle through all numbers, and the place of each number in it.
    cycle = epoch_order(SEED, 1, small).astype(np.int64)
    place = np.argsort(cycle)
    examples = np.arange(size)
    # Each pass takes the number that is one place further in the cycle.
    passes = 1 + examples // small
    return cycle[(place[examples % small] + passes) % small]

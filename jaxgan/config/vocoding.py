"""The flag `--vocoder` of `python -m jaxgan.sample`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxgan import storage
from jaxgan.config.flags import Parser
from jaxgan.errors import UsageError


def add_vocoder(parser: Parser) -> None:
    """Adds the flag."""
    parser.add_argument(
        "--vocoder",
        help="folder of a run of --preset=vocoder, which inverts spectrograms in place "
        "of Griffin-Lim; its settings must be those of the spectrograms",
    )


def vocoder_folder(text: str | Path | None, others: Mapping[str, Any]) -> Path | None:
    """Returns the folder of a vocoder, None without one.

    Args:
      text: of the flag.
      others: whether other flags are given that it does not work with, by name.

    Raises:
      UsageError: for an impossible path, or if one of the others is given.
    """
    if text is None:
        return None
    for name, is_given in others.items():
        if is_given:
            raise UsageError(f"--vocoder does not work with {name}: leave one out")
    if not str(text):
        raise UsageError(
            "--vocoder is empty: name the folder of a run, or leave it out"
        )
    return storage.run_folder("--vocoder", text)

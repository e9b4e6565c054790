"""The arguments with which a user requests a data set."""

from pathlib import Path
from typing import NamedTuple

from jaxgan.data.audio import Listening
from jaxgan.data.pictures import Reading
from jaxgan.data.resize import Frame
from jaxgan.data.roles import Choice
from jaxgan.data.text_set import TextReading
from jaxgan.data.unpaired import split_paths
from jaxgan.files import local_path


class Request(NamedTuple):
    """The arguments with which a user requests a data set."""

    name: str
    """`mnist`, `folder:PATH`, ..."""
    split: str
    data_dir: str | None
    """The folder of TFDS, None for its default."""
    frame: Frame
    image_field: str = ""
    label_field: str = ""
    alpha: str = "auto"
    skip_bad: bool = False
    listening: Listening = Listening()
    """The way in which sound files are read."""
    text: TextReading = TextReading()

    @property
    def choice(self) -> Choice:
        """The split, and the requested arrays or features."""
        return Choice(self.split, self.image_field, self.label_field)

    @property
    def reading(self) -> Reading:
        """The way in which picture files are read."""
        return Reading(self.frame, self.alpha, self.skip_bad)

    @property
    def path(self) -> Path:
        """The path after the prefix, with `~` expanded.

        Raises:
          UsageError: for URLs and invalid paths.
        """
        return paths_of(self.name)[0]


def paths_of(name: str) -> tuple[Path, ...]:
    """Returns the paths that the name of a data set has, with `~` expanded.

    Raises:
      UsageError: for URLs, invalid paths, or another number of paths.
    """
    kind, _, text = name.partition(":")
    texts = split_paths(name, text) if kind == "unpaired" else (text,)
    return tuple(local_path("--dataset", x, prefix=f"{kind}:") for x in texts)

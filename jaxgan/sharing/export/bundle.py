"""The run, its checkpoint and the weights that an export writes."""

import functools
from typing import NamedTuple

from jaxgan.evaluation.load_run import Run
from jaxgan.sharing.export.generator import Generator, generator_of
from jaxgan.types import Players, Tree


class _Fields(NamedTuple):
    run: Run
    step: int
    """Of the checkpoint."""
    variables: Players[Tree]
    """NumPy arrays. The generator's are the moving average, unless `raw`."""
    raw: bool
    parts: frozenset[str] = frozenset()
    """Parts to write beside the generator: `discriminator`, `training_state`."""
    license: str = "unknown"
    """Of the weights, as the Hugging Face hub names licenses."""


class Bundle(_Fields):
    """Files of an export."""

    @functools.cached_property
    def generator(self) -> Generator:
        """The generator as a function of arrays, if it is one."""
        return generator_of(self.run)

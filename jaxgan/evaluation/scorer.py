"""A trained run as a function from images to the parts of their anomaly scores."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import data
from jaxgan.data.kinds import as_8_bit
from jaxgan.errors import TrainingError, UsageError
from jaxgan.evaluation.load_run import Run
from jaxgan.evaluation.previews import AT_ONCE
from jaxgan.experiment.digests import crc32
from jaxgan.gan import objective
from jaxgan.gan.judging import in_whole_groups
from jaxgan.gan.objective import example_keys
from jaxgan.types import AnomalyParts, Players, Tree


class Scored(NamedTuple):
    """The parts of the scores of some images, before they are weighted."""

    parts: dict[str, np.ndarray]
    """Distances `[n]` float64 by name: `pixels`, `features` and others."""
    pixels: np.ndarray
    """The distance of each pixel, `[n, H, W]` float64; its sums are `pixels`."""
    reconstruction: np.ndarray
    """`[n, H, W, C]` uint8."""


class Scorer:
    """Scores images by the networks of a run, in batches of one compiled shape.

    Args:
      run: the run.

    Raises:
      UsageError: if its task does not score images.
    """

    def __init__(self, run: Run) -> None:
        if run.gan.task.score is None:
            raise UsageError(
                f"--workdir={run.folder}: --task={run.config.task} finds no anomalies; "
                f"{_other_use(run)}, or train with --preset=alice"
            )
        self.run = run
        self.step = 0
        self._variables: Players[Tree] = Players(None, None)
        self._compiled = jax.jit(self._score)

    def restore(self, which: Any = "last", *, raw: bool = False) -> None:
        """Reads the variables of both networks, see `Run.restore_players`."""
        self.step, variables = self.run.restore_players(which, raw=raw)
        self.use(variables)

    def use(self, variables: Players[Tree]) -> None:
        """Scores with these variables of both networks."""
        self._variables = jax.device_put(variables)

    def digest(self) -> str:
        """Returns a digest of the variables."""
        leaves = jax.tree.leaves(jax.device_get(self._variables))
        return f"{crc32(np.array([crc32(x) for x in leaves], np.uint32)):08x}"

    def __call__(self, images: np.ndarray) -> Scored:
        """Returns the parts of images `[n, *shape]`, raw or in [-1, 1]."""
        return joined(list(self.batches(len(images), lambda numbers: images[numbers])))

    def batches(
        self, count: int, read: Callable[[np.ndarray], np.ndarray]
    ) -> Iterator[Scored]:
        """Yields the parts of numbered images, some at a time.

        Args:
          count: number of images.
          read: maps numbers `[n]` to images `[n, *shape]`, raw or in [-1, 1].

        Raises:
          TrainingError: if parts are not finite.
        """
        for first in range(0, count, AT_ONCE):
            numbers = np.arange(first, min(first + AT_ONCE, count))
            images = np.asarray(read(numbers))
            # Every batch has the same shape: the last image is repeated.
            short = AT_ONCE - len(images)
            padded = np.concatenate([images, images[-1:].repeat(short, 0)])
            found = jax.device_get(self._compiled(self._variables, padded))
            yield _scored(jax.tree.map(lambda x: x[: len(numbers)], found))  # noqa: B023

    def _score(self, variables: Players[Tree], images: jax.Array) -> AnomalyParts:
        """Returns the parts of a batch."""
        field, task = self.run.example.generated, self.run.gan.task
        # One key for all: a score depends on its image alone.
        keys = jnp.broadcast_to(example_keys(jax.random.key(0), 1), (len(images),))
        inputs = data.normalize({field: images}, _only(self.run.example, field))
        generator, critic = (
            objective.bind(net, own, keys)[0]
            for net, own in zip(self.run.gan.networks, variables, strict=True)
        )
        assert task.score is not None  # checked before
        return task.score(generator, in_whole_groups(critic), inputs, keys)


def joined(scored: list[Scored]) -> Scored:
    """Returns the parts of several batches as one."""
    # Not by a map of trees, which would sort the names.
    names = scored[0].parts
    return Scored(
        {name: np.concatenate([x.parts[name] for x in scored]) for name in names},
        np.concatenate([x.pixels for x in scored]),
        np.concatenate([x.reconstruction for x in scored]),
    )


def _only(example: Any, field: str) -> Any:
    return type(example)({field: example[field]})


def _scored(found: AnomalyParts) -> Scored:
    """Returns the parts on the host; raises TrainingError if they are not finite."""
    pixels = np.asarray(found.pixels, np.float64)
    sums = pixels.reshape(len(pixels), -1).sum(-1)
    parts = {"pixels": sums, "features": found.features, **found.more}
    parts = {name: np.asarray(x, np.float64) for name, x in parts.items()}
    if not all(np.isfinite(x).all() for x in parts.values()):
        raise TrainingError(
            "the scores are not finite: use an earlier checkpoint, such as "
            "--checkpoint=best"
        )
    return Scored(parts, pixels, as_8_bit(np.asarray(found.reconstruction)))


def _other_use(run: Run) -> str:
    """Returns the program that fits a run, in a few words."""
    if run.gan.task.transform is not None:
        return "map pictures with python -m jaxgan.apply"
    return "draw samples with python -m jaxgan.sample"

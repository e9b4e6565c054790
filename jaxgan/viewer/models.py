"""Opens runs for sampling: their latents, principal directions and pictures."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.errors import UsageError
from jaxgan.evaluation.latent_directions import principal_directions
from jaxgan.evaluation.latent_space import MOST_FEATURES, LatentSpace, Z
from jaxgan.evaluation.load_run import Run, load_run
from jaxgan.evaluation.sample_inputs import attributes_in_turn
from jaxgan.evaluation.spectrogram_pictures import as_images, has_pictures
from jaxgan.experiment import checkpoint, memory
from jaxgan.gan import objective
from jaxgan.gan.gan import example_batch
from jaxgan.networks.conditions import condition_field
from jaxgan.reporting import picture
from jaxgan.types import Players, Tree
from jaxgan.viewer.catalogue import Listed

MOST_COMBINATIONS = 64
"""Largest number of combinations of attributes to choose from."""

SHOWN = 16
"""Samples of a picture."""


@dataclasses.dataclass(frozen=True, eq=False)
class Opened:
    """A run whose newest checkpoint has been read."""

    name: str
    run: Run
    step: int
    players: Players[Tree]

    @functools.cached_property
    def explorer(self) -> "Explorer":
        """Draws samples from latents."""
        return Explorer(self)


def newest_step(listed: Listed) -> int:
    """Returns the step of the newest checkpoint, -1 if there is none."""
    folder = listed.path("checkpoints")
    if folder is None:
        return -1
    return max(checkpoint.available(folder), default=-1)


@functools.lru_cache(maxsize=3)
def open_run(listed: Listed, step: int, imports: str = "") -> Opened:
    """Opens a run and reads the checkpoint of a step.

    Args:
      listed: the run.
      step: of the checkpoint.
      imports: modules that the user allows it to import, separated by commas.

    Raises:
      UsageError: if the run cannot be opened, or imports other modules.
    """
    if step < 0:
        raise UsageError(f"{listed.name} has no checkpoint yet")
    modules = str(listed.config().get("import_") or "")
    # Nothing that only a file names is run.
    if modules and not set(modules.split(",")) <= set(imports.split(",")):
        raise UsageError(
            f"{listed.name} imports {modules}: if you trust it, restart the viewer "
            f"with --import={modules}"
        )
    run = load_run(listed.folder)
    shapes = run.part(raw=True) | run.part()
    memory.check_sampling(shapes, SHOWN, run.example.shape)
    found, players = run.restore_players(step)
    return Opened(listed.name, run, found, players)


def conditions_of(run: Run) -> tuple[tuple[str, ...], jax.Array]:
    """Returns the conditions to choose from: names, and labels or attributes by number.

    Those of attributes are their different combinations in real examples.
    """
    inputs = run.gan.task.inputs
    if "label" in inputs:
        classes = run.example.classes
        return classes, jnp.arange(len(classes), dtype=jnp.int32)
    if "attributes" not in inputs:
        return (), jnp.zeros(0)
    rows = np.unique(attributes_in_turn(run), axis=0)[::-1][:MOST_COMBINATIONS]
    names = run.example["attributes"].names
    shown = [", ".join(names[i] for i in np.flatnonzero(row)) for row in rows]
    return tuple(x or "no attribute" for x in shown), jnp.asarray(rows)


class Explorer:
    """Draws samples of a run from given latents.

    Args:
      opened: the run.

    Raises:
      UsageError: if its samples do not come from a latent.
    """

    def __init__(self, opened: Opened) -> None:
        run = opened.run
        self.run, self.step = run, opened.step
        self.space = LatentSpace(run, opened.players.generator)
        self.variables, self.dim = self.space.variables, self.space.dim
        self.classes, self._conditions = conditions_of(run)
        self._field = self.space.field

    def latents(self, seeds: list[int]) -> np.ndarray:
        """Returns one latent per seed, `[n, dim]`: the first of `sample --seed`."""
        return np.stack([self._latent(seed) for seed in seeds])

    @functools.lru_cache(maxsize=4_096)  # noqa: B019 - explorers are few
    def _latent(self, seed: int) -> np.ndarray:
        return self.space.latents(self.space.keys(seed, 1), self._batch(1, 0))[0]

    @functools.cached_property
    def _truncated(self) -> Any:
        """A compiled function of (variables, batch, keys, truncation, mean)."""

        def draw(variables, batch, keys, truncation, mean):
            # Towards the mean output, as latents themselves may be normalized.
            def towards_mean(x):
                return mean + truncation * (x - mean)

            with self.space.at_features(towards_mean):
                return self.space.generate(variables, batch, keys)

        return jax.jit(draw)

    def _batch(self, count: int, label: int) -> dict[str, jax.Array]:
        batch = dict(example_batch(self.run.example, count))
        if self.classes:
            field = condition_field(self.run.example) or ""
            batch[field] = jnp.repeat(self._conditions[label][None], count, 0)
        return batch

    def images(
        self, z: np.ndarray, label: int = 0, truncation: float = 1.0
    ) -> np.ndarray:
        """Draws samples: `[n, ...]`, as the data are normalized.

        Args:
          z: `[n, dim]`; n is one of few, as each is compiled.
          label: of all of them, if the run has labels.
          truncation: factor of the first layer's output around its mean. At 0 all
            samples of a label are equal.
        """
        batch = {**self._batch(len(z), label), Z: jnp.float32(z)}
        # Noise of layers is the same at every move.
        keys = objective.example_keys(jax.random.key(1), len(z))
        factor, mean = jnp.float32(truncation), self._learned[0]
        return np.asarray(self._truncated(self.variables, batch, keys, factor, mean))

    def picture(
        self, z: np.ndarray, label: int = 0, truncation: float = 1.0
    ) -> tuple[np.ndarray, Any]:
        """Draws samples in one picture: (pixels uint8, their layout or None)."""
        samples = self.images(z, label, truncation)
        if self._field.kind == "waveform" and has_pictures(self._field):
            samples = as_images(samples, self._field)
        made = picture(samples)
        return made.pixels, made.layout

    @property
    def directions(self) -> np.ndarray:
        """Principal directions, `[k, dim]`, computed when first used.

        Each has the length of one standard deviation of its component.
        """
        return self._learned[1]

    @functools.cached_property
    def _learned(self) -> tuple[jax.Array, np.ndarray]:
        """The mean output of the first layer, or of w, and principal directions."""
        z, features = self.space.learn(self._batch(1, 0))
        flat = features.reshape(len(z), -1)[:, :MOST_FEATURES]
        # A generator without layers is truncated in its latents, around 0.
        has_layers = features.shape != z.shape or bool((features != z).any())
        mean = jnp.asarray(features.mean(0) if has_layers else np.zeros_like(z[0]))
        return mean, principal_directions(z, flat).ways

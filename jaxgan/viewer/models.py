"""Opens runs for sampling: their latents, principal directions and pictures."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.errors import UsageError
from jaxgan.evaluation.load_run import Run, load_run
from jaxgan.evaluation.sample_inputs import CONDITIONS, attributes_in_turn
from jaxgan.evaluation.spectrogram_pictures import as_images, has_pictures
from jaxgan.experiment import checkpoint, memory
from jaxgan.gan import objective
from jaxgan.gan.gan import example_batch
from jaxgan.networks.conditions import condition_field
from jaxgan.parallel import multi_seed
from jaxgan.reporting import picture
from jaxgan.types import Players, Tree
from jaxgan.viewer.catalogue import Listed
from jaxgan.viewer.directions import principal_directions

MOST_COMBINATIONS = 64
"""Largest number of combinations of attributes to choose from."""

SHOWN = 16
"""Samples of a picture."""

LEARNED = 1_024
"""Latents from which directions are computed."""

MOST_FEATURES = 16_384
"""Maximum number of outputs of the first layer that are used."""


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
        self.variables = jax.device_put(opened.players.generator)
        self.classes, self._conditions = conditions_of(run)
        others = set(run.gan.task.inputs) - set(CONDITIONS)
        if others or run.gan.task.transform is not None:
            raise UsageError(
                f"{opened.name} maps inputs of yours, and has no latents to explore: "
                "use python -m jaxgan.apply"
            )
        self._field = run.example[run.example.generated]
        if self._field.kind == "tokens":
            raise UsageError(f"{opened.name} makes texts: use python -m jaxgan.sample")
        self.dim = self._find_dim(opened.name)

    def _find_dim(self, name: str) -> int:
        """Returns the number of entries of a latent, without computing anything."""
        keys = objective.example_keys(jax.random.key(0), 1)
        batch, found = example_batch(self.run.example, 1), []

        def note(inputs):
            found.append(inputs)
            return inputs

        jax.eval_shape(
            lambda *args: self.run.gan.generate(*args, note),
            *(self.variables, batch, keys),
        )
        if len(found) != 1 or getattr(found[0], "ndim", 0) != 2:
            raise UsageError(f"{name} does not start from one latent vector")
        return found[0].shape[1]

    def _generate(
        self,
        variables: Tree,
        batch: Tree,
        z: jax.Array,
        change: Callable[[jax.Array], jax.Array],
    ) -> Tree:
        """Draws samples, with a function of the first layer's output."""
        # Noise of layers is the same at every move.
        keys = objective.example_keys(jax.random.key(1), len(z))
        with nn.intercept_methods(_first_call(change)):
            drawn = self.run.gan.generate(variables, batch, keys, lambda _: z)
        return drawn[self.run.example.generated] if isinstance(drawn, dict) else drawn

    def latents(self, seeds: list[int]) -> np.ndarray:
        """Returns one latent per seed, `[n, dim]`: the first of `sample --seed`."""
        return np.stack([self._latent(seed) for seed in seeds])

    @functools.lru_cache(maxsize=4_096)  # noqa: B019 - explorers are few
    def _latent(self, seed: int) -> np.ndarray:
        keys = objective.example_keys(multi_seed.key_of(seed), 1)
        return np.asarray(self._sample_latents(keys))[0]

    @functools.cached_property
    def _sample_latents(self) -> Any:
        """A compiled function from keys `[n]` to the latents that a task draws."""

        def draw(keys):
            found, batch = [], self._batch(len(keys), 0)

            def note(z):
                found.append(z)
                return z

            self.run.gan.generate(self.variables, batch, keys, note)
            return found[0]  # the rest of the generator is not compiled

        return jax.jit(draw)

    @functools.cached_property
    def _truncated(self) -> Any:
        """A compiled function of (variables, batch, z, truncation, mean)."""

        def draw(variables, batch, z, truncation, mean):
            # Towards the mean output, as latents themselves may be normalized.
            return self._generate(
                variables, batch, z, lambda x: mean + truncation * (x - mean)
            )

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
        arrays = jnp.float32(z), jnp.float32(truncation), self._learned[0]
        return np.asarray(
            self._truncated(self.variables, self._batch(len(z), label), *arrays)
        )

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
        """The mean output of the first layer, and the principal directions."""
        keys = objective.example_keys(jax.random.key(2), LEARNED)
        z = np.asarray(self._sample_latents(keys))

        @jax.jit
        def first_layer(variables, batch, z):
            outputs: list[jax.Array] = []

            def record(x):
                outputs.append(x)
                return x

            self._generate(variables, batch, z, record)
            # A generator without layers is truncated in its latents, around 0.
            return outputs[0] if outputs else jnp.zeros_like(z)

        batch = self._batch(LEARNED, 0)
        outputs = first_layer(self.variables, batch, jnp.float32(z))
        features = np.asarray(outputs, np.float32).reshape(LEARNED, -1)
        ways = principal_directions(z, features[:, :MOST_FEATURES])
        return outputs.mean(0), ways


def _first_call(change: Callable[[jax.Array], jax.Array]) -> Any:
    """Returns an interceptor that changes the output of a generator's first layer.

    That is the innermost module whose call ends first, of those with vectors as input:
    embeddings of labels have integers.
    """
    done: list[bool] = []

    def intercept(call, args, kwargs, context):
        made = call(*args, **kwargs)
        is_vector = bool(args) and getattr(args[0], "ndim", 0) == 2
        if done or context.method_name != "__call__" or not is_vector:
            return made
        if not isinstance(made, jax.Array):
            return made
        done.append(True)
        return change(made)

    return intercept

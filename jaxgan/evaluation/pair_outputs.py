"""Draws the outputs of an image-to-image run, with the columns that they belong to."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import data
from jaxgan.data.kinds import as_8_bit
from jaxgan.errors import UsageError
from jaxgan.evaluation.extraction import images_at_once
from jaxgan.evaluation.load_run import Run
from jaxgan.evaluation.previews import AT_ONCE, generate_in_batches
from jaxgan.gan.gan import example_batch
from jaxgan.gan.objective import example_keys
from jaxgan.metrics.pair_evaluators import columns_of
from jaxgan.metrics.pairs import Pairs
from jaxgan.parallel import multi_seed
from jaxgan.types import Samples, Tree

TARGETS = 1_000
"""Training targets that baselines may read, at most."""


class Outputs:
    """The columns of a run's task for held-out examples: source, fake and others.

    Args:
      run: the run.
      held_out: the examples to draw from.
      aligned: True if the examples have targets.

    Raises:
      UsageError: if the task has no columns `source` and `fake` of images.
    """

    def __init__(self, run: Run, held_out: data.Dataset, *, aligned: bool) -> None:
        self._run, self._held_out, self._aligned = run, held_out, aligned
        self._play = jax.jit(run.gan.play)
        self._shapes = self._abstract()

    def has(self, name: str) -> bool:
        """Returns True if there is a column of a name of `Pairs`."""
        return name in self._shapes

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an output, `(H, W, C)`."""
        return self._shapes["fake"]

    @property
    def source_shape(self) -> tuple[int, ...]:
        """The shape of an input, `(h, w, c)`."""
        return self._shapes["source"]

    @property
    def aligned(self) -> bool:
        """True if each input has a target."""
        return self._aligned

    def targets(self, train: data.Dataset) -> np.ndarray:
        """Reads some images of the domain of outputs from training examples.

        Args:
          train: the training examples.

        Returns:
          `[k, H, W, C]` uint8.
        """
        numbers = np.sort(data.epoch_order(0, 0, train.size)[:TARGETS])
        examples = data.normalize(train.read(numbers), train.example)
        return as_8_bit(np.asarray(examples[train.example.generated]))

    def draw(self, variables: Tree, seed: int, numbers: np.ndarray) -> Iterator[Pairs]:
        """Draws one output for each example, some at a time.

        An output depends on the seed and the place of its example only.

        Args:
          variables: the generator's.
          seed: of noise, such as that of dropout or of masks.
          numbers: of the held-out examples, `[n]`.

        Raises:
          UsageError: if outputs are not finite.
        """
        key, step = multi_seed.key_of(seed), images_at_once(self.shape)
        for first in range(0, len(numbers), step):
            part = numbers[first : first + step]
            example = self._held_out.example
            batch = data.normalize(self._held_out.read(part), example)
            keys = example_keys(key, len(part), first)
            at_once = min(AT_ONCE, step)
            samples = generate_in_batches(self._play, variables, batch, keys, at_once)
            yield self._pairs(samples, batch)

    def _pairs(self, samples: Samples, batch: dict[str, Any]) -> Pairs:
        """Returns the columns of samples."""
        task = self._run.gan.task
        if not np.isfinite(np.asarray(task.preview(samples)["fake"])).all():
            raise UsageError(
                "the outputs have NaN or infinity: use an earlier --checkpoint"
            )
        columns = columns_of(task, samples, batch.get("target"))
        # Where the images of an example do not belong together, there is no truth.
        if not self._aligned:
            columns.pop("real", None)
        back = cycle_of(samples, columns["source"].shape)
        if back is not None:
            columns["cycle"] = as_8_bit(np.asarray(back))
        asked = {k: np.asarray(x) for k, x in conditions_of(samples).items()}
        for name in asked.keys() - {"domain"}:
            asked[name] = asked[name] > 0.5
        return Pairs(**columns, **asked)

    def _abstract(self) -> dict[str, tuple[int, ...]]:
        """Returns the shapes of the columns of one example."""
        gan, example = self._run.gan, self._run.example

        def columns(key):
            batch = example_batch(example, 1)
            samples = gan.play(_generator(gan, key), batch, jax.random.split(key, 1))
            shown = dict(gan.task.preview(samples))
            if "target" in batch:
                shown["real"] = batch["target"]
            if "source" in shown:
                shown["cycle"] = cycle_of(samples, shown["source"].shape)
            shown = {k: x for k, x in shown.items() if x is not None}
            return shown, conditions_of(samples)

        shapes, conditions = jax.eval_shape(columns, jax.random.key(0))
        found = {name: x.shape[1:] for name, x in shapes.items() if x.ndim == 4}
        found |= {name: x.shape[1:] for name, x in conditions.items()}
        if not self._aligned:
            found.pop("real", None)
        if "source" not in found or "fake" not in found:
            raise UsageError(
                f"--task={self._run.config.task} has the columns "
                f"{', '.join(shapes)}: evaluation needs images source and fake"
            )
        return found


def _generator(gan: Any, key: jax.Array) -> Tree:
    """Returns new variables of the generator, to trace with."""
    return gan.init(key).ema


def conditions_of(samples: Samples) -> dict[str, Any]:
    """Returns the attributes `[n, k]` asked for and own, or the `domain` asked for.

    Args:
      samples: of a task, whose condition has `target`, and `attributes` or `label`, if
        it changes one of them.

    >>> conditions_of(Samples(0, 0, condition={"target": 1, "attributes": 2}))
    {'asked': 1, 'own': 2}
    >>> conditions_of(Samples(0, 0, condition={"target": 1, "label": 2}))
    {'domain': 1}
    >>> conditions_of(Samples(0, 0, condition={"label": 2}))
    {}
    """
    condition = samples.condition
    if not isinstance(condition, dict) or "target" not in condition:
        return {}
    if "attributes" in condition:
        return {"asked": condition["target"], "own": condition["attributes"]}
    return {"domain": condition["target"]} if "label" in condition else {}


def cycle_of(samples: Samples, shape: tuple[int, ...]) -> Any:
    """Returns the sources after a cycle, None if the task has none.

    Args:
      samples: of an image-to-image task.
      shape: `[n, h, w, c]` of the sources.

    >>> images = np.zeros((2, 8, 8, 3))
    >>> both = {"image": images, "source": images + 1}
    >>> float(cycle_of(Samples(both, both, reconstruction=both), images.shape).max())
    1.0
    >>> cycle_of(Samples(images, images), images.shape) is None
    True
    """
    back = samples.reconstruction
    if isinstance(back, dict):
        back = back.get("source")
    fits = back is not None and jnp.shape(back) == tuple(shape)
    return back if fits else None

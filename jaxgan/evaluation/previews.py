"""Previews during training: pictures of samples, and their distance from the data."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import data, reporting
from jaxgan.gan.builder import GAN
from jaxgan.gan.objective import example_keys
from jaxgan.metrics import sliced_wasserstein
from jaxgan.parallel import multi_seed
from jaxgan.ranges import ceil_div
from jaxgan.types import Batch, Tree

AT_ONCE = 128
"""Samples per compiled call."""


class Previews:
    """Draws samples of fixed latents, and scores samples against fixed examples.

    Args:
      gan: the GAN.
      dataset: the training examples.
      key: a PRNG key.
      samples: number of samples in a picture.
      score_samples: number of samples, and of examples, in the distance.
      seed: selects the examples.
      runs: number of runs. If there are several, variables have a leading axis of runs.
    """

    def __init__(
        self,
        gan: GAN,
        dataset: data.Dataset,
        key: jax.Array,
        *,
        samples: int,
        score_samples: int,
        seed: int,
        runs: int = 1,
    ) -> None:
        self._runs, self._samples = runs, samples
        self._generate, self._task = jax.jit(gan.generate), gan.task
        self._play = jax.jit(gan.play)
        self._generated = dataset.example.generated
        self._distance = jax.jit(sliced_wasserstein.distance)
        keys = jax.random.split(key, 3)
        self._picture_key, self._score_key, self._distance_key = keys
        self._count = min(score_samples, dataset.size)
        numbers = data.epoch_order(seed, 0, dataset.size)
        # Examples in the order of epoch 0, sorted so that they are read in sequence.
        numbers = np.sort(numbers[: max(self._count, samples)])
        self._real = data.normalize(dataset.read(numbers), dataset.example)

    def picture(self, variables: Tree) -> reporting.Picture:
        """Returns a picture of samples, with equally many of each run."""
        # Samples per run, rounded up.
        count = ceil_div(self._samples, self._runs)
        keys = example_keys(self._picture_key, count)
        columns = [
            self._task.preview(generate_in_batches(self._play, x, self._real, keys))
            for x in self._split(variables)
        ]
        # The examples of all runs, for each column in its order.
        joined = {k: np.concatenate([x[k] for x in columns]) for k in columns[0]}
        return reporting.picture_of_columns(joined, self._real[self._generated])

    def score(self, variables: Tree) -> Any:
        """Returns the distance of samples from examples; `[runs]` for several runs."""
        scores = [self._score(x) for x in self._split(variables)]
        return np.array(scores) if self._runs > 1 else scores[0]

    def _score(self, variables: Tree) -> float:
        fake = self._draw(variables, self._score_key, self._count)
        real = self._real[self._generated][: self._count]
        return float(self._distance(real, fake, self._distance_key))

    def _draw(self, variables: Tree, key: jax.Array, n: int) -> np.ndarray:
        keys = example_keys(key, n)
        return generate_in_batches(self._generate, variables, self._real, keys)

    def _split(self, variables: Tree) -> list[Tree]:
        """Returns the variables of each run."""
        if self._runs == 1:
            return [variables]
        return [multi_seed.take_run(variables, 0, i) for i in range(self._runs)]


def generate_in_batches(
    generate: Callable,
    variables: Tree,
    batch: Batch,
    keys: jax.Array,
    at_once: int = AT_ONCE,
) -> Any:
    """Draws samples for all keys with one compiled program.

    Args:
      generate: a compiled `GAN.generate` or `GAN.play`.
      variables: the generator's.
      batch: examples to generate from, repeated if there are fewer than keys.
      keys: one per sample, `[n]`.
      at_once: number of samples per call.

    Returns:
      The samples, NumPy arrays `[n, ...]`.
    """
    n = len(keys)
    at_once = min(at_once, n)
    # All calls have the same shapes. Samples beyond the last key are dropped.
    places = np.arange(ceil_div(n, at_once) * at_once)
    samples = []
    for part in places.reshape(-1, at_once):
        # Examples and keys start over if there are too few.
        examples = {name: np.asarray(x)[part % len(x)] for name, x in batch.items()}
        played = generate(variables, examples, keys[jnp.asarray(part % n)])
        played = jax.block_until_ready(played)  # raises errors here
        samples.append(jax.tree.map(np.asarray, played))
    return jax.tree.map(lambda *x: np.concatenate(x)[:n], *samples)

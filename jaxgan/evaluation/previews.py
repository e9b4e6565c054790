"""Previews during training: pictures of samples, and their distance from the data."""

from collections.abc import Callable

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
      seeds: number of seeds in the variables of the methods.
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
        seeds: int = 1,
    ) -> None:
        self._seeds, self._samples = seeds, samples
        self._generate = jax.jit(gan.generate)
        self._distance = jax.jit(sliced_wasserstein.distance)
        keys = jax.random.split(key, 3)
        self._picture_key, self._score_key, self._distance_key = keys
        self._count = min(score_samples, dataset.size)
        numbers = data.epoch_order(seed, 0, dataset.size)
        # Examples in the order of epoch 0, sorted so that they are read in sequence.
        numbers = np.sort(numbers[: max(self._count, samples)])
        self._real = data.normalize(dataset.read(numbers))

    def picture(self, variables: Tree) -> reporting.Picture:
        """Returns a picture of samples, with equally many of each seed."""
        # Samples per seed, rounded up.
        count = ceil_div(self._samples, self._seeds)
        fake = [self._draw(x, self._picture_key, count) for x in self._split(variables)]
        return reporting.picture(np.concatenate(fake), self._real["image"])

    def score(self, variables: Tree) -> np.ndarray:
        """Returns the distance of samples from examples, `[seeds]`."""
        return np.array([self._score(x) for x in self._split(variables)])

    def _score(self, variables: Tree) -> float:
        fake = self._draw(variables, self._score_key, self._count)
        real = self._real["image"][: self._count]
        return float(self._distance(real, fake, self._distance_key))

    def _draw(self, variables: Tree, key: jax.Array, n: int) -> np.ndarray:
        keys = example_keys(key, n)
        return generate_in_batches(self._generate, variables, self._real, keys)

    def _split(self, variables: Tree) -> list[Tree]:
        """Returns the variables of each seed."""
        return multi_seed.split_seeds(variables, self._seeds)


def generate_in_batches(
    generate: Callable,
    variables: Tree,
    batch: Batch,
    keys: jax.Array,
    at_once: int = AT_ONCE,
) -> np.ndarray:
    """Draws samples for all keys with one compiled program.

    Args:
      generate: a compiled `GAN.generate`.
      variables: the generator's.
      batch: examples to generate from, repeated if there are fewer than keys.
      keys: one per sample, `[n]`.
      at_once: number of samples per call.

    Returns:
      The samples, `[n, ...]`.
    """
    n = len(keys)
    at_once = min(at_once, n)
    # All calls have the same shapes. Samples beyond the last key are dropped.
    places = np.arange(ceil_div(n, at_once) * at_once)
    samples = []
    for part in places.reshape(-1, at_once):
        # Examples and keys start over if there are too few.
        examples = {name: np.asarray(x)[part % len(x)] for name, x in batch.items()}
        fake = generate(variables, examples, keys[jnp.asarray(part % n)])
        samples.append(np.asarray(jax.block_until_ready(fake)))  # raises errors here
    return np.concatenate(samples)[:n]

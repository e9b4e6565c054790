"""Previews during training: pictures of samples."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import data, reporting
from jaxgan.gan.gan import GAN
from jaxgan.gan.objective import example_keys
from jaxgan.parallel import multi_seed
from jaxgan.ranges import ceil_div
from jaxgan.types import Tree

AT_ONCE = 128
"""Samples per compiled call."""


class Previews:
    """Draws samples of fixed latents and examples, in the columns of the task.

    Args:
      gan: the GAN.
      examples: the fixed ones, `[n, ...]` by field.
      key: a PRNG key.
      samples: number of samples in a picture.
      generated: the field that is generated; points and curves are drawn before its
        examples.
      seeds: number of seeds in the variables of `picture`.
      names: the vocabulary, if samples are texts.
    """

    def __init__(
        self,
        gan: GAN,
        examples: data.Examples,
        key: jax.Array,
        *,
        samples: int,
        generated: str = "image",
        seeds: int = 1,
        names: tuple[str, ...] = (),
    ) -> None:
        self._seeds, self._samples = seeds, samples
        self._play, self._columns = jax.jit(gan.play), gan.task.preview
        self._examples, self._key = examples, key
        self._real, self._names = examples[generated], names

    def picture(self, variables: Tree) -> reporting.Picture:
        """Returns a picture of samples, with equally many of each seed."""
        # Samples per seed, rounded up.
        count = ceil_div(self._samples, self._seeds)
        keys = example_keys(self._key, count)
        played = [
            self._columns(generate_in_batches(self._play, x, self._examples, keys))
            for x in multi_seed.split_seeds(variables, self._seeds)
        ]
        # The examples of all seeds, for each column in its order.
        columns = {k: np.concatenate([x[k] for x in played]) for k in played[0]}
        if self._names:
            texts = data.decode(columns["fake"], self._names)
            return reporting.Picture(reporting.draw_texts(texts), texts=tuple(texts))
        return reporting.picture_of_columns(columns, self._real)


def generate_in_batches(
    generate: Callable,
    variables: Tree,
    batch: Mapping[str, Any],
    keys: jax.Array,
    at_once: int = AT_ONCE,
) -> Tree:
    """Draws samples for all keys with one compiled program.

    Args:
      generate: a compiled `GAN.generate`, or another function of the same arguments.
      variables: the generator's.
      batch: examples to generate from, repeated if there are fewer than keys.
      keys: one per sample, `[n]`.
      at_once: number of samples per call.

    Returns:
      What `generate` returns for all keys: NumPy arrays `[n, ...]`.
    """
    n = len(keys)
    at_once = min(at_once, n)
    # All calls have the same shapes. Samples beyond the last key are dropped.
    places = np.arange(ceil_div(n, at_once) * at_once)
    samples = []
    for part in places.reshape(-1, at_once):
        # Examples and keys start over if there are too few.
        examples = {name: np.asarray(x)[part % len(x)] for name, x in batch.items()}
        drawn = generate(variables, examples, keys[jnp.asarray(part % n)])
        drawn = jax.block_until_ready(drawn)  # raises errors here
        samples.append(jax.tree.map(np.asarray, drawn))
    return jax.tree.map(lambda *x: np.concatenate(x)[:n], *samples)

"""Numbered samples of every class, from keys that depend on class and number only."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.evaluation.previews import AT_ONCE
from jaxgan.gan import builder
from jaxgan.gan.objective import example_keys
from jaxgan.parallel import multi_seed
from jaxgan.types import Batch, ExampleSpec, Tree


def key_of_class(seed: int, label: int | None) -> jax.Array:
    """Returns the PRNG key of the samples of a class; None for those of no class."""
    key = multi_seed.key_of(seed)
    return key if label is None else jax.random.fold_in(key, label)


def by_class(
    call: Callable[[Batch, jax.Array], Tree],
    example: ExampleSpec,
    *,
    per_class: int,
    seed: int,
) -> Iterator[tuple[int, Tree]]:
    """Calls a function for numbered samples of every class, some at a time.

    Args:
      call: maps a batch with a label and keys `[n]` to arrays `[n, ...]`.
      example: the fields of the data.
      per_class: number of samples of each class.
      seed: of the keys.

    Yields:
      A class, and what the function returns, as NumPy arrays.
    """
    at_once = min(AT_ONCE, per_class)
    batch: dict[str, Any] = dict(builder.example_batch(example, at_once))
    for label in range(len(example.classes)):
        key = key_of_class(seed, label)
        batch["label"] = jnp.full(at_once, label, jnp.int32)
        for start in range(0, per_class, at_once):
            # All calls have the same shapes; samples beyond the last one are dropped.
            found = call(batch, example_keys(key, at_once, start))
            left = per_class - start
            yield label, jax.tree.map(lambda x: np.asarray(x)[:left], found)  # noqa: B023

"""Labels and attributes as inputs of networks."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.errors import UsageError
from jaxgan.types import ExampleSpec

DROPPED = -1
"""The label of an example whose condition is hidden. Its one-hot vector is zero."""


def condition_size(example: ExampleSpec) -> int:
    """Returns the entries of a condition as a vector; 0 if examples have none.

    One per class of the label, or per attribute of examples without a label.
    """
    if example.classes:
        return len(example.classes)
    return next((x.shape[0] for x in example.values() if x.kind == "attributes"), 0)


def condition_field(example: ExampleSpec) -> str | None:
    """Returns the name of the field that is the condition; None if there is none.

    >>> condition_field(ExampleSpec()) is None
    True
    """
    if example.classes:
        return "label"
    named = (name for name, x in example.items() if x.kind == "attributes")
    return next(named, None)


def condition_vectors(condition: Any, count: int, size: int, name: str) -> jax.Array:
    """Returns conditions as vectors `[count, size]`, float32.

    Args:
      condition: labels `[count]`, which become one-hot vectors (zero for `DROPPED`), or
        attributes `[count, size]`, which stay.
      count: examples of the batch.
      size: see `condition_size`.
      name: of the network, for messages.

    Raises:
      UsageError: if there is no condition, or one of another shape.

    >>> condition_vectors(jnp.array([1, DROPPED]), 2, 3, "biggan").tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    shape = getattr(condition, "shape", None)
    if shape is None:
        raise UsageError(f"{name} needs labels or attributes: use the task conditional")
    if shape == (count,):
        return jax.nn.one_hot(condition, size)
    if shape == (count, size):
        return condition.astype(jnp.float32)
    raise UsageError(
        f"{name} needs one label, or {size} attributes, for each of {count} rows, and "
        f"conditions are {list(shape)}: use the task conditional, and no pack"
    )


def embed_condition(
    condition: Any, count: int, size: int, features: int, name: str
) -> jax.Array:
    """Returns learned embeddings of conditions, `[count, features]`.

    That of attributes is the sum over those that are present. Hidden conditions have
    zeros. Call it in a compact method: it creates a layer `nn.Embed`.

    Args:
      condition: as for `condition_vectors`.
      count: examples of the batch.
      size: see `condition_size`.
      features: entries of an embedding.
      name: of the network, for messages.

    Raises:
      UsageError: if there is no condition, or one of another shape.
    """
    vectors = condition_vectors(condition, count, size, name)
    table = nn.Embed(size, features)
    if jnp.ndim(condition) == 2:
        return vectors @ table.embedding
    # Labels are looked up, which is exact. -1 would be the last class.
    rows = table(jnp.maximum(condition, 0))
    return jnp.where(condition[:, None] == DROPPED, jnp.zeros_like(rows), rows)

"""Labels and attributes as inputs of networks."""

from typing import Any

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

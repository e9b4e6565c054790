"""Samples between the labels of a conditional run."""

from collections.abc import Iterator
from typing import Any

import flax.errors
import jax
import numpy as np

from jaxgan.errors import UsageError
from jaxgan.evaluation.latent_space import SHARE, TO, LatentSpace

Ends = tuple[np.ndarray, np.ndarray]
"""Two labels of each sample, `[n]` int32."""


def label_images(
    space: LatentSpace,
    keys: jax.Array,
    conditions: dict[str, Any],
    z: np.ndarray,
    ends: Ends,
    share: np.ndarray,
) -> np.ndarray:
    """Returns samples between two labels: of w, of vectors of labels, or of embeddings.

    Args:
      space: of the run.
      keys: of the samples, `[n]`.
      conditions: by field, `[n, ...]`.
      z: latents `[n, dim]`.
      ends: both labels of each.
      share: the part of the second label, `[n]` float32 in [0, 1].

    Raises:
      UsageError: if the generator reads labels in another way.
    """
    if space.has_styles:
        a, b = (space.styles(z, keys, {**conditions, "label": x}) for x in ends)
        w = a + share[:, None] * (b - a)
        return space.images(keys, {**conditions, "label": ends[0]}, z=z, w=w)
    second = {**conditions, "label": ends[1]}
    actual = space.images(keys[:1], _first(second), z=z[:1])
    at_end = _ways(space, conditions, ends, np.ones_like(share))
    for way, end in zip(_ways(space, conditions, ends, share), at_end, strict=True):
        try:
            found = space.images(keys[:1], _first(end), z=z[:1])
        except (TypeError, ValueError, flax.errors.FlaxError):
            continue  # the generator does not read labels in this form
        # At its end, a way has the second label itself.
        if np.allclose(found, actual, atol=1e-3):
            return space.images(keys, way, z=z)
    raise UsageError(
        "--between_labels: the generator of this run reads labels in a way that has "
        "nothing in between: use --between=3,17"
    )


def _ways(
    space: LatentSpace, conditions: dict[str, Any], ends: Ends, share: np.ndarray
) -> Iterator[dict[str, Any]]:
    """Yields conditions between labels: by vectors of labels, then by embeddings."""
    one_hot = np.eye(len(space.run.example.classes), dtype=np.float32)
    a, b = (one_hot[x] for x in ends)
    yield {**conditions, "label": a + share[:, None] * (b - a)}
    yield {**conditions, "label": ends[0], TO: ends[1], SHARE: share}


def _first(arrays: dict[str, Any]) -> dict[str, Any]:
    """Returns the first row of each array."""
    return {name: x[:1] for name, x in arrays.items()}

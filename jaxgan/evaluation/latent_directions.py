"""Principal directions of latents."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

DIRECTIONS = 6
"""Number of directions in the viewer."""


class Directions(NamedTuple):
    """Principal directions, the one with the largest variance first."""

    ways: np.ndarray
    """`[k, dim]`, each as long as one standard deviation of its component."""
    shares: np.ndarray
    """The share of each in the variance of the features, `[k]`."""


def principal_directions(
    z: np.ndarray, features: np.ndarray, count: int = DIRECTIONS
) -> Directions:
    """Returns the directions of latents along the principal components of features.

    GANSpace, https://arxiv.org/abs/2004.02546: components of the activations, and the
    latents that fit their coordinates by least squares. If the features are the latents
    themselves, these are their own components.

    Args:
      z: `[n, dim]`.
      features: of the same latents, `[n, d]`.
      count: the largest number of directions.

    Returns:
      At most `count` directions. Signs are such that the largest entry is positive.
    """
    centered = features - features.mean(0)
    # Of the two Gram matrices, the smaller one.
    if centered.shape[1] <= len(centered):
        _, vectors = np.linalg.eigh(centered.T @ centered)
        parts = centered @ vectors[:, ::-1][:, :count]
    else:
        values, vectors = np.linalg.eigh(centered @ centered.T)
        # Eigenvectors of this matrix have length 1, coordinates have that of values.
        parts = (vectors * np.sqrt(np.maximum(values, 0)))[:, ::-1][:, :count]
    scale = parts.std(0)
    parts = parts[:, scale > 1e-4 * max(scale.max(), 1e-12)]
    variance = parts.var(0)
    parts = parts / np.sqrt(variance)
    ways, *_ = np.linalg.lstsq(parts, z - z.mean(0), rcond=None)
    signs = np.sign(ways[np.arange(len(ways)), np.abs(ways).argmax(1)])
    total = max(float(centered.var(0).sum()), 1e-12)
    return Directions((ways * signs[:, None]).astype(np.float32), variance / total)


def moved(z: np.ndarray, steps: Mapping[int, float], ways: np.ndarray) -> np.ndarray:
    """Returns latents after steps along directions.

    Args:
      z: `[n, dim]`.
      steps: standard deviations by the number of the direction.
      ways: the directions, `[k, dim]`.
    """
    made = np.asarray(z)
    for number, length in steps.items():
        if length and number < len(ways):
            made = made + length * ways[number]
    return made.astype(np.float32)

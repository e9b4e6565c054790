"""Directions of latents, and points between them."""

from collections.abc import Mapping

import numpy as np

DIRECTIONS = 6
"""Number of directions."""


def principal_directions(z: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Returns the directions of latents along the principal components of features.

    GANSpace, https://arxiv.org/abs/2004.02546: components of the activations, and the
    latents that fit their coordinates by least squares.

    Args:
      z: `[n, dim]`.
      features: of the same latents, `[n, d]`.

    Returns:
      `[k, dim]`, at most DIRECTIONS, the largest component first. Signs are such that
      the largest entry is positive.
    """
    centered = features - features.mean(0)
    # Of the two Gram matrices, the smaller one.
    if centered.shape[1] <= len(centered):
        _, vectors = np.linalg.eigh(centered.T @ centered)
        parts = centered @ vectors[:, ::-1][:, :DIRECTIONS]
    else:
        values, vectors = np.linalg.eigh(centered @ centered.T)
        # Eigenvectors of this matrix have length 1, coordinates have that of values.
        parts = (vectors * np.sqrt(np.maximum(values, 0)))[:, ::-1][:, :DIRECTIONS]
    scale = parts.std(0)
    parts = parts[:, scale > 1e-4 * max(scale.max(), 1e-12)]
    parts = parts / parts.std(0)
    ways, *_ = np.linalg.lstsq(parts, z - z.mean(0), rcond=None)
    signs = np.sign(ways[np.arange(len(ways)), np.abs(ways).argmax(1)])
    return (ways * signs[:, None]).astype(np.float32)


def blend(corners: np.ndarray, across: float, down: float) -> np.ndarray:
    """Interpolates between two or four latents, on great arcs.

    Spherical interpolation, https://arxiv.org/abs/1609.04468.

    Args:
      corners: `[2, dim]` (left, right) or `[4, dim]` (the upper two, the lower two).
      across: from 0 (left) to 1 (right).
      down: from 0 (upper) to 1 (lower); has no effect on two.

    Returns:
      `[dim]`.
    """
    upper = slerp(corners[0], corners[1], across)
    if len(corners) < 4:
        return upper
    return slerp(upper, slerp(corners[2], corners[3], across), down)


def slerp(a: np.ndarray, b: np.ndarray, t: float) -> np.ndarray:
    """Returns the point between two vectors at `t` in [0, 1], on the arc.

    >>> slerp(np.array([1.0, 0.0]), np.array([0.0, 1.0]), 0.5).round(4)
    array([0.7071, 0.7071])
    """
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    cosine = np.clip(np.dot(a, b) / max(lengths, 1e-12), -1, 1)
    angle = np.arccos(cosine)
    if np.sin(angle) < 1e-4:  # parallel vectors have no arc
        return (1 - t) * a + t * b
    return (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)


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

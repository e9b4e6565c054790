"""Data sets of points in the plane for the lab, also those drawn with the mouse."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from jaxgan import data

POINTS = 4_096
"""Number of points of a set; always the same, so that nothing is compiled again."""

MOST_STROKES, MOST_CORNERS = 200, 20_000
"""Maximum number of strokes, and of points in them, that are read."""

TURNS = 1.75
"""Turns of the spiral."""


class PlaneSet(NamedTuple):
    """Points in the plane, and how far samples are counted as being on them."""

    name: str
    points: np.ndarray
    """`[POINTS, 2]`, float32."""
    centers: np.ndarray
    """Of the modes, `[m, 2]`; `[0, 2]` if there are none."""
    sigma: float
    """Standard deviation of each mode; 0 if there are none."""
    extent: float
    """Both axes show [-extent, extent]."""
    near: float
    """Distance within which a sample covers a point of the data."""


def _of_library(name: str) -> PlaneSet:
    dataset = data.load(name)
    order = np.random.default_rng(0).permutation(dataset.size)[:POINTS]
    points = np.asarray(dataset.read(order)["image"], np.float32)
    modes = dataset.modes
    assert modes is not None
    return _as_set(name, points, modes.centers, modes.sigma)


def spiral(points: int = POINTS) -> np.ndarray:
    """Returns points of one arm of a spiral in the unit disk, `[points, 2]`.

    They are evenly spaced along the arm, with a deviation of 0.02.
    """
    random = np.random.default_rng(1)
    # The length of an arm grows with the square of the angle.
    turn = np.sqrt(random.uniform(0.02, 1, points)) * TURNS * 2 * np.pi
    radius = turn / (TURNS * 2 * np.pi)
    arm = radius[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    return (arm + 0.02 * random.standard_normal((points, 2))).astype(np.float32)


def drawn(xs: Sequence[Sequence[float]], ys: Sequence[Sequence[float]]) -> PlaneSet:
    """Returns points along strokes, evenly spaced, with a deviation of 0.02.

    Args:
      xs: for each stroke, the x of its corners, in [-1.25, 1.25].
      ys: likewise.

    Raises:
      ValueError: if no point is drawn, or too many.

    >>> drawn([[0.0, 1.0]], [[0.0, 0.0]]).points.shape
    (4096, 2)
    """
    if len(xs) > MOST_STROKES or sum(map(len, xs)) > MOST_CORNERS:
        raise ValueError("that is too much: clear the drawing and draw fewer lines")
    starts, steps = [], []
    for x, y in zip(xs, ys, strict=False):
        corners = np.stack([np.asarray(x, float), np.asarray(y, float)], axis=1)
        corners = np.clip(corners[np.isfinite(corners).all(1)], -1.25, 1.25)
        if len(corners):
            # A click is a stroke of one corner.
            corners = np.concatenate([corners, corners[-1:]])
            starts.append(corners[:-1])
            steps.append(np.diff(corners, axis=0))
    if not starts:
        raise ValueError("draw with the mouse first: hold the button and move")
    start, step = np.concatenate(starts), np.concatenate(steps)
    # Long pieces get more points; the small number is for clicks.
    length = np.linalg.norm(step, axis=1) + 1e-3
    random = np.random.default_rng(2)
    piece = random.choice(len(start), POINTS, p=length / length.sum())
    points = start[piece] + random.uniform(size=(POINTS, 1)) * step[piece]
    points += 0.02 * random.standard_normal(points.shape)
    return _as_set("drawn", points.astype(np.float32), extent=1.5)


def _as_set(
    name: str,
    points: np.ndarray,
    centers: np.ndarray | None = None,
    sigma: float = 0.0,
    extent: float | None = None,
) -> PlaneSet:
    near = 0.0
    if centers is None:
        # Twice the distance at which other points of the data are.
        gaps = distances(points[:256], points[-512:]).min(1)
        near, centers = 2 * float(np.percentile(gaps, 95)), np.zeros((0, 2))
    extent = 1.5 * float(np.abs(points).max()) if extent is None else extent
    return PlaneSet(name, points, np.asarray(centers), sigma, extent, near)


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns the distances of `[n, 2]` to `[m, 2]`, as `[n, m]`."""
    return np.linalg.norm(a[:, None] - b, axis=-1)


SETS: dict[str, Callable[[], PlaneSet]] = {
    "ring8": lambda: _of_library("ring8"),
    "grid25": lambda: _of_library("grid25"),
    "spiral": lambda: _as_set("spiral", spiral()),
}
"""Sets by name; that of the mouse is `drawn`."""


@functools.cache
def plane_set(name: str) -> PlaneSet:
    """Returns a set by name; that of eight Gaussians for a name that is none."""
    return SETS.get(name, SETS["ring8"])()

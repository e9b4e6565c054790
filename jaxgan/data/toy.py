"""Toy data sets: mixtures of Gaussians in the plane, whose modes can be counted."""

import numpy as np

from jaxgan.data.dataset import Dataset, Modes, Range, from_fields

POINTS = 100_000
SEEDS = {"train": 0, "test": 1}


def ring8(split: str) -> Dataset:
    """Returns points of eight Gaussians on the unit circle, `[100000, 2]` float32.

    Sigma is 0.01 (Metz et al., https://arxiv.org/abs/1611.02163).

    Args:
      split: `train` or `test`, two independent samples.
    """
    angles = np.arange(8) * (2 * np.pi / 8)
    # [8, 2].
    centers = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return _mixture("ring8", Modes(centers.astype(np.float32), 0.01), split)


def grid25(split: str) -> Dataset:
    """Returns points of 25 Gaussians on a grid, `[100000, 2]` float32.

    The grid is {-4, -2, 0, 2, 4}^2 and sigma is 0.05 (Dumoulin et al.,
    https://arxiv.org/abs/1606.00704).

    Args:
      split: `train` or `test`, two independent samples.
    """
    line = np.arange(-4, 5, 2)
    # [5, 5, 2] to [25, 2].
    centers = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    return _mixture("grid25", Modes(centers.astype(np.float32), 0.05), split)


def _mixture(name: str, modes: Modes, split: str) -> Dataset:
    random = np.random.default_rng([20, SEEDS[split]])
    # Every mode has the same number of points, so none is rare by chance.
    centers = np.resize(modes.centers, (POINTS, 2))
    noise = random.standard_normal((POINTS, 2), np.float32)
    points = centers + np.float32(modes.sigma) * noise
    origin = f"{POINTS} points drawn from {len(modes.centers)} Gaussians"
    toy = from_fields(name, {"image": points}, origin=origin, modes=modes)
    return toy._replace(ranges=(Range(f"{name} {split}", 0, POINTS),))

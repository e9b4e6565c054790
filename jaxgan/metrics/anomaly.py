"""Scores of anomalies from their parts, thresholds, and how well scores separate.

All functions are of NumPy arrays. A score is high for anomalies.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from jaxgan.errors import UsageError

Parts = Mapping[str, np.ndarray]
"""Distances `[n]` by name, which are at least 0, such as `pixels` and `features`."""


def scales_of(parts: Parts) -> dict[str, float]:
    """Returns the mean of each part over normal examples; 1 for a part that is zero.

    Args:
      parts: of held-out normal examples, `[n]` each.

    >>> scales_of({"pixels": np.array([1.0, 3.0]), "features": np.zeros(2)})
    {'pixels': 2.0, 'features': 1.0}
    """
    means = {name: float(np.mean(x, dtype=np.float64)) for name, x in parts.items()}
    return {name: mean if mean > 0 else 1.0 for name, mean in means.items()}


def weighted(
    parts: Parts,
    scales: Mapping[str, float],
    weights: Mapping[str, float] | None = None,
) -> dict[str, np.ndarray]:
    """Returns the shares of the parts in the score, which is their sum.

    Args:
      parts: `[n]` each.
      scales: the values that the parts are divided by, see `scales_of`.
      weights: the weights of the parts after that; 1 for those that are not named.

    Returns:
      `[n]` float64 by name.
    """
    weights = weights or {}
    return {
        name: weights.get(name, 1.0) * np.asarray(x, np.float64) / scales[name]
        for name, x in parts.items()
    }


def total(shares: Parts) -> np.ndarray:
    """Returns the sum of the shares, `[n]` float64."""
    return np.sum([np.asarray(x, np.float64) for x in shares.values()], axis=0)


def heat_maps(pixels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Spreads scores over pixels in proportion to the distances of the pixels.

    Args:
      pixels: distances, `[n, H, W]` (or `[n, d]`), at least 0.
      scores: `[n]`.

    Returns:
      float64 of the same shape, whose sums over pixels are the scores. The map of an
      image whose pixels all have the distance 0 is flat.

    >>> heat_maps(np.array([[[1.0, 3.0]], [[0.0, 0.0]]]), np.array([8.0, 1.0])).tolist()
    [[[2.0, 6.0]], [[0.5, 0.5]]]
    """
    flat = np.asarray(pixels, np.float64).reshape(len(pixels), -1)
    sums = flat.sum(-1, keepdims=True)
    even = np.full_like(flat, 1 / flat.shape[1])
    shares = np.divide(flat, sums, out=even, where=sums > 0)
    return (shares * np.asarray(scores, np.float64)[:, None]).reshape(pixels.shape)


def threshold_of(normal: np.ndarray, false_alarms: float) -> float:
    """Returns the score above which an example counts as an anomaly.

    It is the k-th smallest of n scores of normal examples, with k = ceil((n + 1) * (1 -
    false_alarms)). Of fresh normal examples from the same distribution, at most that
    share is above it on average, whatever the distribution: split conformal prediction,
    https://arxiv.org/abs/1604.04173. With fewer scores than `least_normal` it is the
    largest, and false alarms are more frequent.

    Args:
      normal: scores of held-out normal examples, `[n]`.
      false_alarms: the share, between 0 and 1.

    >>> threshold_of(np.arange(1.0, 100.0), 0.05)
    95.0
    """
    ordered = np.sort(np.asarray(normal, np.float64))
    # Rounding must not raise an integer to the next one.
    rank = math.ceil((len(ordered) + 1) * (1 - false_alarms) - 1e-9)
    return float(ordered[min(max(rank, 1), len(ordered)) - 1])


def least_normal(false_alarms: float) -> int:
    """Returns the number of normal examples that a rate of false alarms needs.

    >>> least_normal(0.01), least_normal(0.5)
    (99, 1)
    """
    return max(1, math.ceil(1 / false_alarms - 1 - 1e-9))


def percentiles(normal: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Returns the share of normal examples with a lower score, in percent.

    Args:
      normal: scores of held-out normal examples, `[n]`.
      scores: `[m]`.

    Returns:
      `[m]` float64 from 0 to 100.

    >>> percentiles(np.array([1.0, 2.0, 2.0, 4.0]), np.array([0.0, 2.0, 9.0])).tolist()
    [0.0, 25.0, 100.0]
    """
    lower = np.searchsorted(np.sort(normal), scores, side="left")
    return 100 * lower / len(normal)


class Curve(NamedTuple):
    """The receiver operating characteristic, from the highest threshold down."""

    false: np.ndarray
    """Normal examples at or above each threshold, `[k + 1]`, from 0."""
    true: np.ndarray
    """Anomalies at or above each threshold, `[k + 1]`, from 0."""


def curve_of(scores: np.ndarray, is_anomaly: np.ndarray) -> Curve:
    """Counts the examples at or above each distinct score; equal scores are one step.

    Args:
      scores: `[n]`.
      is_anomaly: `[n]` bool.

    Raises:
      UsageError: if scores are not finite, or if one of both kinds is missing.
    """
    scores, is_anomaly = np.asarray(scores, np.float64), np.asarray(is_anomaly, bool)
    if scores.shape != is_anomaly.shape or scores.ndim != 1:
        shapes = f"{list(scores.shape)} and {list(is_anomaly.shape)}"
        raise UsageError(f"scores and labels must be [n], not {shapes}")
    if not np.isfinite(scores).all():
        raise UsageError("scores have NaN or infinity: use an earlier checkpoint")
    if is_anomaly.all() or not is_anomaly.any():
        kind = "normal examples" if is_anomaly.all() else "anomalies"
        raise UsageError(f"there are no {kind}, which a comparison needs")
    order = np.argsort(-scores, kind="stable")
    # The last place of each run of equal scores.
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    true = np.cumsum(is_anomaly[order])[last]
    return Curve(np.append(0, last + 1 - true), np.append(0, true))


def auroc(scores: np.ndarray, is_anomaly: np.ndarray) -> float:
    """Returns the area under the ROC curve.

    It is the share of pairs of an anomaly and a normal example in which the anomaly has
    the higher score, where equal scores count half.

    Args:
      scores: `[n]`.
      is_anomaly: `[n]` bool.

    Raises:
      UsageError: as `curve_of` does.

    >>> auroc(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True]))
    0.875
    """
    false, true = curve_of(scores, is_anomaly)
    # Trapezoids, in units of pairs of examples.
    area = (np.diff(false) * (true[1:] + true[:-1])).sum() / 2
    return float(area / (false[-1] * true[-1]))


def average_precision(scores: np.ndarray, is_anomaly: np.ndarray) -> float:
    """Returns the mean precision over the recall of anomalies, without interpolation.

    The sum over thresholds of the precision there times the gain in recall. Of scores
    that say nothing it is the share of anomalies.

    Args:
      scores: `[n]`.
      is_anomaly: `[n]` bool.

    Raises:
      UsageError: as `curve_of` does.

    >>> average_precision(np.array([3.0, 2.0, 1.0]), np.array([True, False, True]))
    0.8333333333333333
    """
    false, true = curve_of(scores, is_anomaly)
    precision = true[1:] / (true[1:] + false[1:])
    return float((np.diff(true) * precision).sum() / true[-1])

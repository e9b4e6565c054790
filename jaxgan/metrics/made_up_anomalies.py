"""Anomalies that are made of normal images, to choose weights without real ones.

Their pieces are normal, and their arrangement is not: images with shuffled quarters, as
of jigsaw puzzles (https://arxiv.org/abs/1603.09246), and images with a half of another
one, a coarse form of CutPaste (https://arxiv.org/abs/2104.04015).
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from jaxgan.metrics.anomaly import Parts, auroc, scales_of, total, weighted

WEIGHTS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Weights to choose from, beside 1 of the first part."""

ORDERS = np.array([(1, 0, 3, 2), (2, 3, 0, 1), (3, 2, 1, 0), (1, 2, 3, 0)])
"""Orders of quarters in which none is at its own place."""


def shuffled_quarters(images: np.ndarray, seed: int = 0) -> np.ndarray:
    """Returns images whose quarters change their places.

    Sides of an odd length keep their middle row or column.

    Args:
      images: `[n, H, W, C]`, of at least 2x2 pixels.
      seed: of the orders.
    """
    rng = np.random.default_rng([seed, 1])
    height, width = (side // 2 for side in images.shape[1:3])
    rows = slice(None, height), slice(images.shape[1] - height, None)
    columns = slice(None, width), slice(images.shape[2] - width, None)
    places = [(row, column) for row in rows for column in columns]
    made = images.copy()
    kinds = rng.integers(len(ORDERS), size=len(images))
    for kind, order in enumerate(ORDERS):
        own = kinds == kind
        for place, source in enumerate(order):
            made[(own, *places[place])] = images[(own, *places[source])]
    return made


def exchanged_halves(images: np.ndarray, seed: int = 0) -> np.ndarray:
    """Returns images with the upper half of another one below, or the left one right.

    Args:
      images: `[n, H, W, C]`, of at least 2x2 pixels.
      seed: of the choices.
    """
    rng = np.random.default_rng([seed, 2])
    count, height, width = images.shape[:3]
    # Never the image itself, if there are others.
    others = (np.arange(count) + rng.integers(1, max(count, 2), count)) % count
    below = rng.random(count) < 0.5
    made, high, wide = images.copy(), height // 2, width // 2
    made[below, height - high :] = images[others[below], :high]
    made[~below, :, width - wide :] = images[others[~below], :, :wide]
    return made


KINDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "shuffled quarters": shuffled_quarters,
    "halves of another": exchanged_halves,
}
"""Functions of normal images that make as many anomalies, by name."""


def fits(shape: Sequence[int]) -> bool:
    """Returns True if anomalies can be made of images `[H, W, C]` of a shape."""
    return len(shape) == 3 and min(shape[:2]) >= 2


def choose_weights(
    normal: Parts, made_up: Sequence[Parts], start: Mapping[str, float]
) -> dict[str, float]:
    """Chooses the weights of the parts of a score by anomalies that are made up.

    The first part has the weight 1. That of each other one, in turn, is the value of
    `WEIGHTS` for which the area under the ROC curve is largest, as a mean over the
    kinds of anomalies; of equal ones it is the nearest to that of `start`.

    Args:
      normal: the parts of held-out normal images, `[n]` by name.
      made_up: those of each kind of anomalies.
      start: the weights to start from; 1 for those that are not named.

    >>> normal = {"a": np.array([0.0, 1.0, 2.0]), "b": np.array([1.0, 0.0, 2.0])}
    >>> choose_weights(normal, [{"a": np.full(3, 1.5), "b": np.full(3, 9.0)}], {})
    {'a': 1.0, 'b': 1.0}
    """
    names, scales = list(normal), scales_of(normal)
    weights = {name: float(start.get(name, 1.0)) for name in names}
    weights[names[0]] = 1.0

    def area(trial: Mapping[str, float]) -> float:
        normals = total(weighted(normal, scales, trial))
        areas = []
        for parts in made_up:
            scores = np.append(normals, total(weighted(parts, scales, trial)))
            areas.append(auroc(scores, np.arange(len(scores)) >= len(normals)))
        return float(np.mean(areas))

    for name in names[1:]:
        old = weights[name]
        areas = [area({**weights, name: x}) for x in WEIGHTS]
        best = [x for x, own in zip(WEIGHTS, areas, strict=True) if own == max(areas)]
        weights[name] = min(best, key=lambda x: abs(_log(x) - _log(old)))
    return weights


def _log(weight: float) -> float:
    return float(np.log(weight + WEIGHTS[1] / 10))

"""The type of a metric that compares sets of images, and the sets that it gets."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxgan.errors import UsageError
from jaxgan.metrics.features import Extractor, Features
from jaxgan.metrics.frechet import Moments


class Sets(NamedTuple):
    """The features of three sets of images.

    Labels of `real` and `train` are those of the data. Labels of `fake` are None unless
    the generator is conditional on them. That includes real examples in the place of
    fakes, from which floors are computed: they must have labels if the fakes have.

    Images are read by number only, `sets.train.images[numbers]`. A metric that needs a
    few, as the pictures of `memorization`, reads just these. So large sets should have
    `features.StoredImages`, which are not in memory.
    """

    real: Features
    """Of held-out examples."""
    fake: Features
    """Of the images to judge."""
    train: Features
    """Of training examples."""


class Least(NamedTuple):
    """Numbers of examples without which a metric has no value."""

    metric: str
    """The metric as it is written in a command, for messages."""
    real: int = 2
    fake: int = 2
    of_class: int = 0
    """Examples of each class, of both sides."""


class Comparison(NamedTuple):
    """A metric of images in the features of an extractor."""

    extractor: Extractor
    compare: Callable[[Sets], dict[str, float]]
    """Sets to values by name, such as `fd_classifier`."""
    warning: Callable[[Sets], str] = lambda sets: ""
    """Sets to a warning of one line, or an empty text."""
    whole_train: bool = False
    """True if `Sets.train` must have all training examples."""
    images: bool = False
    """True if the sets must have their images."""
    labels: bool = False
    """True if the fakes must have labels, so that the generator is conditional."""
    picture: Callable[[Sets], dict[str, np.ndarray] | None] = lambda sets: None
    """Sets to columns of a picture by name, `[k, H, W, C]` in [-1, 1], or None."""
    of_moments: Callable[[Moments, Moments], dict[str, float]] | None = None
    """Moments of the real and of the fake features to values by name.

    None if the metric needs more than moments.
    """
    attributes: bool = False
    """True if all sets must have attributes."""
    least: Least | None = None
    """The numbers of examples that it needs, if two of each side are not enough."""


NO_FEATURES = Extractor(
    "images",
    "none",
    {"layer": "pixels", "resize": "none"},
    lambda images: Features(np.zeros((len(images), 0), np.float32)),
)
"""The extractor of metrics that read images only; its features have no entries."""


def labels_of(sets: Sets, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the labels of the real examples and of the fakes, `[n]` and `[m]` int32.

    Args:
      sets: the sets.
      metric: as it is written in a command, for messages.

    Raises:
      UsageError: if there are none.
    """
    if sets.real.labels is None:
        raise UsageError(
            f"{metric} needs data with labels: use fd or precision_recall instead"
        )
    if sets.fake.labels is None:
        raise UsageError(
            f"{metric} needs a generator that is conditional on the label: use fd or "
            "precision_recall, or train with a conditional preset such as projection"
        )
    return sets.real.labels, sets.fake.labels


def probabilities_of(features: Features, metric: str, extractor: str) -> np.ndarray:
    """Returns the probabilities of classes, `[n, k]`.

    Args:
      features: of an extractor.
      metric: name of the metric, for messages.
      extractor: name of the extractor, for messages.

    Raises:
      UsageError: if the extractor has none.
    """
    if features.probabilities is None:
        raise _no_classes(metric, extractor)
    return features.probabilities


WITHOUT_CLASSES = ("minilm", "random", "values")
"""Names of extractors that are known to have no classes before they are opened."""


def check_classes(metric: str, extractor: str) -> None:
    """Raises UsageError if an extractor is known to have no classes.

    Args:
      metric: name of the metric that needs them.
      extractor: name of the extractor.
    """
    if extractor in WITHOUT_CLASSES:
        raise _no_classes(metric, extractor)


def _no_classes(metric: str, extractor: str) -> UsageError:
    return UsageError(
        f"{metric}({extractor}): this extractor has no classes; use "
        f"{metric}(classifier)"
    )

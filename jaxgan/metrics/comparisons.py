"""Metrics that compare sets of images by their features: `fd(classifier)`.

`COMPARISONS` has factories by name. Each gets an extractor of `metrics.features`.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from jaxgan.errors import UsageError
from jaxgan.metrics.classifier_score import classifier_score
from jaxgan.metrics.features import Extractor, Features
from jaxgan.metrics.frechet import (
    Moments,
    bias_warning,
    frechet_distance,
    moments,
)
from jaxgan.metrics.kernel import kernel_distance
from jaxgan.metrics.neighbors import NeighborRatio, is_copier, neighbor_ratio
from jaxgan.metrics.precision_recall import density_coverage, precision_recall
from jaxgan.ranges import Width


class Sets(NamedTuple):
    """The features of three sets of images."""

    real: Features
    """Of held-out examples."""
    fake: Features
    """Of the images to judge."""
    train: Features
    """Of training examples."""


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
    of_moments: Callable[[Moments, Moments], dict[str, float]] | None = None
    """Moments of the real and of the fake features to values by name.

    None if the metric needs more than moments.
    """


def fd(extractor: Extractor) -> Comparison:
    """Measures the Frechet distance of features, `fd_<extractor>`; less is better.

    It is called `fid` if the extractor is Inception,
    https://arxiv.org/abs/1706.08500. See `frechet.frechet_distance`.

    Args:
      extractor: the features.
    """
    name = "fid" if extractor.name == "inception" else f"fd_{extractor.name}"

    def of_moments(real: Moments, fake: Moments) -> dict[str, float]:
        return {name: frechet_distance(real, fake)}

    def compare(sets: Sets) -> dict[str, float]:
        return of_moments(moments(sets.real.features), moments(sets.fake.features))

    def warning(sets: Sets) -> str:
        text = bias_warning(moments(sets.real.features), len(sets.fake.features))
        return text and f"{name}: {text.removeprefix('WARNING: ')}"

    return Comparison(extractor, compare, warning, of_moments=of_moments)


def kid(extractor: Extractor, subsets: Width = 100, size: Width = 1_000) -> Comparison:
    """Measures the kernel distance, `kid_<extractor>`; less is better.

    https://arxiv.org/abs/1801.01401, see `kernel.kernel_distance`. Its standard error
    is `kid_<extractor>_error`.

    Args:
      extractor: the features.
      subsets: number of subsets.
      size: examples of a subset, at most those of the smaller set.
    """

    def compare(sets: Sets) -> dict[str, float]:
        real, fake = sets.real.features, sets.fake.features
        most = min(size, len(real), len(fake))
        found = kernel_distance(real, fake, subsets=subsets, size=most)
        name = f"kid_{extractor.name}"
        # Subsets that are the whole set have no spread.
        known = math.isfinite(found.standard_error)
        error = {f"{name}_error": found.standard_error} if known else {}
        return {name: found.mean, **error}

    return Comparison(extractor, compare)


def score(extractor: Extractor) -> Comparison:
    """Measures the classifier score of fakes, `score_<extractor>`; more is better.

    https://arxiv.org/abs/1606.03498, see `classifier_score.classifier_score`.

    Args:
      extractor: features with probabilities of classes.
    """

    def compare(sets: Sets) -> dict[str, float]:
        if sets.fake.probabilities is None:
            raise UsageError(
                f"score({extractor.name}): this extractor has no classes; use "
                "score(classifier)"
            )
        found = classifier_score(sets.fake.probabilities)
        return {f"score_{extractor.name}": found.mean}

    return Comparison(extractor, compare)


def precision_recall_of(extractor: Extractor, k: Width = 3) -> Comparison:
    """Measures improved precision and recall; more is better.

    https://arxiv.org/abs/1904.06991, see `precision_recall.precision_recall`. The
    values are `precision_<extractor>` and `recall_<extractor>`.

    Args:
      extractor: the features.
      k: number of neighbors.
    """

    def compare(sets: Sets) -> dict[str, float]:
        found = precision_recall(sets.real.features, sets.fake.features, k=k)
        name = extractor.name
        return {f"precision_{name}": found.precision, f"recall_{name}": found.recall}

    return Comparison(extractor, compare)


def density_coverage_of(extractor: Extractor, k: Width = 5) -> Comparison:
    """Measures density and coverage; more is better.

    https://arxiv.org/abs/2002.09797, see `precision_recall.density_coverage`. The
    values are `density_<extractor>` and `coverage_<extractor>`.

    Args:
      extractor: the features.
      k: number of neighbors.
    """

    def compare(sets: Sets) -> dict[str, float]:
        found = density_coverage(sets.real.features, sets.fake.features, k=k)
        name = extractor.name
        return {f"density_{name}": found.density, f"coverage_{name}": found.coverage}

    return Comparison(extractor, compare)


def memorization(extractor: Extractor) -> Comparison:
    """Compares distances to the nearest training example, `memorization_<extractor>`.

    The median distance of fakes over that of held-out examples, about 1 for new images
    and near 0 for copies; see `neighbors.neighbor_ratio`. The share of fakes that are
    closer than 99 % of the held-out examples is `memorization_<extractor>_close`.

    Args:
      extractor: the features.
    """

    def ratio(sets: Sets) -> NeighborRatio:
        return neighbor_ratio(*(x.features for x in (sets.train, sets.real, sets.fake)))

    def compare(sets: Sets) -> dict[str, float]:
        found, name = ratio(sets), f"memorization_{extractor.name}"
        return {name: found.median, f"{name}_close": found.close}

    def warning(sets: Sets) -> str:
        if not is_copier(ratio(sets)):
            return ""
        return (
            "the generator copies the training set: samples are closer to it than "
            "held-out examples are"
        )

    return Comparison(extractor, compare, warning, whole_train=True)


COMPARISONS: dict[str, Callable[..., Comparison]] = {
    "fd": fd,
    "kid": kid,
    "score": score,
    "precision_recall": precision_recall_of,
    "density_coverage": density_coverage_of,
    "memorization": memorization,
}
"""Factories of metrics by name."""

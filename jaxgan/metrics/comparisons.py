"""Metrics that compare sets of images or of sounds by features: `fd(classifier)`.

`COMPARISONS` has factories by name. Most get an extractor of `metrics.features`.
"""

import math
from collections.abc import Callable
from typing import Annotated

import numpy as np

from jaxgan.metrics.arrays import as_features
from jaxgan.metrics.attribute_comparisons import attributes_as_asked
from jaxgan.metrics.class_comparisons import classes, modes
from jaxgan.metrics.classifier_score import classifier_score
from jaxgan.metrics.comparison import (
    Comparison,
    Least,
    Sets,
    check_classes,
    probabilities_of,
)
from jaxgan.metrics.conditional_comparisons import (
    accuracy_as_asked,
    classification_accuracy_of,
    per_class_fd,
)
from jaxgan.metrics.features import Extractor
from jaxgan.metrics.frechet import (
    Moments,
    features_warning,
    frechet_distance,
    moments,
    moments_of_latest,
)
from jaxgan.metrics.image_comparisons import ms_ssim_of
from jaxgan.metrics.kernel import kernel_distance
from jaxgan.metrics.neighbors import (
    NearestPairs,
    NeighborRatio,
    is_copier,
    nearest_pairs,
    ratio_of_distances,
)
from jaxgan.metrics.precision_recall import density_coverage, precision_recall
from jaxgan.metrics.sliced_features import sliced_distance
from jaxgan.metrics.sound_comparisons import pitch_as_asked
from jaxgan.ranges import Range, Width

__all__ = ["COMPARISONS", "Comparison", "Sets"]

SHOWN = 16
"""Pairs in the picture of `memorization`."""


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

    # Evaluations of a run have the same real examples.
    of_real = moments_of_latest()

    def compare(sets: Sets) -> dict[str, float]:
        return of_moments(of_real(sets.real.features), moments(sets.fake.features))

    def warning(sets: Sets) -> str:
        text = features_warning(sets.real.features, len(sets.fake.features))
        return text and f"{name}: {text}"

    return Comparison(extractor, compare, warning, of_moments=of_moments)


def kid(extractor: Extractor, subsets: Width = 100, size: Width = 1_000) -> Comparison:
    """Measures the kernel distance, `kid_<extractor>`; less is better.

    https://arxiv.org/abs/1801.01401, see `kernel.kernel_distance`. Its standard error
    is `kid_<extractor>_error`. Features of length 1 have the kernel (x.y + 1)^3, as
    x.y / d would be nearly 0 for all of them.

    Args:
      extractor: the features.
      subsets: number of subsets.
      size: examples of a subset, at most those of the smaller set.
    """

    def compare(sets: Sets) -> dict[str, float]:
        real, fake = sets.real.features, sets.fake.features
        if extractor.has_unit_length:
            real, fake = (x * x.shape[1] ** 0.5 for x in (real, fake))
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
    check_classes("score", extractor.name)

    def compare(sets: Sets) -> dict[str, float]:
        fake = probabilities_of(sets.fake, "score", extractor.name)
        return {f"score_{extractor.name}": classifier_score(fake).mean}

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

    # An example is not its own neighbor.
    least = Least(f"precision_recall({extractor.name}, k={k})", k + 1, k + 1)
    return Comparison(extractor, compare, least=least)


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

    # Only real examples have balls.
    least = Least(f"density_coverage({extractor.name}, k={k})", k + 1)
    return Comparison(extractor, compare, least=least)


def sliced_wasserstein(
    extractor: Extractor, directions: Annotated[int, Range(2, 2**16)] = 1_000
) -> Comparison:
    """Measures the sliced Wasserstein distance of features; less is better.

    The value `sliced_wasserstein_<extractor>` is the square, on the scale of the
    Frechet distance, but for no Gaussians: see `sliced_features.sliced_distance`. Its
    standard error over directions is `sliced_wasserstein_<extractor>_error`.

    Args:
      extractor: the features.
      directions: number of random directions, the same for all sets.
    """

    def compare(sets: Sets) -> dict[str, float]:
        real, fake = sets.real.features, sets.fake.features
        found = sliced_distance(real, fake, directions=directions)
        name = f"sliced_wasserstein_{extractor.name}"
        return {name: found.mean, f"{name}_error": found.standard_error}

    return Comparison(extractor, compare)


def memorization(extractor: Extractor) -> Comparison:
    """Compares distances to the nearest training example, `memorization_<extractor>`.

    The median distance of fakes over that of held-out examples, about 1 for new images
    and near 0 for copies; see `neighbors.neighbor_ratio`. The share of fakes that are
    closer than 99 % of the held-out examples is `memorization_<extractor>_close`.

    The picture has the 16 closest fakes, each beside its nearest training example. Only
    their images are read, see `Sets`.

    Args:
      extractor: the features.
    """
    # The same distances serve the values, the warning and the picture.
    pairs_of = remember_last(nearest_pairs)

    def ratio(sets: Sets) -> NeighborRatio:
        train = sets.train.features
        real = as_features(sets.real.features, "held-out features")
        reals, fakes = (pairs_of(train, x) for x in (real, sets.fake.features))
        return ratio_of_distances(reals.distances, fakes.distances)

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

    def picture(sets: Sets) -> dict[str, np.ndarray] | None:
        if sets.fake.images is None or sets.train.images is None:
            return None
        pairs: NearestPairs = pairs_of(sets.train.features, sets.fake.features)
        return {
            "fake": sets.fake.images[pairs.fake[:SHOWN]],
            "nearest training example": sets.train.images[pairs.train[:SHOWN]],
        }

    return Comparison(
        extractor, compare, warning, whole_train=True, images=True, picture=picture
    )


def remember_last(
    function: Callable[..., NearestPairs], count: int = 2
) -> Callable[..., NearestPairs]:
    """Returns a function that keeps its last results, for the very same arguments.

    Args:
      function: a pure function of arrays, which are not changed afterwards.
      count: number of results.
    """
    kept: list[tuple[tuple[np.ndarray, ...], NearestPairs]] = []

    def call(*args: np.ndarray) -> NearestPairs:
        for place, (known, result) in enumerate(kept):
            if all(a is b for a, b in zip(known, args, strict=True)):
                kept.append(kept.pop(place))  # the latest is last
                return result
        result = function(*args)
        kept.append((args, result))
        del kept[:-count]
        return result

    return call


COMPARISONS: dict[str, Callable[..., Comparison]] = {
    "fd": fd,
    "kid": kid,
    "score": score,
    "precision_recall": precision_recall_of,
    "density_coverage": density_coverage_of,
    "sliced_wasserstein": sliced_wasserstein,
    "classes": classes,
    "modes": modes,
    "memorization": memorization,
    "ms_ssim": ms_ssim_of,
    "per_class_fd": per_class_fd,
    "accuracy_as_asked": accuracy_as_asked,
    "classification_accuracy": classification_accuracy_of,
    "attributes_as_asked": attributes_as_asked,
    "pitch_as_asked": pitch_as_asked,
}
"""Factories of metrics by name.

One with a keyword parameter `example` gets the fields of the examples, or None before
they are known.
"""

"""Metrics that count the classes of fakes: `classes(classifier)`, `modes(channels)`."""

import numpy as np

from jaxgan.metrics.class_histogram import histogram_divergence, histogram_floor
from jaxgan.metrics.classifier_score import predicted_classes
from jaxgan.metrics.comparison import (
    Comparison,
    Sets,
    check_classes,
    probabilities_of,
)
from jaxgan.metrics.features import Extractor
from jaxgan.metrics.mode_coverage import category_coverage, kl_floor


def classes(extractor: Extractor) -> Comparison:
    """Counts the classes that a classifier predicts for fakes, and how surely.

    `confident_<extractor>` is the share of fakes with a class of more than 0.9, and
    `classes_<extractor>` the number of classes that occur. `class_kl_<extractor>` is
    the KL divergence of their histogram from that of the real examples in nats, and
    `class_kl_<extractor>_floor` what as many perfect samples would get on average: see
    `class_histogram`. Mode counts (https://arxiv.org/abs/1712.04086) are of this kind,
    if modes are the classes.

    Args:
      extractor: features with probabilities of classes.
    """
    check_classes("classes", extractor.name)

    def compare(sets: Sets) -> dict[str, float]:
        fake, real = (
            probabilities_of(x, "classes", extractor.name)
            for x in (sets.fake, sets.real)
        )
        found, name = predicted_classes(fake), extractor.name
        counts, of_real = (
            np.bincount(x.argmax(1), minlength=x.shape[1]) for x in (fake, real)
        )
        return {
            f"confident_{name}": found.confident,
            f"classes_{name}": float(found.classes),
            f"class_kl_{name}": float(histogram_divergence(counts, of_real)),
            f"class_kl_{name}_floor": histogram_floor(len(fake), of_real).simulated,
        }

    return Comparison(extractor, compare)


def modes(extractor: Extractor) -> Comparison:
    """Counts the modes that a classifier finds in fakes, and how evenly they occur.

    `modes_<extractor>` is the number of classes of at least one fake, `mode_kl_<...>`
    the KL divergence of their shares from the uniform distribution in nats, and
    `mode_kl_<...>_floor` its mean for as many perfect samples:
    https://arxiv.org/abs/1712.04086, and `mode_coverage.kl_floor`. Published counts of
    the 1000 modes of stacked_mnist are `modes(channels)` of 26,000 samples.

    Args:
      extractor: features with probabilities of classes, which are the modes.
    """
    check_classes("modes", extractor.name)

    def compare(sets: Sets) -> dict[str, float]:
        name = extractor.name
        fake = probabilities_of(sets.fake, "modes", name)
        count = fake.shape[1]
        found, divergence = category_coverage(fake.argmax(1), count)
        return {
            f"modes_{name}": float(found),
            f"mode_kl_{name}": divergence,
            f"mode_kl_{name}_floor": kl_floor(len(fake), count).simulated,
        }

    return Comparison(extractor, compare)

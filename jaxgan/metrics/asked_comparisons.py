"""Metrics of pairs that read what was asked for: attributes, or a domain."""

from collections.abc import Callable

import numpy as np

from jaxgan.data.dataset import Dataset
from jaxgan.data.kinds import scale_integers
from jaxgan.metrics.features.attribute_classifier import attribute_classifier
from jaxgan.metrics.features.base import Seed
from jaxgan.metrics.features.classifier import classifier
from jaxgan.metrics.pairs import PairComparison, Pairs


def attribute_accuracy(seed: Seed = 0) -> PairComparison:
    """Measures how often a classifier reads the attributes that were asked for.

    The classifier is trained on real training images, by the recipe of the extractor
    `classifier`, with a sigmoid for each attribute. `attribute_accuracy` is the share
    of attributes that it reads as asked, `attribute_accuracy_worst` that of the worst
    attribute, and `attribute_accuracy_edited` that of attributes that differ from
    those of the source, which is near 0 for a generator that changes nothing. Its
    accuracy on held-out images, which bounds what can be read, is in the protocol.

    Args:
      seed: seed of the training.
    """
    name = "attribute_accuracy"

    def fit(train: Dataset, held_out: Dataset) -> PairComparison:
        trained = attribute_classifier(train, held_out, seed=seed)

        def measure(pairs: Pairs) -> np.ndarray:
            assert pairs.asked is not None
            assert pairs.own is not None
            right = trained.predict(pairs.fake) == pairs.asked
            # `[n, k, 2]`: of all attributes, and of those that are changed.
            edited = np.where(pairs.asked != pairs.own, right, np.nan)
            return np.stack([right.astype(float), edited], -1)

        facts = {**plain.protocol, **trained.protocol}
        return plain._replace(measure=measure, protocol=facts, fit=None)

    def summarize(values: np.ndarray) -> dict[str, float]:
        every, edited = np.moveaxis(values, -1, 0)
        edited = edited[~np.isnan(edited)]
        return {
            name: float(every.mean()),
            f"{name}_worst": float(every.mean(0).min()),
            **({f"{name}_edited": float(edited.mean())} if len(edited) else {}),
        }

    plain = _untrained(name, ("asked", "own"), summarize, fit)
    return plain


def domain_accuracy(seed: Seed = 0) -> PairComparison:
    """Measures how often a classifier reads the domain that was asked for.

    The classifier is that of the extractor `classifier`, trained on the domains of real
    training images. `domain_accuracy` is the share of outputs that it reads as the
    domain asked for, and `domain_accuracy_worst` that of the worst domain. A generator
    that changes nothing is near 0, and one with the same output for every domain is
    right in one of k. It does not see variety. Its accuracy on held-out images, which
    bounds what can be read, is in the protocol.

    Args:
      seed: seed of the training.
    """
    name = "domain_accuracy"

    def fit(train: Dataset, held_out: Dataset) -> PairComparison:
        given = {"example": train.example, "train": train, "held_out": held_out}
        extractor = classifier(seed, **given)

        def measure(pairs: Pairs) -> np.ndarray:
            read = extractor.extract(scale_integers(pairs.fake)).probabilities
            assert read is not None
            assert pairs.domain is not None
            right = np.asarray(read).argmax(1) == pairs.domain
            # `[n, 2]`: with the domain, for the worst one.
            return np.stack([right, pairs.domain], -1).astype(float)

        facts = {**plain.protocol, "digest": extractor.digest}
        facts["accuracy on held-out"] = extractor.protocol["accuracy"]
        return plain._replace(measure=measure, protocol=facts, fit=None)

    def summarize(values: np.ndarray) -> dict[str, float]:
        right, asked = values.T
        shares = [right[asked == k].mean() for k in np.unique(asked)]
        return {name: float(right.mean()), f"{name}_worst": float(min(shares))}

    plain = _untrained(name, ("domain",), summarize, fit)
    return plain


def _untrained(
    name: str,
    needs: tuple[str, ...],
    summarize: Callable[[np.ndarray], dict[str, float]],
    fit: Callable[[Dataset, Dataset], PairComparison],
) -> PairComparison:
    """Returns a metric whose classifier `fit` trains.

    Args:
      name: of the metric.
      needs: the columns of `Pairs` that it reads.
      summarize: maps values to the numbers of a row.
      fit: returns the metric with its classifier.
    """

    def measure(pairs: Pairs) -> np.ndarray:
        raise AssertionError("the classifier is not trained")

    return PairComparison(
        name,
        measure,
        {"region": "whole picture"},
        needs,
        more_is_better=True,
        summarize=summarize,
        fit=fit,
    )

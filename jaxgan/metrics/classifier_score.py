"""Scores of the classes that a classifier predicts for samples."""

from typing import NamedTuple

import numpy as np

from jaxgan.errors import UsageError
from jaxgan.metrics.arrays import as_features

CONFIDENT = 0.9
"""Probability above which a prediction is confident."""


class ClassifierScore(NamedTuple):
    """The classifier score over splits."""

    mean: float
    """Mean over splits, between 1 and the number of classes; more is better."""
    std: float
    """Standard deviation over splits; 0 for one split."""


class PredictedClasses(NamedTuple):
    """Legibility of samples, and the classes among them."""

    confident: float
    """Fraction of samples with a class of more probability than the threshold."""
    classes: int
    """Number of classes that are predicted at least once."""
    rarest: float
    """Share of the rarest class; 0 if one never occurs."""
    rarest_class: int
    """The rarest class; the first of equally rare ones."""


def as_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """Returns probabilities in float64.

    Args:
      probabilities: `[n, k]`, rows that add up to 1.

    Raises:
      UsageError: if there are none, or they are not probabilities.
    """
    name = "class probabilities"
    p = np.asarray(as_features(probabilities, name, least=1), np.float64)
    # The tolerance is for probabilities in float16 and bfloat16.
    if p.min() < 0 or np.abs(p.sum(1) - 1).max() > 0.02:
        raise UsageError(f"{name} must be in [0, 1] and add up to 1: apply softmax")
    return p / p.sum(1, keepdims=True)


def classifier_score(
    probabilities: np.ndarray, *, splits: int = 10, seed: int = 0
) -> ClassifierScore:
    """Returns the score of https://arxiv.org/abs/1606.03498.

    It is exp(E KL(p(y|x) || p(y))), and called inception score if the classifier is
    Inception. It is 1 if all predictions are equal, and k if each of k classes is
    predicted equally often and with certainty. The paper has 50,000 samples in 10
    splits, each with its own p(y). Samples are shuffled before, since those of a
    conditional generator may be ordered by class.

    Args:
      probabilities: `[n, k]`, p(y|x) of each sample.
      splits: number of splits, of equal size up to one sample.
      seed: seed of the order.

    Raises:
      UsageError: if probabilities are invalid, or there are fewer samples than splits.

    >>> classifier_score(np.eye(4), splits=1)
    ClassifierScore(mean=4.0, std=0.0)
    """
    p = as_probabilities(probabilities)
    if not 1 <= splits <= len(p):
        raise UsageError(f"{splits} splits of {len(p)} samples; use 1 to {len(p)}")
    order = np.random.default_rng(seed).permutation(len(p))
    scores = [split_score(p[part]) for part in np.array_split(order, splits)]
    return ClassifierScore(float(np.mean(scores)), float(np.std(scores)))


def split_score(p: np.ndarray) -> float:
    """Returns exp(mean KL(p_i || mean p)) of `[n, k]` probabilities."""
    # 0 log 0 is 0. The mean is positive wherever an entry is.
    ratios = np.divide(p, p.mean(0), out=np.ones_like(p), where=p > 0)
    return float(np.exp(np.mean(np.sum(p * np.log(ratios), 1))))


def predicted_classes(
    probabilities: np.ndarray, *, threshold: float = CONFIDENT
) -> PredictedClasses:
    """Returns the share of confident predictions, and the rarest predicted class.

    All samples count for the classes, also those without a confident prediction. The
    KL of the histogram is `mode_coverage.category_coverage` of the most probable
    classes.

    Args:
      probabilities: `[n, k]`, p(y|x) of each sample.
      threshold: probability above which a prediction is confident.

    Raises:
      UsageError: if probabilities are invalid.

    >>> predicted_classes(np.array([[0.95, 0.05], [0.6, 0.4]]))
    PredictedClasses(confident=0.5, classes=1, rarest=0.0, rarest_class=1)
    """
    p = as_probabilities(probabilities)
    shares = np.bincount(p.argmax(1), minlength=p.shape[1]) / len(p)
    return PredictedClasses(
        confident=float(np.mean(p.max(1) > threshold)),
        classes=int(np.count_nonzero(shares)),
        rarest=float(shares.min()),
        rarest_class=int(shares.argmin()),
    )


def as_requested(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Returns the fraction of samples that are classified as what was asked for.

    Args:
      probabilities: `[n, k]`, p(y|x) of each sample.
      labels: classes that the samples were generated for, `[n]` int.

    Raises:
      UsageError: if probabilities are invalid, or there is not one class per sample.

    >>> as_requested(np.eye(4), np.array([0, 1, 2, 2]))
    0.75
    """
    p, labels = as_probabilities(probabilities), np.asarray(labels)
    if labels.shape != (len(p),):
        raise UsageError(
            f"labels are {list(labels.shape)}, one each of {len(p)} samples"
        )
    return float(np.mean(p.argmax(1) == labels))

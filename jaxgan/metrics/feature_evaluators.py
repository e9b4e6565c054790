"""Evaluators that compare samples with the data in the features of an extractor.

All of them compare the first samples of an evaluation with training examples, the same
ones in every run. Held-out examples are left to the final judgment, by
`jaxgan.evaluate`, whose values are therefore somewhat different. Compare values of the
same counts only.
"""

import logging
import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import numpy as np

from jaxgan.data.dataset import Dataset
from jaxgan.errors import UsageError, printable
from jaxgan.metrics.comparison import check_classes, probabilities_of
from jaxgan.metrics.comparisons import COMPARISONS, Sets
from jaxgan.metrics.evaluators import Evaluator, Values
from jaxgan.metrics.features.shared import SharedExtractor
from jaxgan.metrics.frechet import features_warning
from jaxgan.ranges import Range, Width

LOG = logging.getLogger("jaxgan")

REALS = 10_000
"""Largest number of training examples in the statistics of the real side."""

Count = Annotated[int, Range(2, 2**20)]
"""Number of samples."""


def fd(extractor: SharedExtractor, samples: Count = 2048) -> Evaluator:
    """Measures the Frechet distance of samples to up to 10,000 training examples.

    The value is `fd_<extractor>`, or `fid` if that is Inception, and is the score. Its
    bias falls with the number of samples, so that only distances of equal counts can be
    compared; see `frechet.frechet_distance`.

    Args:
      extractor: the features.
      samples: number of samples.
    """
    name = "fid" if extractor.name == "inception" else f"fd_{extractor.name}"
    plain = _evaluator("fd", (name,), extractor, samples)

    def init(dataset, examples, key):
        state = plain.init(dataset, examples, key)
        if text := features_warning(state[1].features, samples):
            LOG.warning("%s: %s", name, text)
        return state

    return plain._replace(init=init)


def kid(
    extractor: SharedExtractor,
    samples: Count = 2048,
    subsets: Width = 10,
    size: Count = 1000,
    reals: Count = REALS,
) -> Evaluator:
    """Measures the kernel distance of samples to up to 10,000 training examples.

    The values are `kid_<extractor>` and its standard error, see
    `kernel.kernel_distance`. The first is the score; a negative one counts as 0.

    Args:
      extractor: the features.
      samples: number of samples.
      subsets: number of subsets; fewer than in offline evaluation, to save time.
      size: examples of a subset, at most `samples`.
      reals: number of training examples, if there are as many.
    """
    plain = _evaluator(
        *("kid", (f"kid_{extractor.name}",), extractor, samples, reals),
        subsets=subsets,
        size=size,
    )
    return plain._replace(score=lambda values: max(_first(values), 0.0))


def precision_recall(
    extractor: SharedExtractor, samples: Count = 2048, k: Width = 3
) -> Evaluator:
    """Measures improved precision and recall of samples and as many training examples.

    The values are `precision_<extractor>` and `recall_<extractor>`, see
    `precision_recall.precision_recall`. The score is 1 minus their harmonic mean.

    Args:
      extractor: the features.
      samples: number of samples, and of training examples if there are as many.
      k: number of neighbors.

    Raises:
      UsageError: if there are no more samples than neighbors.
    """
    if samples <= k:
        raise UsageError(
            f"precision_recall: {samples} samples have fewer than k = {k} neighbors "
            f"each: use samples={k + 1} or more"
        )

    def score(values: Values) -> float:
        precision, recall = values.values()
        both = precision + recall
        return 1 - 2 * precision * recall / both if both else 1.0

    values = (f"precision_{extractor.name}", f"recall_{extractor.name}")
    plain = _evaluator("precision_recall", values, extractor, samples, samples, k=k)
    return plain._replace(score=score)


def memorization(
    extractor: SharedExtractor, samples: Count = 512, *, held_out: Dataset | None
) -> Evaluator:
    """Compares the distances of samples and held-out examples to the training set.

    The values are `memorization_<extractor>`, the ratio of medians, which is about 1
    for new samples and near 0 for copies, and `memorization_<extractor>_close`, see
    `neighbors.neighbor_ratio`. All training examples are compared, with as many
    held-out examples as samples if there are as many. The score is the distance of the
    ratio from 1.

    Args:
      extractor: the features.
      samples: number of samples.
      held_out: real examples that training does not see.

    Raises:
      UsageError: if there are fewer than two held-out examples.
    """
    if held_out is None or held_out.size < 2:
        raise UsageError(
            "memorization needs held-out examples, and there are fewer than 2: name a "
            "split or a number of them, such as 100"
        )

    def init(dataset, examples, key):
        comparison = COMPARISONS["memorization"](extractor.open())
        real = extractor.of_dataset(held_out, min(samples, held_out.size))
        train = extractor.of_dataset(dataset, dataset.size)
        _log_protocol(name, extractor, samples, len(train.features))
        return comparison, real, train

    name = f"memorization_{extractor.name}"
    values = (name, f"{name}_close")
    plain = _evaluator("memorization", values, extractor, samples)
    return plain._replace(init=init, score=lambda values: abs(1 - _first(values)))


def classes(extractor: SharedExtractor, samples: Count = 2048) -> Evaluator:
    """Counts the classes that the extractor's classifier sees in samples.

    The values are `confident_<extractor>`, the fraction of samples with a class of
    probability above 0.9, `classes_<extractor>`, the number of classes that are
    predicted at least once, and `class_kl_<extractor>` with its floor, the KL of their
    histogram, see `comparisons.classes`. The score is the divergence plus the fraction
    of samples that are not confident.

    Args:
      extractor: features with probabilities of classes.
      samples: number of samples.
    """
    check_classes("classes", extractor.name)

    def init(dataset, examples, key):
        state = plain.init(dataset, examples, key)
        # Raises before training if there are no classes.
        probabilities_of(state[1], "classes", extractor.name)
        return state

    def score(values: Values) -> float:
        confident, _, divergence, _ = values.values()
        return 1 - confident + divergence

    name = f"classes_{extractor.name}"
    kl = f"class_kl_{extractor.name}"
    values = (f"confident_{extractor.name}", name, kl, f"{kl}_floor")
    plain = _evaluator("classes", values, extractor, samples)
    return plain._replace(init=init, score=score)


def modes(extractor: SharedExtractor, samples: Count = 2500) -> Evaluator:
    """Counts the modes that the extractor's classifier finds in samples.

    The values are `modes_<extractor>` and `mode_kl_<extractor>` with its floor, see
    `comparisons.modes`. The score is the divergence.

    Args:
      extractor: features with probabilities of classes, such as `channels`.
      samples: number of samples; published counts of stacked_mnist have 26,000.
    """
    check_classes("modes", extractor.name)

    def init(dataset, examples, key):
        state = plain.init(dataset, examples, key)
        # Raises before training if there are no classes.
        probabilities_of(state[1], "modes", extractor.name)
        return state

    kl = f"mode_kl_{extractor.name}"
    values = (f"modes_{extractor.name}", kl, f"{kl}_floor")
    # The real side is the uniform distribution, so that few examples are read.
    plain = _evaluator("modes", values, extractor, samples, 2)
    name = f"modes_{extractor.name}"
    return plain._replace(init=init, score=lambda values: values[kl], name=name)


def _first(values: Values) -> float:
    return next(iter(values.values()))


def _evaluator(
    metric: str,
    values: Sequence[str],
    extractor: SharedExtractor,
    samples: int,
    reals: int = REALS,
    **arguments: Any,
) -> Evaluator:
    """Returns the evaluator of a metric of `COMPARISONS`.

    Args:
      metric: its name there.
      values: names of the values, which are NaN if samples are not finite.
      extractor: the features.
      samples: number of samples.
      reals: largest number of training examples.
      **arguments: of the metric.
    """
    name = values[0] if len(values) == 1 else f"{metric}_{extractor.name}"

    def init(dataset, examples, key):
        comparison = COMPARISONS[metric](extractor.open(), **arguments)
        real = extractor.of_dataset(dataset, min(reals, dataset.size))
        _log_protocol(name, extractor, samples, len(real.features))
        return comparison, real, real

    def run(state, sample_fn):
        comparison, real, train = state
        fake = extractor.of_samples(sample_fn, samples)
        # Metrics raise then, and a run goes on.
        if not np.isfinite(fake.features).all():
            return dict.fromkeys(values, math.nan)
        return comparison.compare(Sets(real, fake, train))

    return Evaluator(init, run, name=name, open=lambda: extractor.open())


def _log_protocol(
    name: str, extractor: SharedExtractor, samples: int, reals: int
) -> None:
    """Logs all that the values of an evaluator depend on, besides the generator."""
    opened = extractor.open()
    facts = "".join(f", {key} {x}" for key, x in opened.protocol.items())
    LOG.info(
        "%s: %d samples against %d training examples, in the features of %s %s%s",
        *(name, samples, reals, opened.name, opened.digest, printable(facts)),
    )


FEATURE_EVALUATORS: dict[str, Callable[..., Evaluator]] = {
    f.__name__: f for f in (fd, kid, precision_recall, memorization, classes, modes)
}
"""Factories of evaluators by name. Each gets a `SharedExtractor`."""

"""Values of metrics on extracted sets: per draw, over draws, and with their floor."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgan import reporting
from jaxgan.errors import UsageError
from jaxgan.evaluation import statistics_files
from jaxgan.evaluation.extraction import ByExtractor, key_of
from jaxgan.evaluation.statistics_files import Statistics
from jaxgan.metrics.comparisons import Comparison, Sets
from jaxgan.metrics.features import Features, StoredImages
from jaxgan.metrics.frechet import moments

log = logging.getLogger("jaxgan")

Values = dict[str, float]
"""Values of metrics by name."""


class Real(NamedTuple):
    """The real side of a comparison."""

    features: ByExtractor
    """Of held-out examples; {} if there are statistics."""
    train: ByExtractor
    """Of training examples."""
    statistics: Statistics | None = None
    """The mean and covariance of features, in place of the features."""


def values_of(
    comparisons: Sequence[Comparison], real: Real, fake: ByExtractor
) -> list[Values]:
    """Returns the values of each metric by name.

    Raises:
      UsageError: if the features are not finite, or have no labels that are needed.
    """
    values = []
    for comparison in comparisons:
        if real.statistics is None:
            values.append(comparison.compare(sets_of(comparison, real, fake)))
        elif comparison.of_moments is not None:
            found = moments(fake[key_of(comparison.extractor)].features)
            values.append(comparison.of_moments(real.statistics.moments, found))
    return values


def joined(values: Sequence[Values]) -> Values:
    """Returns the values of all metrics by name.

    Raises:
      UsageError: if two have one name, as those of a metric with other settings.

    >>> joined([{"fd": 1.0}, {"precision": 0.5, "recall": 0.7}])
    {'fd': 1.0, 'precision': 0.5, 'recall': 0.7}
    """
    whole: Values = {}
    for own in values:
        if twice := sorted(whole.keys() & own.keys()):
            raise UsageError(
                f"--metrics has {twice[0]} twice: evaluate one after the other"
            )
        whole |= own
    return whole


def warnings_of(
    comparisons: Sequence[Comparison], real: Real, fake: ByExtractor
) -> list[str]:
    """Returns the warnings of all metrics, each one line."""
    if real.statistics is None:
        found = [x.warning(sets_of(x, real, fake)) for x in comparisons]
        return [text for text in found if text]
    # Statistics have no features, but the same bias.
    found = []
    for extractor in {key_of(x.extractor): x.extractor for x in comparisons}.values():
        of_fake = moments(fake[key_of(extractor)].features)
        name = f"fd({extractor.name})"
        found.append(statistics_files.warning(real.statistics, of_fake, name))
    return [text for text in found if text]


def log_new(texts: Sequence[str], said: set[str]) -> None:
    """Logs warnings, each once for all sets of samples.

    Args:
      texts: the warnings of a set.
      said: those of earlier sets, to which new ones are added.
    """
    for text in texts:
        if text not in said:
            log.warning("%s", text)
            said.add(text)


def sets_of(comparison: Comparison, real: Real, fake: ByExtractor) -> Sets:
    """Returns the features of a metric's extractor, with images if it needs them."""
    name = key_of(comparison.extractor)
    sets = (real.features[name], fake[name], real.train[name])
    if not comparison.images:
        sets = tuple(x._replace(images=None) for x in sets)
    return Sets(*sets)


def some_of(features: ByExtractor, rows: np.ndarray) -> ByExtractor:
    """Returns the features, labels and images of some rows."""

    def take(x: Features) -> Features:
        # All of them are not copied.
        if len(rows) == len(x.features) and (rows == np.arange(len(rows))).all():
            return x
        # Pixels are not read now.
        pixels = x.images and StoredImages(x.images.__getitem__, rows)
        arrays = jax.tree.map(lambda a: a[rows], x._replace(images=None))
        return arrays._replace(images=pixels)

    return {name: take(x) for name, x in features.items()}


def without_labels(features: ByExtractor) -> ByExtractor:
    """Returns features without their labels."""
    return {name: x._replace(labels=None) for name, x in features.items()}


def summary(rows: list[dict[str, Any]], floor: Values) -> dict[str, Any]:
    """Returns mean, standard deviation over rows and floor of each metric.

    The floor is the value of other real examples in place of samples. For memorization,
    which would compare training examples with themselves, it is left out.

    Args:
      rows: values by name of each set of samples, with the numbers `run` and `seed`.
      floor: values by name, {} if there are none.
    """
    result = {}
    for name in [x for x in rows[0] if x not in ("run", "seed")]:
        values = np.array([row[name] for row in rows])
        result[name] = {"value": float(values.mean())}
        # A single value has no spread.
        if len(values) > 1:
            result[name]["std"] = float(values.std(ddof=1))
        if name in floor and not name.startswith("memorization"):
            result[name]["floor"] = floor[name]
    return result


def save_statistics(
    file: Path, comparisons: Sequence[Comparison], real: Real, origin: str
) -> None:
    """Writes the statistics of the real features, which are of one extractor.

    Args:
      file: the .npz file.
      comparisons: the metrics.
      real: the real side.
      origin: the real examples, in one line.
    """
    [features] = real.features.values()
    extractor = comparisons[0].extractor
    statistics_files.save(file, moments(features.features), extractor, origin)


def save_pictures(
    out: Path,
    comparisons: Sequence[Comparison],
    values: Sequence[Values],
    real: Real,
    fake: ByExtractor,
) -> None:
    """Writes the pictures of metrics beside the file of the values.

    Args:
      out: the file of the values, such as `evaluation.json`. The picture of a metric is
        `evaluation-<name of its first value>.png` then.
      comparisons: the metrics. Their `picture` returns columns of images, or None.
      values: of each metric.
      real: the real side.
      fake: the features of samples.
    """
    for comparison, own in zip(comparisons, values, strict=True):
        if real.statistics is not None:
            continue
        columns = comparison.picture(sets_of(comparison, real, fake))
        if columns is None:
            continue
        file = out.with_name(f"{out.stem}-{next(iter(own))}.png")
        # Points and curves of other columns are drawn behind those of the fakes.
        behind = [x for name, x in columns.items() if name != "fake"]
        drawn = reporting.picture_of_columns(columns, next(iter(behind), None))
        reporting.save_png(file, drawn)
        log.info("picture in %s", file)

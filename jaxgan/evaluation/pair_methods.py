"""Values of a generator and of plain methods on the same inputs."""

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgan import reporting
from jaxgan.data.kinds import scale_integers
from jaxgan.evaluation.build_metrics import Metrics
from jaxgan.evaluation.extraction import ByExtractor, check_rows, unique
from jaxgan.evaluation.pair_outputs import Outputs
from jaxgan.evaluation.scores import Values
from jaxgan.metrics.baselines import BASELINES, Inputs, baselines_for
from jaxgan.metrics.features import Extractor, Features, StoredImages
from jaxgan.metrics.pairs import Pairs

log = logging.getLogger("jaxgan")

SHOWN = 12
"""Examples in the picture of all methods."""


class Method(NamedTuple):
    """Something that maps inputs to images."""

    name: str
    apply: Callable[[Pairs, np.ndarray], Pairs]
    """(pairs, training targets) to pairs with its own outputs."""


GENERATED = Method("generated", lambda pairs, targets: pairs)
"""The generator."""


def methods_of(outputs: Outputs) -> tuple[list[Method], list[str]]:
    """Returns the baselines of a run, and the names of those not installed."""
    names = baselines_for(
        outputs.source_shape,
        outputs.shape,
        has_mask=outputs.has("mask"),
        aligned=outputs.aligned,
    )
    missing = [name for name in names if not BASELINES[name].is_installed]

    def method(name: str) -> Method:
        def apply(pairs: Pairs, targets: np.ndarray) -> Pairs:
            inputs = Inputs(pairs.source, outputs.shape, targets, pairs.mask)
            # A cycle is one of the generator.
            return pairs._replace(fake=BASELINES[name].apply(inputs), cycle=None)

        return Method(name, apply)

    return [method(name) for name in names if name not in missing], missing


def measure(
    drawn: Iterable[Pairs],
    methods: Sequence[Method],
    metrics: Metrics,
    *,
    targets: np.ndarray,
    picture: Path | None = None,
) -> dict[str, tuple[Values, ByExtractor]]:
    """Applies methods and metrics to pairs, some at a time.

    Args:
      drawn: the outputs of the generator.
      methods: the generator and baselines.
      metrics: of pairs, and of sets, for which features are extracted.
      targets: training targets that baselines may read, `[k, H, W, C]` uint8.
      picture: a file for a picture of the first outputs; None for none.

    Returns:
      For each method the means of the values of pairs, and the features of its
      outputs. A value for which its outputs lack a column is left out.
    """
    extractors = unique(x.extractor for x in metrics.sets)
    keep = any(x.images for x in metrics.sets)
    tables = {x.name: _Rows(metrics, extractors, keep) for x in methods}
    for place, pairs in enumerate(drawn):
        outputs = {x.name: x.apply(pairs, targets) for x in methods}
        if picture is not None and place == 0:
            save_picture(picture, pairs, outputs)
        for name, own in outputs.items():
            tables[name].add(own)
    return {name: (rows.means(), rows.features()) for name, rows in tables.items()}


class _Rows:
    """The values and features of one method, part by part."""

    def __init__(
        self, metrics: Metrics, extractors: dict[str, Extractor], keep: bool
    ) -> None:
        self._metrics, self._extractors, self._keep = metrics.pairs, extractors, keep
        self._values: dict[str, list[np.ndarray]] = {x.name: [] for x in metrics.pairs}
        self._features: dict[str, list[Features]] = {key: [] for key in extractors}
        self._images: list[np.ndarray] = []

    def add(self, pairs: Pairs) -> None:
        """Measures some pairs."""
        for metric in self._metrics:
            if all(getattr(pairs, name) is not None for name in metric.needs):
                self._values[metric.name].append(metric.measure(pairs))
        for key, extractor in self._extractors.items():
            scaled = scale_integers(pairs.fake)
            found = extractor.extract(scaled)
            check_rows(found, extractor, "outputs", 0, len(scaled))
            self._features[key].append(found)
        if self._keep:
            self._images.append(pairs.fake)

    def means(self) -> Values:
        """Returns the mean over all images that have a value, if there are any."""
        values: Values = {}
        for metric in self._metrics:
            if parts := self._values[metric.name]:
                whole = np.concatenate(parts)
                summarize = metric.summarize or _mean_of(metric.name)
                values |= summarize(whole)
        return values

    def features(self) -> ByExtractor:
        """Returns the features of all outputs, with images if a metric needs them."""
        images = None
        if self._keep:
            raw = np.concatenate(self._images)
            images = StoredImages(
                lambda numbers: scale_integers(raw[numbers]), np.arange(len(raw))
            )

        def join(parts: list[Features]) -> Features:
            classes = [x.probabilities for x in parts if x.probabilities is not None]
            return Features(
                np.concatenate([x.features for x in parts]),
                np.concatenate(classes) if classes else None,
                images=images,
            )

        return {key: join(parts) for key, parts in self._features.items()}


def _mean_of(name: str) -> Callable[[np.ndarray], Values]:
    """Returns a function to the mean of values that are there, under a name."""

    def summarize(values: np.ndarray) -> Values:
        known = values[~np.isnan(values)]
        return {name: float(known.mean())} if len(known) else {}

    return summarize


def save_picture(file: Path, pairs: Pairs, outputs: dict[str, Pairs]) -> None:
    """Writes the first inputs, outputs of all methods and targets, side by side."""
    columns = {"source": pairs.source, "mask": pairs.mask}
    columns |= {name: x.fake for name, x in outputs.items() if name != GENERATED.name}
    columns |= {"fake": pairs.fake, "real": pairs.real}
    shown = {
        name: np.float32(x[:SHOWN]) if name == "mask" else x[:SHOWN]
        for name, x in columns.items()
        if x is not None
    }
    reporting.save_png(file, reporting.picture_of_columns(shown, None))
    log.info("picture in %s: %s", file, " | ".join(shown))

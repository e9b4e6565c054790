"""Compares two sets of images, or a set with statistics of real images."""

import dataclasses
import inspect
import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgan import data
from jaxgan.config.evaluating import (
    AUTO,
    METRICS,
    STATISTICS,
    USUAL_N,
    CompareConfig,
    split_name,
    statistics_of,
)
from jaxgan.data.split import count_shared
from jaxgan.distributed.consensus import all_succeed, run_on_main
from jaxgan.errors import UsageError, printable
from jaxgan.evaluation import example_counts, image_sets, statistics_files
from jaxgan.evaluation.build_metrics import (
    build_metrics,
    check_metrics,
    default_metrics,
)
from jaxgan.evaluation.extraction import ByExtractor, features_of, unique
from jaxgan.evaluation.protocol import environment, extractor_facts
from jaxgan.evaluation.scores import (
    Real,
    Values,
    joined,
    log_new,
    save_pictures,
    save_statistics,
    some_of,
    summary,
    values_of,
    warnings_of,
    without_labels,
)
from jaxgan.evaluation.statistics_files import Statistics
from jaxgan.metrics.comparisons import Comparison
from jaxgan.metrics.features import EXTRACTORS, Extractor

log = logging.getLogger("jaxgan")

LEAST_FLOOR = 100
"""Examples of a half that a floor is computed from, at least."""


class Choice(NamedTuple):
    """The images to compare."""

    real: data.Dataset | None
    """None if there are statistics."""
    fake: data.Dataset
    numbers: np.ndarray
    """Of the real examples, `[n_real]`."""
    fake_numbers: np.ndarray
    """Of the images to judge, `[n]`."""
    others: np.ndarray
    """Other real examples for the floor, `[n]`, or `[0]` if there are too few."""


def report_of(config: CompareConfig) -> dict[str, Any]:
    """Compares two sets of images. All processes call it.

    Returns:
      `metrics`, `draws` and `protocol`, as they are written to a file.

    Raises:
      UsageError: if a set or a metric cannot be used.
    """
    auto = config.metrics == AUTO
    if auto:
        config = dataclasses.replace(config, metrics=METRICS)
    # Wrong texts are found before data are read.
    planned = all_succeed(lambda: _check_metrics(config))
    given = all_succeed(lambda: _statistics(config, planned))
    real, fake = all_succeed(lambda: load_sets(config, given))
    if auto and real is not None:
        config = dataclasses.replace(config, metrics=default_metrics(real.example))
        planned = all_succeed(lambda: _check_metrics(config))
    if any(x.labels for x in planned) and not have_labels(real, fake):
        raise UsageError(
            "--metrics has a metric of classes, and the sets of --compare have not the "
            "same classes: use fd or precision_recall"
        )
    if any(x.attributes for x in planned) and not have_attributes(real, fake):
        raise UsageError(
            "--metrics has a metric of attributes, and the sets of --compare have not "
            "the same attributes: use fd or precision_recall"
        )
    # Extractors may be trained now, on the real set.
    chosen = choose_images(real, fake, config)
    _check_counts(config, planned, chosen)
    comparisons = build_metrics(
        *(config.metrics, *all_succeed(lambda: learned_from(real, config, planned))),
        example=fake.example,
        inception_weights=config.inception_weights,
    )
    statistics_files.check_extractors(comparisons, given, config.save_stats)
    features, of_fake = _extract(chosen, comparisons, given, config)
    floor, name = run_on_main(lambda: _floor(comparisons, features, chosen))

    def judge() -> Values:
        if config.save_stats and chosen.real is not None:
            origin = f"{len(chosen.numbers):,} of {chosen.real.origin}"
            save_statistics(config.save_stats, comparisons, features, origin)
        values = values_of(comparisons, features, of_fake)
        log_new(warnings_of(comparisons, features, of_fake), set())
        if config.out:
            save_pictures(config.out, comparisons, values, features, of_fake)
        return joined(values)

    rows = [run_on_main(judge)]
    extractors = unique(x.extractor for x in comparisons)
    return {
        "metrics": summary(rows, floor),
        "draws": rows,
        "protocol": protocol(chosen, given, extractors, name, config),
    }


def _check_metrics(config: CompareConfig) -> list[Comparison]:
    """Returns the planned metrics if they need nothing but two sets."""
    planned = check_metrics(config.metrics, inception_weights=config.inception_weights)
    if any(x.whole_train for x in planned):
        raise UsageError(
            "memorization compares with a training set and with held-out examples, "
            "which --compare does not have: leave it out, or use --workdir"
        )
    return planned


def _statistics(config: CompareConfig, planned: list[Comparison]) -> Statistics | None:
    """Reads the real side if it is `stats:FILE`, and checks the metrics."""
    text = config.real
    if not isinstance(text, str) or not text.startswith(STATISTICS):
        return None
    if config.n_real or config.save_stats:
        raise UsageError(
            "stats:FILE replaces the real examples: leave out --n_real and --save_stats"
        )
    statistics_files.check_metrics(planned)
    return statistics_files.load(statistics_of(text, "--compare"))


def load_sets(
    config: CompareConfig, given: Statistics | None = None
) -> tuple[data.Dataset | None, data.Dataset]:
    """Loads both sets.

    Raises:
      UsageError: if one cannot be loaded or has a single image, or if the images of
        both have different shapes.
    """
    real = None if given else _load(config.real, config)
    fake = _load(config.fake, config)
    for dataset in (real, fake):
        if dataset is not None and dataset.size < 2:
            raise UsageError(
                f"--compare: {printable(dataset.name)} has {dataset.size} image, which "
                "has no spread: use two or more"
            )
    if real is not None and real.shape != fake.shape:
        raise UsageError(
            f"--compare: {printable(real.name)} has images of {list(real.shape)}, and "
            f"{printable(fake.name)} of {list(fake.shape)}: {_advice(real, fake)}"
        )
    return real, fake


def _advice(real: data.Dataset, fake: data.Dataset) -> str:
    """Returns what makes two shapes equal."""
    kinds = [x.example[x.example.generated].kind for x in (real, fake)]
    if kinds != ["image", "image"]:
        return f"compare sets of one form, not {kinds[0]} with {kinds[1]}"
    if len(real.shape) != 3 or real.shape[-1] != fake.shape[-1]:
        return "save both with the same channels"
    height, width = real.shape[:2]
    return f"resize both with --image_size={height}x{width}"


def _load(which: Any, config: CompareConfig) -> data.Dataset:
    """Loads a set by its name, or from arrays, or returns a data set."""
    if isinstance(which, data.Dataset):
        return which
    if isinstance(which, str) and which.startswith(STATISTICS):
        raise UsageError(
            f"--compare {printable(which)}: statistics are the real side, which is "
            "named first: --compare stats:FILE folder:samples"
        )
    # Sources of users have paths too.
    paths = set(data.SOURCES) - data.WHOLE_NAMES
    name, split = which, "train"
    if isinstance(which, str):
        name, split = split_name(which, paths)
    try:
        return data.load(
            name,
            split=split,
            data_dir=config.data_dir or None,
            image_size=config.image_size or None,
            crop=config.crop,
        )
    except UsageError as error:
        # The loader names flags of training.
        text = str(error).replace(f"--dataset={name}", f"--compare {which}")
        text = text.replace(f"--split={split}:", f"--compare {which}:")
        raise UsageError(text.replace("--dataset", "--compare")) from error


def learned_from(
    real: data.Dataset | None, config: CompareConfig, planned: Sequence[Comparison]
) -> tuple[data.Dataset | None, data.Dataset | None]:
    """Returns the examples that extractors are trained and tested on.

    Of a split other than `train`, such as `mnist:test`, the training split, as for the
    runs of that set. Sets without another split are trained on themselves, which is
    part of the protocol.

    Args:
      real: the real set, None for statistics.
      config: the configuration.
      planned: the metrics.
    """
    factories = [EXTRACTORS.get(x.extractor.name) for x in planned]
    trains = any(x and "train" in inspect.signature(x).parameters for x in factories)
    if real is None or not trains or not isinstance(config.real, str):
        return real, None
    name, split = split_name(config.real, set(data.SOURCES) - data.WHOLE_NAMES)
    if split == "train":
        return real, None
    try:
        train = _load(f"{name}:train", config)
    except UsageError:
        return real, None
    # A part of the training split has none of its own.
    same = train.example == real.example and not count_shared(train, real)
    return (train, real) if same else (real, None)


def choose_images(
    real: data.Dataset | None, fake: data.Dataset, config: CompareConfig
) -> Choice:
    """Selects images of both sets without replacement, the same ones each time.

    Raises:
      UsageError: if there are fewer than asked for.
    """
    for flag, count, dataset in (
        ("n", config.n, fake),
        ("n_real", config.n_real, real),
    ):
        if dataset is not None and count > dataset.size:
            raise UsageError(
                f"--{flag}={count}: {printable(dataset.name)} has {dataset.size} "
                f"images; use --{flag}={dataset.size}"
            )
    # The order of epoch 0 is random, and sorted numbers are read in sequence.
    count = config.n or min(USUAL_N, fake.size)
    fakes = np.sort(data.epoch_order(0, 0, fake.size)[:count])
    none = np.arange(0)
    if real is None:
        return Choice(None, fake, none, fakes, none)
    order = data.epoch_order(0, 0, real.size)
    n_real = config.n_real or min(count, real.size)
    others = order[n_real : n_real + count]
    # A floor of fewer examples would be that of another protocol.
    others = np.sort(others) if len(others) == count else none
    return Choice(real, fake, np.sort(order[:n_real]), fakes, others)


def _check_counts(
    config: CompareConfig, planned: Sequence[Comparison], chosen: Choice
) -> None:
    """Raises UsageError if there are too few examples for a metric."""
    if chosen.real is None:
        return
    side_of, flag = example_counts.side_of, example_counts.real_flag(config)
    real = side_of("real images", flag, chosen.real, chosen.numbers)
    fakes = [side_of("images to judge", "n", chosen.fake, chosen.fake_numbers)]
    if len(chosen.others):
        fakes.append(side_of("other real images", "n", chosen.real, chosen.others))
    example_counts.check(planned, real, *fakes)


def _extract(
    chosen: Choice,
    comparisons: Sequence[Comparison],
    given: Statistics | None,
    config: CompareConfig,
) -> tuple[Real, ByExtractor]:
    """Extracts the features of both sets. `Real.train` has those of the floor."""
    extractors = unique(x.extractor for x in comparisons)
    keep = any(x.images for x in comparisons)
    real: ByExtractor = {}
    others: ByExtractor = {}
    if chosen.real is not None:
        some = image_sets.of_dataset("real images", chosen.real, chosen.numbers)
        real = others = features_of(some, extractors, keep=keep, cache=config.cache)
    if chosen.real is not None and len(chosen.others):
        some = image_sets.of_dataset("other real images", chosen.real, chosen.others)
        others = features_of(some, extractors, keep=keep, cache=config.cache)
    some = image_sets.of_dataset("images to judge", chosen.fake, chosen.fake_numbers)
    fake = features_of(some, extractors, keep=keep, cache=False)
    if not have_labels(chosen.real, chosen.fake):
        fake = without_labels(fake)
    return Real(real, others, given), fake


def have_labels(real: data.Dataset | None, fake: data.Dataset) -> bool:
    """Returns True if both sets have the same classes.

    Numbers of classes mean the same only if their names are the same.
    """
    return real is not None and real.classes == fake.classes != ()


def have_attributes(real: data.Dataset | None, fake: data.Dataset) -> bool:
    """Returns True if both sets have attributes of the same names."""
    fields = [x and x.example.get("attributes") for x in (real, fake)]
    return all(fields) and fields[0].names == fields[1].names  # pyright: ignore[reportOptionalMemberAccess]


def _floor(
    comparisons: Sequence[Comparison], real: Real, chosen: Choice
) -> tuple[Values, str]:
    """Returns the values of real images in place of those to judge, and their name.

    These are other examples of the real set if it has enough, else one half of the real
    examples against the other half, which have the floor of a smaller number.
    """
    n_real, count = len(chosen.numbers), len(chosen.others)
    if chosen.real is None:
        return {}, "none"
    labelled = have_labels(chosen.real, chosen.fake)
    if count:
        others = real.train if labelled else without_labels(real.train)
        values = joined(values_of(comparisons, real, others))
        return values, f"{count:,} other examples of the real set against the same"
    # Too few others, so that the real examples are divided.
    half = n_real // 2
    enough = [max(x.least.real, x.least.fake) for x in comparisons if x.least]
    if half < max([LEAST_FLOOR, *enough]):
        return {}, "none, as the real set is small"
    order = np.random.default_rng(0).permutation(n_real)
    one, other = (
        some_of(real.features, np.sort(x)) for x in (order[:half], order[-half:])
    )
    other = other if labelled else without_labels(other)
    values = joined(values_of(comparisons, Real(one, one), other))
    return values, (
        f"one half of these against the other, {half:,} each, which is not the floor "
        f"of {len(chosen.fake_numbers):,} against {n_real:,}"
    )


def protocol(
    chosen: Choice,
    given: Statistics | None,
    extractors: dict[str, Extractor],
    floor: str,
    config: CompareConfig,
) -> dict[str, Any]:
    """Returns all that the values depend on."""
    if given is not None or chosen.real is None:
        assert given is not None
        side = {"real": given.origin, "n_real": given.count, "fingerprint": None}
    else:
        side = {
            "real": chosen.real.origin,
            "n_real": len(chosen.numbers),
            "fingerprint": data.fingerprint(chosen.real),
        }
    return {
        **side,
        "statistics": given and given.file.name,
        "metrics": config.metrics,
        "fake": chosen.fake.origin,
        "n_fake": len(chosen.fake_numbers),
        "fake_fingerprint": data.fingerprint(chosen.fake),
        "n_floor": len(chosen.others),
        "floor": floor,
        "image_size": list(chosen.fake.shape),
        "crop": config.crop,
        "std_over": [],
        "extractors": extractor_facts(extractors),
        **environment(),
    }

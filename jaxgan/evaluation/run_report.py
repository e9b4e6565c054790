"""Evaluates a run: samples of a checkpoint against held-out examples."""

import dataclasses
import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgan import data
from jaxgan.config.evaluating import AUTO, METRICS, USUAL_N, EvaluateConfig
from jaxgan.distributed.consensus import all_succeed, run_on_main
from jaxgan.errors import UsageError
from jaxgan.evaluation import example_counts, image_sets, statistics_files
from jaxgan.evaluation.build_metrics import (
    build_metrics,
    check_metrics,
    default_metrics,
)
from jaxgan.evaluation.extraction import ByExtractor, features_of, unique
from jaxgan.evaluation.load_run import Run
from jaxgan.evaluation.protocol import environment, extractor_facts, parameters_of
from jaxgan.evaluation.real_examples import RealExamples, load_real
from jaxgan.evaluation.sample_inputs import or_train
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
from jaxgan.experiment import checkpoint
from jaxgan.metrics.comparisons import Comparison
from jaxgan.metrics.features import Extractor

log = logging.getLogger("jaxgan")


class Data(NamedTuple):
    """The real examples of an evaluation."""

    train: data.Dataset
    held_out: data.Dataset | None
    """None if there are none, and statistics take their place."""
    numbers: np.ndarray
    """Of the held-out examples, `[n_real]`."""
    train_numbers: np.ndarray
    """Of the training examples, `[n_train]`: all of them if a metric needs that."""
    floor: np.ndarray
    """Indices in `train_numbers` of as many examples as there are samples."""
    statistics: Statistics | None
    trained_on: int | None
    """The number of the held-out examples that the run was trained on."""
    split: str
    """That of the held-out examples, see `RealExamples`."""


def report_of(config: EvaluateConfig, run: Run) -> dict[str, Any]:
    """Computes the metrics of a run that starts from noise. All processes call it.

    Args:
      config: the configuration.
      run: the run.

    Returns:
      `metrics`, `draws` and `protocol`, as they are written to a file.

    Raises:
      UsageError: if the checkpoint, the data or a metric cannot be used.
    """
    metrics = config.metrics
    if metrics == AUTO:
        metrics = METRICS if config.against else default_metrics(run.example)
    config = dataclasses.replace(config, n=config.n or USUAL_N, metrics=metrics)
    # A wrong text or checkpoint is found before data are read.
    weights = config.inception_weights
    planned = all_succeed(
        lambda: check_metrics(
            config.metrics, inception_weights=weights, example=run.example
        )
    )
    given = all_succeed(lambda: _statistics(config, planned))
    all_succeed(lambda: _check_labels(run, planned))
    folder = run.folder / "checkpoints"
    all_succeed(lambda: checkpoint.candidates(folder, config.which))
    # Then the data are read, and extractors are opened, which may train them.
    examples = all_succeed(lambda: load_real(run, config))
    chosen = choose_examples(examples, config, planned, given)
    all_succeed(lambda: _check_counts(config, run, planned, chosen))
    comparisons = build_metrics(
        config.metrics, examples.train, examples.held_out, inception_weights=weights
    )
    extractors = unique(x.extractor for x in comparisons)
    statistics_files.check_extractors(comparisons, given, config.save_stats)
    # The real side, once for all samples.
    real = extract_real(chosen, extractors, comparisons, config)
    floor = run_on_main(lambda: _floor(run, comparisons, real, chosen))
    if (file := config.save_stats) and chosen.held_out is not None:
        origin = f"{len(chosen.numbers):,} of {chosen.held_out.origin}"
        run_on_main(lambda: save_statistics(file, comparisons, real, origin))
    # The samples of each run and seed.
    step, rows = _draws(run, config, chosen, comparisons, real)
    return {
        "metrics": summary(rows, floor),
        "draws": rows,
        "protocol": protocol(run, config, chosen, extractors, step),
    }


def _statistics(config: EvaluateConfig, planned: list[Comparison]) -> Statistics | None:
    """Reads the file of `--against`, and checks that the metrics can use it."""
    if not config.against:
        return None
    statistics_files.check_metrics(planned)
    return statistics_files.load(config.against)


def _check_labels(run: Run, planned: list[Comparison]) -> None:
    """Raises UsageError if a metric needs a condition that samples do not have."""
    if any(x.attributes for x in planned) and not image_sets.has_attributes(run):
        raise UsageError(
            "--metrics has a metric of attributes, which samples of "
            f"--task={run.config.task} do not depend on: use fd or precision_recall"
        )
    if image_sets.is_conditional(run):
        return
    if any(x.labels for x in planned):
        raise UsageError(
            "--metrics has a metric of classes, and this run is unconditional, "
            f"--task={run.config.task}: use fd or precision_recall"
            f"{or_train(run.example)}"
        )


def _check_counts(
    config: EvaluateConfig, run: Run, planned: list[Comparison], chosen: Data
) -> None:
    """Raises UsageError if there are too few examples for a metric."""
    if chosen.held_out is None or chosen.statistics is not None:
        return
    side_of, train = example_counts.side_of, chosen.train
    flag = example_counts.real_flag(config)
    real = side_of("real examples", flag, chosen.held_out, chosen.numbers)
    inputs = image_sets.inputs_of_samples(train, config.n)
    drawn = side_of("samples", "n", train, inputs)._replace(available=None)
    if not image_sets.is_conditional(run):
        drawn = drawn._replace(labels=None)
    numbers = chosen.train_numbers[chosen.floor]
    floor = side_of("training examples", "n", train, numbers)
    example_counts.check(planned, real, drawn, floor)


def numbers_of(run: Run, config: EvaluateConfig) -> Sequence[int]:
    """Returns the numbers of the runs to evaluate."""
    return range(run.config.runs) if config.run is None else [config.run]


def choose_examples(
    examples: RealExamples,
    config: EvaluateConfig,
    comparisons: Sequence[Comparison],
    statistics: Statistics | None,
) -> Data:
    """Selects examples without replacement, the same ones for all checkpoints.

    Args:
      examples: the training examples and those that are held out.
      config: has the numbers of examples.
      comparisons: the metrics, which may need all training examples.
      statistics: those that take the place of held-out examples.
    """
    # The order of epoch 0 is random, and sorted numbers are read in sequence.
    train, held_out = examples.train, examples.held_out
    numbers, trained = np.arange(0), None
    if held_out is not None and statistics is None:
        count = config.n_real or min(config.n, held_out.size)
        numbers = np.sort(data.epoch_order(0, 0, held_out.size)[:count])
        trained = examples.count_trained_on(numbers)
    some = np.sort(data.epoch_order(0, 0, train.size)[: config.n])
    # As many training examples as samples, for the floor.
    every, floor = some, np.arange(len(some))
    if any(x.whole_train for x in comparisons):
        every, floor = np.arange(train.size), some
    split = examples.split
    return Data(train, held_out, numbers, every, floor, statistics, trained, split)


def extract_real(
    chosen: Data,
    extractors: dict[str, Extractor],
    comparisons: Sequence[Comparison],
    config: EvaluateConfig,
) -> Real:
    """Extracts the features of the held-out and of the training examples."""
    keep = any(x.images for x in comparisons)
    held_out: ByExtractor = {}
    if chosen.held_out is not None and chosen.statistics is None:
        some = image_sets.of_dataset("real examples", chosen.held_out, chosen.numbers)
        held_out = features_of(some, extractors, keep=keep, cache=config.cache)
    some = image_sets.of_dataset(
        "training examples", chosen.train, chosen.train_numbers
    )
    train = features_of(some, extractors, keep=keep, cache=config.cache)
    return Real(held_out, train, chosen.statistics)


def _floor(
    run: Run, comparisons: Sequence[Comparison], real: Real, chosen: Data
) -> Values:
    """Returns the values of training examples in place of samples."""
    perfect = some_of(real.train, chosen.floor)
    # As the samples: a metric may do more if there are labels.
    if not image_sets.is_conditional(run):
        perfect = without_labels(perfect)
    return joined(values_of(comparisons, real, perfect))


def _draws(
    run: Run,
    config: EvaluateConfig,
    chosen: Data,
    comparisons: Sequence[Comparison],
    real: Real,
) -> tuple[int, list[dict[str, Any]]]:
    """Returns the step, and the values of each run and set of samples."""
    extractors = unique(x.extractor for x in comparisons)
    keep = any(x.images for x in comparisons)
    step, rows, said = 0, [], set[str]()
    for number in numbers_of(run, config):
        one = dataclasses.replace(run, number=number)
        # Of a run in progress, all processes get the same checkpoint.
        step, variables = run_on_main(
            lambda one=one: one.restore_step(config.which, raw=config.raw)
        )
        for seed in range(config.seed, config.seed + config.draws):
            samples = image_sets.of_samples(
                one, variables, chosen.train, seed=seed, count=config.n
            )
            fake = features_of(samples, extractors, keep=keep)

            def judge(fake=fake, first=not rows) -> Values:
                values = values_of(comparisons, real, fake)
                log_new(warnings_of(comparisons, real, fake), said)
                # Pictures are those of the first set.
                if first and config.out:
                    save_pictures(config.out, comparisons, values, real, fake)
                return joined(values)

            rows.append({"run": number, "seed": seed, **run_on_main(judge)})
    return step, rows


def protocol(
    run: Run,
    config: EvaluateConfig,
    chosen: Data,
    extractors: dict[str, Extractor],
    step: int,
) -> dict[str, Any]:
    """Returns all that the values depend on."""
    runs, draws = len(numbers_of(run, config)), config.draws
    given, held_out = chosen.statistics, chosen.held_out
    if given is not None or held_out is None:
        count = given and given.count
        origin = given and given.origin
        digest = None
    else:
        count, origin = len(chosen.numbers), held_out.origin
        digest = data.fingerprint(held_out)
    return {
        "dataset": run.config.dataset,
        "held_out": origin,
        "split": None if given else chosen.split,
        "metrics": config.metrics,
        "trained_on": chosen.trained_on,
        "n_real": count,
        "n_fake": config.n,
        "n_floor": len(chosen.floor),
        "n_train": len(chosen.train_numbers),
        "floor": f"{len(chosen.floor):,} training examples against the same",
        "statistics": given and given.file.name,
        "fingerprint": digest,
        "step": step,
        "parameters": parameters_of(run, raw=config.raw),
        "batch_norm": "running statistics",
        "seed": config.seed,
        "std_over": [f"{runs} training seeds"] * (runs > 1)
        + [f"{draws} sets of samples"] * (draws > 1),
        "extractors": extractor_facts(extractors),
        **environment(),
    }

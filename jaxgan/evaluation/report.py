"""Evaluates a run or a set offline, prints a table and writes the values."""

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jaxgan import storage
from jaxgan.config.anomalies import USUAL_RATE, parse_weights
from jaxgan.config.evaluating import (
    AUTO,
    AUTOENCODER_STEPS,
    CompareConfig,
    EvaluateConfig,
    Request,
    check,
    checkpoint_of,
    statistics_of,
    weights_path,
)
from jaxgan.config.extensions import import_extensions
from jaxgan.distributed.consensus import all_succeed, check_same_flags, run_on_main
from jaxgan.errors import UsageError
from jaxgan.evaluation import (
    anomaly_report,
    anomaly_table,
    pair_report,
    pair_table,
    run_report,
    set_report,
    sounds,
    text_report,
    text_set_report,
    text_table,
    vocoder_report,
)
from jaxgan.evaluation.build_metrics import refuse_weights
from jaxgan.evaluation.load_run import Run, load_run
from jaxgan.evaluation.protocol import table
from jaxgan.experiment import memory
from jaxgan.files import atomic_write

log = logging.getLogger("jaxgan")


def report_of_run(config: EvaluateConfig) -> dict[str, Any]:
    """Computes the metrics of a run, which its task decides. All processes call it.

    Raises:
      UsageError: if the run, the checkpoint, the data or a metric cannot be used.
    """
    run = all_succeed(lambda: load_run(config.workdir, number=config.run or 0))
    all_succeed(lambda: _check_anomaly_flags(config, run))
    special = None
    if run.gan.task.score is not None:
        special = anomaly_report.report_of
    elif sounds.restores_sounds(run):
        special = vocoder_report.report_of
    elif run.example[run.example.generated].kind == "tokens":
        special = text_report.report_of
    if special is not None:
        all_succeed(lambda: refuse_weights(config.inception_weights))
        return special(config, run)
    # A task that maps images to images has an output for each held-out example.
    maps_images = run.gan.task.transform is not None
    return (pair_report if maps_images else run_report).report_of(config, run)


def _check_anomaly_flags(config: EvaluateConfig, run: Run) -> None:
    """Raises UsageError if flags of anomalies are given, and the run finds none."""
    usual = {
        "false_alarms": USUAL_RATE,
        "weights": {},
        "autoencoder_steps": AUTOENCODER_STEPS,
    }
    others = [flag for flag, value in usual.items() if getattr(config, flag) != value]
    if others and run.gan.task.score is None:
        raise UsageError(
            f"--{others[0]} has no effect for --task={run.config.task}, which finds no "
            "anomalies: leave it out"
        )


def report_of_sets(config: CompareConfig) -> dict[str, Any]:
    """Compares two sets of images or of texts. All processes call it.

    Raises:
      UsageError: if a set or a metric cannot be used.
    """
    of_text = text_set_report.is_text(config)
    if of_text:
        all_succeed(lambda: refuse_weights(config.inception_weights))
    return (text_set_report if of_text else set_report).report_of(config)


REPORTS: dict[type, Callable[[Any], dict[str, Any]]] = {
    EvaluateConfig: report_of_run,
    CompareConfig: report_of_sets,
}
"""The function that computes a report, by the type of its configuration."""

FLAGS = {"which": "checkpoint", "draws": "seeds", "import_": "import"}
"""Flags whose names differ from those of their fields."""

OWN = ("processes", "out", "save_stats")
"""Fields that may differ between processes; only process 0 writes."""


@memory.explain_out_of_memory("use a smaller --n")
def evaluate(config: Request) -> int:
    """Computes the metrics, prints a table and writes them. Returns the exit code.

    All processes call it. Process 0 prints and writes.

    Raises:
      UsageError: if the run, the checkpoint, the data or a metric cannot be used.
    """
    check_same_flags(
        {FLAGS.get(k, k): str(x) for k, x in vars(config).items() if k not in OWN}
    )
    import_extensions(config.import_)
    report = REPORTS[type(config)](config)
    run_on_main(lambda: _show(report, config.out))
    return 0


def _show(report: dict[str, Any], out: Path | None) -> None:
    """Prints the table and writes the report."""
    print("\n".join(_table(report)))
    if out is not None:
        replaced = ", which replaces an earlier one" if out.exists() else ""
        atomic_write(out, json.dumps(report, indent=2).encode())
        storage.push(out, f"{out.stem}-*.png")  # with its pictures
        log.info("written to %s%s", out, replaced)


def _table(report: dict[str, Any]) -> list[str]:
    """Returns the lines of the table that fits a report."""
    if "n_anomalies" in report["protocol"]:
        return anomaly_table.table(report)
    if "unit" in report["protocol"]:
        return text_table.table(report)
    return pair_table.table(report) if "rows" in report else table(report)


def evaluate_run(
    workdir: str | Path,
    metrics: str = AUTO,
    *,
    n: int = 0,
    n_real: int = 0,
    split: str = "auto",
    checkpoint: str | int = "last",
    against: str | None = None,
    seed: int = 0,
    seeds: int = 1,
    raw: bool = False,
    run: int | None = None,
    cache: bool = True,
    false_alarms: float = USUAL_RATE,
    weights: Mapping[str, float] | str = "",
    autoencoder_steps: int = AUTOENCODER_STEPS,
    inception_weights: str | Path = "",
) -> dict[str, Any]:
    """Compares samples of a run with held-out examples, or outputs with targets.

    Does the same as `python -m jaxgan.evaluate`, but writes the cache of features only.

    Args:
      workdir: folder of the run.
      metrics: metrics, joined by `|`; `auto` for those that fit the task.
      n: number of samples or of held-out inputs, 0 for 10,000 or all of fewer inputs.
      n_real: number of held-out examples, 0 for at most `n`.
      split: one that the run was not trained on, a number of training examples, or
        `part`, 1 in 10 of them; `auto` is what the run held out, else the split `test`.
      checkpoint: `last`, `best` or a step.
      against: `stats:FILE`, statistics in place of held-out examples.
      seed: of the first of `seeds` sets of samples.
      seeds: number of them.
      raw: True for the newest parameters instead of their moving average.
      run: number of the run, None for all of several.
      cache: True to keep features of real examples on disk.
      false_alarms: rate of the threshold of a run that finds anomalies.
      weights: of the parts of its score, by name or like `pixels=1,features=0`.
      autoencoder_steps: updates of the autoencoder beside it, 0 for none.
      inception_weights: the file of the FID's weights, for metrics of `inception`.

    Returns:
      `metrics`, with `value`, `std` and `floor` by name, `draws` and `protocol`. Of an
      image-to-image run, or one that finds anomalies, also `rows`: plain methods too.

    Raises:
      UsageError: if the run, the checkpoint, the data or a metric cannot be used.

    >>> evaluate_run("no/run")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
      ...
    jaxgan.errors.UsageError: --workdir=no/run is not the folder of a run...
    """
    chosen: dict[str, Any] = {
        **{"metrics": metrics, "split": split, "raw": raw, "run": run, "cache": cache},
        **{"n": n, "n_real": n_real, "seed": seed, "draws": seeds},
    }
    if against is not None:
        chosen["against"] = statistics_of(against)
    known = parse_weights(weights) if isinstance(weights, str) else dict(weights)
    folder, which = storage.run_folder("--workdir", workdir), checkpoint_of(checkpoint)
    chosen |= {"false_alarms": false_alarms, "weights": known}
    chosen["inception_weights"] = weights_path(inception_weights)
    chosen["autoencoder_steps"] = autoencoder_steps
    return report_of_run(check(EvaluateConfig(workdir=folder, which=which, **chosen)))


def compare(
    real: Any,
    fake: Any,
    metrics: str = AUTO,
    *,
    n: int = 0,
    n_real: int = 0,
    image_size: str = "",
    crop: str = "center",
    data_dir: str = "",
    cache: bool = True,
    inception_weights: str | Path = "",
) -> dict[str, Any]:
    """Compares a set of images, or of lines of text, with real ones.

    The same as `python -m jaxgan.evaluate --compare REAL FAKE`. Nothing is printed or
    written, but for the cache of features.

    Args:
      real: the real images: `folder:PATH`, `npz:PATH`, `text:PATH` (whose `metrics`
        are `auto`, or such as `bleu|fd(minilm)`), a name of TFDS such as
        `mnist:test`, `stats:FILE`, a `Dataset`, the Path of a folder or file, or an
        array `[n, H, W, C]`, uint8 or float32 in [-1, 1].
      fake: the images to judge, of the same shape.
      metrics: metrics of features, joined by `|`; `auto` for the Frechet and kernel
        distances, precision and recall of the classifier if there are labels, and of
        efficientnet for other images.
      n: number of images to judge, 0 for at most 10,000.
      n_real: number of real images, 0 for at most `n`.
      image_size: size to which images are resized, `64` or `48x64`.
      crop: the crop before that.
      data_dir: where TFDS keeps its sets.
      cache: True to keep features of real images on disk.
      inception_weights: the file of the FID's weights, for metrics of `inception`.

    Returns:
      `metrics`, with `value` and `floor` by name, `draws` and `protocol`.

    Raises:
      UsageError: if a set or a metric cannot be used.

    >>> import numpy as np
    >>> images = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1), np.uint8)
    >>> report = compare(images, images, "fd(random(4))", cache=False)
    >>> round(report["metrics"]["fd_random"]["value"], 6)
    0.0
    """
    config = CompareConfig(
        real=real,
        fake=fake,
        metrics=metrics,
        n=n,
        n_real=n_real,
        image_size=image_size,
        crop=crop,
        data_dir=data_dir,
        cache=cache,
        inception_weights=weights_path(inception_weights),
    )
    return report_of_sets(check(config))

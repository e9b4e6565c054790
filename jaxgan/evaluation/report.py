"""Evaluates a run offline: samples against held-out examples, with their protocol."""

import dataclasses
import json
import logging
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgan import data
from jaxgan.config.evaluating import EvaluateConfig
from jaxgan.errors import UsageError
from jaxgan.evaluation.build_metrics import build_metrics, check_metrics
from jaxgan.evaluation.load_run import Run, load_run
from jaxgan.evaluation.previews import generate_in_batches
from jaxgan.evaluation.sample_files import to_dtype
from jaxgan.experiment import memory, setup
from jaxgan.files import atomic_write
from jaxgan.gan.objective import example_keys
from jaxgan.metrics.comparisons import Comparison, Sets
from jaxgan.metrics.features import Extractor, Features
from jaxgan.parallel import multi_seed
from jaxgan.types import Tree

log = logging.getLogger("jaxgan")

AT_ONCE = 1_000
"""Samples in memory at a time; only their features are kept."""


class Real(NamedTuple):
    """The real examples of an evaluation."""

    train: data.Dataset
    held_out: data.Dataset
    numbers: np.ndarray
    """Of the held-out examples, `[n_real]`."""
    train_numbers: np.ndarray
    """Of the training examples, `[n_train]`: all of them if a metric needs that."""
    floor: np.ndarray
    """Indices in `train_numbers` of as many examples as there are samples."""


@memory.explain_out_of_memory("use a smaller --n")
def evaluate(config: EvaluateConfig) -> int:
    """Computes the metrics, prints a table and writes them. Returns the exit code.

    Raises:
      UsageError: if the run, the checkpoint, the data or a metric cannot be used.
    """
    run = load_run(config.workdir, number=config.run or 0)
    check_metrics(config.metrics)
    train, held_out = load_real(run, config)
    comparisons = build_metrics(config.metrics, train, held_out)
    whole = any(x.whole_train for x in comparisons)
    real = choose_examples(train, held_out, config, whole)
    extractors = unique(x.extractor for x in comparisons)
    log.info("features of %d held-out examples", len(real.numbers))
    of_real = features_of(real.held_out, real.numbers, extractors)
    log.info("features of %d training examples", len(real.train_numbers))
    of_train = features_of(real.train, real.train_numbers, extractors)
    perfect = jax.tree.map(lambda x: x[real.floor], of_train)
    floor = values_of(comparisons, of_real, perfect, of_train)
    step, rows = None, []
    for number in numbers_of(run, config):
        one = dataclasses.replace(run, number=number)
        step, variables = one.restore_step(config.which, raw=config.raw)
        for draw in range(config.draws):
            seed = config.seed + draw
            log.info("%d samples of run %d, seed %d", config.n, number, seed)
            fake = features_of_samples(one, variables, real, seed, config.n, extractors)
            values = values_of(comparisons, of_real, fake, of_train)
            for comparison in comparisons:
                sets = sets_of(comparison, of_real, fake, of_train)
                if text := comparison.warning(sets):
                    log.warning("%s", text)
            rows.append({"run": number, "seed": seed, **values})
    report = {
        "metrics": summary(rows, floor),
        "draws": rows,
        "protocol": protocol(run, config, real, extractors, step),
    }
    atomic_write(config.out, json.dumps(report, indent=2).encode())
    print("\n".join(table(report)))
    log.info("written to %s", config.out)
    return 0


def numbers_of(run: Run, config: EvaluateConfig) -> Sequence[int]:
    """Returns the numbers of the runs to evaluate."""
    return range(run.config.runs) if config.run is None else [config.run]


def load_real(run: Run, config: EvaluateConfig) -> tuple[data.Dataset, data.Dataset]:
    """Loads the training examples of a run, and those that are held out.

    Raises:
      UsageError: if there are no held-out examples, or fewer than asked for.
    """
    train, held_out = setup.load_data(
        dataclasses.replace(run.config, held_out=config.split)
    )
    if held_out is None:
        raise UsageError(
            f"--dataset={run.config.dataset} has no examples that were held out: name "
            "a split, such as --split=test"
        )
    if config.n_real > held_out.size:
        raise UsageError(
            f"--n_real={config.n_real}: there are {held_out.size} held-out examples; "
            f"use --n_real={held_out.size}"
        )
    if held_out.size < 2:
        raise UsageError("there is a single held-out example: use another --split")
    return train, held_out


def choose_examples(
    train: data.Dataset, held_out: data.Dataset, config: EvaluateConfig, whole: bool
) -> Real:
    """Selects examples without replacement, the same ones for all checkpoints.

    Args:
      train: the training examples.
      held_out: the other examples.
      config: has the numbers of examples.
      whole: True to select all training examples.
    """
    count = config.n_real or min(config.n, held_out.size)
    numbers = np.sort(data.epoch_order(0, 0, held_out.size)[:count])
    some = np.sort(data.epoch_order(0, 0, train.size)[: config.n])
    if not whole:
        return Real(train, held_out, numbers, some, np.arange(len(some)))
    return Real(train, held_out, numbers, np.arange(train.size), some)


def unique(extractors: Iterator[Extractor]) -> dict[str, Extractor]:
    """Returns the extractors by their name and digest, each once."""
    return {f"{x.name}-{x.digest}": x for x in extractors}


def features_of(
    dataset: data.Dataset, numbers: np.ndarray, extractors: dict[str, Extractor]
) -> dict[str, Features]:
    """Extracts the features of examples, some at a time."""

    def images() -> Iterator[np.ndarray]:
        for start in range(0, len(numbers), AT_ONCE):
            examples = dataset.read(numbers[start : start + AT_ONCE])
            yield data.normalize(examples, dataset.example)[dataset.example.generated]

    return extract(images(), extractors)


def features_of_samples(
    run: Run,
    variables: Tree,
    real: Real,
    seed: int,
    n: int,
    extractors: dict[str, Extractor],
) -> dict[str, Features]:
    """Draws samples and extracts their features, some at a time.

    Samples are rounded to the dtype of the data. Their inputs, such as labels, are
    those of training examples, in a fixed order.
    """
    example, key = run.example, multi_seed.key_of(seed)
    generate = jax.jit(run.gan.generate)

    def images() -> Iterator[np.ndarray]:
        for start in range(0, n, AT_ONCE):
            count = min(AT_ONCE, n - start)
            places = np.arange(start, start + count) % real.train.size
            numbers = data.epoch_order(0, 1, real.train.size)[places]
            batch = data.normalize(real.train.read(numbers), example)
            keys = example_keys(key, count, start)
            drawn = generate_in_batches(generate, variables, batch, keys)
            drawn = drawn[example.generated] if isinstance(drawn, dict) else drawn
            raw = {example.generated: to_dtype(drawn, example.dtype)}
            yield data.normalize(raw, example)[example.generated]

    return extract(images(), extractors)


def extract(
    images: Iterator[np.ndarray], extractors: dict[str, Extractor]
) -> dict[str, Features]:
    """Returns the features of all images, by the name and digest of the extractor."""
    parts: dict[str, list[Features]] = {name: [] for name in extractors}
    for some in images:
        for name, extractor in extractors.items():
            parts[name].append(extractor.extract(some))
    return {
        name: jax.tree.map(lambda *x: np.concatenate(x), *own)
        for name, own in parts.items()
    }


def values_of(
    comparisons: Sequence[Comparison],
    real: dict[str, Features],
    fake: dict[str, Features],
    train: dict[str, Features],
) -> dict[str, float]:
    """Returns the values of all metrics by name."""
    values: dict[str, float] = {}
    for comparison in comparisons:
        values |= comparison.compare(sets_of(comparison, real, fake, train))
    return values


def sets_of(
    comparison: Comparison,
    real: dict[str, Features],
    fake: dict[str, Features],
    train: dict[str, Features],
) -> Sets:
    """Returns the features of a metric's extractor."""
    name = f"{comparison.extractor.name}-{comparison.extractor.digest}"
    return Sets(real[name], fake[name], train[name])


def summary(rows: list[dict[str, Any]], floor: dict[str, float]) -> dict[str, Any]:
    """Returns mean, standard deviation over rows and floor of each metric.

    The floor is the value of training examples in place of samples. For memorization,
    which would compare them with themselves, it is left out.
    """
    result = {}
    for name, value in floor.items():
        values = np.array([row[name] for row in rows])
        result[name] = {"value": float(values.mean())}
        if len(values) > 1:
            result[name]["std"] = float(values.std(ddof=1))
        if not name.startswith("memorization"):
            result[name]["floor"] = value
    return result


def protocol(
    run: Run,
    config: EvaluateConfig,
    real: Real,
    extractors: dict[str, Extractor],
    step: int | None,
) -> dict[str, Any]:
    """Returns all that the values depend on."""
    runs, draws = len(numbers_of(run, config)), config.draws
    return {
        "dataset": run.config.dataset,
        "held_out": real.held_out.origin,
        "split": config.split,
        "n_real": len(real.numbers),
        "n_fake": config.n,
        "n_floor": len(real.floor),
        "n_train": len(real.train_numbers),
        "fingerprint": data.fingerprint(real.held_out),
        "step": step,
        "parameters": "newest" if config.raw else "moving average",
        "batch_norm": "running statistics",
        "seed": config.seed,
        "std_over": [f"{runs} training seeds"] * (runs > 1)
        + [f"{draws} sets of samples"] * (draws > 1),
        "extractors": {
            x.name: {"digest": x.digest, **x.protocol} for x in extractors.values()
        },
        "versions": {name: version(name) for name in ("jaxgan", "jax", "numpy")},
    }


def table(report: dict[str, Any]) -> list[str]:
    """Returns the lines of a table of all values, and the protocol."""
    facts = report["protocol"]
    spread = " and ".join(facts["std_over"])
    lines = [f"{'metric':28} {'value':>12} {'floor':>12}"]
    for name, x in report["metrics"].items():
        shown = f"{x['value']:.5g}" + (f" +- {x['std']:.2g}" if "std" in x else "")
        floor = f"{x['floor']:.5g}" if "floor" in x else "-"
        lines.append(f"{name:28} {shown:>12} {floor:>12}")
    lines += [f"+- is the standard deviation over {spread}"] * bool(spread)
    lines.append(
        f"{facts['n_fake']:,} samples of step {facts['step']} ({facts['parameters']}) "
        f"against {facts['n_real']:,} of {facts['held_out']}; floor: "
        f"{facts['n_floor']:,} training examples against the same"
    )
    for name, x in facts["extractors"].items():
        more = ", ".join(f"{key} {value}" for key, value in x.items())
        lines.append(f"{name}: {more}")
    return lines

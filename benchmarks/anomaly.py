"""Anomaly detection on MNIST and Fashion-MNIST, beside plain detectors.

    python benchmarks/anomaly.py --protocol=one-normal --dataset=mnist --seeds=3

trains one GAN for each class and seed, scores the test examples, and writes AUROC and
average precision of every method to `benchmarks/results/anomaly.json`. The protocols:

* `one-normal`: a class is normal. Trained on its examples in the training split, tested
  on the whole test split.
* `one-anomalous` (GANomaly's): the nine other classes are normal. Trained on 80 % of
  their examples of both splits, tested on the other 20 % and on the whole class.

The seeds of a class are trained side by side in one call, and batches come from the
host, so that all classes share one compiled program. The same command resumes: what the
JSON has is not measured again. `--methods=plain` measures the plain detectors alone,
which takes minutes.
"""

import argparse
import dataclasses
import json
import os
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import anomaly_pools
import arms
import jax
import jax.numpy as jnp
import numpy as np
import recipe_arms

from jaxgan import data
from jaxgan.config.anomalies import USUAL_RATE
from jaxgan.config.evaluating import AUTO, AUTOENCODER_STEPS, EvaluateConfig
from jaxgan.config.resolve import make_config
from jaxgan.environment import enable_compilation_cache
from jaxgan.evaluation import anomaly_data, anomaly_report
from jaxgan.evaluation.anomaly_plain import Examples, of_autoencoder, pixels_of
from jaxgan.evaluation.load_run import Run, load_run
from jaxgan.evaluation.score_reference import compute, weigh
from jaxgan.evaluation.scorer import Scorer
from jaxgan.experiment import checkpoint, setup
from jaxgan.files import atomic_write
from jaxgan.gan import builder
from jaxgan.metrics import anomaly
from jaxgan.metrics.anomaly_baselines import DETECTORS, projection
from jaxgan.tasks.anomaly import pixel_distance
from jaxgan.training.fit import fit

Values = dict[str, float]

PROTOCOLS = ("one-normal", "one-anomalous")
DATASETS = ("mnist", "fashion_mnist")
CLASSES = 10

PLAIN = "plain"
"""The name of the plain detectors in `--methods`."""

RECIPES: dict[str, dict[str, Any]] = {
    "alice": {"preset": "alice"},
    "bigan": {"preset": "bigan"},
    "f-anogan": {"preset": "f-anogan"},
    # The same networks and reconstruction, without a discriminator.
    "autoencoder": {"preset": "alice", "loss": "none", "d_terms": ""},
}
"""Flags of the trained methods by name."""

L2 = "l2-autoencoder"
"""The baseline of `jaxgan.evaluate`: the networks of `alice`, trained by L2 alone."""

SHOWN = {"autoencoder": ("pixels",)}
"""Rows of a trained method that mean something; all of them by default."""

QUIET = {
    **{"input": "host", "samples": 16, "score_samples": 64, "log_every": 200},
    **{"eval_metrics": "sliced_wasserstein", "sample_every": 10**6},
}
"""Flags of all runs."""

DISTANCE = (1.0, 0.5)
"""Blur and contrast of the distance of the task `anomaly`, also for PCA."""

PUBLISHED: dict[str, dict[str, tuple[list[float], float, str]]] = {
    "one-normal/mnist": {
        "AnoGAN": (
            [96.6, 99.2, 85.0, 88.7, 89.4, 88.3, 94.7, 93.5, 84.9, 92.4],
            91.3,
            "Ruff et al. 2018, unchecked",
        ),
        "deep autoencoder": (
            [97.6, 98.3, 85.4, 86.7, 86.5, 78.2, 94.6, 92.3, 86.5, 90.4],
            89.7,
            "Ruff et al. 2018, unchecked",
        ),
        "Deep SVDD": (
            [98.0, 99.7, 91.7, 91.9, 94.9, 88.5, 98.3, 94.6, 93.9, 96.5],
            94.8,
            "Ruff et al. 2018",
        ),
        "OCGAN": ([], 97.5, "Perera et al. 2019, unchecked"),
        "LSA": ([], 97.5, "Abati et al. 2019, unchecked"),
    },
    "one-normal/fashion_mnist": {
        "Deep SVDD": ([], 92.8, "cited by Salehi et al. 2021, unchecked"),
        "OCGAN": ([], 92.4, "cited by Salehi et al. 2021, unchecked"),
        "ARAE": ([], 93.6, "Salehi et al. 2021, unchecked"),
    },
}
"""AUROC of each class, their mean and its source, by protocol; none is measured here.

Their preprocessing differs: Deep SVDD normalizes the contrast of images first. Those
that are `unchecked` were not compared with the papers themselves. The digits of Deep
SVDD were compared with the row "original" of another implementation's table.
"""


def flags_of(protocol: str, dataset: str, label: int) -> dict[str, Any]:
    """Returns the flags that choose the examples.

    >>> flags_of("one-normal", "mnist", 3)
    {'dataset': 'mnist', 'normal': '3'}
    """
    if protocol == "one-normal":
        return {"dataset": dataset, "normal": str(label)}
    others = ",".join(str(i) for i in range(CLASSES) if i != label)
    name = f"pool:{dataset}:{label}"
    return {"dataset": name, "normal": others, "import_": anomaly_pools.__name__}


def plain(protocol: str, dataset: str, label: int) -> dict[str, Values]:
    """Returns the values of plain detectors, fitted to all normal training examples."""
    chosen = flags_of(protocol, dataset, label)
    train, test = (data.load(chosen["dataset"], split=x) for x in ("train", "test"))
    is_anomaly = ~data.is_normal(test, chosen["normal"])
    train = data.keep_normal(train, chosen["normal"])
    fitted = pixels_of(train, np.arange(train.size))
    tests = pixels_of(test, np.arange(test.size))
    found = {}
    for name, detector in DETECTORS.items():
        if detector.is_installed:
            found[name] = values_of(detector.fit(fitted)(tests), is_anomaly)
    # The same reconstruction, compared as the task compares its own.
    for count in (16, 32):
        back = projection(count, fitted)(tests)
        scores = _distances(tests, back, test.shape)
        found[f"PCA-{count}, our distance"] = values_of(scores, is_anomaly)
    return found


def _distances(
    images: np.ndarray, back: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    """Returns the task's distances of rows `[n, d]` in [0, 1], `[n]`."""
    found = []
    for first in range(0, len(images), 1000):
        part = slice(first, first + 1000)
        one, other = (
            jnp.asarray(2 * x[part] - 1).reshape(-1, *shape) for x in (images, back)
        )
        found.append(np.asarray(pixel_distance(one, other, *DISTANCE).sum((1, 2))))
    return np.concatenate(found)


def values_of(scores: np.ndarray, is_anomaly: np.ndarray) -> Values:
    """Returns AUROC and average precision, from 0 to 1."""
    return {
        "auroc": anomaly.auroc(scores, is_anomaly),
        "ap": anomaly.average_precision(scores, is_anomaly),
    }


def trained(
    protocol: str, dataset: str, label: int, recipe: str, seeds: int, place: Path
) -> dict[str, Any]:
    """Trains a recipe on a class, and returns the values of each seed by row."""
    folder = arms.folder_of(place, protocol, dataset, str(label), recipe)
    flags = {
        **flags_of(protocol, dataset, label),
        **RECIPES[recipe],
        **QUIET,
        "runs": seeds,
    }
    config = make_config(**flags, workdir=folder)
    # All checkpoints but the last would only take time.
    config = dataclasses.replace(config, save_every=config.steps)
    started, cpu = time.monotonic(), time.process_time()
    if config.steps not in checkpoint.available(folder / "checkpoints"):
        code = fit(config)
        if code:
            raise SystemExit(f"{folder}: training stopped with exit code {code}")
    seconds = time.monotonic() - started, time.process_time() - cpu
    words = [f"--{k.rstrip('_')}={v}" for k, v in flags.items()]
    return {
        "rows": judged(folder),
        "wall_seconds": round(seconds[0], 1),
        "cpu_seconds": round(seconds[1], 1),
        "steps": config.steps,
        "command": shlex.join(["python", "-m", "jaxgan.train", *words]),
    }


def l2_autoencoder(protocol: str, dataset: str, label: int) -> dict[str, Any]:
    """Trains the autoencoder on a class, and returns its values."""
    config = make_config(**flags_of(protocol, dataset, label), **RECIPES["alice"])
    train, held_out = setup.load_data(config)
    assert held_out is not None  # the preset holds out a part
    run = Run(Path(), config, train.example, builder.build_gan(config, train.example))
    normal = anomaly_data.normal_numbers(run, held_out, train)
    tests = anomaly_data.labeled_tests(run, train, AUTO)
    numbers = np.arange(tests.dataset.size)
    examples = Examples(train, held_out, normal, tests, numbers)
    started, cpu = time.monotonic(), time.process_time()
    found = of_autoencoder(run, examples, steps=AUTOENCODER_STEPS, cache=False)
    seconds = time.monotonic() - started, time.process_time() - cpu
    [scores] = found.values()
    values = anomaly_report.values_of(scores, examples.is_anomaly, USUAL_RATE)
    return {
        "rows": {"mean square": [values]},
        "wall_seconds": round(seconds[0], 1),
        "cpu_seconds": round(seconds[1], 1),
        "steps": AUTOENCODER_STEPS,
    }


def judged(folder: Path) -> dict[str, list[Values]]:
    """Returns the values of each seed of a run, for all parts and for each alone.

    Thresholds for 1 % false alarms come from held-out normal examples.
    """
    run = load_run(folder)
    request = EvaluateConfig(workdir=folder)
    examples = anomaly_report.examples_of(request, run)
    scorer = Scorer(run)
    rows: dict[str, list[Values]] = {}
    for number in range(run.config.runs):
        _, variables = dataclasses.replace(run, number=number).restore_players()
        scorer.use(variables)
        held_out = compute(scorer, examples.held_out, examples.normal)
        reference = weigh(run, held_out, {})
        parts = anomaly_report.score_tests(scorer, examples)
        for name, one in anomaly_report.by_part(reference, parts).items():
            values = anomaly_report.values_of(
                one, examples.is_anomaly, request.false_alarms
            )
            rows.setdefault(name, []).append(values)
    return rows


def lines_of(found: dict[str, Any], key: str, value: str = "auroc") -> list[str]:
    """Returns a table of a protocol: methods, values of classes in %, and their mean.

    Args:
      found: the results of a protocol by class and group of methods.
      key: the protocol and the data set.
      value: `auroc` or `ap`.
    """
    head = ["method", *(str(i) for i in range(CLASSES)), "mean"]
    rows = []
    for name, own in _by_method(found, value).items():
        cells = [f"{np.mean(own[i]):.1f}" if i in own else "" for i in range(CLASSES)]
        rows.append([name, *cells, _mean(own)])
    for name, (values, mean, source) in PUBLISHED.get(key, {}).items():
        if value == "auroc":
            cells = [f"{x:.1f}" for x in values] or [""] * CLASSES
            rows.append([f"*{name}, {source}*", *cells, f"*{mean:.1f}*"])
    return arms.table(head, rows)


def overview(found: dict[str, Any]) -> list[str]:
    """Returns a table of all protocols: methods, and means over classes in %.

    Args:
      found: the results by protocol, class and group of methods.
    """
    keys = [f"{x}/{y}" for x in PROTOCOLS for y in DATASETS if f"{x}/{y}" in found]
    head = ["method"]
    columns: list[dict[str, str]] = []
    for key in keys:
        head += [key.replace("/", ", "), "AP"]
        for value in ("auroc", "ap"):
            methods = _by_method(found[key], value)
            columns.append({name: _mean(own) for name, own in methods.items()})
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = [[name, *(column.get(name, "") for column in columns)] for name in names]
    return arms.table(head, rows)


def _by_method(found: dict[str, Any], value: str) -> dict[str, dict[int, list[float]]]:
    """Returns the values in % of each method by class, for all seeds."""
    methods: dict[str, dict[int, list[float]]] = {}
    for label in range(CLASSES):
        for name, seeds in _methods(found.get(str(label), {})).items():
            own = [100 * x[value] for x in seeds]
            methods.setdefault(name, {})[label] = own
    return methods


def _methods(groups: dict[str, Any]) -> dict[str, list[Values]]:
    """Returns the values of each seed of a class by method."""
    found = {name: [x] for name, x in groups.get(PLAIN, {}).items()}
    for recipe in (*RECIPES, L2):
        rows = groups.get(recipe, {}).get("rows", {})
        for row, seeds in rows.items():
            if row in SHOWN.get(recipe, rows):
                found[f"{recipe}: {row}"] = seeds
    return found


def _mean(own: dict[int, list[float]]) -> str:
    """Returns the mean over classes and seeds, with its spread over seeds."""
    if len(own) < CLASSES:
        return ""
    seeds = min(map(len, own.values()))
    means = [np.mean([x[i] for x in own.values()]) for i in range(seeds)]
    mean, spread = arms.spread(map(float, means))
    return f"**{mean:.2f}**" + (f" ± {spread:.2f}" if seeds > 1 else "")


def _only(parser: argparse.ArgumentParser, text: str) -> list[int]:
    """Returns the classes of `--only`."""
    try:
        chosen = [int(x) for x in text.split(",")] if text else list(range(CLASSES))
    except ValueError:
        chosen = [-1]
    if not all(0 <= x < CLASSES for x in chosen):
        parser.error(f"--only={text}: name classes from 0 to 9, such as --only=0,3")
    return chosen


def keep_programs() -> None:
    """Keeps compiled programs on disk, so that all classes share them."""
    enable_compilation_cache()
    # Its variables are read when jax is imported, which has happened.
    folder = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def main() -> int:
    """Runs the command line and returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--protocol", choices=PROTOCOLS, default=PROTOCOLS[0])
    add("--dataset", choices=DATASETS, default=DATASETS[0])
    add("--seeds", type=int, default=3, help="training seeds of each class")
    add("--only", default="", help="classes, such as 0,3 (default: all)")
    add(
        "--methods",
        default=f"{PLAIN},{L2},alice,autoencoder",
        help=f"{PLAIN}, {L2} and names of recipes: {', '.join(RECIPES)}",
    )
    add("--folder", default="runs/anomaly", help="folder of the runs")
    add("--out", default="benchmarks/results/anomaly.json", help="JSON of the results")
    args = parser.parse_args()
    methods = args.methods.split(",")
    if unknown := set(methods) - {PLAIN, L2, *RECIPES}:
        parser.error(f"--methods: there is no {', '.join(sorted(unknown))}")
    chosen = _only(parser, args.only)
    keep_programs()
    out, key = Path(args.out), f"{args.protocol}/{args.dataset}"
    for label in chosen:
        for method in methods:
            if method in _read(out).get(key, {}).get(str(label), {}):
                continue
            values = _measure(args, label, method)
            # Another protocol may have been written meanwhile.
            found = _read(out)
            groups = found.setdefault(key, {}).setdefault(str(label), {})
            groups[method] = values
            found["machine"] = recipe_arms.machine()
            atomic_write(out, (json.dumps(found, indent=1) + "\n").encode())
            rows = _methods({method: groups[method]})
            shown = {k: f"{100 * _auroc(x):.2f}" for k, x in rows.items()}
            print(f"{key} {label}: {shown}", flush=True)
    found = json.loads(out.read_text())[key]
    for value, name in (("auroc", "AUROC"), ("ap", "average precision")):
        print("\n".join([f"{key}, {name}, %:", *lines_of(found, key, value)]))
    return 0


def _read(out: Path) -> dict[str, Any]:
    """Returns what the file of results has, {} if there is none."""
    return json.loads(out.read_text()) if out.exists() else {}


def _measure(args: argparse.Namespace, label: int, method: str) -> dict[str, Any]:
    """Measures one method, or all plain ones, on a class."""
    if method == PLAIN:
        return plain(args.protocol, args.dataset, label)
    if method == L2:
        return l2_autoencoder(args.protocol, args.dataset, label)
    place = Path(args.folder)
    return trained(args.protocol, args.dataset, label, method, args.seeds, place)


def _auroc(seeds: list[Values]) -> float:
    return float(np.mean([x["auroc"] for x in seeds]))


if __name__ == "__main__":
    sys.exit(main())

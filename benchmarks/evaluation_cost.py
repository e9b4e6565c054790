"""Cost of `--eval_metrics` during training.

    python benchmarks/evaluation_cost.py --presets=default,dcgan --out=cost.json

For each preset and each text of metrics, the table has:

* start: seconds of the statistics of the real side, once per run. Weights of extractors
  are those on disk: the first run on a data set also trains its classifier, and
  `jaxgan` logs the time of that.
* evaluation: seconds of one evaluation, the median of several. The device is idle
  before, so that the time is that of the evaluation alone.
* share: the time of evaluations in that of a run at the default interval. Blocks of
  training steps alternate with the evaluations, since other programs slow down both.
"""

import argparse
import dataclasses
import json
import logging
import statistics
import time
from pathlib import Path

import jax
from arms import about, table
from overhead import NEVER, config_of, program_of, show, spread

from jaxgan.config.training import Config
from jaxgan.environment import enable_compilation_cache
from jaxgan.evaluation.evaluate import Evaluation, fixed_examples
from jaxgan.experiment.experiment import Experiment
from jaxgan.experiment.setup import setup
from jaxgan.parallel import multi_seed, to_local

METRICS = (
    "sliced_wasserstein",
    "fd(classifier)",
    "fd(classifier)|precision_recall(classifier)|classes(classifier)",
    "fd(classifier)|memorization(classifier)",
)


def evaluation_of(experiment: Experiment) -> Evaluation:
    """Returns the evaluation of a run, as `training.hooks` constructs it."""
    config, dataset = experiment.config, experiment.dataset
    sample_key, metric_key = jax.random.split(experiment.keys().previews)
    return Evaluation(
        experiment.gan,
        experiment.evaluators,
        dataset,
        fixed_examples(dataset, config.score_samples, config.seed),
        sample_key=sample_key,
        metric_key=metric_key,
    )


def measure(config: Config, args: argparse.Namespace) -> dict:
    """Measures one text of metrics; returns a row."""
    experiment = setup(config)
    for evaluator in experiment.evaluators.values():
        evaluator.open()
    evaluation, seeds = evaluation_of(experiment), len(experiment.seeds)
    ema = to_local(experiment.init_state()).ema
    variables = multi_seed.split_seeds(ema, seeds)
    began = time.perf_counter()
    evaluation.prepare()
    start = time.perf_counter() - began
    evaluation.evaluate(variables)  # compiles
    seconds, steps = [], []
    with program_of(dataclasses.replace(config, eval_metrics="diversity")) as run:
        for _ in range(args.blocks):
            steps.append(1 / run(args.seconds).rate)
            began = time.perf_counter()
            evaluation.evaluate(variables)
            seconds.append(time.perf_counter() - began)
    shares = [
        once / (once + args.every * step)
        for once, step in zip(seconds, steps, strict=True)
    ]
    return {
        "preset": config.preset,
        "metrics": config.eval_metrics,
        "ms_per_step": 1e3 * statistics.median(steps),
        "start": start,
        "evaluation": statistics.median(seconds),
        "every": args.every,
        "share": statistics.median(shares),
        "shares": shares,
    }


def cost_table(rows: list[dict]) -> list[str]:
    """Lines of Markdown."""
    return table(
        ["preset", "metrics", "ms/step", "start s", "evaluation s", "share (range)"],
        [
            [
                *(row["preset"], row["metrics"].replace("|", "\\|")),
                *(f"{row['ms_per_step']:.1f}", f"{row['start']:.1f}"),
                f"{row['evaluation']:.2f}",
                f"{row['share']:.1%} ({spread(row['shares'])})",
            ]
            for row in rows
        ],
    )


def main() -> None:
    """Measures all pairs of presets and metrics, prints a table and writes JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--presets", default="default", help="separated by commas")
    parser.add_argument(
        "--metrics", nargs="+", default=METRICS, help="values of --eval_metrics"
    )
    parser.add_argument("--dataset", default="mnist", help="a data set with labels")
    parser.add_argument(
        *("--every",),
        type=int,
        default=Config.save_every,
        help="steps between two evaluations",
    )
    parser.add_argument("--seconds", type=float, default=5, help="length of a block")
    parser.add_argument("--blocks", type=int, default=5, help="number of blocks")
    parser.add_argument("--networks", default="", help="instead of the preset's")
    parser.add_argument("--data_dir", default="", help="folder of TFDS datasets")
    parser.add_argument("--out", help="JSON file for the results")
    args = parser.parse_args()
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    enable_compilation_cache()
    found, rows = about(), []
    print(found["machine"])
    more = {"networks": args.networks} if args.networks else {}
    for preset in args.presets.split(","):
        for metrics in args.metrics:
            given = {"dataset": args.dataset, "eval_metrics": metrics, **more}
            rows.append(measure(config_of(preset, args, **given, steps=NEVER), args))
            show(cost_table(rows[-1:]))
    show(cost_table(rows))
    if args.out:
        Path(args.out).write_text(json.dumps({**found, "cost": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()

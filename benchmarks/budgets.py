"""The recipes that `--budget` chooses, beside the default recipe for the same time.

    python benchmarks/budgets.py --budget=10m --out=budgets.json

trains both on each set of `SETS`, one after the other, and compares samples of the last
moving average with held-out examples. A run of `--budget` ends by itself, and the table
says when. The default ends by `--max_minutes`. The same command resumes: runs in the
JSON are not made again. `--only=emoji` chooses sets, and programs for different sets
may share `--out`. `--table-only` prints the table.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import arms

from jaxgan import workdir
from jaxgan.config.budgets import parse_time

SETS: dict[str, tuple[dict[str, Any], str, int]] = {
    "emoji": (
        {"dataset": "emoji", "split": "train[:1900]"},
        "efficientnet",
        800,
    ),
    "faces": (
        {"dataset": "dicebear_faces", "split": "train[:400]", "preset": "default"},
        "efficientnet",
        600,
    ),
    "fashion_mnist": ({"dataset": "fashion_mnist"}, "classifier", 10_000),
}
"""Flags, the extractor and the number of samples by set. Faces are as many, and as
large, as those of the Olivetti set."""

METRICS = "fd({0})|precision_recall({0})|memorization({0})"
CHOSEN = ("networks", "task", "batch_size", "steps", "augment")
"""Flags in the table."""
CODES = (0, 75)
"""Exit codes of runs that were done, or ended by `--max_minutes`."""
STARTUP, LONGEST = 600, 3
"""Seconds, and multiple of the budget, after which a run is given up."""


def arms_of(budget: str) -> dict[str, dict[str, Any]]:
    """Returns the flags of both recipes for a time.

    >>> arms_of("10m")["default"]["max_minutes"]
    10.0
    """
    minutes = parse_time("--budget", budget) / 60
    endless = {"preset": "default", "steps": 10**7, "max_minutes": minutes}
    return {"chosen": {"budget": budget}, "default": endless}


def train(folder: Path, flags: dict[str, Any], budget: str) -> float:
    """Trains in a program of its own, and returns its minutes.

    Raises:
      SystemExit: if the training failed, or if an earlier one was cut off.
    """
    file = folder.with_suffix(".minutes")
    if file.exists():
        return float(file.read_text())
    # A run that was cut off has used an unknown time.
    if folder.exists():
        raise SystemExit(f"{folder}: there is an unfinished run: remove it")
    start = time.monotonic()
    limit = STARTUP + LONGEST * parse_time("--budget", budget)
    call = [sys.executable, *arms.command({**flags, "workdir": folder})]
    done = subprocess.run(call, timeout=limit, check=False)
    if done.returncode not in CODES:
        raise SystemExit(f"{folder}: exit code {done.returncode}")
    minutes = (time.monotonic() - start) / 60
    file.write_text(f"{minutes}\n")
    return minutes


def evaluate(
    folder: Path, extractor: str, n: int, metrics: str = METRICS
) -> dict[str, Any]:
    """Returns the values and the protocol of the last checkpoint of a run."""
    out = folder / "of_last.json"
    metrics = metrics.format(extractor)
    own = [f"--workdir={folder}", "--checkpoint=last", f"--metrics={metrics}"]
    own += [f"--n={n}", f"--out={out}"]
    subprocess.run([sys.executable, "-m", "jaxgan.evaluate", *own], check=True)
    return json.loads(out.read_text())


def measure(name: str, arm: str, budget: str, place: Path) -> dict[str, Any]:
    """Trains one recipe on one set, and returns its row of the results."""
    flags, extractor, n = SETS[name]
    folder = arms.folder_of(place, name, arm)
    flags = {**flags, **arms_of(budget)[arm], "devices": 1}
    minutes = train(folder, flags, budget)
    config = workdir.read_config(folder)
    found = evaluate(folder, extractor, n)
    return {
        "set": name,
        "recipe": arm,
        "flags": flags,
        "chosen": {x: config[x] for x in CHOSEN},
        "steps": found["protocol"]["step"],
        "minutes": minutes,
        "metrics": found["metrics"],
        "protocol": found["protocol"],
    }


def table_of(found: dict[str, Any]) -> list[str]:
    """Returns the lines of the table in Markdown."""
    head = ["set", "recipe", "networks", "batch", "steps", "augmented", "minutes"]
    head += ["Frechet distance (floor)", "precision", "recall", "memorization"]

    def row(one: dict[str, Any]) -> list[str]:
        chosen, extractor = one["chosen"], SETS[one["set"]][1]

        def value(name: str, kind: str = "value") -> float:
            return one["metrics"][f"{name}_{extractor}"][kind]

        labels = ", labels" if "conditional" in chosen["task"] else ""
        return [
            *(one["set"], one["recipe"], chosen["networks"] + labels),
            *(str(chosen["batch_size"]), f"{one['steps']:,}"),
            "yes" if chosen["augment"] else "no",
            f"{one['minutes']:.1f}",
            f"{value('fd'):.4g} ({value('fd', 'floor'):.4g})",
            *(f"{value(x):.2f}" for x in ("precision", "recall", "memorization")),
        ]

    return arms.table(head, map(row, found["rows"]))


def main() -> int:
    """Runs the command line and returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--budget", default="10m", help="time of each run")
    add("--only", default="", help=f"sets, of {','.join(SETS)} (default: all)")
    add("--folder", default="runs/budgets", help="folder of the runs")
    add("--out", default="budgets.json", help="JSON file of the results")
    add("--table-only", action="store_true", help="measure nothing")
    args = parser.parse_args()
    names = arms.choose(parser, "--only", args.only, SETS)
    out = Path(args.out)
    found = arms.open_results(parser, out, "budget", args.budget)
    for name in [] if args.table_only else names:
        for arm in arms_of(args.budget):
            if (name, arm) in [(x["set"], x["recipe"]) for x in found["rows"]]:
                continue
            row = measure(name, arm, args.budget, Path(args.folder))
            found = arms.add_row(out, found, row)
    print("\n".join(table_of(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

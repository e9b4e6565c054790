"""Gains by generated images for classifiers of 10, 50 or 500 real images per class.

    python benchmarks/augmentation.py --folder=runs/augmentation \
        --out=benchmarks/results/augmentation.json --picture=docs/augmentation.png

makes the comparisons of `python -m jaxgan.augment` one after the other: for each of
`--seeds` a GAN of the real images, and classifiers of equally many updates without
and with classic augmentation and generated images, tested on the test split. The same
command resumes. `--only=mnist` and `--sizes=10,50` choose comparisons, and
`--table-only` draws the plot from the JSON.
"""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import arms
import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from jaxgan.config.augmenting import make_augment_config
from jaxgan.environment import enable_compilation_cache
from jaxgan.evaluation import augmentation_table as tables
from jaxgan.files import atomic_write
from jaxgan.training.augmentation import compare_augmentations


class Size(NamedTuple):
    """A number of real images per class, and the budgets."""

    steps: int
    """Of a GAN."""
    classifier_steps: int


SIZES = {10: Size(1_500, 300), 50: Size(2_000, 500), 500: Size(3_000, 800)}

SETS: dict[str, dict[str, Any]] = {
    # Digits have no mirror images, nor have flags and signs.
    "mnist": {"classic": "shift"},
    "fashion_mnist": {"classic": "shift|flip"},
    "emoji": {"classic": "shift", "image_size": "32"},
}
"""Flags by data set."""

RATIOS = "0.125,0.25,0.5"

COLORS = {"none": "#8a8a8a", "classic": "#222222", "generated": "#f4a582"}
COLORS["both"] = "#1546c0"


def flags_of(name: str, per_class: int, seeds: int) -> dict[str, Any]:
    """Returns the flags of `python -m jaxgan.augment` for a comparison."""
    return {
        "dataset": name,
        "per_class_real": per_class,
        "seeds": seeds,
        "ratios": RATIOS,
        **SIZES[per_class]._asdict(),
        **SETS[name],
    }


def measure(name: str, per_class: int, seeds: int, folder: Path) -> dict[str, Any]:
    """Makes or resumes a comparison, and returns its facts and its cost."""
    flags = flags_of(name, per_class, seeds)
    place = folder / f"{name}-{per_class}"
    command = [f"--{k}={v}" for k, v in flags.items()]
    start = time.process_time()
    facts = compare_augmentations(make_augment_config(**flags, workdir=str(place)))
    return {
        **facts,
        "command": f"python -m jaxgan.augment {shlex.join(command)}",
        # Of this call only, if it has resumed.
        "cpu_seconds": round(time.process_time() - start),
        **arms.about(),
    }


def seeds_of(facts: dict[str, Any] | None) -> int:
    """Returns the number of seeds of a comparison, 0 if there is none."""
    return len(facts["accuracies"]["both"]) if facts else 0


def table_of(found: dict[str, Any]) -> Iterable[str]:
    """Returns the lines of the table in Markdown."""
    head = ["data", "real per class", "seeds", *tables.ARMS.values()]
    head += ["gain of generated over classic", "share", "CPU minutes"]
    lines = [head, ["---"] * len(head)]
    for facts in found.values():
        accuracies = facts["accuracies"]
        values = [
            tables.points(tables.estimate(accuracies[arm])).removeprefix("+")
            for arm in tables.ARMS
        ]
        gain = tables.differences(accuracies, "both", "classic")
        shown = tables.points(gain)
        lines.append(
            [
                *(facts["dataset"], str(facts["per_class_real"])),
                *(str(seeds_of(facts)), *values),
                f"**{shown}**" if gain.is_clear else shown,
                f"{facts['ratio']:.0%}",
                f"{facts['cpu_seconds'] / 60:.0f}",
            ]
        )
    return [f"| {' | '.join(cells)} |" for cells in lines]


def plot(found: dict[str, Any], file: Path) -> None:
    """Draws accuracies with their intervals over the number of real images."""
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False}):
        figure = Figure(figsize=(9, 3.2), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(1, len(SETS), squeeze=False)[0]
        for panel, name in zip(axes, SETS, strict=True):
            _panel(panel, [x for x in found.values() if x["dataset"] == name])
            panel.set_title(name)
        axes[0].set_ylabel("test accuracy %")
        axes[0].legend(frameon=False, loc="lower right")
        figure.savefig(file, dpi=120)


def _panel(panel: Any, facts: list[dict[str, Any]]) -> None:
    for place, (arm, shown) in enumerate(tables.ARMS.items()):
        found = [tables.estimate(x["accuracies"][arm]) for x in facts]
        # Beside each other, so that error bars do not cover each other.
        panel.errorbar(
            [x["per_class_real"] * (1 + 0.05 * (place - 1.5)) for x in facts],
            [100 * x.mean for x in found],
            yerr=[100 * x.half for x in found],
            color=COLORS[arm],
            label=shown,
            marker="o",
            markersize=3,
            capsize=2,
            linewidth=1,
        )
    panel.set_xscale("log")
    panel.set_xticks(list(SIZES), [str(x) for x in SIZES])
    panel.minorticks_off()
    panel.set_xlabel("real images per class")


def main() -> int:
    """Runs the command line and returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--only", default="", help="data sets, separated by commas (default: all)")
    add("--sizes", default="10,50,500", help="real images per class")
    add("--seeds", type=int, default=3, help="repetitions; more extend fewer")
    add("--folder", default="runs/augmentation", help="folder of the comparisons")
    add("--out", default="augmentation.json", help="JSON file of the results")
    add("--picture", default="", help="file for the plot")
    add("--table-only", action="store_true", help="measure nothing")
    args = parser.parse_args()
    names = args.only.split(",") if args.only else list(SETS)
    sizes = [int(x) for x in args.sizes.split(",")]
    if not set(names) <= set(SETS) or not set(sizes) <= set(SIZES):
        parser.error(f"choose from --only={','.join(SETS)} and --sizes=10,50,500")
    enable_compilation_cache()
    out = Path(args.out)
    found = json.loads(out.read_text()) if out.exists() else {}
    wanted = [(name, size) for size in sizes for name in names]
    for name, size in [] if args.table_only else wanted:
        if seeds_of(found.get(f"{name}-{size}")) >= args.seeds:
            continue
        found[f"{name}-{size}"] = measure(name, size, args.seeds, Path(args.folder))
        every = [f"{name}-{size}" for name in SETS for size in SIZES]
        ordered = {key: found[key] for key in every if key in found}
        atomic_write(out, (json.dumps(ordered, indent=1) + "\n").encode())
        print(found[f"{name}-{size}"]["answer"], flush=True)
    print("\n".join(table_of(found)))
    if args.picture:
        plot(found, Path(args.picture))
    return 0


if __name__ == "__main__":
    sys.exit(main())

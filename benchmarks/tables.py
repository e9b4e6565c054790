"""The tables of README.md and benchmarks/README.md from the JSON files in results/.

    python benchmarks/tables.py            # regenerates the tables
    python benchmarks/tables.py --check    # exits with 1 if one is out of date

In these files a table is between `<!-- table: NAME -->` and `<!-- end -->`.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
FILES = (HERE / "README.md", HERE.parent / "README.md")
MARKED = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


class Source(NamedTuple):
    """A results file and the function that returns its table as lines."""

    file: str
    table: Callable[[Any], Iterable[str]]


def sources() -> dict[str, Source]:
    """Returns the source of each table by name; imports the benchmarks."""
    import bounds
    import budgets
    import checkpointing
    import corruption_picture
    import evaluation_cost
    import gamma
    import gan_or_vae
    import input_pipeline
    import mode_coverage
    import networks
    import overhead
    import preemption
    import recipe_tables
    import scaling
    import stacked_mnist
    import startup
    import step_rows
    import sweep

    def arms(name: str) -> Callable[[Any], list[str]]:
        return lambda found: mode_coverage.table_of(name, found["data_sets"][name])

    def recipes(dataset: str) -> Callable[[Any], list[str]]:
        return lambda found: recipe_tables.table_of(found, dataset)

    def steps(found: Any) -> Iterable[str]:
        return step_rows.overview(found["measured"])

    return {
        "steps": Source("steps_cpu.json", steps),
        "steps-tutorials": Source("steps_tutorials.json", steps),
        "startup": Source("startup.json", startup.table_of),
        "trainer": Source(
            "overhead.json", lambda found: overhead.trainer_table(found["trainer"])
        ),
        "marks": Source(
            "overhead.json", lambda found: overhead.marks_table(found["marks"])
        ),
        "calls": Source(
            "overhead.json", lambda found: overhead.calls_table(found["calls"])
        ),
        "runs": Source(
            "overhead_runs.json", lambda found: overhead.runs_table(found["runs"])
        ),
        "input": Source("input_pipeline.json", input_pipeline.table_of),
        "checkpointing": Source("checkpointing.json", checkpointing.table_of),
        "preemption": Source("preemption.json", preemption.table_of),
        "simulated": Source("scaling.json", scaling.simulated_table),
        "bounds": Source("bounds.json", bounds.table_of),
        "evaluation": Source(
            "evaluation_cost.json",
            lambda found: evaluation_cost.cost_table(found["cost"]),
        ),
        "corruptions": Source("corruptions.json", corruption_picture.table_of),
        "recipes": Source("recipes.json", recipes("mnist")),
        "recipes-fashion": Source("recipes.json", recipes("fashion_mnist")),
        "recipes-two-minutes": Source("recipes_two_minutes.json", recipes("mnist")),
        "labels": Source("recipes.json", recipe_tables.labels),
        "presets": Source("recipes.json", recipe_tables.presets),
        "ring8": Source("mode_coverage.json", arms("ring8")),
        "grid25": Source("mode_coverage.json", arms("grid25")),
        "sweep": Source("sweep.json", sweep.table_of),
        "gan-or-vae": Source("gan_or_vae.json", gan_or_vae.table_of),
        "stacked": Source("stacked_mnist.json", stacked_mnist.table_of),
        "networks": Source("networks.json", networks.table_of),
        "budgets": Source("budgets.json", budgets.table_of),
        "gamma": Source("gamma.json", gamma.table_of),
        **image_sources(),
        **anomaly_sources(),
    }


def anomaly_sources() -> dict[str, Source]:
    """Returns the sources of the tables of anomaly detection and augmentation."""
    import anomaly
    import augmentation

    def classes(key: str) -> Callable[[Any], list[str]]:
        return lambda found: anomaly.lines_of(found[key], key)

    file = "anomaly.json"
    whole = {
        f"anomaly-{protocol}-{dataset}": Source(file, classes(f"{protocol}/{dataset}"))
        for protocol in anomaly.PROTOCOLS
        for dataset in anomaly.DATASETS
    }
    return {
        "anomaly": Source(file, anomaly.overview),
        "augmentation": Source("augmentation.json", augmentation.table_of),
        **whole,
    }


def image_sources() -> dict[str, Source]:
    """Returns the sources of the tables of image-to-image tasks."""
    import apply_speed
    import convolutions
    import image_tasks
    import step_rows
    import super_resolution

    def steps(found: Any) -> Iterable[str]:
        return step_rows.overview(found["measured"])

    def contestants(found: Any) -> Iterable[str]:
        rows = [row for one in found["measured"] for row in step_rows.rows_of(one)]
        return step_rows.table(step_rows.HEAD, map(step_rows.cells, rows))

    def seconds(found: Any) -> Iterable[str]:
        return apply_speed.speed_table(found["apply"])

    return {
        "apply": Source("apply.json", seconds),
        "steps-gpu": Source("steps_gpu.json", contestants),
        "steps-images": Source("steps_images.json", steps),
        "steps-networks": Source("steps_networks.json", steps),
        "steps-penalties": Source("steps_penalties.json", steps),
        "steps-sounds": Source("steps_sounds.json", steps),
        "convolutions": Source("convolutions.json", convolutions.table_of),
        "image-tasks": Source("image_tasks.json", image_tasks.table_of),
        "image-summary": Source("image_tasks.json", image_tasks.summary),
        "super-resolution": Source("super_resolution.json", super_resolution.table_of),
    }


def updated(text: str) -> str:
    """Returns the text of a file with all tables regenerated.

    Raises:
      KeyError: if the table of a marker is unknown.
    """
    known = sources()

    def table(found: re.Match[str]) -> str:
        source = known[found[2]]
        content = json.loads((HERE / "results" / source.file).read_text())
        lines = "\n".join(source.table(content))
        return f"{found[1]}{lines}\n{found[3]}"

    return MARKED.sub(table, text)


def main() -> int:
    """Writes or checks the tables and returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="only compare; write nothing"
    )
    args = parser.parse_args()
    stale = False
    for file in FILES:
        old = file.read_text()
        new = updated(old)
        stale |= new != old
        if not args.check:
            file.write_text(new)
    return int(args.check and stale)


if __name__ == "__main__":
    sys.exit(main())

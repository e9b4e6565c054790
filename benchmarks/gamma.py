"""Gammas of R1 and R2 around the one that `auto` chooses, at four sizes of images.

    python benchmarks/gamma.py --steps=1200 --out=gamma.json

trains the default recipe with `NETWORKS` on each set of `SETS`, with every gamma of
`gammas_of`, and compares samples of the moving average with held-out images. The same
command resumes: runs in the JSON are not made again. `--only=28,32` chooses sizes, and
programs for different sizes may share `--out`. `--table-only` prints the table.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import arms
from budgets import evaluate

from jaxgan import reporting
from jaxgan.losses.gamma import gamma_of

SETS: dict[str, tuple[dict[str, Any], tuple[int, int, int], str, int]] = {
    "28": ({"dataset": "mnist"}, (28, 28, 1), "classifier", 10_000),
    "32": ({"dataset": "emoji", "image_size": "32"}, (32, 32, 3), "efficientnet", 800),
    "64": ({"dataset": "emoji"}, (64, 64, 3), "efficientnet", 800),
    "96": ({"dataset": "emoji", "image_size": "96"}, (96, 96, 3), "efficientnet", 800),
}
"""Flags, shape, extractor and number of samples, by size."""
BATCH = 32
NETWORKS = "small(8)"
METRICS = "fd({0})|precision_recall({0})"
MULTIPLES = (0.1, 1, 10)
"""Gammas in multiples of that of `auto`."""


def gammas_of(size: str) -> list[float]:
    """Returns the gammas that are tried: multiples of the chosen one, and 1.

    >>> gammas_of("28"), gammas_of("64")
    ([0.1, 1.0, 10.0], [0.396, 1.0, 3.959, 39.59])
    """
    chosen = gamma_of(SETS[size][1])
    return sorted({1.0, *(round(x * chosen, 3) for x in MULTIPLES)})


def measure(size: str, gamma: float, steps: int, place: Path) -> dict[str, Any]:
    """Trains with one gamma, and returns its row of the results."""
    flags, _, extractor, n = SETS[size]
    flags = {**flags, "preset": "default", "networks": NETWORKS, "devices": 1}
    flags |= {"batch_size": BATCH, "d_terms": f"r1({gamma})|r2({gamma})"}
    flags |= {"steps": steps, "sample_every": steps, "save_every": steps}
    flags |= {"log_every": 50, "eval_metrics": "sliced_wasserstein"}
    folder = arms.folder_of(place, size, str(gamma))
    arms.train(folder, flags)
    found = evaluate(folder, extractor, n, METRICS)
    rows = reporting.read_rows(folder / "metrics.jsonl")
    losses = [row["discriminator/loss"] for row in rows if "discriminator/loss" in row]
    return {
        "size": size,
        "gamma": gamma,
        "flags": flags,
        "largest_loss": max(losses),
        "metrics": found["metrics"],
        "protocol": found["protocol"],
    }


def table_of(found: dict[str, Any]) -> list[str]:
    """Returns the lines of the table in Markdown."""
    head = ["pixels", "gamma", "of `auto`", "Frechet distance (floor)", "precision"]
    head += ["recall", "largest loss of D"]

    def row(one: dict[str, Any]) -> list[str]:
        _, shape, extractor, _ = SETS[one["size"]]

        def value(name: str, kind: str = "value") -> float:
            return one["metrics"][f"{name}_{extractor}"][kind]

        own = [x for x in found["rows"] if x["size"] == one["size"]]
        least = min(x["metrics"][f"fd_{extractor}"]["value"] for x in own)
        mark, gamma = "**" if value("fd") == least else "", one["gamma"]
        return [
            *(one["size"], f"{gamma:.3g}", f"{gamma / gamma_of(shape):.2g}"),
            f"{mark}{value('fd'):.4g}{mark} ({value('fd', 'floor'):.3g})",
            *(f"{value(x):.2f}" for x in ("precision", "recall")),
            f"{one['largest_loss']:.3g}",
        ]

    order = list(SETS)
    rows = sorted(found["rows"], key=lambda x: (order.index(x["size"]), x["gamma"]))
    return arms.table(head, map(row, rows))


def main() -> int:
    """Runs the command line and returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--steps", type=int, default=1_200, help="of each run")
    add("--only", default="", help=f"sizes, of {','.join(SETS)} (default: all)")
    add("--folder", default="runs/gamma", help="folder of the runs")
    add("--out", default="gamma.json", help="JSON file of the results")
    add("--table-only", action="store_true", help="measure nothing")
    args = parser.parse_args()
    sizes = arms.choose(parser, "--only", args.only, SETS)
    out = Path(args.out)
    found = arms.open_results(parser, out, "steps", args.steps)
    for size in [] if args.table_only else sizes:
        for gamma in gammas_of(size):
            if (size, gamma) in [(x["size"], x["gamma"]) for x in found["rows"]]:
                continue
            row = measure(size, gamma, args.steps, Path(args.folder))
            found = arms.add_row(out, found, row)
    print("\n".join(table_of(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The bound of each preset on a TPU: compute, memory or messages.

    python benchmarks/bounds.py --out=bounds.json --markdown=bounds.md

Each step is compiled for slices of 4 chips by Cloud TPU's own compiler
(`pip install 'jaxgan[tpu]'`), with the preset's own batch on each chip. Nothing is
measured. The times follow from the chips' published peaks, see docs/plan.md.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from jaxgan.config.planning import parse_args
from jaxgan.config.presets import PRESETS
from jaxgan.config.style_presets import STYLE_PRESETS
from jaxgan.performance.planning import compiling
from jaxgan.performance.planning.chips import find
from jaxgan.performance.planning.settings import set_environment
from jaxgan.performance.planning.summary import figures

TOPOLOGIES = "v5e:2x2,v5p:2x2x1,v6e:2x2"
SHAPES = {"toy": "2", "toy-grid": "2", "stacked": "28x28x3", "residual": "32x32x3"}
LARGE = {"residual", *STYLE_PRESETS}
"""Presets that are left out unless they are named."""
HEADS = ("preset", "slice", "batch per chip", "GFLOP", "HBM MiB", "compute us")
HEADS += ("memory us", "messages us", "bound", "compiler's cycles us")


def row(preset: str, topology: str, precision: str) -> dict[str, Any]:
    """Returns the figures of one preset on one slice."""
    batch = PRESETS[preset].get("batch_size", 64)
    flags = [f"--preset={preset}", f"--shape={SHAPES.get(preset, '28x28x1')}"]
    flags += [f"--batch_per_device={batch}", f"--precision={precision}", "--steps=1"]
    plan = parse_args([*flags, f"--topology={topology}"])
    slice_ = find(topology)
    dataset = compiling.dataset_of(plan)
    step = compiling.compile_step(plan.config, dataset, slice_)
    return {"preset": preset, "batch_per_chip": batch} | figures(step, slice_)


def cells(row: dict[str, Any]) -> list[str]:
    """Returns one row of the table."""
    seconds = row["seconds"]
    parts = ("compute", "memory", "communication")
    return [
        f"`{row['preset']}`",
        row["topology"],
        f"{row['batch_per_chip']} x {row['d_updates']}",
        f"{row['flops'] / 1e9:,.2f}",
        f"{row['hbm_bytes'] / 2**20:,.1f}",
        *(f"{1e6 * seconds[name]:,.1f}" for name in parts),
        row["bound"],
        f"{1e6 * seconds['guess']:,.0f}" if seconds["guess"] else "",
    ]


def key(row: dict[str, Any]) -> tuple[str, str]:
    """Returns the preset and the slice of a row."""
    return row["preset"], row["topology"]


def table_of(rows: list[dict[str, Any]]) -> list[str]:
    """Returns a Markdown table as lines."""
    lines = ["| " + " | ".join(HEADS) + " |", "|" + " --- |" * len(HEADS)]
    return lines + ["| " + " | ".join(cells(row)) + " |" for row in rows]


def main() -> None:
    """Compiles all presets and rewrites the files after each of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    every = ",".join(name for name in PRESETS if name not in LARGE)
    parser.add_argument(
        "--presets",
        default=every,
        help="presets, separated by commas; residual takes minutes",
    )
    parser.add_argument("--topologies", default=TOPOLOGIES)
    parser.add_argument("--precision", default="mixed")
    parser.add_argument("--out", required=True)
    parser.add_argument("--markdown", default="")
    args = parser.parse_args()
    set_environment(tuple(args.topologies.split(",")))
    rows = []
    if Path(args.out).exists():  # keep the rows of earlier calls
        rows = json.loads(Path(args.out).read_text())
    for preset in args.presets.split(","):
        for topology in args.topologies.split(","):
            new = row(preset, topology, args.precision)
            print(" | ".join(cells(new)), flush=True)
            rows = [old for old in rows if key(old) != key(new)] + [new]
            rows.sort(key=lambda row: list(PRESETS).index(row["preset"]))
            Path(args.out).write_text(json.dumps(rows, indent=1) + "\n")
            if args.markdown:
                Path(args.markdown).write_text("\n".join(table_of(rows)) + "\n")


if __name__ == "__main__":
    main()

"""Quality, speed and memory of all pairs of networks after the same number of images.

    python benchmarks/networks.py --images=640000 --runs=3 --out=networks.json \\
        --picture=networks.png

trains every pair of `PAIRS` on one data set until its discriminator has seen `--images`
real images, all seeds of a pair in one program. It compares `--n` samples of the moving
average with as many test images, in the features of a classifier of the data set. The
same command resumes: pairs in the JSON are not trained again. `--only='resnet; sagan'`
chooses pairs, and `--table-only` prints the table of the JSON. Programs that train one
pair or one seed each, with `--first_seed` and another `--out`, are joined by `--merge`.
"""

import argparse
import functools
import json
import multiprocessing
import resource
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import arms
import jax
import matplotlib as mpl
import numpy as np
import recipe_arms
import recipe_judge
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from jaxgan import data
from jaxgan.config.resolve import make_config
from jaxgan.environment import enable_compilation_cache
from jaxgan.evaluation import image_sets
from jaxgan.files import atomic_write
from jaxgan.gan import builder
from jaxgan.types import ExampleSpec

_ADAM = "adam(2e-3, b1=0.0, b2=0.99)"
_DEFAULT = {
    "preset": "default",
    "batch_size": 32,
    # Of version 0.1.0; today updates are clipped, and gamma is larger for color.
    "d_terms": "r1(1)|r2(1)",
    "g_optimizer": _ADAM,
    "d_optimizer": _ADAM,
}
PAIRS: dict[str, dict[str, Any]] = {
    "mlp": {"preset": "mlp"},
    "dcgan": {"preset": "dcgan", "batch_size": 32},
    "small": _DEFAULT,
    "r3gan": {**_DEFAULT, "networks": "r3gan(32, 1)"},
    "resnet": {"preset": "sngan-resnet-small"},
    "sagan": {"preset": "sagan-small", "task": "generate(128)"},
    "biggan": {"preset": "biggan-small", "task": "generate(80)"},
    "biggan, labels": {"preset": "biggan-small"},
    "stylegan2": {"preset": "stylegan2-small"},
}
"""Flags by pair. One line adds another."""

SHOWN = 10
"""Samples in a row of the picture."""


def flags_of(
    pair: str, dataset: str, images: int, runs: int, seed: int = 0
) -> dict[str, Any]:
    """Returns the flags that train a pair on a number of images.

    Args:
      pair: its name.
      dataset: the name by which it is loaded.
      images: real images that the discriminator sees.
      runs: seeds in one program.
      seed: the first of them.

    >>> flags = flags_of("resnet", "mnist", 3_200, 1)
    >>> flags["preset"], flags["steps"]
    ('sngan-resnet-small', 100)
    """
    flags = {"dataset": dataset, "devices": 1, "runs": runs, "seed": seed}
    # Samples of the end are judged, and training needs no classifier for its scores.
    flags |= {**recipe_arms.QUIET, **PAIRS[pair]}
    config = make_config(**flags)
    steps = max(images // (config.batch_size * config.d_updates), 1)
    return {**flags, "steps": steps, "save_every": steps, "sample_every": steps}


def parameters(flags: dict[str, Any], example: ExampleSpec) -> list[int]:
    """Returns the numbers of trained parameters of both networks of one seed."""
    gan = builder.build_gan(make_config(**flags), example)
    state = jax.eval_shape(gan.init, jax.random.key(0))
    return [sum(x.size for x in jax.tree.leaves(net)) for net in state.params]


def train(folder: Path, flags: dict[str, Any]) -> int:
    """Trains a pair in a program of its own, and returns its largest memory in KiB."""
    arms.train(folder, flags)
    # Of the only child of this process, which trains nothing else.
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss


def measure(
    pair: str, flags: dict[str, Any], folder: Path, judge: recipe_judge.Judge
) -> dict[str, Any]:
    """Trains a pair, or resumes that, and returns its row of the results."""
    # Memory is counted by process: a new one for each pair.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        peak = pool.submit(train, folder, flags).result()
    config = make_config(**flags)
    speed = recipe_judge.steps_per_second(folder)
    values = []
    for run in recipe_judge.opened(folder):
        step, features = judge.of_run(run)
        values.append(judge.values(features))
    return {
        "pair": pair,
        "flags": flags,
        "steps": step,
        "parameters": parameters(flags, judge.train.example),
        "images_per_second": speed * config.batch_size * config.d_updates * config.runs,
        "gib": peak / 2**20,
        "minutes": arms.cost(folder).wall_seconds / 60,
        "values": values,
        **arms.about(),
    }


def table_of(found: dict[str, Any]) -> list[str]:
    """Returns the lines of the table in Markdown."""
    head = ["pair", "parameters of G, D", "Frechet distance", "precision", "recall"]
    head += ["images/s", "GiB", "minutes"]

    def row(one: dict[str, Any]) -> list[str]:
        def mean(name: str, digits: int) -> str:
            middle, spread = arms.spread([x[name] for x in one["values"]])
            several = f" ± {spread:.{digits}f}" if len(one["values"]) > 1 else ""
            return f"{middle:.{digits}f}{several}"

        return [
            one["pair"],
            ", ".join(f"{x:,}" for x in one["parameters"]),
            *(mean("fd", 2), mean("precision", 3), mean("recall", 3)),
            f"{one['images_per_second']:,.0f}",
            f"{one['gib']:.1f}",
            f"{one['minutes']:.0f}",
        ]

    floor = found["floor"]
    last = [f"{floor[name]:.{d}f}" for name, d in (("fd", 2), ("precision", 3))]
    real = ["*training images*", "", *last, f"{floor['recall']:.3f}", "", "", ""]
    return arms.table(head, [real, *map(row, found["rows"])])


def draw(file: Path, rows: Iterable[dict[str, Any]], folder: Path) -> None:
    """Draws a row of samples of each pair, of its first seed."""
    names, strips = [], []
    for one in rows:
        run = recipe_judge.opened(folder_of(folder, one["pair"]))[0]
        _, variables = run.restore_step("last")
        own = data.load(run.config.dataset)
        drawn = image_sets.of_samples(run, variables, own, seed=0, count=SHOWN)
        names.append(one["pair"])
        strips.append(np.concatenate(list(drawn.read(0, SHOWN).images), axis=1))
    with mpl.rc_context({"font.size": 8}):
        figure = Figure(figsize=(7, 0.6 * len(strips)), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(len(strips), squeeze=False)[:, 0]
        for panel, name, strip in zip(panels, names, strips, strict=True):
            panel.imshow((strip.squeeze() + 1) / 2, cmap="gray", vmin=0, vmax=1)
            panel.set_xticks([])
            panel.set_yticks([])
            panel.set_ylabel(name, rotation=0, ha="right", va="center")
        figure.savefig(file, dpi=120)


def folder_of(place: Path, pair: str) -> Path:
    """Returns the workdir of a pair."""
    return arms.folder_of(place, pair)


def joined(found: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Returns the results of two files: all pairs, and all seeds of each.

    Raises:
      SystemExit: if they are not of one budget, data set and classifier.
    """
    if not found:
        return other
    same = [(x["budget"], x["protocol"]["classifier"]) for x in (found, other)]
    if same[0] != same[1]:
        raise SystemExit(f"--merge: results of {same[0]} and of {same[1]}")
    rows = {row["pair"]: dict(row) for row in found["rows"]}
    for row in other["rows"]:
        own = rows.setdefault(row["pair"], {**row, "values": []})
        own["values"] = own["values"] + row["values"]
    return {**found, "rows": [rows[pair] for pair in PAIRS if pair in rows]}


def main() -> int:
    """Runs the command line and returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--dataset", default="fashion_mnist", help="images with labels")
    add("--only", default="", help="pairs, separated by semicolons (default: all)")
    add("--images", type=int, default=640_000, help="real images that D sees")
    add("--runs", type=int, default=1, help="seeds of each pair")
    add("--first_seed", type=int, default=0, help="the first of these seeds")
    add("--n", type=int, default=10_000, help="samples, and test images")
    add("--npz", default="", help="folder of a file such as fashion_mnist.npz")
    add("--cache", type=Path, help="folder of the classifier's weights")
    add("--folder", default="runs/networks", help="folder of the runs")
    add("--out", default="networks.json", help="JSON file of the results")
    add("--picture", default="", help="file for a row of samples of each pair")
    add("--merge", nargs="+", help="JSON files to join in a new --out, and stop")
    add("--table-only", action="store_true", help="measure nothing")
    args = parser.parse_args()
    names = [x.strip() for x in args.only.split(";")] if args.only else list(PAIRS)
    if unknown := set(names) - set(PAIRS):
        parser.error(f"--only: choose from {'; '.join(PAIRS)}, not {min(unknown)}")
    enable_compilation_cache()
    out, place = Path(args.out), Path(args.folder)
    if args.merge:
        if out.exists():
            parser.error(f"--out={out} is there already: use another name")
        parts = (json.loads(Path(file).read_text()) for file in args.merge)
        whole = functools.reduce(joined, parts, {})
        atomic_write(out, (json.dumps(whole, indent=1) + "\n").encode())
        return 0
    budget = {"dataset": args.dataset, "images": args.images, "n": args.n}
    found: dict[str, Any] = {"budget": budget}
    found = json.loads(out.read_text()) if out.exists() else found
    if found["budget"] != budget:
        parser.error(f"--out={out} has results of {found['budget']}: use another --out")
    if not args.table_only:
        source = arms.source(args.dataset, args.npz)
        judge = recipe_judge.open_judge(source, args.n, args.cache)
        # A file is the same data set as that of TFDS.
        judge.protocol["classifier"]["trained_on"] = args.dataset
        found.setdefault("floor", recipe_judge.floor_of(judge))
        found.setdefault("protocol", judge.protocol)
        rows = {row["pair"]: row for row in found.get("rows", [])}
        for name in names:
            if len(rows.get(name, {"values": []})["values"]) >= args.runs:
                continue
            flags = flags_of(name, source, args.images, args.runs, args.first_seed)
            row = measure(name, flags, folder_of(place, name), judge)
            rows[name] = {**row, "flags": {**flags, "dataset": args.dataset}}
            found["rows"] = [rows[x] for x in PAIRS if x in rows]
            atomic_write(out, (json.dumps(found, indent=1) + "\n").encode())
    print("\n".join(table_of(found)))
    if args.picture:
        draw(Path(args.picture), found["rows"], place)
    return 0


if __name__ == "__main__":
    sys.exit(main())

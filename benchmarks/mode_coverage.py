"""Mode coverage by loss and remedy, with several seeds each.

    python benchmarks/mode_coverage.py --on=ring8,grid25 --runs=4 --arms=all \
        --folder=runs/modes --out=mode_coverage.json \
        --markdown=mode_coverage.md --picture=docs/mode_coverage.png \
        --animation=docs/modes.gif
    python benchmarks/mode_coverage.py --on=stacked_mnist --arms=dcgan,default \
        --minutes=15 --folder=runs/modes --out=stacked_mnist.json

The protocol is PacGAN's (https://arxiv.org/abs/1712.04086). Of 2,500 samples, those
within three sigma of the nearest of 8 or 25 Gaussians are of high quality. A mode is
covered if it has at least one such sample. KL is the divergence of the modes' shares
from the uniform distribution, in nats.

Networks and optimizers are not PacGAN's but those of the toy preset, the same for all
arms. Only loss and remedy differ (and the critic with the gradient penalty has two
updates per step). The exception is the plain GAN, which follows the tutorials: small
networks, Adam's defaults, no moving average. The seeds of an arm are trained side by
side in one program (`--runs`). Samples are drawn from the moving average; the JSON also
has the scores of the raw generator.

The same command resumes an interrupted benchmark. Finished arms are not trained again,
so it can also be used to redraw the plots. `--table-only` prints the table from the
JSON.
"""

import argparse
import json
import shlex
import signal
import sys
from pathlib import Path
from typing import Any

import arms as shared
import drawing
import jax
import numpy as np
import stacked_mnist

from jaxgan import data
from jaxgan.config.resolve import make_config
from jaxgan.environment import enable_compilation_cache
from jaxgan.gan import objective
from jaxgan.metrics.mode_coverage import coverage

SAMPLES = 2_500
SEED = 2**20
"""Seed of the scored latents; the n-th training seed adds n."""
PICTURED = {
    "plain GAN": "plain GAN",
    "relativistic + R1 + R2": "relativistic + R1 + R2",
}
SAVES, COLUMNS, FRAMES = 60, 6, 40
"""Number of checkpoints, of columns in the plot and of frames in the animation."""

HEAD = ["arm", "modes", "high quality %", "KL", "CPU s per seed"]
PUBLISHED = {
    "ring8": [
        ["*published: GAN*", "*6.3*", "*98.2*", "*0.45*", ""],
        ["*published: PacGAN4*", "*7.8*", "*95.9*", "*0.07*", ""],
    ],
    "grid25": [
        ["*published: GAN*", "*17.3*", "*94.8*", "*0.70*", ""],
        ["*published: PacGAN4*", "*24.8*", "*93.6*", "*0.04*", ""],
    ],
}
"""Figures of https://arxiv.org/abs/1712.04086: other networks, 400 epochs."""


TUTORIAL = {
    "networks": "mlp((128, 128), (128, 128), d_activation='relu')",
    "g_optimizer": "adam(1e-3)",
    "d_optimizer": "adam(1e-3)",
    "ema_half_life": 0,
    "batch_size": 128,
}
"""The plain GAN of tutorials: small networks, Adam's defaults, no moving average."""


def arms_of(name: str) -> dict[str, dict[str, Any]]:
    """Returns flags by arm; R1 and R2 have the weights of the dataset's preset."""
    r1, r2 = make_config(dataset=name).d_terms.split("|")
    both, approximate = f"{r1}|{r2}", f"approximate_{r1}|approximate_{r2}"

    def arm(loss: str, d_terms: str = "", **more: Any) -> dict[str, Any]:
        return {"loss": loss, "d_terms": d_terms, **more}

    plain, wrap = "non_saturating", "discriminator_wrap"
    return {
        "plain GAN": arm(plain, **TUTORIAL),
        "minimax": arm("minimax"),
        "non-saturating": arm(plain),
        "non-saturating + two-sided smoothing": arm("non_saturating(0.1, 0.1)"),
        "least squares": arm("least_squares"),
        "hinge + spectral norm": arm("hinge", **{wrap: "spectral_norm"}),
        "Wasserstein + gradient penalty": arm(
            "wasserstein", "gradient_penalty(10)", d_updates=2
        ),
        "non-saturating + DRAGAN": arm(plain, "dragan(10)"),
        "non-saturating + minibatch std": arm(plain, **{wrap: "minibatch_std"}),
        "non-saturating + packing 4": arm(plain, **{wrap: "pack(4)"}),
        "non-saturating + R1": arm(plain, r1),
        "non-saturating + R1 + R2": arm(plain, both),
        "relativistic": arm("relativistic"),
        "relativistic + R1": arm("relativistic", r1),
        "relativistic + R1 + R2": arm("relativistic", both),
        "relativistic + approximate R1 + R2": arm("relativistic", approximate),
        "relativistic average + R1 + R2": arm("relativistic_average", both),
    }


def flags_of(name: str, arm: str, args: argparse.Namespace) -> dict[str, Any]:
    """Returns all flags of an arm except its folder.

    All arms save equally often, so that their costs can be compared. The plotted arms
    keep all checkpoints.
    """
    steps = args.steps or make_config(dataset=name).steps
    return {
        "dataset": name,
        **arms_of(name)[arm],
        "runs": args.runs,
        "steps": steps,
        "save_every": max(steps // SAVES, 1),
        "keep": SAVES + 1 if arm in PICTURED.values() else 1,
        "log_every": max(steps // 20, 1),
        "sample_every": steps,
        "score_samples": 256,
    }


def scored(run: shared.Run) -> dict[str, Any]:
    """Returns the coverage of every seed at the last checkpoint."""
    modes = data.load(run.config.dataset).modes
    assert modes is not None
    snapshots = shared.restore(run)
    scores: dict[str, Any] = {"step": snapshots[0].step}
    for kind in ("mean", "generator"):
        scores[kind] = []
        for i, snapshot in enumerate(snapshots):
            drawn = sampled(run, getattr(snapshot, kind), i)
            scores[kind].append(coverage(drawn, *modes)._asdict())
    return scores


def sampled(run: shared.Run, variables: Any, seed: int) -> np.ndarray:
    """Draws the samples to be scored, `[2500, 2]`."""
    return shared.sample(run, variables, SAMPLES, SEED + seed, SAMPLES)


def measured(name: str, arm: str, args: argparse.Namespace) -> dict[str, Any]:
    """Trains an arm as far as needed, scores it and returns its row of the JSON."""
    folder = shared.folder_of(Path(args.folder), name, arm)
    flags = flags_of(name, arm, args)
    shared.train(folder, flags)
    cost = shared.cost(folder)
    return {
        "flags": arms_of(name)[arm],
        "command": shlex.join(["python", *shared.command(flags)]),
        **cost._asdict(),
        "cpu_seconds_per_seed": cost.cpu_seconds / args.runs,
        **scored(shared.open_run(folder)),
    }


def row(arm: str, found: dict[str, Any]) -> list[str]:
    """Returns one row of the table."""

    def cell(of, digits, times=1):
        mean, deviation = shared.spread(times * seed[of] for seed in found["mean"])
        return f"{mean:.{digits}f} ± {deviation:.{digits}f}"

    least = min(seed["modes"] for seed in found["mean"])
    cells = [f"{cell('modes', 1)} ({least})", cell("quality", 1, 100), cell("kl", 2)]
    return [arm, *cells, f"{found['cpu_seconds_per_seed']:.0f}"]


def table_of(name: str, rows: dict[str, Any]) -> list[str]:
    """Returns a Markdown table: the arms of a dataset, then published figures."""
    lines = shared.table(HEAD, [row(*each) for each in rows.items()])
    return lines + shared.table(HEAD, PUBLISHED[name])[2:]


def tables(found: dict[str, Any]) -> str:
    """Returns all tables of the toy datasets as Markdown."""
    lines = []
    for name, rows in found["data_sets"].items():
        seeds = {len(each["mean"]) for each in rows.values()}
        steps = {each["step"] for each in rows.values()}
        counts = ", ".join(f"{n:,}" for n in sorted(steps))
        lines += [
            f"**{name}**: mean ± deviation over {'/'.join(map(str, sorted(seeds)))} "
            f"seeds (fewest modes), {counts} steps",
            "",
            *table_of(name, rows),
            "",
        ]
    return "\n".join(lines)


def act(name: str, args: argparse.Namespace, count: int) -> drawing.Act:
    """Returns `count` scenes of each plotted arm, for the first seed."""
    dataset = data.load(name)
    assert dataset.modes is not None
    real = data.read_all(dataset)["image"][:1000]
    stage = drawing.Stage(name, real, dataset.modes)
    scenes = {}
    for title, arm in PICTURED.items():
        folder = shared.folder_of(Path(args.folder), name, arm)
        run, steps = shared.open_run(folder), shared.steps_of(folder)
        scenes[title] = [scene(run, stage, step) for step in moments(steps, count)]
    return stage, scenes


def moments(steps: list[int], count: int) -> list[int]:
    """Selects `count` steps, denser at the start, with the last one included.

    >>> moments(list(range(100, 6001, 100)), 4)
    [100, 800, 2700, 6000]
    """
    order = np.arange(min(count, len(steps)))
    places = (order / max(order[-1], 1)) ** 2 * (len(steps) - 1)
    ahead = np.maximum.accumulate(places.round().astype(int) - order)  # no duplicates
    return [steps[i] for i in ahead + order]


def scene(run: shared.Run, stage: drawing.Stage, step: int) -> drawing.Scene:
    """Returns the first seed's samples and discriminator surface at a step."""
    first, *_ = shared.restore(run, step)
    samples, net = sampled(run, first.mean, 0), run.gan.networks.discriminator
    key = jax.random.key(0)  # unused: there is no dropout in evaluation
    discriminator, _ = objective.bind(net, first.discriminator, key[None])
    surface = np.asarray(discriminator(stage.grid).logits)
    found = coverage(samples, *stage.modes)
    return drawing.Scene(step, samples[:1000], surface, found)


def toys(names: list[str], args: argparse.Namespace) -> None:
    """Trains and scores the arms; prints the tables and draws the plots."""
    out = Path(args.out)
    found: dict[str, Any] = {"data_sets": {}}
    if out.exists():
        found = json.loads(out.read_text())
    for name in names if not args.table_only else []:
        arms = arms_of(name)
        names_of_arms = list(arms) if args.arms == "all" else args.arms.split(",")
        rows = found["data_sets"].setdefault(name, {})
        for arm in names_of_arms:
            rows[arm] = measured(name, arm, args)
            print(f"{name}: {' | '.join(row(arm, rows[arm]))}", flush=True)
            ordered = {each: rows[each] for each in arms if each in rows}
            found["data_sets"][name] = rows = ordered
            found |= {"machine": shared.machine(), "samples": SAMPLES}
            found |= {"command": shlex.join(["python", *sys.argv])}
            out.write_text(json.dumps(found, indent=1))
    report(tables(found), args.markdown)
    if args.picture:
        drawing.sheet(Path(args.picture), [act(n, args, COLUMNS) for n in names])
    if args.animation:
        drawing.film(Path(args.animation), [act(names[-1], args, FRAMES)])


def report(text: str, path: str) -> None:
    """Prints a text and writes it to a file if `path` is not empty."""
    print(text)
    if path:
        Path(path).write_text(text)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--on", default="ring8,grid25", help="ring8, grid25, or stacked_mnist alone")
    add("--arms", default="all", help="names, separated by commas")
    add(
        "--runs",
        type=int,
        help="seeds of each arm; default: 4, or 1 with stacked_mnist",
    )
    add("--steps", type=int, help="of each arm; default: those of the preset")
    add(
        "--minutes",
        type=float,
        help="of each arm, instead of --steps; only with stacked_mnist",
    )
    add("--data_dir", default="", help="folder of TFDS datasets")
    add("--folder", default="runs/modes", help="folder of the runs")
    add(
        "--out",
        default="mode_coverage.json",
        help="JSON file to which the results are added",
    )
    add("--markdown", default="", help="file for the tables")
    add("--picture", default="", help=".png file for the plot of all datasets")
    add(
        "--animation",
        default="",
        help=".gif or .png file for the animation of the last dataset",
    )
    add(
        "--table-only",
        action="store_true",
        help="only print the table of the JSON file",
    )
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    enable_compilation_cache()
    if args.on == "stacked_mnist":
        args.runs = args.runs or 1
        report(stacked_mnist.measure(args), args.markdown)
    else:
        args.runs = args.runs or 4
        toys(args.on.split(","), args)


if __name__ == "__main__":
    main()

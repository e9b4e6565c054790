"""Which remedy keeps which loss from losing modes: loss x remedy, several seeds each.

    python benchmarks/mode_coverage.py --on=ring8,grid25 --runs=4 --arms=all \
        --folder=runs/modes --out=mode_coverage.json \
        --markdown=mode_coverage.md --picture=docs/mode_coverage.png \
        --animation=docs/modes.gif
    python benchmarks/mode_coverage.py --on=stacked_mnist --arms=dcgan,default \
        --minutes=15 --folder=runs/modes --out=stacked_mnist.json

The protocol is PacGAN's (https://arxiv.org/abs/1712.04086). Of 2,500 samples those
within three sigma of the nearest of 8 or 25 Gaussians are of high quality; a mode
counts from its first such sample on; KL is that of their shares from equal ones, in
nats. Networks and optimizers are not PacGAN's but those of the preset for toys, the
same for all arms: only loss and remedy differ (and the critic with the gradient penalty
has two updates per step). The plain GAN alone is as tutorials have it: small networks,
Adam's defaults, no running mean. The seeds of an arm are trained side by side in one
program (`--runs`). Samples are of the running mean; the JSON also has those of the raw
generator.

The same command goes on where it was interrupted, and trains nothing that is done; so
it also draws the pictures anew. `--table-only` makes the table again from the JSON.
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
"""Of the latents that are scored; those of the n-th training seed have n more."""
PICTURED = {
    "plain GAN": "plain GAN",
    "relativistic + R1 + R2": "relativistic + R1 + R2",
}
SAVES, COLUMNS, FRAMES = 60, 6, 40
"""Checkpoints of a run, and how many of them are seen."""

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
"""https://arxiv.org/abs/1712.04086: other networks and optimizer, 400 epochs."""


TUTORIAL = {
    "networks": "mlp((128, 128), (128, 128), d_activation='relu')",
    "g_optimizer": "adam(1e-3)",
    "d_optimizer": "adam(1e-3)",
    "ema_half_life": 0,
    "batch_size": 128,
}
"""What tutorials begin with: small networks, Adam's defaults, no running mean."""


def arms_of(name: str) -> dict[str, dict[str, Any]]:
    """Flags by arm; the weights of R1 and R2 are the preset's for this data set."""
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


def flags_of(name: str, arm: str, said: argparse.Namespace) -> dict[str, Any]:
    """All flags that train an arm, but for its folder.

    All arms save as often, so that what they cost compares; the pictured keep it all.
    """
    steps = said.steps or make_config(dataset=name).steps
    return {
        "dataset": name,
        **arms_of(name)[arm],
        "runs": said.runs,
        "steps": steps,
        "save_every": max(steps // SAVES, 1),
        "keep": SAVES + 1 if arm in PICTURED.values() else 1,
        "log_every": max(steps // 20, 1),
        "sample_every": steps,
        "score_samples": 256,
    }


def scored(run: shared.Run) -> dict[str, Any]:
    """Coverage of every seed at the last checkpoint."""
    modes = data.load(run.config.dataset).modes
    assert modes is not None
    snapshots = shared.restore(run)
    found: dict[str, Any] = {"step": snapshots[0].step}
    for kind in ("mean", "generator"):
        found[kind] = []
        for i, snapshot in enumerate(snapshots):
            drawn = sampled(run, getattr(snapshot, kind), i)
            found[kind].append(coverage(drawn, *modes)._asdict())
    return found


def sampled(run: shared.Run, variables: Any, seed: int) -> np.ndarray:
    """The samples that are scored, `[2500, 2]`."""
    return shared.sample(run, variables, SAMPLES, SEED + seed, SAMPLES)


def measured(name: str, arm: str, said: argparse.Namespace) -> dict[str, Any]:
    """Trains what is left to train, and scores it: a row of the JSON."""
    folder = shared.folder_of(Path(said.folder), name, arm)
    flags = flags_of(name, arm, said)
    shared.train(folder, flags)
    cost = shared.cost(folder)
    return {
        "flags": arms_of(name)[arm],
        "command": shlex.join(["python", *shared.command(flags)]),
        **cost._asdict(),
        "cpu_seconds_per_seed": cost.cpu_seconds / said.runs,
        **scored(shared.open_run(folder)),
    }


def row(arm: str, found: dict[str, Any]) -> list[str]:
    """A line of the table."""

    def told(of, digits, times=1):
        mean, deviation = shared.spread(times * seed[of] for seed in found["mean"])
        return f"{mean:.{digits}f} ± {deviation:.{digits}f}"

    least = min(seed["modes"] for seed in found["mean"])
    cells = [f"{told('modes', 1)} ({least})", told("quality", 1, 100), told("kl", 2)]
    return [arm, *cells, f"{found['cpu_seconds_per_seed']:.0f}"]


def table_of(name: str, rows: dict[str, Any]) -> list[str]:
    """Lines of Markdown: the arms of a data set, then published figures."""
    lines = shared.table(HEAD, [row(*each) for each in rows.items()])
    return lines + shared.table(HEAD, PUBLISHED[name])[2:]


def tables(found: dict[str, Any]) -> str:
    """All that was found on the toys as Markdown."""
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


def act(name: str, said: argparse.Namespace, count: int) -> drawing.Act:
    """How the pictured arms went for the first seed, at so many moments."""
    dataset = data.load(name)
    assert dataset.modes is not None
    real = data.read_all(dataset)["image"][:1000]
    stage = drawing.Stage(name, real, dataset.modes)
    told = {}
    for title, arm in PICTURED.items():
        folder = shared.folder_of(Path(said.folder), name, arm)
        run, steps = shared.open_run(folder), shared.steps_of(folder)
        told[title] = [scene(run, stage, step) for step in moments(steps, count)]
    return stage, told


def moments(steps: list[int], count: int) -> list[int]:
    """Some of the steps, the earlier the denser, the last included.

    >>> moments(list(range(100, 6001, 100)), 4)
    [100, 800, 2700, 6000]
    """
    order = np.arange(min(count, len(steps)))
    places = (order / max(order[-1], 1)) ** 2 * (len(steps) - 1)
    ahead = np.maximum.accumulate(places.round().astype(int) - order)  # none twice
    return [steps[i] for i in ahead + order]


def scene(run: shared.Run, stage: drawing.Stage, step: int) -> drawing.Scene:
    """What the first seed draws at a step, and what its discriminator says."""
    first, *_ = shared.restore(run, step)
    samples, net = sampled(run, first.mean, 0), run.gan.networks.discriminator
    key = jax.random.key(0)  # nothing is dropped
    discriminator, _ = objective.bind(net, first.discriminator, key, train=False)
    surface = np.asarray(discriminator(stage.grid).logits)
    found = coverage(samples, *stage.modes)
    return drawing.Scene(step, samples[:1000], surface, found)


def toys(names: list[str], said: argparse.Namespace) -> None:
    """Trains, scores, tells and draws."""
    out = Path(said.out)
    found: dict[str, Any] = {"data_sets": {}}
    if out.exists():
        found = json.loads(out.read_text())
    for name in names if not said.table_only else []:
        arms = arms_of(name)
        wanted = list(arms) if said.arms == "all" else said.arms.split(",")
        rows = found["data_sets"].setdefault(name, {})
        for arm in wanted:
            rows[arm] = measured(name, arm, said)
            print(f"{name}: {' | '.join(row(arm, rows[arm]))}", flush=True)
            ordered = {each: rows[each] for each in arms if each in rows}
            found["data_sets"][name] = rows = ordered
            told = {"machine": shared.machine(), "samples": SAMPLES}
            found |= told | {"command": shlex.join(["python", *sys.argv])}
            out.write_text(json.dumps(found, indent=1))
    tell(tables(found), said.markdown)
    if said.picture:
        drawing.sheet(Path(said.picture), [act(n, said, COLUMNS) for n in names])
    if said.animation:
        drawing.film(Path(said.animation), [act(names[-1], said, FRAMES)])


def tell(text: str, place: str) -> None:
    """Prints what was found, and writes it if there is a place for it."""
    print(text)
    if place:
        Path(place).write_text(text)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--on", default="ring8,grid25", help="ring8, grid25, or stacked_mnist alone")
    add("--arms", default="all", help="names, by comma")
    add("--runs", type=int, help="seeds of each arm: 4, or 1 with stacked_mnist")
    add("--steps", type=int, help="of each arm; the preset's if not given")
    add("--minutes", type=float, help="of each arm, with stacked_mnist; not --steps")
    add("--data_dir", default="", help="TFDS's folder")
    add("--folder", default="runs/modes", help="where the runs go")
    add("--out", default="mode_coverage.json", help="a JSON file, which is added to")
    add("--markdown", default="", help="a file for the tables")
    add("--picture", default="", help="a .png of all data sets")
    add("--animation", default="", help="a .gif or .png, of the last data set")
    add("--table-only", action="store_true", help="only tell what the JSON holds")
    said = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    enable_compilation_cache()
    if said.on == "stacked_mnist":
        said.runs = said.runs or 1
        tell(stacked_mnist.measure(said), said.markdown)
    else:
        said.runs = said.runs or 4
        toys(said.on.split(","), said)


if __name__ == "__main__":
    main()

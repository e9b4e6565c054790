"""Number of modes of Stacked MNIST, out of 1,000, that a recipe covers.

    python benchmarks/mode_coverage.py --on=stacked_mnist --arms=dcgan,default \
        --minutes=15 --out=stacked_mnist.json

The protocol is PacGAN's (https://arxiv.org/abs/1712.04086). An MNIST classifier labels
each of the three channels of 26,000 samples. A mode is covered if it has at least one
sample. KL is the divergence of the modes' shares from the uniform distribution, in
nats. Samples are drawn from the moving average, which for DCGAN is the generator
itself. For comparison, the results have the KL of perfect samples (`kl_floor`) and the
scores of real images.

PacGAN's DCGAN differs from ours where there are no flags: it has four layers of 64 to
512 channels with batch normalization in its discriminator, two updates of G per step,
50 epochs (100,000 steps) and ten runs.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import arms as shared
import numpy as np

from jaxgan import data
from jaxgan.config.resolve import make_config
from jaxgan.metrics.features import EXTRACTORS
from jaxgan.metrics.mode_coverage import category_coverage, kl_floor

SAMPLES, MODES = 26_000, 1000
SEED = 2**20
"""Seed of the scored latents; the n-th training seed adds n."""
SURE = 0.99
"""Minimum test accuracy of the classifier."""
ADAM = "adam(2e-4, b1=0.5)"
ARMS: dict[str, dict[str, Any]] = {
    "dcgan": {
        "preset": "dcgan",
        "networks": "dcgan(64, dropout=0.0)",
        "task": "generate(100, latents='uniform')",
        "g_optimizer": ADAM,
        "d_optimizer": ADAM,
        "batch_size": 64,
    },
    "default": {"preset": "default"},
    "stacked": {"preset": "stacked"},
}
HEAD = ["arm", "steps", "modes", "KL", "CPU s per seed"]
PUBLISHED = [
    ["*published: DCGAN (PacGAN's run)*", "", "*78.9*", "*4.50*", ""],
    ["*published: PacGAN*", "", "*1000*", "*0.06*", ""],
    ["*published: R3GAN*", "", "*1000*", "*0.029*", ""],
]

Judge = Callable[[np.ndarray], np.ndarray]
"""Maps `[n, 28, 28, 1]` in [-1, 1] to probabilities `[n, 10]`."""


def measure(args: argparse.Namespace) -> str:
    """Trains and scores the arms, writes the JSON and returns the report."""
    out, found = Path(args.out), {}
    if out.exists():
        found = json.loads(out.read_text())
    if not args.table_only:
        found = prepared(args, found)
        judge, found["classifier_accuracy"] = classifier(args.data_dir)
        found["real"] = real(judge, args.data_dir)
        print(f"real images: {found['real']}", flush=True)
        for arm in ARMS if args.arms == "all" else args.arms.split(","):
            found["arms"][arm] = measured(arm, judge, args)
            print(" | ".join(row(arm, found["arms"][arm])), flush=True)
            out.write_text(json.dumps(found, indent=1))
    return report(found)


def prepared(args: argparse.Namespace, found: dict[str, Any]) -> dict[str, Any]:
    """Returns the fields that do not depend on an arm, and the earlier arms."""
    return {
        "machine": shared.machine(),
        "command": shlex.join(["python", *sys.argv]),
        "minutes": args.minutes,
        "samples": SAMPLES,
        "kl_floor": kl_floor(SAMPLES, MODES)._asdict(),
        "arms": found.get("arms", {}),
    }


def classifier(data_dir: str) -> tuple[Judge, float]:
    """Trains the classifier; raises SystemExit if its accuracy is too low."""
    place = data_dir or None
    train, test = (
        data.load("mnist", split=split, data_dir=place) for split in ("train", "test")
    )
    facts = {"example": train.example, "train": train, "held_out": test}
    extractor = EXTRACTORS["classifier"](**facts)
    accuracy = float(extractor.protocol["accuracy"])
    if accuracy < SURE:
        raise SystemExit(f"the accuracy of the classifier is only {accuracy:.4f}")

    def judge(images: np.ndarray) -> np.ndarray:
        found = extractor.extract(images).probabilities
        assert found is not None
        return found

    return judge, accuracy


def real(judge: Judge, data_dir: str) -> dict[str, float]:
    """Returns the scores of real images and of their labels, and the accuracy."""
    dataset = data.load("stacked_mnist", split="test", data_dir=data_dir or None)
    whole = data.normalize(data.read_all(dataset))
    read = labels(whole["image"], judge)
    modes, kl = category_coverage(read, MODES)
    by_label = category_coverage(whole["label"], MODES)
    right = float((read == whole["label"]).mean())
    return {
        "modes": modes,
        "kl": kl,
        "modes_by_label": by_label[0],
        "kl_by_label": by_label[1],
        "read_right": right,
    }


def labels(images: np.ndarray, judge: Judge) -> np.ndarray:
    """Classifies the channels of `[n, 28, 28, 3]`; returns `[n]` in 0 to 999."""
    digits = [judge(images[..., c : c + 1]).argmax(1) for c in range(3)]
    return np.stack(digits, axis=1) @ np.array([100, 10, 1])


def measured(arm: str, judge: Judge, args: argparse.Namespace) -> dict[str, Any]:
    """Trains an arm as far as needed, scores it and returns its row of the JSON."""
    folder = shared.folder_of(Path(args.folder), "stacked_mnist", arm)
    flags = {"dataset": "stacked_mnist", **ARMS[arm], "runs": args.runs}
    flags["steps"] = 10**7 if args.minutes else args.steps or make_config(**flags).steps
    if args.data_dir:
        flags["data_dir"] = args.data_dir
    shared.train(folder, flags, args.minutes)
    run, cost = shared.open_run(folder), shared.cost(folder)
    snapshots, seeds = shared.restore(run), []
    for i, snapshot in enumerate(snapshots):
        drawn = shared.sample(run, snapshot.mean, SAMPLES, SEED + i, at_once=250)
        modes, kl = category_coverage(labels(drawn, judge), MODES)
        seeds.append({"modes": modes, "kl": kl})
    return {
        "flags": ARMS[arm],
        "command": shlex.join(["python", *shared.command(flags)]),
        "step": snapshots[0].step,
        **cost._asdict(),
        "cpu_seconds_per_seed": cost.cpu_seconds / len(seeds),
        "seeds": seeds,
    }


def row(arm: str, found: dict[str, Any]) -> list[str]:
    """Returns a row: for several seeds, mean ± deviation and fewest modes."""
    modes, kl = ([seed[of] for seed in found["seeds"]] for of in ("modes", "kl"))
    cells = [f"{modes[0]}", f"{kl[0]:.3f}"]
    if len(modes) > 1:
        (m, m_off), (k, k_off) = shared.spread(modes), shared.spread(kl)
        cells = [f"{m:.1f} ± {m_off:.1f} ({min(modes)})", f"{k:.3f} ± {k_off:.3f}"]
    return [arm, f"{found['step']:,}", *cells, f"{found['cpu_seconds_per_seed']:.0f}"]


def table_of(found: dict[str, Any]) -> list[str]:
    """Returns a Markdown table: the arms, real images, then published figures."""
    true = found["real"]
    shown = ["*real pictures*", "", f"*{true['modes']}*", f"*{true['kl']:.3f}*", ""]
    lines = shared.table(HEAD, [row(*each) for each in found["arms"].items()])
    return lines + shared.table(HEAD, [shown, *PUBLISHED])[2:]


def report(found: dict[str, Any]) -> str:
    """Returns all results as Markdown."""
    true, floor = found["real"], found["kl_floor"]
    right = [100 * found["classifier_accuracy"], 100 * true["read_right"]]
    lines = [
        f"n = {found['samples']:,} samples; the KL of perfect samples is "
        f"{floor['simulated']:.4f}. The accuracy of the classifier is {right[0]:.2f} % "
        f"on the test digits and {right[1]:.1f} % on real images of three digits.",
        "",
        *table_of(found),
        "",
    ]
    return "\n".join(lines)

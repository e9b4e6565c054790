"""Quality of MNIST digits by recipe, each trained for the same number of minutes.

    python benchmarks/mnist_recipes.py --minutes=5 --out=recipes.json
    python benchmarks/mnist_recipes.py --judge=runs/mnist-default

The script first trains a small convolutional classifier on the real MNIST and prints
its test accuracy. It then reports, for 1,000 samples of each recipe:

* the share to which the classifier gives a class more than 0.9 probability,
* the number of classes that occur and the share of the rarest class,
* the Frechet distance of the classifier's 128 hidden units between the samples and the
  first 5,000 test images (lower is better; not the FID of Inception),
* for conditional recipes, the share that is classified as the requested digit.
"""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.linalg
from arms import about, table

from jaxgan import data, reporting
from jaxgan.environment import enable_compilation_cache
from jaxgan.workdir import read_config

ARMS = {
    "default": [],
    "R1 alone": ["--d_terms=r1(1)"],
    "no penalty": ["--d_terms="],
    "classic loss + R1 + R2": ["--loss=non_saturating"],
    **{
        name: [f"--preset={name}"]
        for name in ("mlp", "mlp-small", "goodfellow", "goodfellow-ns")
    },
    **{name: [f"--preset={name}"] for name in ("dcgan", "lsgan", "wgan")},
    **{name: [f"--preset={name}"] for name in ("wgan-gp", "sngan")},
    **{name: [f"--preset={name}"] for name in ("projection", "acgan", "infogan")},
}

HEAD = [
    *("recipe", "budget", "steps", "confident", "classes", "rarest", "Frechet"),
    "as asked",
]


class Classifier(nn.Module):
    """Three convolutions and two dense layers on `[B, 28, 28, 1]` in [-1, 1]."""

    @nn.compact
    def __call__(self, x, *, train=False):
        for width in (16, 32):
            x = nn.relu(nn.Conv(width, (3, 3), (2, 2))(x))
        x = nn.relu(nn.Conv(64, (3, 3))(x)).reshape(len(x), -1)
        x = nn.Dropout(0.4, deterministic=not train)(x)
        features = nn.relu(nn.Dense(128)(x))
        return nn.Dense(10)(features), features


def train_classifier(data_dir: str | None, epochs: int = 6, batch: int = 128):
    """Trains the classifier.

    Returns:
      judge(images) -> (probabilities, features), the features of the first 5,000 test
      images and the test accuracy.
    """
    sets = [data.load("mnist", split=s, data_dir=data_dir) for s in ("train", "test")]
    train, test = (data.normalize(data.read_all(s)) for s in sets)
    net, steps = Classifier(), epochs * len(train["label"]) // batch
    params = net.init(jax.random.key(0), train["image"][:1])
    tx = optax.adam(optax.cosine_decay_schedule(2e-3, steps))

    @jax.jit
    def update(params, opt, image, label, key):
        def loss(params):
            logits, _ = net.apply(params, image, train=True, rngs={"dropout": key})
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, label)
            return losses.mean()

        updates, opt = tx.update(jax.grad(loss)(params), opt)
        return optax.apply_updates(params, updates), opt

    rng, opt = np.random.default_rng(0), tx.init(params)
    for i in range(steps):
        some = rng.integers(0, len(train["label"]), batch)
        image, label = train["image"][some], train["label"][some]
        params, opt = update(params, opt, image, label, jax.random.key(i))
    apply = jax.jit(lambda images: net.apply(params, images))

    def judge(images):
        parts = [apply(images[i : i + 1000]) for i in range(0, len(images), 1000)]
        logits, features = (np.concatenate(x) for x in zip(*parts, strict=True))
        return np.asarray(jax.nn.softmax(jnp.asarray(logits))), features

    probabilities, features = judge(test["image"])
    accuracy = float((probabilities.argmax(1) == test["label"]).mean())
    sure = float((probabilities.max(1) > 0.9).mean())
    print(f"classifier: {100 * accuracy:.2f} % of the 10,000 test digits right,")
    print(f"more than 0.9 probability for {100 * sure:.1f} % of them")
    return judge, features[:5000], accuracy


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the Frechet distance of two Gaussians fitted to `[n, d]` features."""
    root = scipy.linalg.sqrtm(np.cov(a.T) @ np.cov(b.T) + 1e-6 * np.eye(a.shape[1]))
    spread = np.trace(np.cov(a.T) + np.cov(b.T) - 2 * np.real(root))
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + spread)


def judged(workdir: str, judge: Callable, real: np.ndarray, checkpoint: str) -> dict:
    """Draws 1,000 samples of a run and returns their scores."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "samples.npz"
        run = [sys.executable, "-m", "jaxgan.sample", f"--workdir={workdir}"]
        subprocess.run(
            [*run, "--n=1000", f"--out={out}", f"--checkpoint={checkpoint}"],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        samples = np.load(out)["samples"]
    probabilities, features = judge(data.normalize({"image": samples})["image"])
    shares = np.bincount(probabilities.argmax(1), minlength=10) / len(samples)
    rows = reporting.read_metrics(Path(workdir, "metrics.jsonl"))
    *_, last = (row for row in rows if "finding" not in row)
    conditional = read_config(workdir)["task"].startswith("conditional")
    asked = np.arange(len(samples)) % 10  # sample cycles through the classes
    as_asked = float((probabilities.argmax(1) == asked).mean())
    return {
        "as_asked": as_asked if conditional else None,
        "steps": last["step"],
        "confident": float((probabilities.max(1) > 0.9).mean()),
        "classes": int((shares > 0).sum()),
        "rarest": float(shares.min()),
        "frechet": frechet(features, real),
    }


def train_for(budget: list[str], workdir: Path, flags: list[str]) -> list[str]:
    """Trains by the command line within a budget and returns the command.

    A run saves and exits with code 75 when its time is over.
    """
    run = ["-m", "jaxgan.train", "--dataset=mnist", *budget, *flags]
    command = [sys.executable, *run, f"--workdir={workdir}"]
    with (workdir.parent / f"{workdir.name}.log").open("w") as log:
        code = subprocess.run(command, stderr=log).returncode
    if code not in (0, 75):
        raise SystemExit(f"{workdir}: exit code {code}, see {log.name}")
    return ["python", *run]


def cells(row: dict) -> list[str]:
    """Returns one row of the table."""
    asked = row["as_asked"]
    return [
        *(row["arm"], row["budget"], f"{row['steps']:,}"),
        *(f"{100 * row['confident']:.1f} %", str(row["classes"])),
        *(f"{100 * row['rarest']:.1f} %", f"{row['frechet']:.1f}"),
        "" if asked is None else f"{100 * asked:.1f} %",
    ]


def table_of(found: dict) -> list[str]:
    """Returns a Markdown table as lines."""
    return table(HEAD, [cells(row) for row in found["rows"]])


def main() -> None:
    """Trains and scores all arms, or scores one workdir."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--minutes", type=float, default=5, help="per arm, including startup"
    )
    parser.add_argument("--steps", type=int, help="per arm, instead of --minutes")
    parser.add_argument(
        "--arms", default=",".join(ARMS), help="names, separated by commas"
    )
    parser.add_argument("--judge", help="score this workdir and exit")
    parser.add_argument(
        "--checkpoint",
        default="last",
        help="checkpoint of --judge and of all arms: last or best",
    )
    parser.add_argument("--data_dir", help="folder of TFDS datasets")
    parser.add_argument("--folder", default="runs/recipes", help="folder of the runs")
    parser.add_argument("--out", help="JSON file to which the results are added")
    args = parser.parse_args()
    enable_compilation_cache()
    found = {**about(), "rows": []}
    if args.out and Path(args.out).exists():
        found["rows"] = json.loads(Path(args.out).read_text())["rows"]
    judge, real, found["classifier_accuracy"] = train_classifier(args.data_dir)
    if args.judge:
        print(json.dumps(judged(args.judge, judge, real, args.checkpoint)))
        return
    Path(args.folder).mkdir(parents=True, exist_ok=True)
    budget_name = f"{args.steps:,} steps" if args.steps else f"{args.minutes:g} minutes"
    budget = [f"--steps={args.steps or 10**7}"]
    budget += [] if args.steps else [f"--max_minutes={args.minutes}"]
    for name in args.arms.split(","):
        words = "".join(c if c.isalnum() else "-" for c in f"{name}-{budget_name}")
        workdir = Path(args.folder) / words
        began = time.monotonic()
        command = train_for(budget, workdir, ARMS[name])
        row = {"arm": name, "budget": budget_name, "command": shlex.join(command)}
        row["seconds"] = time.monotonic() - began
        row |= judged(str(workdir), judge, real, args.checkpoint)
        print(" | ".join(cells(row)), flush=True)
        same = (name, budget_name)
        rows = [x for x in found["rows"] if (x["arm"], x["budget"]) != same] + [row]
        rows.sort(key=lambda x: ("steps" in x["budget"], list(ARMS).index(x["arm"])))
        found["rows"] = rows
        if args.out:
            Path(args.out).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

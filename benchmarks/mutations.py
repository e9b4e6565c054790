"""Mutation tests: each mutation changes one place of the code.

    python benchmarks/mutations.py --out=benchmarks/results/mutations.json
    python benchmarks/mutations.py --only=hinge,r1 # only names with these words
    python benchmarks/mutations.py --check         # only check that all still apply

The package and its tests are copied to a temporary folder. For each mutation the tests
of that place run until the first failure. A mutation is *caught* if a test fails; one
that survives needs a new test.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
from arms import about

ROOT = Path(__file__).parent.parent
COPIED = ("jaxgan", "tests", "benchmarks", "pyproject.toml")


class Mutation(NamedTuple):
    """A change of one place of the code, and the tests that should fail."""

    name: str
    file: str
    """Path relative to `jaxgan/`."""
    old: str
    """Text that occurs exactly once in the file."""
    new: str
    tests: str
    """Files in `tests/`, without `test_` and `.py`, separated by spaces."""


LOSSES = "losses objective"
SLOPES = "gradient_penalties losses_all"
LOGITS = "losses_logits losses_all"
STEP = "train_step objective"

MUTATIONS = (
    # Mutations that survived the audit of version 0.1.0.
    Mutation(
        "same noise every step",
        "gan/train_step.py",
        "jax.random.fold_in(key, state.step)",
        "jax.random.fold_in(key, 0)",
        STEP,
    ),
    Mutation(
        "seed ignored in keys",
        "experiment/keys.py",
        "multi_seed.key_of(seed)",
        "multi_seed.key_of(0)",
        "train multi_seed_train",
    ),
    Mutation(
        "EMA ramp ignored",
        "schedules.py",
        "jnp.minimum(target, ramp * seen) if ramp else",
        "",
        "builder train_step",
    ),
    Mutation(
        "real and fake augmented with different keys",
        "gan/objective.py",
        "fake=d(see(samples.fake), condition)",
        "fake=d(seen(augment, state, per_example(keys.terms))[0](samples.fake), "
        "condition)",
        "augment objective augment_probability",
    ),
    Mutation(
        "the default without R2",
        "config/training.py",
        '"r1(auto)|r2(auto)",',
        '"r1(auto)",',
        "config builder",
    ),
    Mutation(
        "RMSProp's eps inside the root",
        "optimizers.py",
        "eps_in_sqrt=False",
        "eps_in_sqrt=True",
        "optimizers",
    ),
    Mutation(
        "SWD scales the fake by its own mean",
        "metrics/sliced_wasserstein.py",
        "(b - mean) / deviation",
        "(b - jnp.mean(b)) / deviation",
        "metrics",
    ),
    # Losses: signs, dropped terms, swapped players.
    Mutation(
        "minimax: sign of G",
        "losses/adversarial.py",
        "leaf_mean(lambda f: -nn.softplus(f), s.fake.logits)",
        "leaf_mean(lambda f: nn.softplus(f), s.fake.logits)",
        LOSSES,
    ),
    Mutation(
        "non-saturating: saturates",
        "losses/adversarial.py",
        "leaf_mean(lambda f: nn.softplus(-f), s.fake.logits)",
        "leaf_mean(lambda f: -nn.softplus(f), s.fake.logits)",
        LOSSES,
    ),
    Mutation(
        "smoothing: sign",
        "losses/adversarial.py",
        "(1 - real) * r",
        "(real - 1) * r",
        LOSSES,
    ),
    Mutation(
        "smoothing of fake dropped", "losses/adversarial.py", " - fake * f", "", LOSSES
    ),
    Mutation(
        "least squares: targets swapped",
        "losses/adversarial.py",
        "(r - b) ** 2",
        "(r - a) ** 2",
        LOSSES,
    ),
    Mutation(
        "Wasserstein: players swapped",
        "losses/adversarial.py",
        "return leaf_mean(lambda f: f, s.fake.logits) - real",
        "return real - leaf_mean(lambda f: f, s.fake.logits)",
        LOSSES,
    ),
    Mutation(
        "hinge: no margin",
        "losses/adversarial.py",
        "nn.relu(1 - r)",
        "nn.relu(-r)",
        LOSSES,
    ),
    Mutation(
        "relativistic: sign",
        "losses/adversarial.py",
        "sign * (fake - real)",
        "sign * (real - fake)",
        LOSSES,
    ),
    Mutation(
        "relativistic average: mean of one device",
        "losses/adversarial.py",
        "jnp.mean(batch_mean(y, axis))",
        "jnp.mean(y)",
        LOSSES,
    ),
    # Terms.
    Mutation(
        "R1 at fake",
        "losses/gradient_penalties.py",
        "squares = squared_gradient_norm(s.critic, s.samples.real)",
        "squares = squared_gradient_norm(s.critic, s.samples.fake)",
        SLOPES,
    ),
    Mutation(
        "R2 without its half",
        "losses/gradient_penalties.py",
        "s.samples.fake)\n        return at(gamma, s.step) / 2 * jnp.mean(squares)",
        "s.samples.fake)\n        return at(gamma, s.step) * jnp.mean(squares)",
        SLOPES,
    ),
    Mutation(
        "slope: mean over pixels",
        "losses/gradient_penalties.py",
        "jnp.sum(x**2, axis=tuple(range(1, x.ndim)))",
        "jnp.mean(x**2, axis=tuple(range(1, x.ndim)))",
        SLOPES,
    ),
    Mutation(
        "norm: NaN at zero",
        "losses/gradient_penalties.py",
        "squared + 1e-12",
        "squared",
        SLOPES,
    ),
    Mutation(
        "gradient penalty: slope zero",
        "losses/gradient_penalties.py",
        "norm(squared_gradient_norm(s.critic, between)) - 1",
        "norm(squared_gradient_norm(s.critic, between))",
        SLOPES,
    ),
    Mutation(
        "gradient penalty: one factor for the batch",
        "losses/gradient_penalties.py",
        "jax.vmap(mix)(s.keys, s.samples.real",
        "jax.vmap(mix, (None, 0, 0))(s.keys[0], s.samples.real",
        SLOPES,
    ),
    Mutation(
        "DRAGAN: not in deviations of the data",
        "losses/gradient_penalties.py",
        "sigma * deviation(x, s.axis)",
        "sigma * jnp.ones(())",
        SLOPES,
    ),
    Mutation(
        "path length: mean of this batch",
        "losses/gradient_penalties.py",
        "jnp.mean((lengths - mean) ** 2)",
        "jnp.mean((lengths - jnp.mean(lengths)) ** 2)",
        SLOPES,
    ),
    Mutation(
        "path length: not per pixel",
        "losses/gradient_penalties.py",
        "math.prod(y.shape[1:-1])",
        "math.prod(y.shape[1:])",
        SLOPES,
    ),
    Mutation(
        "approximate penalties: noise not scaled",
        "losses/gradient_penalties.py",
        "x + sigma * e",
        "x + e",
        SLOPES,
    ),
    Mutation(
        "LeCam: own past",
        "losses/logits.py",
        '(r - means["fake"]) ** 2',
        '(r - means["real"]) ** 2',
        LOGITS,
    ),
    Mutation(
        "consistency: fake is real",
        "losses/logits.py",
        "distance(s, s.samples.fake)",
        "distance(s, s.samples.real)",
        LOGITS,
    ),
    Mutation(
        "feature matching: mean over features",
        "losses/features.py",
        "jnp.sum(gap**2)",
        "jnp.mean(gap**2)",
        LOGITS,
    ),
    Mutation(
        "InfoGAN: half dropped",
        "losses/features.py",
        "nll = 0.5 * jnp.sum",
        "nll = jnp.sum",
        LOGITS,
    ),
    Mutation(
        "orthogonal: lengths count too",
        "losses/weights.py",
        "gram - jnp.diag(jnp.diag(gram))",
        "gram - jnp.eye(len(gram))",
        "gradient_penalties",
    ),
    Mutation(
        "every: not n times as strong",
        "terms.py",
        "jnp.asarray(n * value, dtype)",
        "jnp.asarray(value, dtype)",
        LOGITS,
    ),
    Mutation(
        "every: one step late",
        "terms.py",
        "s.step % n == 0",
        "s.step % n == 1",
        LOGITS,
    ),
    # The step.
    Mutation(
        "same latents: fresh ones",
        "gan/train_step.py",
        "keys[k - 1 if same_latents else k]",
        "keys[k]",
        STEP,
    ),
    Mutation(
        "G answers the first batch",
        "gan/train_step.py",
        "x[-1], (batches",
        "x[0], (batches",
        STEP,
    ),
    Mutation(
        "EMA: share swapped",
        "gan/train_step.py",
        "1 - decay(state.step)",
        "decay(state.step)",
        STEP,
    ),
    Mutation(
        "fresh latents: those of D",
        "gan/train_step.py",
        "keys[k - 1 if same_latents else k]",
        "keys[k - 1]",
        STEP,
    ),
    Mutation(
        "accumulate: sum of gradients",
        "gan/train_step.py",
        "x.mean(0).astype(x.dtype)",
        "x.sum(0).astype(x.dtype)",
        STEP,
    ),
    Mutation(
        "gradients of one device",
        "gan/train_step.py",
        "mean = jax.lax.pmean(means, axis)",
        "mean = means",
        "parallel train_step",
    ),
    Mutation(
        "dropout: one mask for all calls",
        "gan/objective.py",
        "jax.random.fold_in(dropout, number)",
        "dropout",
        STEP,
    ),
    Mutation(
        "noise by the number within a device",
        "gan/objective.py",
        "example_keys(key, count, first * count)",
        "example_keys(key, count, 0)",
        "parallel objective",
    ),
    # Networks, augmentations, metrics, data.
    Mutation(
        "dropout: not scaled",
        "networks/layers.py",
        "x / keep, 0.0",
        "x, 0.0",
        "networks",
    ),
    Mutation(
        "BatchNorm: momentum swapped",
        "networks/layers.py",
        "self.momentum * mean.value + (1 - self.momentum) * batch_mean",
        "(1 - self.momentum) * mean.value + self.momentum * batch_mean",
        "networks",
    ),
    Mutation(
        "spectral norm: gradient through the vectors",
        "networks/spectral_norm.py",
        "fixed = jax.lax.stop_gradient(matrix)",
        "fixed = matrix",
        "wrappers",
    ),
    Mutation(
        "minibatch deviation: over features",
        "networks/wrappers.py",
        "jnp.var(groups, axis=1)",
        "jnp.var(groups, axis=2)",
        "wrappers",
    ),
    Mutation(
        "augmentations in turn: one key",
        "augment/random_apply.py",
        "part(jax.random.fold_in(key, i), image, p)",
        "part(key, image, p)",
        "augment augment_diffaugment augment_ada",
    ),
    Mutation(
        "color: contrast about each pixel",
        "augment/diffaugment.py",
        "mean = jnp.mean(colors)\n",
        "mean = jnp.mean(colors, -1, keepdims=True)\n",
        "augment_diffaugment",
    ),
    Mutation(
        "ADA: sign",
        "augment/probability.py",
        "jnp.sign(overfit - target)",
        "jnp.sign(target - overfit)",
        "augment_probability",
    ),
    Mutation(
        "ADA: contrast twice as strong",
        "augment/ada_colors.py",
        "2 ** (0.5 * numbers.normal[0])",
        "2 ** numbers.normal[0]",
        "augment_ada",
    ),
    Mutation(
        "SWD: not sorted",
        "metrics/sliced_wasserstein.py",
        "ascending((b @ axes).T)",
        "(b @ axes).T",
        "metrics",
    ),
    Mutation(
        "modes: four sigma",
        "metrics/mode_coverage.py",
        "NEAR = 3.0",
        "NEAR = 4.0",
        "metrics_mode_coverage",
    ),
    Mutation(
        "modes: KL the other way",
        "metrics/mode_coverage.py",
        "return np.log(count) - entropy",
        "return entropy",
        "metrics_mode_coverage",
    ),
    Mutation(
        "diversity: kernel not squared",
        "metrics/vendi.py",
        "jnp.exp(-squared_distances(scaled))",
        "jnp.exp(-squared_distances(scaled) / 2)",
        "metrics_vendi",
    ),
    Mutation(
        "order: epochs alike",
        "data/shuffle.py",
        "np.array([seed % 2**64, epoch], np.uint64)",
        "np.array([seed % 2**64, 0], np.uint64)",
        "data_shuffle data_loader",
    ),
    Mutation(
        "order: batches overlap",
        "data/shuffle.py",
        "first = position * updates * batch",
        "first = position * batch",
        "data_shuffle",
    ),
    Mutation(
        "hold out: overlaps training",
        "data/split.py",
        "np.sort(order[count:])",
        "np.sort(order[: dataset.size - count])",
        "data_split",
    ),
    Mutation(
        "normalize: off by half a step",
        "data/kinds.py",
        '"uint8": 127.5',
        '"uint8": 128.0',
        "data_dataset data_kinds",
    ),
    Mutation(
        "pool: never a past sample",
        "tasks/pool.py",
        'coin(keys) & (state["count"] == size)',
        'coin(keys) & (state["count"] < 0)',
        "kinds",
    ),
    Mutation(
        "pool: the first sample of a place is kept",
        "tasks/pool.py",
        "jnp.full(size, -1).at[place].max(",
        "jnp.full(size, len(keys)).at[place].min(",
        "kinds",
    ),
    Mutation(
        "holes: the mean over all pixels",
        "losses/reconstruction.py",
        "/ jnp.maximum(count, 1)",
        "/ x[0].size",
        "losses_reconstruction",
    ),
    Mutation(
        "holes: what is around them",
        "losses/reconstruction.py",
        "jnp.sum(x * mask,",
        "jnp.sum(x * (1 - mask),",
        "losses_reconstruction",
    ),
    Mutation(
        "identity: of the other domain",
        "losses/reconstruction.py",
        "{a: y, b: x}",
        "{a: x, b: y}",
        "losses_reconstruction",
    ),
    Mutation(
        "total variation: down only",
        "losses/reconstruction.py",
        "return rows + columns",
        "return 2 * rows",
        "losses_reconstruction",
    ),
    Mutation(
        "inpainting: known pixels are generated",
        "tasks/inpainting.py",
        "jnp.where(holes, made, image), source",
        "made, source",
        "tasks_images",
    ),
    Mutation(
        "flips: a pair apart",
        "tasks/flips.py",
        "if not alike:",
        "if alike:",
        "tasks_images",
    ),
    Mutation(
        "tiles: weights that do not sum to 1",
        "evaluation/tiles.py",
        "tile - overlap :] = 1 - ramp",
        "tile - overlap :] = 1",
        "tiles",
    ),
    Mutation(
        "PSNR: luma in full swing",
        "metrics/image_similarity.py",
        "return 16 + images @",
        "return images @",
        "image_similarity",
    ),
    Mutation(
        "noise: one key for all examples",
        "networks/streams.py",
        "lambda key: jax.random.fold_in(key, number)",
        "lambda _: jax.random.fold_in(keys[0], number)",
        "kinds",
    ),
    Mutation(
        "noise: the same in all layers",
        "networks/streams.py",
        "number = jax.random.bits(key)",
        "number = 0",
        "kinds",
    ),
    Mutation(
        "condition: not augmented",
        "gan/objective.py",
        "lambda x: see(x) if x.ndim == 4 else x, condition",
        "lambda x: x, condition",
        "objective",
    ),
    Mutation(
        "terms of the task: none",
        "gan/builder.py",
        "**read(defaults.generator),",
        "",
        "kinds",
    ),
    Mutation(
        "stage: its update sees what it has changed",
        "gan/objective.py",
        "samples = task.stage.apply(",
        "played = samples = task.stage.apply(",
        "kinds",
    ),
    Mutation(
        "init_from: without the moving average",
        "experiment/init_from.py",
        'WEIGHTS = ("params", "stats", "ema")',
        'WEIGHTS = ("params", "stats")',
        "init_from",
    ),
    Mutation(
        "evaluation: the same noise for all parts",
        "evaluation/evaluate.py",
        "example_keys(self._sample_key, count, first)",
        "example_keys(self._sample_key, count)",
        "evaluators",
    ),
    Mutation(
        "best is the worst",
        "experiment/checkpoint.py",
        "reverse=True",
        "reverse=False",
        "checkpoint",
    ),
)


def check(mutations: tuple[Mutation, ...]) -> list[str]:
    """Returns the mutations that no longer apply, with the reason."""
    wrong = []
    for mutation in mutations:
        count = (ROOT / "jaxgan" / mutation.file).read_text().count(mutation.old)
        if count != 1:
            wrong.append(f"{mutation.name}: {mutation.old!r} occurs {count} times")
    return wrong


def run(root: Path, tests: str) -> tuple[bool, float, str]:
    """Runs test files and returns (all passed, seconds, first failure)."""
    files = [f"tests/test_{name}.py" for name in tests.split()]
    there = [name for name in files if (root / name).exists()]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p"]
    command += ["no:cacheprovider", *there]
    began = time.monotonic()
    done = subprocess.run(
        command,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=1_200,
    )
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    failed += [line for line in done.stdout.splitlines() if line.startswith("ERROR")]
    first = failed[0].split(" - ")[0] if failed else done.stdout[-200:]
    return done.returncode == 0, time.monotonic() - began, first


def main() -> int:
    """Runs the mutations; returns 1 if one survives or does not apply."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", default="", help="words in names, separated by commas"
    )
    parser.add_argument("--check", action="store_true", help="run no tests")
    parser.add_argument(
        "--part",
        default="0/1",
        help="part of the mutations for this process, such as 1/2",
    )
    parser.add_argument(
        "--no_baseline", action="store_true", help="skip the run without a mutation"
    )
    parser.add_argument("--out", help="JSON file to which the results are added")
    args = parser.parse_args()
    jax.config.update("jax_platforms", "cpu")
    wrong = check(MUTATIONS)
    print("\n".join(wrong) or f"{len(MUTATIONS)} mutations apply")
    if wrong or args.check:
        return int(bool(wrong))
    words = args.only.split(",")
    chosen = [m for m in MUTATIONS if any(word in m.name for word in words)]
    part, parts = map(int, args.part.split("/"))
    chosen = chosen[part::parts]
    rows: dict[str, Any] = {}
    if args.out and Path(args.out).exists():
        rows = json.loads(Path(args.out).read_text())["mutations"]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in COPIED:
            if (ROOT / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "results")
                shutil.copytree(ROOT / name, root / name, ignore=ignored)
            else:
                shutil.copy(ROOT / name, root / name)
        baselines = set() if args.no_baseline else {m.tests for m in chosen}
        for tests in sorted(baselines):
            passed, seconds, first = run(root, tests)
            print(f"unchanged, {tests}: {seconds:.0f} s", flush=True)
            if not passed:
                raise SystemExit(f"the tests fail without a mutation: {first}")
        for mutation in chosen:
            file = root / "jaxgan" / mutation.file
            text = file.read_text()
            file.write_text(text.replace(mutation.old, mutation.new))
            passed, seconds, first = run(root, mutation.tests)
            file.write_text(text)
            verdict = "SURVIVED" if passed else f"caught by {first}"
            print(f"{mutation.name}: {verdict} ({seconds:.0f} s)", flush=True)
            rows[mutation.name] = {"file": mutation.file, "caught": not passed}
            rows[mutation.name] |= {} if passed else {"by": first}
            if args.out:
                found = {**about(), "mutations": rows}
                Path(args.out).write_text(json.dumps(found, indent=1) + "\n")
    caught = sum(rows[mutation.name]["caught"] for mutation in chosen)
    print(f"caught {caught} of {len(chosen)}")
    return int(caught < len(chosen))


if __name__ == "__main__":
    sys.exit(main())

"""Texts of a known distribution: the synthetic oracle of SeqGAN.

    PYTHONPATH=benchmarks python benchmarks/text_oracle.py --place=runs/oracle \\
        --arms likelihood gan "gan + likelihood" --seeds=3 --out=text_oracle.json

An LSTM with weights from N(0, 1) writes texts of 20 tokens from a vocabulary of 5,000
(https://arxiv.org/abs/1609.05473). Generators learn from 10,000 of its texts. As the
oracle knows the likelihood of every text, a generator is judged twice: NLL_oracle is
the negative log-likelihood of its samples under the oracle, and NLL_gen that of new
texts of the oracle under the generator, in nats per token. The first alone is won by
one likely text, repeated, so both are shown, with the row "one text repeated". GANs
start from the arm `likelihood` of the same seed, as in the paper, and are trained with
it. Values of several machines are joined: `--join 0.json 1.json --out=both.json`.

`--import=text_oracle --dataset=oracle` makes its texts a data set of `jaxgan.train`.
"""

import argparse
import functools
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from arms import about, cost, folder_of, spread, table, train

from jaxgan.data import SOURCES, Dataset, from_fields
from jaxgan.metrics.text import repeated
from jaxgan.metrics.text_baselines import ORDERS, NGrams
from jaxgan.types import ExampleSpec, Field

VOCABULARY, LENGTH, WIDTH = 5_000, 20, 32
COUNT = 10_000
"""Texts of each split."""

START = 0
"""The token before the first one."""

PUBLISHED = {"SeqGAN's oracle": {"MLE": 9.038, "SeqGAN": 8.736, "RelGAN": 6.680}}
"""NLL_oracle in papers, of another draw of the weights."""

KEYS = {"weights": 0, "train": 1, "test": 2}
"""Numbers that are folded into the key of the weights and of each split."""


class Oracle(NamedTuple):
    """The weights of an LSTM with an embedding and an output layer."""

    embedding: jax.Array
    """`[V, d]`"""
    inputs: jax.Array
    """`[d, 4 d]`: input gate, forget gate, output gate, candidate."""
    hidden: jax.Array
    """`[d, 4 d]`"""
    bias: jax.Array
    """`[4 d]`"""
    outputs: jax.Array
    """`[d, V]`"""
    outputs_bias: jax.Array
    """`[V]`"""


def make_oracle(vocabulary: int = VOCABULARY, width: int = WIDTH) -> Oracle:
    """Returns the oracle, the same on every machine.

    Args:
      vocabulary: number of tokens.
      width: of the embedding and of the state.
    """
    d, v = width, vocabulary
    shapes = [(v, d), (d, 4 * d), (d, 4 * d), (4 * d,), (d, v), (v,)]
    # NumPy's numbers do not depend on the version of JAX.
    draw = np.random.default_rng(KEYS["weights"]).standard_normal
    return Oracle(*(jnp.asarray(draw(shape), jnp.float32) for shape in shapes))


def logits_of(
    oracle: Oracle, carry: tuple[jax.Array, jax.Array], token: jax.Array
) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
    """Reads a token, and returns the state and the logits of the next one.

    Args:
      oracle: the weights.
      carry: state and cell, `[B, d]` each.
      token: `[B]` int32.
    """
    h, c = carry
    gates = oracle.embedding[token] @ oracle.inputs + h @ oracle.hidden + oracle.bias
    i, f, o, g = jnp.split(gates, 4, -1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return (h, c), h @ oracle.outputs + oracle.outputs_bias


def _start(oracle: Oracle, count: int) -> tuple[jax.Array, jax.Array]:
    """Returns the state before the first token, which is zero."""
    zeros = jnp.zeros((count, oracle.hidden.shape[0]))
    return zeros, zeros


@functools.partial(jax.jit, static_argnames="length")
def sample(oracle: Oracle, keys: jax.Array, length: int = LENGTH) -> jax.Array:
    """Draws texts, `[B, length]` int32.

    Args:
      oracle: the weights.
      keys: one PRNG key per text, `[B]`.
      length: tokens of a text.
    """
    count = len(keys)

    def step(carry, place):
        state, token = carry
        state, logits = logits_of(oracle, state, token)
        own = jax.vmap(jax.random.fold_in, (0, None))(keys, place)
        token = jax.vmap(jax.random.categorical)(own, logits).astype(jnp.int32)
        return (state, token), token

    first = jnp.full(count, START, jnp.int32)
    carry = (_start(oracle, count), first)
    return jax.lax.scan(step, carry, jnp.arange(length))[1].T


@jax.jit
def nll(oracle: Oracle, ids: jax.Array) -> jax.Array:
    """Returns the negative log-likelihood of each text, in nats per token, `[B]`.

    Args:
      oracle: the weights.
      ids: texts, `[B, T]` int32.
    """
    before = jnp.pad(ids[:, :-1], ((0, 0), (1, 0)), constant_values=START)

    def step(state, tokens):
        token, following = tokens
        state, logits = logits_of(oracle, state, token)
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), following[:, None], -1)
        return state, chosen[:, 0]

    _, found = jax.lax.scan(step, _start(oracle, len(ids)), (before.T, ids.T))
    return -found.mean(0)


def in_parts(function, *arrays: Any, size: int = 500) -> np.ndarray:
    """Applies a function to parts of arrays, as logits of all do not fit."""
    count = len(arrays[0])
    parts = [
        function(*(x[i : i + size] for x in arrays)) for i in range(0, count, size)
    ]
    return np.concatenate([np.asarray(x) for x in parts])


def texts_of(oracle: Oracle, split: str, count: int = COUNT) -> np.ndarray:
    """Returns the texts of a split, `[count, LENGTH]` int32."""
    keys = jax.random.split(jax.random.key(KEYS[split]), count)
    return in_parts(lambda k: sample(oracle, k), keys)


def oracle_source(request) -> Dataset:
    """Texts of the oracle: 10,000 of `train`, and others of `test`."""
    split = request.split if request.split in KEYS else "train"
    names = tuple(f"w{i}" for i in range(VOCABULARY))
    example = ExampleSpec(tokens=Field((LENGTH,), np.dtype(np.int32), "tokens", names))
    arrays = {"tokens": texts_of(make_oracle(), split)}
    origin = f"{COUNT:,} texts of a random LSTM, split {split}"
    return from_fields(request.name, arrays, example=example, origin=origin)


SOURCES["oracle"] = oracle_source

GENERATOR = "recurrent_generator(32, 32)"
"""The size of SeqGAN's, with a gated recurrent unit."""

SHARED: dict[str, Any] = {
    "dataset": "oracle",
    "import_": "text_oracle",
    "held_out": "test",
    "batch_size": 64,
    "samples": 4,
    "score_samples": 64,
    "devices": 1,
}
"""Flags of all arms."""

ARMS: dict[str, dict[str, Any]] = {
    "likelihood": {
        "preset": "language_model",
        "networks": f"text({GENERATOR}, no_discriminator())",
        "g_optimizer": "adam(cosine(1e-2, 1e-4, {steps}))",
        "steps": 4_000,
    },
    "gan": {
        "preset": "text_gan",
        "task": "text(exponential(1, 0.1, {steps}))",
        "networks": f"text({GENERATOR}, text_discriminator())",
        "steps": 2_000,
    },
}
"""Own flags by arm; `{steps}` becomes the number of steps."""

ARMS["gan + likelihood"] = {**ARMS["gan"], "g_terms": "likelihood(1)"}

FIRST = "likelihood"
"""The arm from whose generator the others start."""


def flags_of(
    arm: str, seed: int, steps: int, place: Path = Path("runs/oracle")
) -> dict[str, Any]:
    """Returns the flags of an arm.

    Args:
      arm: its name.
      seed: of training.
      steps: number of them; 0 for the usual number of the arm.
      place: folder of the runs.
    """
    own = dict(ARMS[arm])
    if arm != FIRST:
        own["init_from"] = run_of(place, FIRST, seed)
    own["steps"] = steps or own["steps"]
    filled = {
        k: x.replace("{steps}", str(own["steps"])) if isinstance(x, str) else x
        for k, x in own.items()
    }
    # The moving average is short, as runs are.
    ema = own["steps"] * 64 / 40
    often = {x: own["steps"] for x in ("save_every", "sample_every")}
    return {**SHARED, **filled, **often, "ema_half_life": ema, "seed": seed}


def run_of(place: Path, arm: str, seed: int) -> Path:
    """Returns the folder of a run."""
    return folder_of(place, arm, f"seed {seed}")


def judge(folder: Path, oracle: Oracle, tests: np.ndarray) -> dict[str, float]:
    """Returns NLL_oracle and NLL_gen of a run, and its repeated samples."""
    from jaxgan.evaluation.load_run import load_run
    from jaxgan.gan.objective import example_keys

    run = load_run(folder)
    variables, keys = run.variables, example_keys(jax.random.key(1), len(tests))
    play = jax.jit(run.gan.play)

    def drawn(ids: np.ndarray, keys: jax.Array) -> np.ndarray:
        found = play(variables, {"tokens": ids}, keys)
        held = found.reconstruction["log_likelihood"]
        return np.concatenate([found.fake, -held], 1)

    both = in_parts(drawn, tests, keys)
    fake, held = both[:, :LENGTH].astype(np.int32), both[:, LENGTH:]
    return values_of(oracle, fake) | {"nll_gen": float(held.mean())}


def values_of(oracle: Oracle, ids: np.ndarray) -> dict[str, float]:
    """Returns NLL_oracle of texts, and the share that is repeated."""
    found = in_parts(functools.partial(nll, oracle), ids)
    rows = [tuple(x) for x in ids.tolist()]
    return {"nll_oracle": float(found.mean()), "repeated": repeated(rows)}


def plain(oracle: Oracle, tests: np.ndarray) -> dict[str, dict[str, float]]:
    """Returns the values of the oracle itself and of plain methods, by name.

    Texts of the oracle have the entropy of the oracle as both values.
    """
    trained = texts_of(oracle, "train")
    own = values_of(oracle, tests)
    rows = {"oracle": own | {"nll_gen": own["nll_oracle"]}}
    for name, order in ORDERS.items():
        rows[name] = values_of(oracle, NGrams(trained, order).sample(COUNT, seed=0))
    likely = trained[np.argmin(in_parts(functools.partial(nll, oracle), trained))]
    rows["one text repeated"] = values_of(oracle, np.tile(likely, (COUNT, 1)))
    uniform = np.random.default_rng(0).integers(0, VOCABULARY, tests.shape)
    rows["uniform"] = values_of(oracle, uniform) | {
        "nll_gen": float(np.log(VOCABULARY))
    }
    return rows


def joined(files: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """Returns the rows of several files, with the runs of all of them."""
    rows: dict[str, dict[str, Any]] = {}
    for file in files:
        for name, row in json.loads(file.read_text())["rows"].items():
            runs = rows.get(name, {}).get("runs", {}) | row.get("runs", {})
            rows[name] = with_runs(runs) if runs else row
    return rows


def with_runs(runs: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Returns a row with means and deviations over runs, whose seeds are the keys."""
    found = [*runs.values()]
    means = {k: spread(x[k] for x in found) for k in found[0]}
    return means | {"seeds": len(found), "runs": runs}


def needed(arms: Sequence[str]) -> list[str]:
    """Returns arms in the order of training, with the first one if others need it.

    >>> needed([]), needed(["gan"])
    ([], ['likelihood', 'gan'])
    """
    return [arm for arm in ARMS if arm in arms or (arm == FIRST and arms)]


def train_all(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Trains and judges the arms, and yields the rows after each run."""
    oracle = make_oracle()
    tests = texts_of(oracle, "test")
    rows: dict[str, Any] = plain(oracle, tests)
    yield rows
    runs: dict[str, dict[str, Any]] = {}
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        for arm in needed(args.arms):
            folder = run_of(args.place, arm, seed)
            train(folder, flags_of(arm, seed, args.steps, args.place))
            minutes = {"cpu_minutes": cost(folder).cpu_seconds / 60}
            found = judge(folder, oracle, tests) | minutes
            runs.setdefault(arm, {})[str(seed)] = found
            rows[arm] = with_runs(runs[arm])
            yield rows


def main(argv: Sequence[str] | None = None) -> None:
    """Trains the arms, prints a table and writes the values."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--place", type=Path, default=Path("runs/oracle"), help="folder of the runs")
    add("--arms", nargs="*", choices=list(ARMS), default=[], help="arms to train")
    add("--seeds", type=int, default=1, help="training seeds of each arm (default: 1)")
    add("--first_seed", type=int, default=0, help="the first of them (default: 0)")
    add("--steps", type=int, default=0, help="0 for those of each arm (default: 0)")
    add(
        "--join", nargs="*", type=Path, help="files of values to join, with no training"
    )
    add("--out", type=Path, help="file for the values, none by default")
    args = parser.parse_args(argv)
    # Training runs in processes of their own, which import this module.
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    )
    rows: dict[str, Any] = {}
    for rows in [joined(args.join)] if args.join else train_all(args):
        # Also after each run, as training takes long.
        if args.out:
            first = json.loads(args.join[0].read_text()) if args.join else {}
            own = first.get("about") or about()
            whole = {"rows": rows, "published": PUBLISHED, "about": own}
            args.out.write_text(json.dumps(whole, indent=2) + "\n")
    names = ("nll_oracle", "nll_gen", "repeated", "cpu_minutes")
    print(
        "\n".join(table(["", *names], [[k, *cells(x, names)] for k, x in rows.items()]))
    )


def cells(values: dict[str, Any], names: Sequence[str]) -> list[str]:
    """Returns the cells of a row; several seeds have a deviation."""

    def cell(value: Any) -> str:
        if value is None:
            return "-"
        mean, deviation = value if isinstance(value, tuple | list) else (value, 0.0)
        return f"{mean:.4g}" + (f" ± {deviation:.2g}" if deviation else "")

    return [cell(values.get(name)) for name in names]


if __name__ == "__main__":
    main()

"""Training and sampling of arms, shared by several benchmarks.

An arm is a set of flags of `python -m jaxgan.train`, which runs in its own process.
Interrupted runs resume with the same command. Finished arms are not trained again.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import parallel, workdir
from jaxgan.config.resolve import make_config, to_dict
from jaxgan.config.training import RESUMABLE, Config
from jaxgan.evaluation.load_run import load_run
from jaxgan.evaluation.previews import generate_in_batches
from jaxgan.experiment import checkpoint
from jaxgan.files import atomic_write
from jaxgan.gan import builder, objective
from jaxgan.parallel import multi_seed
from jaxgan.types import Tree

ENDED = (0, 1, 143)
"""Exit codes of runs that are evaluated: done, not finite, ended by SIGTERM."""


class Cost(NamedTuple):
    """Time that training has taken so far, including startup and compilation."""

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0


class Run(NamedTuple):
    """A trained arm and its folder."""

    folder: Path
    config: Config
    gan: builder.GAN
    shape: tuple[int, ...]


class Snapshot(NamedTuple):
    """The players of one seed at a step."""

    step: int
    mean: Tree
    """The moving average of the generator."""
    generator: Tree
    discriminator: Tree


def machine() -> str:
    """Returns a description of the machine in one line."""
    devices = parallel.describe_devices(parallel.choose_devices(0))
    return (
        f"{devices}, {os.cpu_count()} cores, {platform.machine()}, "
        f"Python {platform.python_version()}"
    )


def about() -> dict[str, Any]:
    """Returns the machine and the package versions for a results file."""
    packages = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
    versions = {name: importlib.metadata.version(name) for name in packages}
    return {"machine": machine(), "versions": versions}


def command(flags: dict[str, Any]) -> list[str]:
    """Returns the arguments of `python` that train with these flags."""
    # The field of --import is import_, as a word of Python cannot be one.
    named = ((k.removesuffix("_"), v) for k, v in flags.items())
    return ["-m", "jaxgan.train", *(f"--{k}={v}" for k, v in named)]


def choose(
    parser: argparse.ArgumentParser, flag: str, text: str, known: Iterable[str]
) -> list[str]:
    """Returns the names in a text, separated by commas; all if it is empty."""
    names = list(known)
    chosen = text.split(",") if text else names
    if unknown := set(chosen) - set(names):
        parser.error(f"{flag}: choose from {','.join(names)}, not {min(unknown)}")
    return chosen


def open_results(
    parser: argparse.ArgumentParser, out: Path, name: str, value: Any
) -> dict[str, Any]:
    """Returns what a results file has, with `rows`, which are none if it is not there.

    Args:
      parser: for the error if the file has results of another budget.
      out: JSON file.
      name: the field of the budget of all rows.
      value: the budget.
    """
    first = {name: value, "rows": []}
    found = json.loads(out.read_text()) if out.exists() else first
    if found[name] != value:
        parser.error(f"--out={out} has {name} {found[name]}: use another --out")
    return found


def add_row(out: Path, first: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """Adds a row to a results file, and returns all results.

    Args:
      out: JSON file, to which programs for other rows may write too.
      first: what it begins with, with a list `rows`, if it is not there.
      row: the new row.
    """
    found = json.loads(out.read_text()) if out.exists() else first
    found = {**found, **about(), "rows": [*found["rows"], row]}
    atomic_write(out, (json.dumps(found, indent=1) + "\n").encode())
    return found


def folder_of(place: Path, *names: str) -> Path:
    """Returns the folder of an arm, which has its name.

    >>> folder_of(Path("runs"), "ring8", "hinge + spectral norm").as_posix()
    'runs/ring8/hinge-spectral-norm'
    """
    plain = ("".join(c if c.isalnum() else " " for c in name) for name in names)
    return Path(place, *("-".join(words.split()) for words in plain))


def source(dataset: str, npz: str) -> str:
    """Returns the name by which a data set is loaded: of a file, or of TFDS.

    Args:
      dataset: its name.
      npz: folder of files with such names, empty for TFDS.
    """
    return f"npz:{Path(npz).resolve() / dataset}.npz" if npz else dataset


def train(folder: Path, flags: dict[str, Any], minutes: float | None = None) -> None:
    """Trains until all steps are done or the time is over, then saves.

    Does nothing if the run is already finished.

    Args:
      folder: workdir of the run.
      flags: flags of `python -m jaxgan.train`.
      minutes: limit for all calls together, including startup and compilation.

    Raises:
      SystemExit: if training failed, with the last line of its log, or if the folder
        was made with other flags.
    """
    _check_same(folder, flags)
    folder.parent.mkdir(parents=True, exist_ok=True)
    left = None if minutes is None else 60 * minutes - cost(folder).wall_seconds
    if flags["steps"] in steps_of(folder) or (left is not None and left <= 0):
        return
    code = _run(folder, {**flags, "workdir": folder}, left)
    if code not in ENDED:
        *_, last = _beside(folder, ".log").read_text().splitlines() or [""]
        raise SystemExit(f"{folder}: exit code {code}: {last}")


def _run(folder: Path, flags: dict[str, Any], seconds: float | None) -> int:
    """Trains for a limited time, adds to the cost and returns the exit code."""
    before, started = _children(), time.monotonic()
    with _beside(folder, ".log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, *command(flags)], stderr=log, start_new_session=True
        )
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.terminate()
        return process.wait()
    finally:  # also if this program is interrupted
        process.terminate()
        process.wait()
        spent = Cost(time.monotonic() - started, _children() - before)
        total = Cost(*np.add(cost(folder), spent).tolist())
        _beside(folder, ".cost.json").write_text(json.dumps(total._asdict()))


def _check_same(folder: Path, flags: dict[str, Any]) -> None:
    """Raises an error if the run in the folder was made with other flags."""
    if (folder / "config.json").exists():
        old, new = workdir.read_config(folder), to_dict(make_config(**flags))
        changed = workdir.differences(old, new, RESUMABLE)
        if changed:
            raise SystemExit(
                f"{folder} was made with other flags, {changed}: remove it"
            )


def cost(folder: Path) -> Cost:
    """Returns the cost of training a folder, over all calls."""
    file = _beside(folder, ".cost.json")
    return Cost(**json.loads(file.read_text())) if file.exists() else Cost()


def steps_of(folder: Path) -> list[int]:
    """Returns the steps of all checkpoints."""
    return checkpoint.available(folder / "checkpoints")


def open_run(folder: Path) -> Run:
    """Opens the run of a folder, whose checkpoints `restore` reads."""
    run = load_run(folder)
    gan = run.gan._replace(generate=jax.jit(run.gan.generate))
    return Run(folder, run.config, gan, run.example.shape)


def restore(run: Run, which: checkpoint.Which = "last") -> list[Snapshot]:
    """Restores the players of every seed from one checkpoint."""
    one, count = jax.eval_shape(run.gan.init, jax.random.key(0)), run.config.runs
    state = jax.eval_shape(multi_seed.join_states, [one] * count)
    part = {name: getattr(state, name) for name in ("step", "params", "stats", "ema")}
    place = run.folder / "checkpoints"
    restored, _ = checkpoint.restore(place, part, which=which, partial=True)
    step, params, stats = int(restored["step"]), restored["params"], restored["stats"]
    players = (
        restored["ema"],
        {"params": params.generator, **stats.generator},
        {"params": params.discriminator, **stats.discriminator},
    )
    return [Snapshot(step, *own) for own in multi_seed.split_seeds(players, count)]


def sample(run: Run, variables: Tree, n: int, seed: int, at_once: int) -> np.ndarray:
    """Draws samples, `[n, ...]`, from a generator in its sampling mode."""
    batch = {"image": jnp.zeros((at_once, *run.shape))}  # only its shape is read
    keys = objective.example_keys(jax.random.key(seed), n)
    return generate_in_batches(run.gan.generate, variables, batch, keys, at_once)


def spread(values: Iterable[float]) -> tuple[float, float]:
    """Returns the mean and the standard deviation (n - 1) over seeds; 0 for one seed.

    >>> spread([1.0, 3.0])[0]
    2.0
    """
    array = np.array(list(values), np.float64)
    return float(array.mean()), float(array.std(ddof=1)) if len(array) > 1 else 0.0


def table(head: list[str], rows: Iterable[list[str]]) -> list[str]:
    """Returns a Markdown table as lines."""
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(row)} |" for row in lines]


def _beside(folder: Path, suffix: str) -> Path:
    return folder.with_name(folder.name + suffix)


def _children() -> float:
    """Returns the CPU seconds of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime

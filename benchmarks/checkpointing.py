"""The cost of a checkpoint: the stall of the step and the work in the background.

    python benchmarks/checkpointing.py --presets=default,dcgan,residual --out=saves.json

A save stalls the run until the state is off the device. The rest runs in the
background during the next steps. The stall is compared with a plain copy of the same
state to the host.

The digests that detect flipped bits are computed while the files are written. Their
column is the time that they take alone, on one core. Every other save omits them, with
a step in between. `--algorithms` prints the speed of other digests.
"""

import argparse
import hashlib
import json
import logging
import platform
import statistics
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from arms import table
from peers.ours import feed_of

from jaxgan import parallel
from jaxgan.config.resolve import make_config, to_dict
from jaxgan.config.training import Config
from jaxgan.environment import enable_compilation_cache
from jaxgan.experiment import checkpoint, digests
from jaxgan.experiment.setup import build_gan
from jaxgan.types import TrainState, image_example

SHAPES = {"residual": (32, 32, 3)}

ALGORITHMS: dict[str, Callable[[Any], Any]] = {
    "crc32": zlib.crc32,
    "adler32": zlib.adler32,
    "blake2b": lambda content: hashlib.blake2b(content).digest(),
    "sha1": lambda content: hashlib.sha1(content).digest(),
    "sha256": lambda content: hashlib.sha256(content).digest(),
}
"""Digests of the standard library."""


def measure(config: Config, layout: parallel.Layout, saves: int, steps: int) -> dict:
    """Measures a preset and returns its row: size in MiB and times in ms."""
    shape = SHAPES.get(config.preset, (28, 28, 1))
    gan, feed = (
        build_gan(config, image_example(shape, classes=10), layout),
        feed_of(config, shape, layout),
    )

    def step(state, batches, key):
        return gan.train_step(state, batches, key)

    key = parallel.put(jax.random.key(0), layout)
    state = layout.strategy.init(gan.init, [jax.random.key(0)], layout)
    program = parallel.make_compiler(step, feed, layout)(1, state, feed.at(0, 1), key)

    def run(state, ends):
        """Runs steps until `ends` and returns the state and the ms of each step."""
        times = []
        while not ends(len(times)):
            began = time.perf_counter()
            state, metrics = program(state, feed.at(int(state.step), 1), key)
            jax.block_until_ready(metrics)
            times.append(1e3 * (time.perf_counter() - began))
        return state, times

    state, _ = run(state, lambda done: done == 2)
    state, alone = run(state, lambda done: done == steps)
    names = ("copy", "digests", "without", "stall", "whole", "beside")
    rows: dict[str, list[float]] = {name: [] for name in names}
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryDirectory() as other,
        checkpoint.open_checkpoints(folder, keep=1) as manager,
        checkpoint.open_checkpoints(other, keep=1) as plain,
    ):
        for _ in range(saves):
            began = time.perf_counter()
            jax.tree.map(lambda x: np.array(x, copy=True), state)
            rows["copy"].append(1e3 * (time.perf_counter() - began))
            began = time.perf_counter()
            for leaf in jax.tree.leaves(state):
                for part in digests.local_parts(leaf):
                    digests.crc32(part.values)
            rows["digests"].append(1e3 * (time.perf_counter() - began))
            began = time.perf_counter()
            save_without_digests(plain, state, to_dict(config))
            state, _ = run(state, lambda _: not plain.is_saving_in_progress())
            plain.wait_until_finished()
            rows["without"].append(1e3 * (time.perf_counter() - began))
            state, _ = run(state, lambda done: done == 1)
            began = time.perf_counter()
            checkpoint.save(manager, state, history={}, config=to_dict(config))
            rows["stall"].append(1e3 * (time.perf_counter() - began))
            state, beside = run(state, lambda _: not manager.is_saving_in_progress())
            manager.wait_until_finished()
            rows["whole"].append(1e3 * (time.perf_counter() - began))
            rows["beside"] += beside
            state, _ = run(state, lambda done: done == 1)
    size = sum(x.nbytes for x in jax.tree.leaves(state)) / 2**20
    medians = {name: statistics.median(x) for name, x in rows.items() if x}
    return {
        "preset": config.preset,
        "mib": size,
        **medians,
        "alone": statistics.median(alone),
    }


def save_without_digests(manager: Any, state: TrainState, config: dict) -> None:
    """Saves like `checkpoint.save`, but without digests."""
    manager.save(
        int(state.step),
        args=ocp.args.Composite(
            state=ocp.args.StandardSave(state),
            history=ocp.args.JsonSave({}),
            config=ocp.args.JsonSave(config),
        ),
        force=True,
    )


def throughputs(megabytes: int, repeats: int = 5) -> dict[str, float]:
    """Returns the best speed of each algorithm on random bytes, in GB/s."""
    content = np.random.default_rng(0).bytes(megabytes * 10**6)

    def seconds(digest):
        began = time.perf_counter()
        digest(content)
        return time.perf_counter() - began

    best = {
        name: min(seconds(digest) for _ in range(repeats))
        for name, digest in ALGORITHMS.items()
    }
    return {name: megabytes / 1e3 / lasted for name, lasted in best.items()}


COLUMNS = {
    "copy": "copy",
    "digests": "digests",
    "stall": "stall",
    "whole": "whole save",
    "without": "without digests",
    "beside": "step beside it",
    "alone": "step alone",
}
"""Column heads by field of a row, in ms."""


def cells(row: dict) -> list[str]:
    """Returns one row of the table."""
    times = [f"{row.get(name, np.nan):.1f} ms" for name in COLUMNS]
    return [row["preset"], f"{row['mib']:.0f} MiB", *times]


def table_of(found: dict) -> list[str]:
    """Returns a Markdown table as lines."""
    return table(["preset", "state", *COLUMNS.values()], map(cells, found["rows"]))


def main() -> None:
    """Measures all presets, prints a table and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--presets", default="default,dcgan,residual", help="separated by commas"
    )
    parser.add_argument(
        "--saves", type=int, default=5, help="number of saves per preset"
    )
    parser.add_argument(
        "--steps", type=int, default=10, help="number of steps without a save"
    )
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument(
        "--algorithms",
        type=int,
        default=0,
        help="megabytes on which digests are compared; 0 for none",
    )
    parser.add_argument("--out", help="JSON file for the results")
    args = parser.parse_args()
    logging.basicConfig(format="%(message)s")
    enable_compilation_cache()
    layout = parallel.layout_of(parallel.choose_devices(0))
    machine = f"{parallel.describe_devices(layout.devices)}, {platform.machine()}"
    print(machine)
    speeds = throughputs(args.algorithms) if args.algorithms else {}
    for name, speed in speeds.items():
        print(f"{name}: {speed:.2f} GB/s")
    rows = []
    for preset in args.presets.split(","):
        config = make_config(preset=preset, batch_size=args.batch_size)
        row = measure(config, layout, args.saves, args.steps)
        rows.append(row)
        print(" | ".join(cells(row)), flush=True)
    found = {"machine": machine, "gb_per_second": speeds, "rows": rows}
    print("\n".join(table_of(found)))
    if args.out:
        Path(args.out).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

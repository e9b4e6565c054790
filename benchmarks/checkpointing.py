"""What a checkpoint costs a run: the stall of the step, and the work beside it.

    python benchmarks/checkpointing.py --presets=default,dcgan,residual --out=saves.json

A save stalls the run until the state is off the device; the rest goes on beside the
next steps. The stall is put beside the plain copy of the same state to the host.
"""

import argparse
import json
import logging
import platform
import statistics
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
from peers.ours import feed_of

from jaxgan import checkpoint, data, parallel
from jaxgan.config import Config, flags, make
from jaxgan.prepare import game_of
from jaxgan.program import keep_compiled

SHAPES = {"residual": (32, 32, 3)}


def measure(config: Config, layout: parallel.Layout, saves: int, steps: int) -> dict:
    """Milliseconds of copy, stall and whole save, and of a step with and without."""
    shape = SHAPES.get(config.preset, (28, 28, 1))
    game, feed = game_of(config, shape, 10, layout), feed_of(config, shape, layout)

    def step(state, batches, key):
        return game.step(state, data.normalise(batches), key)

    key = parallel.put(jax.random.key(0), layout)
    state = parallel.created(game.init, [jax.random.key(0)], layout)
    program = parallel.compiled(step, feed, layout)(1, state, feed.at(0, 1), key)

    def run(state, ends):
        """Steps until `ends()`, and the milliseconds of each."""
        times = []
        while not ends(len(times)):
            began = time.perf_counter()
            state, metrics = program(state, feed.at(int(state.step), 1), key)
            jax.block_until_ready(metrics)
            times.append(1e3 * (time.perf_counter() - began))
        return state, times

    state, _ = run(state, lambda done: done == 2)
    state, alone = run(state, lambda done: done == steps)
    rows = {"copy": [], "stall": [], "whole": [], "beside": []}
    with (
        tempfile.TemporaryDirectory() as folder,
        checkpoint.open_checkpoints(folder, keep=1) as manager,
    ):
        for _ in range(saves):
            began = time.perf_counter()
            jax.tree.map(lambda x: np.array(x, copy=True), state)
            rows["copy"].append(1e3 * (time.perf_counter() - began))
            began = time.perf_counter()
            checkpoint.save(manager, state, history={}, config=flags(config))
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


def main() -> None:
    """Measures every preset asked for, prints a table and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presets", default="default,dcgan,residual", help="by comma")
    parser.add_argument("--saves", type=int, default=5, help="per preset")
    parser.add_argument("--steps", type=int, default=10, help="without a save")
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--out", help="a JSON file")
    said = parser.parse_args()
    logging.basicConfig(format="%(message)s")
    keep_compiled()
    layout = parallel.layout_of(parallel.pick(0))
    machine = f"{parallel.describe(layout.devices)}, {platform.machine()}"
    print(machine)
    print(
        "| preset | state | copy | stall | whole save | step beside it | step alone |"
    )
    print("|---|---|---|---|---|---|---|")
    rows = []
    for preset in said.presets.split(","):
        config = make(preset=preset, batch_size=said.batch_size)
        row = measure(config, layout, said.saves, said.steps)
        rows.append(row)
        names = ("copy", "stall", "whole", "beside", "alone")
        cells = " | ".join(f"{row.get(name, np.nan):.0f} ms" for name in names)
        print(f"| {preset} | {row['mib']:.0f} MiB | {cells} |", flush=True)
    if said.out:
        rows = {"machine": machine, "rows": rows}
        Path(said.out).write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()

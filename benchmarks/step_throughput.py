"""Steps and images per second of each preset, with compile time apart.

    python benchmarks/step_throughput.py --presets=default,mlp,dcgan --out=steps.json

Each program is the one that `jaxgan.train` runs, on random 28x28x1 pictures that lie on
the devices: gather, normalise, D's updates, G's update, running mean.
"""

import argparse
import json
import logging
import platform
import statistics
import time
from pathlib import Path

import jax
import numpy as np

from jaxgan import data, parallel
from jaxgan.config import Config, make
from jaxgan.prepare import game_of
from jaxgan.presets import PRESETS
from jaxgan.program import keep_compiled

SIZE = 4_096


def measure(config: Config, layout: parallel.Layout, seconds: float) -> dict:
    """One row: rates of a config, over windows that fill `seconds`."""
    shape = (2,) if config.preset.startswith("toy") else (28, 28, 1)
    game = game_of(config, shape, 10, layout)
    feed = feed_of(config, shape, layout)
    default = parallel.default_steps_per_call(layout.devices)
    count = config.steps_per_call or default

    def step(state, batches, key):
        return game.step(state, data.normalise(batches), key)

    key = jax.random.key(0)
    state = parallel.place(jax.jit(game.init)(key), layout)
    started = time.perf_counter()
    given = (state, feed.at(0, count), key)
    program = parallel.compiled(step, feed, layout)(count, *given)
    compiled = time.perf_counter() - started
    state, _ = jax.block_until_ready(program(*given))  # warm
    times = windows(program, state, feed, key, count, seconds)
    median = statistics.median(times)
    images = config.batch_size * config.d_updates
    return {
        "preset": config.preset,
        "batch_size": config.batch_size,
        "d_updates": config.d_updates,
        "steps_per_call": count,
        "ms_per_step": 1e3 * median,
        "ms_per_step_range": [1e3 * min(times), 1e3 * max(times)],
        "steps_per_second": 1 / median,
        "images_per_second": images / median,
        "compile_seconds": compiled,
        "gflop_per_step": (program.cost_analysis() or {}).get("flops", 0) / 1e9 / count,
    }


def feed_of(
    config: Config, shape: tuple[int, ...], layout: parallel.Layout
) -> parallel.Feed:
    """Random pictures, or points, that lie on the devices."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (SIZE, *shape), np.uint8)
    points = rng.normal(size=(SIZE, *shape)).astype(np.float32)
    arrays = {"image": pictures if len(shape) == 3 else points}
    arrays["label"] = rng.integers(0, 10, SIZE, np.int32)
    return parallel.resident(
        arrays,
        lambda epoch: data.epoch_order(0, epoch, SIZE),
        updates=config.d_updates,
        batch=config.batch_size,
        layout=layout,
    )


def windows(program, state, feed, key, count, seconds) -> list[float]:
    """Seconds per step in windows of at least a second or two calls."""
    times, step, ends = [], count, time.perf_counter() + seconds
    while time.perf_counter() < ends or len(times) < 3:
        started, done = time.perf_counter(), 0
        while done < 2 or time.perf_counter() - started < min(1.0, seconds / 5):
            state, metrics = program(state, feed.at(step, count), key)
            step, done = step + count, done + 1
            jax.block_until_ready(metrics)
        times.append((time.perf_counter() - started) / done / count)
    return times


def main() -> None:
    """Measures every preset asked for, prints a table and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presets", default=",".join(PRESETS), help="names, by comma")
    parser.add_argument("--batch_size", type=int, help="instead of each preset's own")
    parser.add_argument("--steps_per_call", type=int, default=0, help="0: the default")
    parser.add_argument("--devices", type=int, default=0, help="0: all")
    parser.add_argument("--seconds", type=float, default=10, help="per preset")
    parser.add_argument("--out", help="a JSON file")
    said = parser.parse_args()
    logging.basicConfig(format="%(message)s")
    keep_compiled()
    layout = parallel.layout_of(parallel.pick(said.devices))
    machine = f"{parallel.describe(layout.devices)}, {platform.machine()}"
    print(machine)
    print("| preset | batch | ms/step | steps/s | images/s | GFLOP/s | compile s |")
    print("|---|---|---|---|---|---|---|")
    rows = []
    for preset in said.presets.split(","):
        given = {"batch_size": said.batch_size} if said.batch_size else {}
        config = make(preset=preset, steps_per_call=said.steps_per_call, **given)
        row = measure(config, layout, said.seconds)
        rows.append(row)
        low, high = row["ms_per_step_range"]
        speed = row["gflop_per_step"] * row["steps_per_second"]
        print(
            f"| {preset} | {row['batch_size']} x {row['d_updates']} "
            f"| {row['ms_per_step']:.1f} ({low:.1f}-{high:.1f}) "
            f"| {row['steps_per_second']:.1f} | {row['images_per_second']:,.0f} "
            f"| {speed:.0f} | {row['compile_seconds']:.1f} |",
            flush=True,
        )
    if said.out:
        Path(said.out).write_text(
            json.dumps({"machine": machine, "rows": rows}, indent=1)
        )


if __name__ == "__main__":
    main()

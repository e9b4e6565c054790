"""Runs that are ended at random moments and resumed, without a lost checkpoint.

    python benchmarks/preemption.py --points=100

Each point starts the program on the same workdir, as one or two processes of one or
more devices, and sends SIGKILL or SIGTERM at a random moment, to one process or to all.
Afterwards the newest checkpoint must be no older than before. At the end a single
process finishes the run, which is compared with a run that was never ended.
"""

import argparse
import json
import os
import platform
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

FLAGS = {
    "networks": "small(4)",
    "task": "generate(4)",
    "batch_size": 8,
    "samples": 4,
    "score_samples": 16,
    "log_every": 1,
    "sample_every": 50,
    "save_every": 5,
    "g_optimizer": "sgd(0.01)",
    "d_optimizer": "sgd(0.01)",
    "meet_seconds": 10,
}


def start(folder: Path, name: str, steps: int, count: int, devices: int) -> list:
    """Starts the program as `count` processes."""
    common = {**FLAGS, "dataset": f"npz:{folder}/pictures.npz", "steps": steps}
    common["workdir"] = folder / name
    if count > 1:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        common |= {"coordinator": f"127.0.0.1:{port}", "num_processes": count}
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
    }
    started = []
    for i in range(count):
        own = {**common, "process_id": i} if count > 1 else common
        flags = [f"--{name}={value}" for name, value in own.items()]
        command = [sys.executable, "-m", "jaxgan.train", *flags]
        with (folder / f"{name}-{i}.log").open("a") as log:
            started.append(
                subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            )
    return started


def steps_of(folder: Path) -> list[int]:
    """Returns the steps of the finished checkpoints."""
    places = (folder / "run" / "checkpoints").glob("[0-9]*")
    return sorted(int(x.name) for x in places if x.name.isdigit())


def point(folder: Path, rng: random.Random, most: float) -> str:
    """Starts the program, ends it and returns a description."""
    count, devices = rng.choice([(1, 1), (1, 4), (2, 1), (2, 2)])
    number = rng.choice([signal.SIGKILL, signal.SIGTERM])
    started = start(folder, "run", 1_000_000, count, devices)
    time.sleep(rng.uniform(0.5, most))
    for process in started if rng.random() < 0.5 else [rng.choice(started)]:
        process.send_signal(number)
    try:
        codes = [process.wait(timeout=120) for process in started]
    finally:
        for process in started:
            process.kill()
    return f"{count} process(es) of {devices}, {number.name}: {codes}"


def final(folder: Path, name: str, steps: int) -> dict[str, np.ndarray]:
    """Finishes a run in one process and returns its state by leaf."""
    [process] = start(folder, name, steps, 1, 1)
    if process.wait(timeout=1_200):
        raise SystemExit((folder / f"{name}-0.log").read_text()[-2_000:])
    import jax
    import orbax.checkpoint as ocp

    path = folder / name / "checkpoints" / str(steps) / "state"
    state = ocp.PyTreeCheckpointer().restore(path)
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(key): np.asarray(leaf) for key, leaf in leaves}


def machine() -> str:
    """Returns a description of the machine in one line."""
    return f"{os.cpu_count()} cores, {platform.machine()}, {platform.python_version()}"


def table_of(found: dict) -> list[str]:
    """Returns a Markdown table: the number of points by signal and processes."""
    lines = ["| ended | points |", "| --- | --- |"]
    lines += [f"| {how} | {count} |" for how, count in sorted(found["ends"].items())]
    lines.append(f"| *all, lost checkpoints: 0* | *{found['points']}* |")
    return lines


def main() -> None:
    """Runs all points; exits with 1 if a checkpoint is lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=100, help="number of restarts")
    parser.add_argument(
        "--seconds", type=float, default=12.0, help="maximum length of a point"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="JSON file for the results")
    args = parser.parse_args()
    rng, newest, ends = random.Random(args.seed), 0, Counter()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        noise = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 1), np.uint8)
        np.savez(folder / "pictures.npz", images=noise)
        for i in range(args.points):
            how = point(folder, rng, args.seconds)
            steps = steps_of(folder)
            print(f"{i + 1}: {how}, checkpoints {steps}", flush=True)
            if max(steps, default=0) < newest:
                raise SystemExit(f"lost: checkpoint {newest} had been saved")
            newest = max(steps, default=0)
            ends[how.split(":")[0]] += 1
        last = newest + 5
        a, b = (final(folder, name, last) for name in ("run", "whole"))
        worst = max(float(np.abs(a[key] - b[key]).max()) for key in a)
    print(
        f"{args.points} points, {last} steps, no checkpoint lost; parameters differ by"
    )
    print(f"at most {worst:.1e} from those of a run that was never ended")
    if args.out:
        found = {"machine": machine(), "points": args.points, "steps": last}
        found |= {"difference": worst, "ends": ends}
        found["minutes"] = round((time.monotonic() - began) / 60, 1)
        Path(args.out).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

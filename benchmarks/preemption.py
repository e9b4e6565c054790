"""Nothing that was saved is lost: runs ended at random moments, and taken up again.

    python benchmarks/preemption.py --points=100

Each point starts the program on the same workdir, as one process or two of one or more
devices, and ends it at a random moment by SIGKILL or SIGTERM, to one process or to all.
After each, the newest checkpoint must be no older than before. At the end the run is
finished by one process and compared with one that was never ended.
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
    """The program as so many processes."""
    given = {**FLAGS, "dataset": f"npz:{folder}/pictures.npz", "steps": steps}
    given["workdir"] = folder / name
    if count > 1:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        given |= {"coordinator": f"127.0.0.1:{port}", "num_processes": count}
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
    }
    started = []
    for i in range(count):
        own = {**given, "process_id": i} if count > 1 else given
        flags = [f"--{name}={value}" for name, value in own.items()]
        command = [sys.executable, "-m", "jaxgan.train", *flags]
        with (folder / f"{name}-{i}.log").open("a") as log:
            started.append(
                subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            )
    return started


def steps_of(folder: Path) -> list[int]:
    """The finished checkpoints."""
    places = (folder / "run" / "checkpoints").glob("[0-9]*")
    return sorted(int(x.name) for x in places if x.name.isdigit())


def point(folder: Path, rng: random.Random, most: float) -> str:
    """Starts, ends, and says how it went."""
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
    """The state after so many steps, by one process that ends it."""
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
    """The machine in one line."""
    return f"{os.cpu_count()} cores, {platform.machine()}, {platform.python_version()}"


def table_of(found: dict) -> list[str]:
    """Lines of Markdown: how the runs were ended, and the difference at the end."""
    lines = ["| ended | points |", "| --- | --- |"]
    lines += [f"| {how} | {count} |" for how, count in sorted(found["ends"].items())]
    lines.append(f"| *all, lost checkpoints: 0* | *{found['points']}* |")
    return lines


def main() -> None:
    """Runs all points; exits with 1 at the first loss."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=12.0, help="at most, a point")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="a JSON file")
    said = parser.parse_args()
    rng, newest, ends = random.Random(said.seed), 0, Counter()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        noise = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 1), np.uint8)
        np.savez(folder / "pictures.npz", images=noise)
        for i in range(said.points):
            how = point(folder, rng, said.seconds)
            steps = steps_of(folder)
            print(f"{i + 1}: {how}, checkpoints {steps}", flush=True)
            if max(steps, default=0) < newest:
                raise SystemExit(f"lost: {newest} was saved")
            newest = max(steps, default=0)
            ends[how.split(":")[0]] += 1
        last = newest + 5
        a, b = (final(folder, name, last) for name in ("run", "whole"))
        worst = max(float(np.abs(a[key] - b[key]).max()) for key in a)
    print(f"{said.points} points, {last} steps, no checkpoint lost; against a run that")
    print(f"was never ended, parameters differ by {worst:.1e} at most")
    if said.out:
        found = {"machine": machine(), "points": said.points, "steps": last}
        found |= {"difference": worst, "ends": ends}
        found["minutes"] = round((time.monotonic() - began) / 60, 1)
        Path(said.out).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Page faults of a step on a CPU, and steps per second with and without settings.

    python benchmarks/page_faults.py --presets=default,wgan-gp --out=page_faults.json

XLA allocates the temporary memory of each step anew by glibc's malloc, which may return
large blocks to the system and get them back page by page. Each contestant is a process
with other settings of malloc (`mallopt`). They run windows in
turns; page faults and CPU seconds are those of the process, so that other programs
disturb them less than the time on the wall. Several CPU devices need their variables:

    JAX_PLATFORMS=cpu JAX_NUM_CPU_DEVICES=2 python benchmarks/page_faults.py --devices=2
"""

import argparse
import ctypes
import json
import multiprocessing
import resource
import statistics
import time
from pathlib import Path
from typing import Any

from arms import about, table

SETTINGS = ("default", "kept")
"""Of malloc: glibc's own, and `KEPT`."""
KEPT = {
    -1: 2**30,  # M_TRIM_THRESHOLD: free memory at the end of the heap that is kept
    -2: 2**26,  # M_TOP_PAD: memory that is requested at once
    -4: 0,  # M_MMAP_MAX: no block is returned to the system as soon as it is freed
}
"""Numbers of `mallopt` in glibc's malloc.h, and values with which it keeps memory."""


def serve(pipe: Any, setting: str, preset: str, seconds: float, devices: int) -> None:
    """Runs windows of steps when asked to; a process of its own."""
    if setting == "kept":
        mallopt = ctypes.CDLL(None).mallopt
        assert all([mallopt(name, value) for name, value in KEPT.items()])
    from jaxgan import environment

    environment.enable_compilation_cache()
    import jax

    from jaxgan import parallel
    from jaxgan.config.resolve import make_config
    from jaxgan.experiment.setup import setup

    plan = setup(make_config(dataset="mnist", preset=preset, devices=devices))
    with plan.open_feed(0) as feed:
        state, key, step = plan.init_state(), plan.keys().run, 0
        get = parallel.make_compiler(plan.train_step, feed, plan.layout)
        program = get(1, state, feed.at(0, 1), key)
        pipe.send("ready")
        while pipe.recv():
            first, before = step, resource.getrusage(resource.RUSAGE_SELF)
            began = time.perf_counter()
            while step - first < 4 or time.perf_counter() - began < seconds:
                state, metrics = program(state, feed.at(step, 1), key)
                step += 1
                jax.block_until_ready(metrics)
            lasted = time.perf_counter() - began
            after, steps = resource.getrusage(resource.RUSAGE_SELF), step - first
            pipe.send(
                {
                    "ms": 1e3 * lasted / steps,
                    "user_ms": 1e3 * (after.ru_utime - before.ru_utime) / steps,
                    "system_ms": 1e3 * (after.ru_stime - before.ru_stime) / steps,
                    "faults": (after.ru_minflt - before.ru_minflt) / steps,
                    "peak_bytes": 1024 * after.ru_maxrss,
                }
            )


def measure(preset: str, args: argparse.Namespace) -> list[dict]:
    """Returns a row per setting, measured in turns."""
    context = multiprocessing.get_context("spawn")
    pipes, windows = {}, {setting: [] for setting in SETTINGS}
    for setting in SETTINGS:
        pipes[setting], other = context.Pipe()
        given = (other, setting, preset, args.seconds, args.devices)
        context.Process(target=serve, args=given, daemon=True).start()
        pipes[setting].recv()
    for number in range(args.windows + 1):
        for setting in SETTINGS if number % 2 else SETTINGS[::-1]:
            pipes[setting].send(True)
            found = pipes[setting].recv()
            if number:  # the first window warms up
                windows[setting].append(found)
    for pipe in pipes.values():
        pipe.send(False)
    plain = windows["default"]
    rows = []
    for setting, own in windows.items():
        medians = {k: statistics.median(x[k] for x in own) for k in own[0]}
        ratio = {
            f"{name}_ratio": statistics.median(
                a[name] / b[name] for a, b in zip(plain, own, strict=True)
            )
            for name in ("ms", "user_ms")
        }
        facts = {"preset": preset, "devices": args.devices, "setting": setting}
        rows.append({**facts, **medians, **ratio})
        rows[-1]["windows"] = own
    return rows


def faults_table(rows: list[dict]) -> list[str]:
    """Lines of Markdown."""
    head = [
        "preset",
        "devices",
        "malloc",
        "faults/step",
        "ms",
        "user ms",
        "system ms",
        "peak MiB",
    ]
    cells = [
        [
            *(row["preset"], str(row["devices"]), row["setting"]),
            *(f"{row['faults']:,.0f}",),
            *(f"{row[name]:.1f}" for name in ("ms", "user_ms", "system_ms")),
            *(f"{row['peak_bytes'] / 2**20:,.0f}", f"{row['ms_ratio']:.2f}"),
        ]
        for row in rows
    ]
    return table([*head, "times as fast"], cells)


def main() -> None:
    """Measures all presets, prints a table and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presets", default="default,wgan-gp")
    parser.add_argument("--devices", type=int, default=1, help="CPU devices")
    parser.add_argument("--seconds", type=float, default=2, help="length of a window")
    parser.add_argument("--windows", type=int, default=7, help="of each setting")
    parser.add_argument("--out", help="JSON file for the results")
    args = parser.parse_args()
    rows = [row for name in args.presets.split(",") for row in measure(name, args)]
    print("\n".join(faults_table(rows)))
    if args.out:
        text = json.dumps({**about(), "rows": rows}, indent=1)
        Path(args.out).write_text(text + "\n")


if __name__ == "__main__":
    main()

"""How fast a training step is, ours and others', taken in turns.

    python benchmarks/step_throughput.py --presets=default,dcgan --batch_sizes=64,128 \\
        --out=steps.json --markdown=steps.md --picture=steps.png

For each preset, shape and batch size all contestants are started, one after the other,
and then take windows in turns, in an order that rotates, so that what else happens on
the machine hits all alike. Those that wait block on a pipe. What is measured already,
under the same flags, is kept if `--out` is there.
"""

import argparse
import json
import os
import platform
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from peers import protocol
from step_picture import draw
from step_rows import markdown, rows_of

from jaxgan.config.resolve import make_config

PRESETS = ("default", "mlp", "mlp-small", "goodfellow", "lsgan", "wgan", "wgan-gp")
VARIANTS = {
    "cpu": "ours:float32,ours:mixed,pytorch:eager,pytorch:channels_last,"
    "pytorch:channels_last+expert,pytorch:channels_last+expert+passive,"
    "pytorch:compile,keras_tf:function,keras_tf:function_jit",
    "gpu": "ours:float32,ours:mixed,ours:highest,pytorch:eager,pytorch:tf32,"
    "pytorch:tf32+channels_last+expert,pytorch:tf32+compile,"
    "pytorch:tf32+reduce_overhead,pytorch:tf32+max_autotune,pytorch:tf32+graphs,"
    "pytorch:autocast,pytorch:autocast+channels_last+expert,pytorch:autocast+compile,"
    "pytorch:autocast+graphs+expert,keras_tf:function,keras_tf:function_jit",
}
CEILINGS = {
    "cpu": ("jax float32", "jax bfloat16", "jax copy", "torch float32"),
    "gpu": (
        *("jax float32", "jax tf32", "jax bfloat16", "jax copy"),
        *("torch float32", "torch tf32", "torch bfloat16"),
    ),
}
FLAGS = {"residual": {"augment": ""}}
"""What is left out of our own steps, because no peer has it."""
NAMES = {"ours": "jaxgan", "keras_tf": "keras"}
ENVIRONMENT = {
    "passive": {"OMP_WAIT_POLICY": "PASSIVE"},
    "huge": {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
}
"""Switches that are nothing but what a process starts with."""


class Entry(NamedTuple):
    """A contestant: a module of `peers`, and one of its variants."""

    module: str
    variant: str

    @property
    def name(self) -> str:
        """As tables have it, `pytorch eager`."""
        return f"{NAMES.get(self.module, self.module)} {self.variant}"


class Game(NamedTuple):
    """Started contestants by name, and what is known of all."""

    workers: dict[str, protocol.Worker]
    found: dict[str, dict[str, Any]]
    """By name: facts, `windows` (seconds per step) and `bytes`, or `error`."""
    patience: float

    def ask(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        """An answer; who gives none is out."""
        said = protocol.ask(self.workers[name], request, self.patience)
        if "error" in said:
            self.found[name] = {"error": said["error"]}
            del self.workers[name]
        return said


def main() -> None:
    """Measures all that is asked for; tables, JSON and picture grow as it goes."""
    said = flags()
    device = "gpu" if Path("/dev/nvidiactl").exists() else "cpu"
    entries = entries_of(said.variants or VARIANTS[device])
    report: dict[str, Any] = {"machine": machine(), "measured": []}
    if said.out and Path(said.out).exists():
        report = json.loads(Path(said.out).read_text())
    with ExitStack() as stack:
        ceilings = [Entry("ceiling", variant) for variant in CEILINGS[device]]
        top = None
        for job in jobs(said):
            asked = {**job, "entries": entries, "seconds": said.seconds}
            asked = json.loads(json.dumps({**asked, "windows": said.windows}))
            if asked in [one["asked"] for one in report["measured"]]:
                continue
            top = top or enter(stack, ceilings, {}, said.patience)
            measured = measure(job, entries, top, said)
            report["measured"].append({"asked": asked, **measured})
            print("\n".join(markdown(report["measured"][-1:])), flush=True)
            save(report, said)
    save(report, said)


def flags() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add(
        "--presets",
        default=",".join((*PRESETS, "dcgan")),
        help="names, by comma; with :same or :fresh for other latents of G's update",
    )
    add("--shapes", default="28x28x1", help="such as 28x28x1,32x32x3; 2 for points")
    add("--batch_sizes", default="0", help="by comma; 0 for each preset's own")
    add("--networks", default="", help="such as small(8)|small(32), of ours alone")
    add("--variants", help="MODULE:VARIANT by comma; see benchmarks/peers/")
    add("--steps_per_call", type=int, default=0, help="of ours; 0: the default")
    add("--seconds", type=float, default=2.0, help="a window")
    add("--windows", type=int, default=7, help="of each contestant")
    add("--examples", type=int, default=16_384, help="pictures on the device")
    add("--patience", type=float, default=600.0, help="seconds for any answer")
    for name in ("out", "markdown", "picture"):
        add(f"--{name}", help=f"a file for the {name if name != 'out' else 'JSON'}")
    said = parser.parse_args()
    modules = {entry.module for entry in entries_of(said.variants or "")}
    if said.networks and modules != {"ours"}:
        parser.error("--networks: not of peers; add --variants=ours:float32")
    return said


def entries_of(text: str) -> list[Entry]:
    """Contestants from `ours:float32,pytorch:eager`."""
    return [Entry(*one.split(":")) for one in text.split(",") if one]


def jobs(said: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What is measured: each preset with each shape and batch size."""
    lists = (said.presets, said.shapes, said.batch_sizes)
    each = product(*(text.split(",") for text in lists), said.networks.split("|"))
    for named, shape, batch, networks in each:
        preset, _, latents = named.partition(":")
        own = {"g_latents": latents} if latents else {}
        config = make_config(preset=preset, **own)
        own |= {"networks": networks} if networks else {}
        yield {
            "preset": preset,
            "shape": [int(side) for side in shape.split("x")],
            "batch_size": int(batch) or config.batch_size,
            "d_updates": config.d_updates,
            "examples": said.examples,
            "steps_per_call": said.steps_per_call,
            "flags": {**FLAGS.get(preset, {}), **own},
        }


def enter(
    stack: ExitStack, entries: list[Entry], job: dict[str, Any], patience: float
) -> Game:
    """Starts contestants one by one, so that none compiles beside another."""
    gan = Game({}, {}, patience)
    for entry in entries:
        switches = entry.variant.split("+")
        env = {k: v for s in switches for k, v in ENVIRONMENT.get(s, {}).items()}
        variant = "+".join(s for s in switches if s not in ENVIRONMENT)
        own = {**job, "variant": variant, "env": env}
        worker = stack.enter_context(protocol.started(entry.module, own))
        said = protocol.answer(worker, patience)
        gan.found[entry.name] = said
        if "error" in said:
            print(f"{entry.name}: {said['error']}", flush=True)
        else:
            gan.workers[entry.name] = worker
    return gan


def measure(
    job: dict[str, Any], entries: list[Entry], top: Game, said: argparse.Namespace
) -> dict[str, Any]:
    """Windows of all contestants of a job, and of the machine's ceilings."""
    print(f"{job['preset']} {job['shape']} batch {job['batch_size']} ...", flush=True)
    work = flop(job, said.patience)
    with ExitStack() as stack:
        own = enter(stack, entries, job, said.patience)
        both = Game({**own.workers, **top.workers}, {}, said.patience)
        for name in both.workers:
            both.found[name] = {**own.found, **top.found}[name] | {"windows": []}
        load = rounds(both, said.seconds, said.windows)
        for name in list(own.workers):
            if name in both.workers:
                both.found[name] |= both.ask(name, {"memory": True})
    found = {**own.found, **both.found}
    return {
        "contestants": {name: found[name] for name in own.found},
        "ceilings": {name: found.get(name, top.found[name]) for name in top.found},
        "flops_per_step": work,
        **load,
    }


def flop(job: dict[str, Any], patience: float) -> float | None:
    """FLOP of a step by `peers/work.py`, None if they cannot be told."""
    env = {"JAX_PLATFORMS": "cpu"}
    with protocol.started("work", {**job, "variant": "float32", "env": env}) as worker:
        said = protocol.answer(worker, patience)
    if "error" in said:
        print(f"FLOP: {said['error']}", flush=True)
    return said.get("flops_per_step")


def rounds(gan: Game, seconds: float, windows: int) -> dict[str, float]:
    """Lets all take windows in turns; the shares of the machine that were not theirs.

    Every round begins with the next contestant. A window has as many steps as filled it
    at the rate of the window before; the first round only tells that rate.
    """
    names, steps = list(gan.workers), dict.fromkeys(gan.workers, 1)
    idle, began, before = 0.0, time.perf_counter(), _busy(gan)
    for round_ in range(windows + 1):
        first = round_ % max(len(names), 1)
        for name in names[first:] + names[:first]:
            if name not in gan.workers:
                continue
            others = [w for other, w in gan.workers.items() if other != name]
            used = sum(map(protocol.cpu_seconds, others))
            said = gan.ask(name, {"run": steps[name]})
            idle += sum(map(protocol.cpu_seconds, others)) - used
            if "error" in said:
                continue
            each = said["seconds"] / said["steps"]
            steps[name] = max(1, round(seconds / each))
            if round_:
                gan.found[name]["windows"].append(each)
    wall = time.perf_counter() - began
    return {
        "idle_cores": idle / wall,
        "others_cores": (_busy(gan) - before) / wall,
        "wall_seconds": wall,
    }


def _busy(gan: Game) -> float:
    """Seconds that processors have worked for others than these; Linux only."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0
    ticks = [int(field) for field in stat.read_text().split()[1:9]]
    busy = (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
    return busy - sum(map(protocol.cpu_seconds, gan.workers.values()))


def machine() -> dict[str, Any]:
    """What it runs on."""
    cpu = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = re.search(r"model name\s*:\s*(.+)", info.read_text())
        cpu = found[1] if found else cpu
    return {
        "cpu": cpu or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def save(report: dict[str, Any], said: argparse.Namespace) -> None:
    """Writes what was asked for of what is measured so far."""
    report["rows"] = [row for one in report["measured"] for row in rows_of(one)]
    if said.out:
        Path(said.out).write_text(json.dumps(report, indent=1) + "\n")
    if said.markdown:
        Path(said.markdown).write_text("\n".join(markdown(report["measured"])) + "\n")
    if said.picture:
        draw(Path(said.picture), report["rows"])


if __name__ == "__main__":
    main()

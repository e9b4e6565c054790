"""Throughput of training steps by jaxgan, PyTorch and Keras, measured in turns.

    python benchmarks/step_throughput.py --presets=default,dcgan --batch_sizes=64,128 \\
        --out=steps.json --markdown=steps.md --picture=steps.png

For each preset, shape and batch size, all contestants are started one after the other,
or `--starts` at a time on a machine with many cores. They then run windows in turns, in
an order that rotates, so that other load on the machine affects all of them equally.
Waiting contestants block on a pipe. Results that `--out` already has for the same flags
are kept.
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
FLAGS = {
    "residual": {"augment": ""},
    "srgan": {"g_terms": "l1(1000)", "d_terms": ""},
    "vocoder": {"networks": "hifigan"},
}
"""Flags of our own steps that replace parts that no peer has."""
NAMES = {"ours": "jaxgan", "keras_tf": "keras"}
ENVIRONMENT = {
    "passive": {"OMP_WAIT_POLICY": "PASSIVE"},
    "hosts2": {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"},
    "huge": {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
    "on_cpu": {"JAX_PLATFORMS": "cpu"},
}
"""Switches that set environment variables of the process."""


class Entry(NamedTuple):
    """A contestant: a module of `peers` and one of its variants."""

    module: str
    variant: str

    @property
    def name(self) -> str:
        """Name in the tables, such as `pytorch eager`."""
        return f"{NAMES.get(self.module, self.module)} {self.variant}"


WORK = Entry("work", "float32+on_cpu")
"""Counts the FLOP of a step, and runs nothing."""


class Contest(NamedTuple):
    """The running contestants and the results of all contestants, by name."""

    workers: dict[str, protocol.Worker]
    found: dict[str, dict[str, Any]]
    """Facts, `windows` (seconds per step) and `bytes`, or `error`, by name."""
    patience: float
    """Seconds to wait for an answer."""

    def ask(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        """Sends a request and returns the answer; removes a contestant that fails."""
        reply = protocol.ask(self.workers[name], request, self.patience)
        if "error" in reply:
            self.found[name] = {"error": reply["error"]}
            del self.workers[name]
        return reply


def main() -> None:
    """Measures all jobs and rewrites tables, JSON and plot after each of them."""
    args = flags()
    device = "gpu" if Path("/dev/nvidiactl").exists() else "cpu"
    entries = entries_of(args.variants or VARIANTS[device])
    report: dict[str, Any] = {"machine": machine(), "measured": []}
    if args.out and Path(args.out).exists():
        report = json.loads(Path(args.out).read_text())
    with ExitStack() as stack:
        ceilings = [Entry("ceiling", variant) for variant in CEILINGS[device]]
        top = None
        for job in jobs(args):
            asked = {**job, "entries": entries, "seconds": args.seconds}
            asked |= {} if args.clock == "wall" else {"clock": args.clock}
            asked = json.loads(json.dumps({**asked, "windows": args.windows}))
            if asked in [one["asked"] for one in report["measured"]]:
                continue
            top = top or enter(stack, ceilings, {}, args)
            measured = measure(job, entries, top, args)
            report["measured"].append({"asked": asked, **measured})
            print("\n".join(markdown(report["measured"][-1:])), flush=True)
            save(report, args)
    save(report, args)


def flags() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add(
        "--presets",
        default=",".join((*PRESETS, "dcgan")),
        help="separated by commas; :same or :fresh sets the latents of G's update",
    )
    add(
        "--shapes",
        default="28x28x1",
        help="such as 28x28x1,32x32x3; 2 for points, 8192x1 for sounds, 32x72 for "
        "texts of 32 tokens of 72",
    )
    add(
        "--batch_sizes", default="0", help="separated by commas; 0 for the preset's own"
    )
    add("--networks", default="", help="such as small(8)|small(32), only of jaxgan")
    add("--variants", help="MODULE:VARIANT, separated by commas; see benchmarks/peers/")
    add("--steps_per_call", type=int, default=0, help="of jaxgan; 0 for the default")
    add("--seconds", type=float, default=2.0, help="length of a window")
    add("--windows", type=int, default=7, help="number of windows of each contestant")
    add("--examples", type=int, default=16_384, help="number of images on the device")
    add(
        "--clock",
        default="wall",
        choices=protocol.CLOCKS,
        help="cpu measures the time of all threads, for a machine that is shared",
    )
    add("--starts", type=int, default=1, help="contestants that start at a time")
    add("--patience", type=float, default=600.0, help="seconds to wait for an answer")
    for name in ("out", "markdown", "picture"):
        add(f"--{name}", help=f"file for the {name if name != 'out' else 'JSON'}")
    args = parser.parse_args()
    modules = {entry.module for entry in entries_of(args.variants or "")}
    if args.networks and modules != {"ours"}:
        parser.error("--networks: peers do not have it; add --variants=ours:float32")
    return args


def entries_of(text: str) -> list[Entry]:
    """Parses contestants such as `ours:float32,pytorch:eager`."""
    return [Entry(*one.split(":")) for one in text.split(",") if one]


def jobs(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yields a job for each preset, shape, batch size and pair of networks."""
    lists = (args.presets, args.shapes, args.batch_sizes)
    each = product(*(text.split(",") for text in lists), args.networks.split("|"))
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
            "examples": args.examples,
            "steps_per_call": args.steps_per_call,
            "flags": {**FLAGS.get(preset, {}), **own},
        }


def enter(
    stack: ExitStack, entries: list[Entry], job: dict[str, Any], args: Any
) -> Contest:
    """Starts contestants, `--starts` of them at a time, as compilation takes cores."""
    contest = Contest({}, {}, args.patience)
    for place in range(0, len(entries), args.starts):
        several = entries[place : place + args.starts]
        workers = [start(stack, entry, job) for entry in several]
        for entry, worker in zip(several, workers, strict=True):
            reply = protocol.answer(worker, args.patience)
            contest.found[entry.name] = reply
            if "error" in reply:
                print(f"{entry.name}: {reply['error']}", flush=True)
            else:
                contest.workers[entry.name] = worker
    return contest


def start(stack: ExitStack, entry: Entry, job: dict[str, Any]) -> protocol.Worker:
    """Starts a contestant, which ends with the stack."""
    switches = entry.variant.split("+")
    env = {k: v for s in switches for k, v in ENVIRONMENT.get(s, {}).items()}
    variant = "+".join(s for s in switches if s not in ENVIRONMENT)
    own = {**job, "variant": variant, "env": env}
    return stack.enter_context(protocol.started(entry.module, own))


def measure(
    job: dict[str, Any], entries: list[Entry], top: Contest, args: argparse.Namespace
) -> dict[str, Any]:
    """Measures all contestants of a job and the machine's ceilings."""
    print(f"{job['preset']} {job['shape']} batch {job['batch_size']} ...", flush=True)
    with ExitStack() as stack:
        own = enter(stack, [WORK, *entries], job, args)
        own.workers.pop(WORK.name, None)
        work = own.found.pop(WORK.name).get("flops_per_step")
        both = Contest({**own.workers, **top.workers}, {}, args.patience)
        for name in both.workers:
            both.found[name] = {**own.found, **top.found}[name] | {"windows": []}
        load = rounds(both, args.seconds, args.windows, args.clock)
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


def rounds(
    contest: Contest, seconds: float, windows: int, clock: str = "wall"
) -> dict[str, float]:
    """Runs windows of all contestants in turns and returns the other load in cores.

    Each round starts with the next contestant. The number of steps in a window follows
    from the rate of the window before. The first round only measures that rate.
    """
    names, steps = list(contest.workers), dict.fromkeys(contest.workers, 1)
    idle, began, before = 0.0, time.perf_counter(), _busy(contest)
    for round_ in range(windows + 1):
        first = round_ % max(len(names), 1)
        for name in names[first:] + names[:first]:
            if name not in contest.workers:
                continue
            others = [w for other, w in contest.workers.items() if other != name]
            used = sum(map(protocol.cpu_seconds, others))
            reply = contest.ask(name, {"run": steps[name], "clock": clock})
            idle += sum(map(protocol.cpu_seconds, others)) - used
            if "error" in reply:
                continue
            each = reply["seconds"] / reply["steps"]
            steps[name] = max(1, round(seconds / each))
            if round_:
                contest.found[name]["windows"].append(each)
    wall = time.perf_counter() - began
    return {
        "idle_cores": idle / wall,
        "others_cores": (_busy(contest) - before) / wall,
        "wall_seconds": wall,
    }


def _busy(contest: Contest) -> float:
    """Returns the CPU seconds used by other programs; 0 if not on Linux."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0
    ticks = [int(field) for field in stat.read_text().split()[1:9]]
    busy = (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
    return busy - sum(map(protocol.cpu_seconds, contest.workers.values()))


def machine() -> dict[str, Any]:
    """Returns the facts about this machine for the results."""
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


def save(report: dict[str, Any], args: argparse.Namespace) -> None:
    """Writes the files of the flags with the results so far."""
    report["rows"] = [row for one in report["measured"] for row in rows_of(one)]
    if args.out:
        Path(args.out).write_text(json.dumps(report, indent=1) + "\n")
    if args.markdown:
        Path(args.markdown).write_text("\n".join(markdown(report["measured"])) + "\n")
    if args.picture:
        draw(Path(args.picture), report["rows"])


if __name__ == "__main__":
    main()

"""Overhead of the framework over the compiled step.

    python benchmarks/overhead.py --presets=default,mlp-small --out=overhead.json

There are five questions with one table each; `--questions` selects some of them:

* trainer: a step of the trainer compared with the bare compiled call, in blocks that
  alternate in one run. The table also has the share of the time that the trainer waits
  for its input, which is on the device or streamed from the host. During a wait the
  device runs the two calls before, so that only *overhead* is a loss.
* marks: the time of a log line, a probe, a preview, a score and a checkpoint, and their
  share of the run at the default intervals. The device is idle before each of them, so
  that the time is theirs alone. For a checkpoint it is the stall.
* calls: steps per second by the number of steps in one compiled call.
* runs: steps per second of `--runs=8`, summed over all runs, compared with one run,
  which equals eight runs one after the other; and the same in CPU time, which other
  programs disturb less, with the page faults of a step.
* clock: CPU time of the clock of steps and of the names of phases, per call and per log
  line, and their share of the CPU time of a step. CPU time, as both are short.
"""

import argparse
import json
import logging
import resource
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
from arms import about, table

from jaxgan import parallel
from jaxgan.config.resolve import make_config
from jaxgan.config.training import Config
from jaxgan.environment import enable_compilation_cache
from jaxgan.experiment.experiment import Experiment
from jaxgan.experiment.setup import setup
from jaxgan.parallel import multi_seed
from jaxgan.performance.profiling import StepClock, phase
from jaxgan.training import trainer
from jaxgan.training.hooks import Hooks
from jaxgan.training.performance import Performance

NEVER = 10**9
TOYS = ("toy", "toy-grid")


class Done(Exception):
    """Ends the trainer when all blocks are measured."""


def config_of(preset: str, args: argparse.Namespace, **more) -> Config:
    """Returns the config of a run without logs, previews and checkpoints."""
    quiet = dict.fromkeys(("log_every", "sample_every", "save_every"), NEVER)
    data = {"dataset": "ring8" if preset in TOYS else "mnist"}
    given = {**data, "data_dir": args.data_dir, "preset": preset, "steps": NEVER}
    return make_config(**{**given, **quiet, **more})


def train(config: Config, call: Callable, feed: Callable, hooks: Callable) -> None:
    """Trains until `Done` is raised.

    Args:
      config: config of the run.
      call: maps (compiled program, steps) to its replacement.
      feed: maps the feed to its replacement.
      hooks: maps the hooks to their replacement.
    """
    compiled, open_hooks = parallel.make_compiler, trainer.open_hooks
    open_feed = Experiment.open_feed

    def make_compiler(*arguments):
        get, programs = compiled(*arguments), {}

        def program(count, *arguments):
            if count not in programs:
                programs[count] = call(get(count, *arguments), count)
            return programs[count]

        return program

    @contextmanager
    def opened_feed(experiment, first):
        with open_feed(experiment, first) as opened:
            yield feed(opened)

    @contextmanager
    def opened_hooks(*arguments):
        with open_hooks(*arguments) as opened:
            yield hooks(opened)

    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for place, name, new in (
            (parallel, "make_compiler", make_compiler),
            (Experiment, "open_feed", opened_feed),
            (trainer, "open_hooks", opened_hooks),
        ):
            stack.enter_context(mock.patch.object(place, name, new))
        plan = setup(config)
        Path(folder, "checkpoints").mkdir()
        with suppress(Done):
            if trainer.run_once(plan, Path(folder), None):
                raise SystemExit("stopped")


def against_bare(config: Config, args: argparse.Namespace) -> dict:
    """Measures blocks of bare calls and of the trainer in turns; returns a row."""
    times, waited = {"bare": [], "trainer": []}, [0.0]
    found = {"waits": []}

    def feed(opened):
        def at(step, count):
            began = time.perf_counter()
            passed = opened.at(step, count)
            waited[0] += time.perf_counter() - began
            return passed

        return opened._replace(at=at)

    def call(program, count):
        calls, made, began = 0, 0, 0.0
        copy = None

        def bare(passed, key, times):
            nonlocal copy
            started = time.perf_counter()
            for _ in range(times):
                copy, _ = program(copy, passed, key)
            jax.block_until_ready(copy)
            return time.perf_counter() - started

        def timed(state, passed, key):
            nonlocal copy, calls, made, began
            if copy is None:  # the first call: warm up, choose the size of a block
                copy = jax.tree.map(jnp.copy, state)
                bare(passed, key, 2)
                calls = max(int(args.seconds / bare(passed, key, 2) * 2), 4)
                made, began = -2, time.perf_counter()
            elif made == calls:
                jax.block_until_ready(state)
                lasted = time.perf_counter() - began
                times["trainer"].append(lasted / calls / count)
                found["waits"].append(waited[0] / lasted)
            if made in (calls, 0):  # 0: the trainer has warmed up as well
                if len(times["trainer"]) == args.blocks:
                    raise Done
                jax.block_until_ready(state)
                times["bare"].append(bare(passed, key, calls) / calls / count)
                made, waited[0], began = 0, 0.0, time.perf_counter()
            made += 1
            return program(state, passed, key)

        return timed

    train(config, call, feed, lambda hooks: hooks)
    pairs = zip(times["trainer"], times["bare"], strict=True)
    return {
        "preset": config.preset,
        "input": config.input,
        "ms_bare": 1e3 * statistics.median(times["bare"]),
        "ms_trainer": 1e3 * statistics.median(times["trainer"]),
        "overhead": statistics.median(a / b for a, b in pairs) - 1,
        "overheads": [
            a / b - 1 for a, b in zip(times["trainer"], times["bare"], strict=True)
        ],
        "waits": statistics.median(found["waits"]),
    }


def marks(config: Config, args: argparse.Namespace) -> dict:
    """Measures logs, probes, previews, scores and checkpoints; returns a row."""
    seconds: dict[str, list[float]] = defaultdict(list)
    inner = [0.0]

    def timed(name: str, function: Callable, state: int | None = None) -> Callable:
        def wrapper(*arguments, **named):
            if state is not None:  # other timed functions may run inside
                jax.block_until_ready(arguments[state])
                inner[0] = 0.0
            began = time.perf_counter()
            result = function(*arguments, **named)
            lasted = time.perf_counter() - began
            seconds[name].append(lasted - (inner[0] if state is not None else 0))
            inner[0] += lasted
            return result

        return wrapper

    def hooks(opened):
        evaluation, monitor = opened.main.evaluation, opened.main.monitor
        evaluation.evaluate = timed("score", evaluation.evaluate)
        monitor.measure = timed("probe", monitor.measure)
        return opened

    step_times: list[float] = []

    def call(program, count):
        last = [0.0]

        def step(state, passed, key):
            if 4 <= len(step_times) < 12:  # time these steps alone
                jax.block_until_ready(state)
            now = time.perf_counter()
            step_times.append((now - last[0]) / count)
            last[0] = now
            return program(state, passed, key)

        return step

    with ExitStack() as stack:
        for name, method, state in (
            *(("log line", "write_metrics", 2), ("preview", "write_samples", 2)),
            ("checkpoint", "save_checkpoint", 1),
        ):
            new = timed(name, getattr(Hooks, method), state)
            stack.enter_context(mock.patch.object(Hooks, method, new))
        train(config, call, lambda feed: feed, hooks)
    step = statistics.median(step_times[5:12])
    every = {"log line": "log_every", "probe": "log_every", "preview": "sample_every"}
    costs = {}
    for name, taken in seconds.items():
        of = getattr(Config, every.get(name, "save_every"))
        typical = statistics.median(taken[1:] or taken)  # the first may compile
        costs[name] = {"ms": 1e3 * typical, "every": of, "per_step": typical / of}
    whole = step + sum(cost["per_step"] for cost in costs.values())
    for cost in costs.values():
        cost["share"] = cost.pop("per_step") / whole
    return {"preset": config.preset, "ms_per_step": 1e3 * step, "costs": costs}


class Block(NamedTuple):
    """A block of compiled calls."""

    rate: float
    """Steps per second."""
    cpu: float
    """CPU seconds of the process per step."""
    faults: float
    """Page faults per step."""


@contextmanager
def program_of(config: Config) -> Iterator[Callable[[float], Block]]:
    """Yields run(seconds), which runs compiled calls and returns their costs."""
    plan = setup(config)
    count, step = plan.steps_per_call, 0
    with plan.open_feed(0) as feed:
        state, keys = plan.init_state(), plan.keys().run
        get = parallel.make_compiler(plan.train_step, feed, plan.layout)
        program = get(count, state, feed.at(0, count), keys)

        def run(seconds):
            nonlocal state, step
            before = resource.getrusage(resource.RUSAGE_SELF)
            began, first = time.perf_counter(), step
            while step - first < 2 * count or time.perf_counter() - began < seconds:
                state, metrics = program(state, feed.at(step, count), keys)
                step += count
                jax.block_until_ready(metrics)
            lasted, steps = time.perf_counter() - began, step - first
            after = resource.getrusage(resource.RUSAGE_SELF)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            faults = after.ru_minflt - before.ru_minflt
            return Block(steps / lasted, cpu / steps, faults / steps)

        run(0)
        yield run


def blocks(configs: list[Config], args: argparse.Namespace) -> list[list[Block]]:
    """Returns the blocks of several programs, measured in turns."""
    with ExitStack() as stack:
        each = [stack.enter_context(program_of(config)) for config in configs]
        turns = [[run(args.seconds) for run in each] for _ in range(args.blocks)]
    return [list(windows) for windows in zip(*turns, strict=True)]


def trainer_table(rows: list[dict]) -> list[str]:
    """Lines of Markdown."""
    return table(
        ["preset", "input", "bare ms", "trainer ms", "overhead (range)", "waits"],
        [
            [
                *(row["preset"], row["input"]),
                *(f"{row['ms_bare']:.2f}", f"{row['ms_trainer']:.2f}"),
                f"{row['overhead']:.1%} ({spread(row['overheads'])})",
                f"{row['waits']:.2%}",
            ]
            for row in rows
        ],
    )


def ask_trainer(args: argparse.Namespace) -> list[dict]:
    """Measures the trainer and the bare call, and prints the table."""
    rows = [
        against_bare(config_of(preset, args, input=place), args)
        for preset in args.presets.split(",")
        for place in ("device", "host")
    ]
    show(trainer_table(rows))
    return rows


def marks_table(rows: list[dict]) -> list[str]:
    """Lines of Markdown."""
    return table(
        ["preset", "ms/step", "mark", "ms", "every", "share of the run"],
        [
            [
                *(row["preset"], f"{row['ms_per_step']:.1f}", name),
                *(f"{cost['ms']:.1f}", f"{cost['every']:,}", f"{cost['share']:.2%}"),
            ]
            for row in rows
            for name, cost in row["costs"].items()
        ],
    )


def ask_marks(args: argparse.Namespace) -> list[dict]:
    """Measures logs, previews and checkpoints, and prints the table."""
    often = {"log_every": 10, "sample_every": 20, "save_every": 20, "steps": 61}
    rows = [
        marks(config_of(preset, args, **often), args)
        for preset in args.presets.split(",")
    ]
    show(marks_table(rows))
    return rows


def calls_table(rows: list[dict]) -> list[str]:
    """Lines of Markdown."""
    return table(
        ["preset", "steps per call", "steps/s (range)"],
        [
            [
                *(row["preset"], str(row["steps_per_call"])),
                f"{row['steps_per_second']:.1f} ({spread(row['rates'], '.1f')})",
            ]
            for row in rows
        ],
    )


def ask_calls(args: argparse.Namespace) -> list[dict]:
    """Measures several steps per call, and prints the table."""
    rows, counts = [], [int(count) for count in args.counts.split(",")]
    for preset in args.presets.split(","):
        configs = [config_of(preset, args, steps_per_call=n) for n in counts]
        for count, windows in zip(counts, blocks(configs, args), strict=True):
            rates = [block.rate for block in windows]
            found = {"preset": preset, "steps_per_call": count, "rates": rates}
            rows.append({**found, "steps_per_second": statistics.median(rates)})
    show(calls_table(rows))
    return rows


def runs_table(rows: list[dict]) -> list[str]:
    """Lines of Markdown."""
    return table(
        [
            *("preset", "runs", "one by one, steps/s", "together, steps/s", "gain"),
            *("one by one, CPU ms", "together, CPU ms", "gain in CPU time (range)"),
            "page faults",
        ],
        [
            [
                *(row["preset"], str(row["runs"])),
                *(f"{row['one']:.1f}", f"{row['all']:.1f}", f"{row['gain']:.2f}"),
                *(f"{row['cpu_ms_one']:.2f}", f"{row['cpu_ms_all']:.2f}"),
                f"{row['cpu_gain']:.2f} ({spread(row['cpu_gains'], '.2f')})",
                f"{row['faults_one']:.0f} / {row['faults_all']:.0f}",
            ]
            for row in rows
        ],
    )


def ask_runs(args: argparse.Namespace) -> list[dict]:
    """Measures several runs in one program, and prints the table."""
    rows = []
    if args.written_out:
        multi_seed.contains = lambda *_: True
    for preset in args.together.split(","):
        configs = [config_of(preset, args, runs=n) for n in (1, args.runs)]
        one, several = blocks(configs, args)
        # A step of all runs is one step of each.
        several = [
            Block(x.rate * args.runs, x.cpu / args.runs, x.faults / args.runs)
            for x in several
        ]
        pairs = list(zip(one, several, strict=True))
        gains = [b.rate / a.rate for a, b in pairs]
        cpu_gains = [a.cpu / b.cpu for a, b in pairs]
        row = {"preset": preset, "runs": args.runs}
        for name, each in (("one", one), ("all", several)):
            rate, cpu, faults = map(statistics.median, zip(*each, strict=True))
            row |= {name: rate, f"cpu_ms_{name}": 1e3 * cpu, f"faults_{name}": faults}
        row |= {"gain": statistics.median(gains), "gains": gains}
        row |= {"cpu_gain": statistics.median(cpu_gains), "cpu_gains": cpu_gains}
        rows.append(row)
    show(runs_table(rows))
    return rows


def clock_table(rows: list[dict]) -> list[str]:
    """Lines of Markdown."""
    return table(
        ["preset", "CPU ms/step", "clock, us per call", "us per log", "share"],
        [
            [
                *(row["preset"], f"{row['cpu_ms_per_step']:.2f}"),
                *(f"{row['us_per_call']:.1f}", f"{row['us_per_log']:.0f}"),
                f"{row['share']:.2%}",
            ]
            for row in rows
        ],
    )


def ask_clock(args: argparse.Namespace) -> list[dict]:
    """Measures the clock of steps beside steps, in CPU time, and prints the table."""
    rows = []
    for preset in args.presets.split(","):
        config = config_of(preset, args)
        with program_of(config) as run:
            turns = [clock_costs(config) for _ in range(args.blocks)]
            steps = [run(args.seconds).cpu for _ in range(args.blocks)]
        call, log_line = (statistics.median(x) for x in zip(*turns, strict=True))
        step = statistics.median(steps)
        share = (call + log_line / Config.log_every) / step
        costs = {"us_per_call": 1e6 * call, "us_per_log": 1e6 * log_line}
        costs |= {"cpu_ms_per_step": 1e3 * step, "share": share}
        rows.append({"preset": preset, **costs})
    show(clock_table(rows))
    return rows


def clock_costs(config: Config, turns: int = 20_000) -> tuple[float, float]:
    """Returns the CPU seconds of the clock for a call, and for a log line."""
    clock, metrics = StepClock(), {"loss": jax.block_until_ready(jnp.zeros(1))}
    performance = Performance(setup(config))
    performance.set_step_flops(1e9)
    began = time.process_time()
    for step in range(turns):  # as in training_loop
        with clock.waiting(step):
            pass
        clock.resume()
        with phase("step", step):
            pass
        clock.started(metrics, 1)
        with phase("wait", step):
            pass
        clock.look()
    call, logs = (time.process_time() - began) / turns, 200
    began = time.process_time()
    for _ in range(logs):
        for _ in range(Config.log_every):
            clock.started(metrics, 1)
            clock.look()
        performance.row(clock.row())
    lasted = (time.process_time() - began) / logs
    began = time.process_time()
    for _ in range(logs * Config.log_every):
        clock.started(metrics, 1)
        clock.look()
    return call, max(lasted - (time.process_time() - began) / logs, 0.0)


def spread(values: list[float], form: str = ".1%") -> str:
    """Returns the smallest and the largest value as text."""
    return f"{min(values):{form}} to {max(values):{form}}"


def show(lines: list[str]) -> None:
    """Prints a table."""
    print("\n" + "\n".join(lines), flush=True)


QUESTIONS = {
    "trainer": ask_trainer,
    "marks": ask_marks,
    "calls": ask_calls,
    "runs": ask_runs,
    "clock": ask_clock,
}


def main() -> None:
    """Measures the selected questions, prints tables and writes JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--questions", default=",".join(QUESTIONS), help="names, separated by commas"
    )
    parser.add_argument(
        "--presets", default="default,mlp-small", help="separated by commas"
    )
    parser.add_argument(
        "--together", default="toy,toy-grid,mlp-small", help="presets of question runs"
    )
    parser.add_argument(
        "--runs", type=int, default=8, help="number of runs in one program"
    )
    parser.add_argument(
        "--written_out",
        action="store_true",
        help="write several runs out one after the other, as with convolutions",
    )
    parser.add_argument(
        "--counts", default="1,5,25", help="steps per call, separated by commas"
    )
    parser.add_argument("--seconds", type=float, default=2, help="length of a block")
    parser.add_argument(
        "--blocks", type=int, default=5, help="number of blocks of each kind"
    )
    parser.add_argument("--data_dir", default="", help="folder of TFDS datasets")
    parser.add_argument("--out", help="JSON file for the results")
    args = parser.parse_args()
    logging.basicConfig(format="%(message)s")
    enable_compilation_cache()
    found = about()
    print(found["machine"])
    for name in args.questions.split(","):
        found[name] = QUESTIONS[name](args)
        if args.out:
            Path(args.out).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

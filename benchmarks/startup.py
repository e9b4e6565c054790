"""Time from the start of the program to the first step, by phase.

    python benchmarks/startup.py --presets=default,mlp-small --out=startup.json

Each row is `python -m jaxgan.train` in its own process, up to the end of its first
step: cold with an empty compilation cache, warm with the cache of the cold start. Warm
rows are medians. Phases do not overlap. *python* is the time before the first line of
the program, *other* the time outside all phases.
"""

import argparse
import contextlib
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

PHASES = (
    *("python", "imports", "devices", "data", "build", "state", "reports", "input"),
    *("evaluation", "compile", "first call", "other"),
)
CHILD = "--child"


class Clock:
    """Measures seconds per phase; inner phases do not count for outer ones."""

    def __init__(self) -> None:
        self.seconds = defaultdict(float)
        self.open: list[str] = []
        self.last = time.time()

    def turn(self) -> None:
        """Adds the time since the last turn to the innermost phase."""
        now = time.time()
        self.seconds[self.open[-1] if self.open else "other"] += now - self.last
        self.last = now

    @contextlib.contextmanager
    def phase(self, name: str):
        """Opens a phase for the block."""
        self.turn()
        self.open.append(name)
        try:
            yield
        finally:
            self.turn()
            self.open.pop()

    def function(self, module, name: str, phase: str) -> None:
        """Times the calls of a function, or the entry of its context manager."""
        function = getattr(module, name)

        @functools.wraps(function)
        def timed(*arguments, **named):
            with self.phase(phase):
                made = function(*arguments, **named)
            if not isinstance(made, contextlib.AbstractContextManager):
                return made
            return self.entering(made, phase)

        setattr(module, name, timed)

    @contextlib.contextmanager
    def entering(self, manager, phase: str):
        """Wraps a context manager and times only its entry."""
        with contextlib.ExitStack() as stack:
            with self.phase(phase):
                entered = stack.enter_context(manager)
            yield entered


def child(argv: list[str]) -> None:
    """Trains to the end of the first step, prints seconds per phase and exits."""
    clock = Clock()
    clock.seconds["python"] = clock.last - float(os.environ["BENCHMARK_STARTED"])
    with clock.phase("imports"):
        from jaxgan.environment import collect_rarely

        # As programs do before they import jax.
        collect_rarely()

        from jaxgan import train  # isort: skip
        from jaxgan.config.resolve import parse_args
        from jaxgan.experiment.cpu_devices import request

        # Before jax is imported, as in `train.main`.
        request(parse_args(argv))

        import jaxgan.training.trainer as trainer  # isort: skip
        from jaxgan import parallel
        from jaxgan.experiment import setup
        from jaxgan.experiment.experiment import Experiment
        from jaxgan.training.hooks import Hooks

    clock.function(setup, "choose_layout", "devices")
    clock.function(setup, "load_data", "data")
    clock.function(trainer, "setup", "build")
    clock.function(trainer, "restore_or_init", "state")
    clock.function(trainer, "open_hooks", "reports")
    clock.function(Experiment, "open_feed", "input")
    clock.function(Hooks, "prepare", "evaluation")
    compiled = parallel.make_compiler

    def compiled_and_ended(*given):
        get = compiled(*given)

        def timed(count, *arguments):
            with clock.phase("compile"):
                program = get(count, *arguments)

            def first(*given):
                import jax

                with clock.phase("first call"):
                    jax.block_until_ready(program(*given))
                print(json.dumps(clock.seconds), flush=True)
                os._exit(0)

            return first

        return timed

    parallel.make_compiler = compiled_and_ended
    train.main(argv)
    raise SystemExit("training ended before the first step")


def measure(flags: list[str], cache: Path) -> dict[str, float]:
    """Returns the seconds per phase of one start."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, CHILD, *flags, f"--workdir={folder}/run"]
        variables = {
            "JAX_COMPILATION_CACHE_DIR": str(cache),
            "BENCHMARK_STARTED": str(time.time()),
        }
        done = subprocess.run(
            command, env={**os.environ, **variables}, capture_output=True, text=True
        )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def starts(flags: list[str], times: int) -> list[dict]:
    """Returns a row of the cold start and a row of medians of warm starts."""
    with tempfile.TemporaryDirectory() as cache:
        cold = measure(flags, Path(cache))
        warm = [measure(flags, Path(cache)) for _ in range(times)]
    medians = {
        phase: statistics.median(one.get(phase, 0.0) for one in warm)
        for phase in PHASES
    }
    each = [sum(one.values()) for one in warm]
    return [
        {"cache": "cold", "seconds": sum(cold.values()), "phases": cold},
        {
            "cache": "warm",
            "seconds": statistics.median(each),
            "range": [min(each), max(each)],
            "phases": medians,
        },
    ]


def help_seconds(times: int) -> float:
    """Returns the median time of `--help` in seconds."""
    each = []
    for _ in range(times):
        began = time.perf_counter()
        command = [sys.executable, "-m", "jaxgan.train", "--help"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        each.append(time.perf_counter() - began)
    return statistics.median(each)


def table_of(found: dict) -> list[str]:
    """Returns a Markdown table as lines."""
    from arms import table

    cells = [
        [
            *(row["preset"], row["cache"], f"{row['seconds']:.1f}"),
            *(f"{row['phases'].get(phase, 0.0):.2f}" for phase in PHASES),
        ]
        for row in found["rows"]
    ]
    return table(["preset", "cache", "first step after s", *PHASES], cells)


def main() -> None:
    """Measures all presets, prints a table and writes JSON."""
    from arms import about

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--presets", default="default,mlp-small", help="separated by commas"
    )
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--data_dir", default="", help="folder of TFDS datasets")
    parser.add_argument("--times", type=int, default=3, help="number of warm starts")
    parser.add_argument("--out", help="JSON file for the results")
    args = parser.parse_args()
    known = about()
    print(known["machine"])
    helped = help_seconds(args.times)
    print(f"\n`python -m jaxgan.train --help`: {helped:.2f} s\n")
    rows = []
    for preset in args.presets.split(","):
        flags = [f"--dataset={args.dataset}", f"--preset={preset}"]
        flags += [f"--data_dir={args.data_dir}"] if args.data_dir else []
        rows += [{"preset": preset, **row} for row in starts(flags, args.times)]
    found = {**known, "help_seconds": helped, "rows": rows}
    print("\n".join(table_of(found)))
    if args.out:
        Path(args.out).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == [CHILD]:
        child(sys.argv[2:])
    else:
        main()

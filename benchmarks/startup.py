"""How long from the start of the program to the first step, and where it goes.

    python benchmarks/startup.py --presets=default,mlp-small --out=startup.json

Each row is `python -m jaxgan.train` in a process of its own, up to the end of its first
step: cold with an empty folder of compiled programs, warm with what the cold one left.
The medians of the warm ones are told. Phases do not overlap; *python* is what stands
before our first line, *other* what is in no phase.
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
    *("first pictures", "compile", "first call", "other"),
)
CHILD = "--child"


class Clock:
    """Seconds per phase; within a phase, those of inner ones do not count."""

    def __init__(self) -> None:
        self.seconds = defaultdict(float)
        self.open: list[str] = []
        self.last = time.time()

    def turn(self) -> None:
        """What went by since the last turn belongs to the innermost phase."""
        now = time.time()
        self.seconds[self.open[-1] if self.open else "other"] += now - self.last
        self.last = now

    @contextlib.contextmanager
    def phase(self, name: str):
        """A phase, while it is open."""
        self.turn()
        self.open.append(name)
        try:
            yield
        finally:
            self.turn()
            self.open.pop()

    def function(self, module, name: str, phase: str) -> None:
        """Counts the calls of a module's function, or how long it takes to enter it."""
        function = getattr(module, name)

        @functools.wraps(function)
        def timed(*given, **named):
            with self.phase(phase):
                made = function(*given, **named)
            if not isinstance(made, contextlib.AbstractContextManager):
                return made
            return self.entering(made, phase)

        setattr(module, name, timed)

    @contextlib.contextmanager
    def entering(self, manager, phase: str):
        """The manager, of which only entering counts."""
        with contextlib.ExitStack() as stack:
            with self.phase(phase):
                entered = stack.enter_context(manager)
            yield entered


def child(argv: list[str]) -> None:
    """Trains up to the end of the first step, prints seconds per phase, and ends."""
    clock = Clock()
    clock.seconds["python"] = clock.last - float(os.environ["BENCHMARK_STARTED"])
    with clock.phase("imports"):
        from jaxgan import train

        import jaxgan.training.trainer as trainer  # isort: skip
        from jaxgan import parallel
        from jaxgan.experiment import setup
        from jaxgan.training.hooks import Hooks

    clock.function(setup, "choose_layout", "devices")
    clock.function(setup, "load_data", "data")
    clock.function(trainer, "setup", "build")
    clock.function(trainer, "restore_or_init", "state")
    clock.function(trainer, "open_hooks", "reports")
    clock.function(trainer, "open_feed", "input")
    clock.function(Hooks, "warm_up", "first pictures")
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
    raise SystemExit("it ended before the first step")


def measure(flags: list[str], cache: Path) -> dict[str, float]:
    """Seconds per phase of one start."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, CHILD, *flags, f"--workdir={folder}/run"]
        known = {
            "JAX_COMPILATION_CACHE_DIR": str(cache),
            "BENCHMARK_STARTED": str(time.time()),
        }
        done = subprocess.run(
            command, env={**os.environ, **known}, capture_output=True, text=True
        )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def starts(flags: list[str], times: int) -> list[dict]:
    """A row of the cold start, and one of the medians of warm ones."""
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
    """Seconds of `--help`, the median."""
    each = []
    for _ in range(times):
        began = time.perf_counter()
        command = [sys.executable, "-m", "jaxgan.train", "--help"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        each.append(time.perf_counter() - began)
    return statistics.median(each)


def table_of(found: dict) -> list[str]:
    """Lines of Markdown."""
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
    """Measures the presets asked for, prints a table and writes JSON."""
    from arms import about

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presets", default="default,mlp-small", help="by comma")
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--data_dir", default="", help="where TFDS keeps data sets")
    parser.add_argument("--times", type=int, default=3, help="warm starts")
    parser.add_argument("--out", help="a JSON file")
    said = parser.parse_args()
    known = about()
    print(known["machine"])
    helped = help_seconds(said.times)
    print(f"\n`python -m jaxgan.train --help`: {helped:.2f} s\n")
    rows = []
    for preset in said.presets.split(","):
        flags = [f"--dataset={said.dataset}", f"--preset={preset}"]
        flags += [f"--data_dir={said.data_dir}"] if said.data_dir else []
        rows += [{"preset": preset, **row} for row in starts(flags, said.times)]
    found = {**known, "help_seconds": helped, "rows": rows}
    print("\n".join(table_of(found)))
    if said.out:
        Path(said.out).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == [CHILD]:
        child(sys.argv[2:])
    else:
        main()

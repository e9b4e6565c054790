"""Quality of every recipe after the same time, by the metrics of `jaxgan.evaluate`.

    python benchmarks/recipes.py --minutes=10 --out=recipes.json

trains each arm for ten minutes on this machine, for each data set and seed, one after
the other. With the number of steps that ten minutes make on a machine,

    python benchmarks/recipes.py --calibrate=10 --out=steps.json
    python benchmarks/recipes.py --steps_file=steps.json --runs=3 --jobs=4 \\
        --npz=folder --out=recipes.json

trains them anywhere, such as on an accelerator: three seeds in one program, and four
programs at a time. 10,000 samples of the moving average are compared with the 10,000
test images, and the floor is that of 10,000 training images in place of samples.

The same command resumes: what the JSON has is not trained or scored again. Parts can be
trained by programs of their own, each with some `--arms`, or one seed (`--first_seed=2
--seeds=1`), and another `--out`: `--merge FILE FILE --out=recipes.json` joins these.
`--npz` is a folder with `mnist.npz` and `fashion_mnist.npz`, for machines without TFDS;
`--export` writes one. Arms in `--curve` are also scored at eight checkpoints, and
`--torch` adds the samples of `torch_default.py` to that curve. `--add` tries another
arm. `recipe_tables.py` prints and draws the JSON.
"""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import arms as shared
import numpy as np
import recipe_arms
import recipe_judge
import recipe_tables

from jaxgan import data
from jaxgan.environment import enable_compilation_cache
from jaxgan.evaluation.load_run import Run
from jaxgan.files import atomic_write

SETS = ("mnist", "fashion_mnist")
POINTS = 8
"""Checkpoints of a curve."""
SAVE_EVERY = 1_000
"""Steps between two of them, if the number of all steps is not known."""


class Task(NamedTuple):
    """Some seeds of an arm on a data set, which are trained by one program."""

    arm: str
    dataset: str
    seeds: range

    def folder(self, place: str) -> Path:
        """Returns the folder of the run."""
        return shared.folder_of(Path(place), self.dataset, self.arm, str(self.seeds[0]))


class Results:
    """The JSON file of all results, written after each.

    Args:
      file: the file; its results are kept.
      budget: of all runs in it.

    Raises:
      SystemExit: if the file has results of another budget.
    """

    def __init__(self, file: str, budget: dict[str, Any]) -> None:
        self.file = Path(file)
        self.found: dict[str, Any] = {"budget": budget, "sets": {}, "rows": []}
        self.found["points"] = []
        if self.file.exists():
            self.found = json.loads(self.file.read_text())
        if self.found["budget"] != budget:
            raise SystemExit(
                f"{file} has results of {self.found['budget']}, not {budget}: use "
                "another --out"
            )

    def has(self, part: str, **key: Any) -> bool:
        """Returns True if `rows` or `points` has a result with these fields."""
        rows = self.found[part]
        return any(all(row[k] == v for k, v in key.items()) for row in rows)

    def add(self, part: str, row: dict[str, Any]) -> None:
        """Adds a result and writes the file, unless it has that result."""
        names = {"arm", "dataset", "seed", "step"} & row.keys()
        if not self.has(part, **{name: row[name] for name in names}):
            self.found[part].append(row)
            self.write()

    def write(self) -> None:
        """Writes the file."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.found, indent=1) + "\n"
        atomic_write(self.file, text.encode())

    def add_set(self, name: str, facts: dict[str, Any], place: str) -> None:
        """Adds protocol and floor of a data set, unless the file has them.

        Raises:
          SystemExit: if the file has scores of another classifier.
        """
        old, new = (
            x["protocol"]["classifier"]["digest"]
            for x in (self.found["sets"].setdefault(name, facts), facts)
        )
        if old != new:
            raise SystemExit(
                f"{self.file} has the scores of the classifier {old} on {name}, and "
                f"{place} those of {new}: use the --cache of the same classifier"
            )

    def merge(self, file: str) -> None:
        """Adds what another file has.

        Raises:
          SystemExit: if it has another budget or another classifier.
        """
        other, own = json.loads(Path(file).read_text()), self.found["budget"]
        if other["budget"] != own:
            raise SystemExit(
                f"{file} has results of {other['budget']}, and {self.file} of {own}: "
                "merge files of one budget"
            )
        for name, facts in other["sets"].items():
            self.add_set(name, facts, file)
        for part in ("rows", "points"):
            for row in other[part]:
                self.add(part, row)


class Program:
    """The work of the flags, with the judges that were opened."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.machine = recipe_arms.machine()
        self.counted_on, self.rates = self.machine, {}
        if args.steps_file:
            read = recipe_arms.read_rates(args.steps_file)
            self.counted_on, self.rates = read
        budget: dict[str, Any] = {"n": args.n, "steps": args.steps}
        if not args.steps:
            budget |= {"minutes": args.minutes, "counted_on": self.counted_on}
        self.results = Results(args.out, budget)
        self.judge = cache(self._judge)

    def source(self, dataset: str) -> str:
        """Returns the name by which a data set is loaded."""
        return shared.source(dataset, self.args.npz)

    def _judge(self, dataset: str) -> recipe_judge.Judge:
        """Opens the judge of a data set, and records its protocol and floor."""
        args = self.args
        place = Path(args.cache or Path(args.folder, "classifiers"))
        judge = recipe_judge.open_judge(self.source(dataset), args.n, place)
        # A file is the same data set as that of TFDS.
        judge.protocol["classifier"]["trained_on"] = dataset
        facts = {"protocol": judge.protocol}
        if dataset not in self.results.found["sets"]:
            facts["floor"] = recipe_judge.floor_of(judge)
        self.results.add_set(dataset, facts, str(place))
        self.results.write()
        return judge

    def tasks(self) -> Iterator[Task]:
        """Yields those that have no results yet, data set by data set."""
        args = self.args
        arms = [arm for arm in args.arms.split(",") if arm != "none"]
        for dataset, arm in product(args.sets.split(","), arms):
            end = args.first_seed + args.seeds
            for first in range(args.first_seed, end, args.runs):
                seeds = range(first, min(first + args.runs, end))
                key = {"arm": arm, "dataset": dataset}
                if not all(self.results.has("rows", **key, seed=s) for s in seeds):
                    yield Task(arm, dataset, seeds)

    def steps(self, arm: str) -> int:
        """Returns the number of steps of an arm, endless if its time is limited."""
        if self.args.steps:
            return self.args.steps
        if not self.rates:
            return recipe_arms.ENDLESS
        if arm not in self.rates:
            raise SystemExit(f"{self.args.steps_file} lacks {arm}: calibrate it")
        return recipe_arms.steps_in(self.rates[arm], self.args.minutes)

    def flags(self, task: Task) -> dict[str, Any]:
        """Returns all flags of a run except its folder."""
        steps, curve = self.steps(task.arm), task.arm in self.args.curve.split(",")
        # Few interruptions, equally many for all arms.
        every = max(steps // 20, 1) if steps < recipe_arms.ENDLESS else 1_000
        save = -(-steps // POINTS) if steps < recipe_arms.ENDLESS else SAVE_EVERY
        return {
            "dataset": self.source(task.dataset),
            **recipe_arms.flags_of(task.arm),
            **recipe_arms.QUIET,
            "steps": steps,
            "seed": task.seeds[0],
            "runs": len(task.seeds),
            "log_every": every,
            "sample_every": steps,
            "save_every": save if curve else steps,
            "keep": 1_000 if curve else 1,
        }

    def train(self, task: Task) -> str:
        """Trains as far as needed; returns an error or an empty text."""
        endless = self.steps(task.arm) == recipe_arms.ENDLESS
        minutes = self.args.minutes if endless else self.args.limit
        try:
            shared.train(task.folder(self.args.folder), self.flags(task), minutes)
        except SystemExit as error:
            return str(error)
        return ""

    def trained(self, tasks: list[Task]) -> Iterator[tuple[Task, str]]:
        """Trains several tasks at a time; yields each at its end, with its error."""
        if self.args.jobs == 1:  # nothing else runs while one is trained
            yield from ((task, self.train(task)) for task in tasks)
            return
        with ThreadPoolExecutor(self.args.jobs) as pool:
            futures = {pool.submit(self.train, task): task for task in tasks}
            for future in as_completed(futures):
                yield futures[future], future.result()

    def score(self, task: Task) -> None:
        """Scores all seeds of a task, and the curve of an arm that has one."""
        folder, judge = task.folder(self.args.folder), self.judge(task.dataset)
        runs = recipe_judge.opened(folder)
        keys = [
            {"arm": task.arm, "dataset": task.dataset, "seed": s} for s in task.seeds
        ]
        if task.arm in self.args.curve.split(","):
            for run, key in zip(runs, keys, strict=True):
                self.score_curve(run, key)
        steps, fakes = zip(*map(judge.of_run, runs), strict=True)
        with ThreadPoolExecutor(len(runs)) as pool:
            values = list(pool.map(judge.values, fakes))
        flags = {**self.flags(task), "dataset": task.dataset}
        if flags["steps"] == recipe_arms.ENDLESS:
            flags["max_minutes"] = self.args.minutes
        more = {
            "seconds": shared.cost(folder).wall_seconds,
            "trained_on": self.machine,
            "command": shlex.join(["python", *shared.command(flags)]),
        }
        for key, step, own in zip(keys, steps, values, strict=True):
            print(*key.values(), step, shown(own), flush=True)
            self.results.add("rows", {**key, "steps": step, "values": own, **more})

    def score_curve(self, run: Run, key: dict[str, Any]) -> None:
        """Scores checkpoints of a run that are evenly spaced."""
        steps = shared.steps_of(run.folder)
        judge, rate = self.judge(key["dataset"]), self.rate(run.folder, key["arm"])
        for step in evenly(steps, POINTS):
            if not self.results.has("points", **key, step=step):
                values = judge.quick_values(judge.of_run(run, step)[1])
                point = {**key, "step": step, "seconds": step / rate, "values": values}
                self.results.add("points", point)

    def score_torch(self) -> None:
        """Scores the samples of `torch_default.py`: a curve, and its ends as rows."""
        for file in sorted(Path(self.args.torch).glob("*/*/*.npz")):
            dataset, seed = file.parts[-3], int(file.parts[-2])
            key = {"arm": recipe_tables.TORCH, "dataset": dataset, "seed": seed}
            last = file == max(file.parent.glob("*.npz"))
            with np.load(file) as arrays:
                step, rate = int(arrays["step"]), float(arrays["steps_per_second"])
                images = arrays["samples"]
            if self.results.has("points", **key, step=step):
                continue
            judge = self.judge(dataset)
            fake = judge.of_images(images)
            values = judge.values(fake) if last else judge.quick_values(fake)
            print(*key.values(), step, shown(values), flush=True)
            if last:
                self.results.add("rows", {**key, "steps": step, "values": values})
            point = {**key, "step": step, "seconds": step / rate, "values": values}
            self.results.add("points", point)

    def rate(self, folder: Path, arm: str) -> float:
        """Returns the steps per second of an arm where they were counted."""
        if arm in self.rates:
            return self.rates[arm].steps_per_second
        return recipe_judge.steps_per_second(folder)


def evenly(steps: list[int], count: int) -> list[int]:
    """Returns at most `count` of some steps, evenly spaced, with the last one.

    >>> evenly([100, 200, 300, 400, 450], 2), evenly([7], 8)
    ([200, 450], [7])
    """
    last = steps[-1]
    wanted = [last * (i + 1) / count for i in range(count)]
    return sorted({min(steps, key=lambda step: abs(step - x)) for x in wanted})


def shown(values: dict[str, float]) -> str:
    """Returns values in one line."""
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())


def export(folder: Path, names: list[str]) -> None:
    """Writes data sets of TFDS as files for `--npz`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        arrays = {}
        for split in ("train", "test"):
            whole = data.read_all(data.load(name, split=split))
            arrays |= {f"{split}_{field}": whole[field] for field in ("image", "label")}
        np.savez_compressed(folder / f"{name}.npz", **arrays)


def merge(files: list[str], out: str) -> None:
    """Writes the results of several files to one, and keeps what that has.

    Raises:
      SystemExit: if a file is not there, or was made with other budgets or classifiers.
    """
    for file in files:
        if not Path(file).is_file():
            raise SystemExit(f"--merge: there is no file {file}")
    results = Results(out, json.loads(Path(files[0]).read_text())["budget"])
    for file in files:
        results.merge(file)
    results.write()


def parse() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--arms", default=",".join(recipe_arms.ARMS), help="by commas, or none")
    add(
        "--add",
        action="append",
        default=[],
        help="another arm, such as 'wide: preset=default networks=small(24)'",
    )
    add("--ablations", action="store_true", help="add variants of the default")
    add("--sets", default=",".join(SETS), help="data sets, separated by commas")
    add("--seeds", type=int, default=3, help="training seeds of each arm")
    add("--first_seed", type=int, default=0, help="the first of them")
    add("--runs", type=int, default=1, help="seeds that one program trains")
    add("--minutes", type=float, default=10, help="of each run, with startup")
    add("--steps_file", help="steps per second by arm, instead of the clock")
    add("--steps", type=int, help="of each run, instead of --minutes")
    add("--limit", type=float, help="minutes after which steps end earlier")
    add("--jobs", type=int, default=1, help="programs that train at a time")
    add("--n", type=int, default=10_000, help="samples, and test images")
    add("--npz", default="", help="folder of mnist.npz and fashion_mnist.npz")
    add("--export", default="", help="write that folder, and stop")
    add("--merge", nargs="+", help="JSON files to join in --out, and stop")
    add("--folder", default="runs/recipes", help="folder of the runs")
    add("--cache", default="", help="folder of classifiers; FOLDER/classifiers")
    add("--curve", default="default", help="arms that are scored at checkpoints")
    add("--torch", default="", help="folder of samples of torch_default.py")
    add("--calibrate", type=float, help="seconds of each arm; write --out, and stop")
    add("--out", default="recipes.json", help="JSON file of the results")
    args = parser.parse_args()
    if args.ablations:
        args.arms = ",".join((args.arms, *recipe_arms.ABLATIONS))
    args.arms = ",".join((args.arms, *map(recipe_arms.add, args.add)))
    known = {*recipe_arms.ARMS, *recipe_arms.ABLATIONS, "none"}
    unknown = set(args.arms.split(",")) - known
    if unknown:
        parser.error(f"--arms: there is no {', '.join(sorted(unknown))}")
    if args.runs > 1 and not (args.steps_file or args.steps):
        parser.error("--runs: seeds share the time; use --steps_file with it")
    return args


def main() -> int:
    """Runs the command line and returns the exit code."""
    args = parse()
    # Several programs share the memory of an accelerator.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    enable_compilation_cache()
    names = args.sets.split(",")
    if args.export:
        export(Path(args.export), names)
        return 0
    if args.calibrate:
        arms = [arm for arm in args.arms.split(",") if arm != "none"]
        place = shared.source(names[0], args.npz)
        recipe_arms.calibrate(arms, place, args.calibrate, Path(args.out))
        return 0
    if args.merge:
        merge(args.merge, args.out)
        return 0
    program, failed = Program(args), 0
    for task, error in program.trained(list(program.tasks())):
        if error:
            print(error, file=sys.stderr, flush=True)
            failed = 1
            continue
        program.score(task)
    if args.torch:
        program.score_torch()
    return failed


if __name__ == "__main__":
    sys.exit(main())

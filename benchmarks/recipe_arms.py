"""The recipes that are compared, and the number of steps that each makes in a time.

`python benchmarks/recipes.py --calibrate=10 --out=steps.json` counts steps per second
of every recipe on this machine. Quality after a number of steps does not depend on the
machine, so the same numbers can then be trained elsewhere, side by side.
"""

import json
import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import arms as shared
import jax
import numpy as np
from recipe_judge import versions

from jaxgan import reporting

PRESETS = (
    *("default", "mlp", "mlp-small", "goodfellow", "goodfellow-ns", "dcgan", "lsgan"),
    *("wgan", "wgan-gp", "sngan", "projection", "conditional", "acgan"),
    "infogan",
)
ARMS: dict[str, dict[str, Any]] = {name: {"preset": name} for name in PRESETS}
"""Flags by arm."""
ABLATIONS: dict[str, dict[str, Any]] = {
    "R1 alone": {"preset": "default", "d_terms": "r1(1)"},
    "no penalty": {"preset": "default", "d_terms": ""},
    "classic loss + R1 + R2": {"preset": "default", "loss": "non_saturating"},
}
"""Parts of the default that are left out or replaced."""
ENDLESS = 10**7
"""Steps of a run that ends by its time."""
QUIET = {"eval_metrics": "sliced_wasserstein", "score_samples": 256}
"""Flags of all runs: the same cheap score at their few checkpoints."""
CALL = 50
"""Steps in a call of the trainer on accelerators."""
LONGEST = 600.0
"""Seconds after which a recipe that makes no steps is given up."""


class Rate(NamedTuple):
    """The speed of a recipe on a machine."""

    steps_per_second: float
    startup: float
    """Seconds from the start of the program to the first step, with compilation."""


def flags_of(arm: str) -> dict[str, Any]:
    """Returns the flags that define an arm."""
    return {**ARMS, **ABLATIONS}[arm]


def add(text: str) -> str:
    """Adds an arm, `name: flag=value flag=value`, and returns its name.

    >>> add("wide: preset=default networks='small(24)'"), flags_of("wide")
    ('wide', {'preset': 'default', 'networks': 'small(24)'})
    >>> _ = ABLATIONS.pop("wide")

    Raises:
      SystemExit: for another form, or a name that exists.
    """
    name, colon, rest = text.partition(":")
    words = [word.partition("=") for word in shlex.split(rest)]
    if not colon or not all(equals for _, equals, _ in words) or "," in name:
        raise SystemExit(f"--add={text}: write 'name: flag=value flag=value'")
    if name in {**ARMS, **ABLATIONS}:
        raise SystemExit(f"--add={text}: there is an arm {name} already")
    ABLATIONS[name] = {flag: value for flag, _, value in words}
    return name


def steps_in(rate: Rate, minutes: float) -> int:
    """Returns the steps that a time allows, startup included; at least 1.

    Many steps are a multiple of those in a call on accelerators: a last call with fewer
    is another program, which takes as long to compile as the first.

    >>> steps_in(Rate(steps_per_second=20.03, startup=10.0), minutes=10)
    11800
    """
    steps = max(int(rate.steps_per_second * (60 * minutes - rate.startup)), 1)
    return steps if steps < 1_000 else steps // CALL * CALL


def read_rates(file: str | Path) -> tuple[str, dict[str, Rate]]:
    """Returns the machine and the rates by arm of a file that `calibrate` wrote."""
    found = json.loads(Path(file).read_text())
    return found["machine"], {k: Rate(**x) for k, x in found["rates"].items()}


def calibrate(
    arms: list[str], source: str, seconds: float, out: Path
) -> dict[str, Any]:
    """Measures the rates of arms one after the other, and writes them after each.

    Arms that the file has already are not measured again.

    Args:
      arms: names.
      source: the data set.
      seconds: time of training of each arm, without startup.
      out: JSON file.
    """
    found: dict[str, Any] = {"machine": machine(), "rates": {}}
    if out.exists():
        found = json.loads(out.read_text())
    if found["machine"] != machine():
        raise SystemExit(f"{out} has the rates of another machine: use another --out")
    found |= {"seconds": seconds, "versions": versions("jax", "jaxlib", "numpy")}
    for arm in arms:
        if arm not in found["rates"]:
            rate = measure({"dataset": source, **flags_of(arm)}, seconds)
            found["rates"][arm] = rate._asdict()
            shown = f"{rate.steps_per_second:.2f} steps/s after {rate.startup:.1f} s"
            print(f"{arm}: {shown}", flush=True)
            out.write_text(json.dumps(found, indent=1) + "\n")
    return found


def measure(flags: dict[str, Any], seconds: float) -> Rate:
    """Trains for some seconds and returns the rate.

    The trainer logs nothing before it is stopped, as the row of the end has the steps
    and the seconds since the first one. A program that takes longer to compile than
    expected gets more time in a second attempt, which finds it in the cache.

    Raises:
      SystemExit: if there are no steps in ten minutes.
    """
    wait = seconds + 15
    while wait < LONGEST:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place, "run")
            rows = trained_for(wait, {**flags, "workdir": folder})
        # The trainer's clock starts once the step is compiled.
        for row in rows:
            trained = row["step"] / row.get("steps_per_second", np.inf)
            if trained >= seconds / 2:
                return Rate(row["steps_per_second"], max(wait - trained, 0.0))
        wait *= 2
    raise SystemExit(f"{flags}: no steps in {LONGEST:.0f} s")


def trained_for(wait: float, flags: dict[str, Any]) -> list[dict[str, Any]]:
    """Trains until a time after the start of the program; returns rows of metrics."""
    seldom = {"log_every": ENDLESS, "sample_every": ENDLESS, "save_every": ENDLESS}
    words = shared.command({**flags, **QUIET, **seldom, "steps": ENDLESS})
    process = subprocess.Popen(
        [sys.executable, *words], stderr=subprocess.PIPE, text=True
    )
    try:
        _, text = process.communicate(timeout=wait)
        raise SystemExit(f"{' '.join(words)}: {text.splitlines()[-1:]}")
    except subprocess.TimeoutExpired:
        process.terminate()  # saves, and logs the last row
        process.communicate()
    return reporting.read_rows(Path(flags["workdir"], "metrics.jsonl"))


def machine() -> str:
    """Returns the CPU, its cores, the devices of jax and its precision in one line.

    A process that is pinned to some cores, as by taskset, has their number as well. The
    precision is that of products, if one is set: the default of GPUs is TF32.
    """
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    found = re.search(r"model name\s*:\s*(.+)", text)
    cpu = found[1].strip() if found else platform.processor() or platform.machine()
    precision: str | None = jax.config.jax_default_matmul_precision  # type: ignore
    more = f", products in {precision} precision" if precision else ""
    devices = shared.machine().partition(",")[0]
    count = str(os.cpu_count())
    if hasattr(os, "sched_getaffinity"):
        usable = len(os.sched_getaffinity(0))
        count = count if str(usable) == count else f"{usable} of {count}"
    return f"{cpu}, {count} cores; {devices}{more}"

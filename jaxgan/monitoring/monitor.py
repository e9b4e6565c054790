"""What is found wrong with a run while it goes on: probe and monitor together."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgan import reporting
from jaxgan.errors import printable
from jaxgan.experiment.setup import Experiment
from jaxgan.monitoring.detectors import Finding, not_finite, open_detectors
from jaxgan.monitoring.probe import open_probe
from jaxgan.parallel import multi_seed
from jaxgan.types import TrainState


class Monitor(NamedTuple):
    """Looks at a run, or at each of several."""

    probe: Callable[[TrainState], dict[str, Any]]
    """Measures of the networks now: numbers, or `[runs]`."""
    look: Callable[[int, Mapping[str, Any]], list[Finding]]
    """(step, a row of metrics) to what is newly wrong."""


def open_monitor(plan: Experiment, key: jax.Array, folder: Path) -> Monitor:
    """A watch that has seen what the workdir's metrics already tell."""
    count, seed = plan.config.runs, plan.config.seed
    probe, monitors = open_probe(plan, key), [open_detectors() for _ in range(count)]

    def probe_all(state):
        if count == 1:
            return probe(state)
        each = [probe(multi_seed.run_state(state, i)) for i in range(count)]
        return {name: np.array([x[name] for x in each]) for name in each[0]}

    def look(step, row):
        found = []
        for i, monitor in enumerate(monitors):
            own = run_row(row, i)
            news = monitor(step, own)
            if count > 1:
                news = [*news, *standing(step, own, i)]
            found += [with_seed(finding, seed + i, count) for finding in news]
        return found

    stopped: set[int] = set()

    def standing(step, row, i):
        bad = [name for name, x in row.items() if x is None or not np.isfinite(x)]
        if not bad or i in stopped:
            return []
        stopped.add(i)
        return [not_finite(step, bad[0])]

    for row in rows(folder):
        look(row["step"], row)
    return Monitor(probe_all, look)


def run_row(row: Mapping[str, Any], number: int) -> dict[str, Any]:
    """One run's values of a row, as it is told or as metrics.jsonl has it."""
    each = row.get("runs") or {name: x for name, x in row.items() if np.ndim(x)}
    shared = row.keys() - {"std", "runs"}
    own = {name: row[name] for name in shared if np.ndim(row[name]) == 0}
    return own | {name: x[number] for name, x in each.items()}


def with_seed(finding: Finding, seed: int, count: int) -> Finding:
    """The finding with the seed of its run, where there are several."""
    if count == 1:
        return finding
    return finding._replace(text=f"seed {seed}: {finding.text}")


def rows(folder: Path) -> list[dict[str, Any]]:
    """The lines of a workdir's metrics.jsonl that are measures."""
    return [line for line in lines(folder) if "finding" not in line]


def findings(folder: Path) -> list[Finding]:
    """What was found wrong so far."""
    told = [line for line in lines(folder) if "finding" in line]
    return [
        Finding(x["step"], str(x.get("kind")), printable(str(x["finding"])), False)
        for x in told
    ]


def lines(folder: Path) -> list[dict[str, Any]]:
    """The whole lines of a workdir's metrics.jsonl."""
    return reporting.read_metrics(folder / "metrics.jsonl")

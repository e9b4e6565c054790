"""The monitor of a run: its probe and its detectors of failures."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxgan import reporting
from jaxgan.errors import printable
from jaxgan.monitoring.detectors import Detectors, Finding, not_finite
from jaxgan.parallel import multi_seed
from jaxgan.types import TrainState


class Monitor:
    """Measures the seeds of a run and reports faults.

    Args:
      probe: maps a state to measures, see `jaxgan.monitoring.probe`.
      folder: of the run; the detectors first check the rows of its metrics.jsonl.
      seeds: the seeds.
      freezes: True if a seed that is not finite is frozen, which is then reported.
    """

    def __init__(
        self,
        probe: Callable[[TrainState], dict[str, float]],
        folder: Path,
        seeds: range,
        *,
        freezes: bool = False,
    ) -> None:
        self._probe, self._seeds, self._freezes = probe, seeds, freezes
        self._labels = reporting.seed_labels(seeds)
        self._detectors = [Detectors() for _ in seeds]
        self._stopped: set[int] = set()
        # Findings of a resumed run depend on all of its rows.
        for row in reporting.read_rows(folder / "metrics.jsonl"):
            self.check(row["step"], row)

    def measure(self, state: TrainState) -> dict[str, Any]:
        """Returns measures of the networks, `[seeds]`."""
        states = multi_seed.split_states(state, len(self._seeds))
        # Measure seed by seed, then join the values of each name.
        measures = [self._probe(x) for x in states]
        return {name: np.array([x[name] for x in measures]) for name in measures[0]}

    def check(self, step: int, row: Mapping[str, Any]) -> list[Finding]:
        """Returns the new findings of a row of metrics."""
        findings = []
        for i, (label, detectors) in enumerate(
            zip(self._labels, self._detectors, strict=True)
        ):
            values = run_row(row, i)
            new = detectors.check(step, values)
            if self._freezes:
                new += self._frozen(step, values, i)
            findings += [x._replace(text=label + x.text) for x in new]
        return findings

    def _frozen(self, step: int, row: Mapping[str, Any], run: int) -> list[Finding]:
        """Returns a finding, once, if a seed is not finite and so frozen."""
        # metrics.jsonl has null for a value that is not finite.
        bad = [name for name, x in row.items() if x is None or not np.isfinite(x)]
        if not bad or run in self._stopped:
            return []
        # Report each run once.
        self._stopped.add(run)
        return [not_finite(step, bad[0])]


def run_row(row: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Returns the values of one run from a row, new or read from metrics.jsonl."""
    # metrics.jsonl has values per run under `runs`, besides their mean and `std`.
    per_run = row.get("runs") or {name: x for name, x in row.items() if np.ndim(x)}
    shared = row.keys() - {"std", "runs"}
    values = {name: row[name] for name in shared if np.ndim(row[name]) == 0}
    return values | {name: x[number] for name, x in per_run.items()}


def read_findings(folder: Path) -> list[Finding]:
    """Returns the findings in the metrics.jsonl of a run."""
    return [
        Finding(x["step"], str(x.get("kind")), printable(str(x["finding"])), False)
        for x in reporting.read_findings(folder / "metrics.jsonl")
    ]

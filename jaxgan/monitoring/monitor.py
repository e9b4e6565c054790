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
    """Measures a run, or several, and reports faults.

    Args:
      probe: maps a state to measures, see `jaxgan.monitoring.probe`.
      folder: of the run; the detectors first check the rows of its metrics.jsonl.
      seeds: one for each run.
    """

    def __init__(
        self,
        probe: Callable[[TrainState], dict[str, float]],
        folder: Path,
        seeds: range,
    ) -> None:
        self._probe, self._seeds = probe, seeds
        self._detectors = [Detectors() for _ in seeds]
        self._stopped: set[int] = set()
        # Findings of a resumed run depend on all of its rows.
        for row in reporting.read_rows(folder / "metrics.jsonl"):
            self.check(row["step"], row)

    def measure(self, state: TrainState) -> dict[str, Any]:
        """Returns measures of the networks: numbers, or `[runs]`."""
        if len(self._seeds) == 1:
            return self._probe(state)
        runs = range(len(self._seeds))
        # Measure run by run, then join the values of each name to `[runs]`.
        measures = [self._probe(multi_seed.run_state(state, i)) for i in runs]
        return {name: np.array([x[name] for x in measures]) for name in measures[0]}

    def check(self, step: int, row: Mapping[str, Any]) -> list[Finding]:
        """Returns the new findings of a row of metrics."""
        findings = []
        for i, (seed, detectors) in enumerate(
            zip(self._seeds, self._detectors, strict=True)
        ):
            values = run_row(row, i)
            new = detectors.check(step, values)
            if len(self._seeds) > 1:
                new += self._frozen(step, values, i)
                new = [with_seed(x, seed) for x in new]
            findings += new
        return findings

    def _frozen(self, step: int, row: Mapping[str, Any], run: int) -> list[Finding]:
        """Returns a finding, once, if one of several runs is not finite and frozen."""
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


def with_seed(finding: Finding, seed: int) -> Finding:
    """Returns the finding with a seed in its text."""
    return finding._replace(text=f"seed {seed}: {finding.text}")


def read_findings(folder: Path) -> list[Finding]:
    """Returns the findings in the metrics.jsonl of a run."""
    return [
        Finding(x["step"], str(x.get("kind")), printable(str(x["finding"])), False)
        for x in reporting.read_findings(folder / "metrics.jsonl")
    ]

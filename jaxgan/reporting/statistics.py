"""Means and standard deviations of metrics over the seeds of a run.

An axis of a single seed is summarized by its plain value, here and nowhere else.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np


class RunStatistics(NamedTuple):
    """Metrics of one seed, or their statistics over several."""

    means: dict[str, float]
    """Means over the runs with a finite value; NaN if there are none."""
    deviations: dict[str, float]
    """Standard deviations over the same runs (n - 1); empty for a single run."""
    runs: dict[str, list[float]]
    """The value of each run; empty for a single run."""

    def as_fields(self) -> dict[str, Any]:
        """Returns the fields of a row of metrics.jsonl."""
        spread = {"std": self.deviations, "runs": self.runs} if self.runs else {}
        return {**self.means, **spread}


def run_statistics(metrics: Mapping[str, Any]) -> RunStatistics:
    """Computes the statistics of metrics that are numbers or arrays `[seeds]`.

    >>> metrics = {"loss": np.array([1.0, 2.0, 3.0, np.nan]), "seconds": 2.0}
    >>> run_statistics(metrics).as_fields()
    ... # doctest: +NORMALIZE_WHITESPACE
    {'loss': 2.0, 'seconds': 2.0, 'std': {'loss': 1.0},
     'runs': {'loss': [1.0, 2.0, 3.0, nan]}}
    >>> run_statistics({"loss": np.array([1.5])}).as_fields()
    {'loss': 1.5}
    """
    statistics = RunStatistics({}, {}, {})
    for name, value in metrics.items():
        values = np.asarray(value, float)
        # A single seed, or a value that all seeds share.
        if values.size == 1:
            statistics.means[name] = values.item()
            continue
        finite = values[np.isfinite(values)]  # a diverged run must not hide the others
        mean = float(finite.mean()) if len(finite) else float("nan")
        # The divisor n - 1 is zero for a single value.
        deviation = float(finite.std(ddof=1)) if len(finite) > 1 else 0.0
        statistics.means[name], statistics.deviations[name] = mean, deviation
        statistics.runs[name] = values.tolist()
    return statistics


def seed_labels(seeds: Sequence[int]) -> list[str]:
    """Returns the beginning of a message about each seed, "" for a single one.

    >>> seed_labels([4, 5]), seed_labels([4])
    (['seed 4: ', 'seed 5: '], [''])
    """
    return [f"seed {seed}: " if len(seeds) > 1 else "" for seed in seeds]

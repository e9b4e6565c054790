"""Means and standard deviations of metrics over several runs."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np


class RunStatistics(NamedTuple):
    """Metrics of one run, or their statistics over several."""

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
    """Computes the statistics of metrics that are numbers or arrays `[runs]`.

    >>> metrics = {"loss": np.array([1.0, 2.0, 3.0, np.nan]), "seconds": 2.0}
    >>> run_statistics(metrics).as_fields()
    ... # doctest: +NORMALIZE_WHITESPACE
    {'loss': 2.0, 'seconds': 2.0, 'std': {'loss': 1.0},
     'runs': {'loss': [1.0, 2.0, 3.0, nan]}}
    """
    statistics = RunStatistics({}, {}, {})
    for name, value in metrics.items():
        values = np.asarray(value, float)
        # A single run, or a value that all runs share.
        if values.ndim == 0:
            statistics.means[name] = values.item()
            continue
        finite = values[np.isfinite(values)]  # a diverged run must not hide the others
        mean = float(finite.mean()) if len(finite) else float("nan")
        # The divisor n - 1 is zero for a single value.
        deviation = float(finite.std(ddof=1)) if len(finite) > 1 else 0.0
        statistics.means[name], statistics.deviations[name] = mean, deviation
        statistics.runs[name] = values.tolist()
    return statistics

"""What several runs measured, in a mean and a deviation."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np


class RunStatistics(NamedTuple):
    """Metrics of one run, or of several."""

    means: dict[str, float]
    """Over the runs whose value is finite; nan if there is none."""
    deviations: dict[str, float]
    """Standard deviations over these runs (n - 1); only where there are several."""
    runs: dict[str, list[float]]
    """Each run's value, where there are several."""

    def as_fields(self) -> dict[str, Any]:
        """The fields of a line of metrics.jsonl."""
        more = {"std": self.deviations, "runs": self.runs} if self.runs else {}
        return {**self.means, **more}


def run_statistics(metrics: Mapping[str, Any]) -> RunStatistics:
    """Metrics that are numbers, or `[runs]`, taken together.

    >>> across({"loss": np.array([1.0, 2.0, 3.0, np.nan]), "seconds": 2.0}).as_fields()
    ... # doctest: +NORMALIZE_WHITESPACE
    {'loss': 2.0, 'seconds': 2.0, 'std': {'loss': 1.0},
     'runs': {'loss': [1.0, 2.0, 3.0, nan]}}
    """
    found = RunStatistics({}, {}, {})
    for name, value in metrics.items():
        values = np.asarray(value, float)
        if values.ndim == 0:
            found.means[name] = values.item()
            continue
        finite = values[np.isfinite(values)]
        found.means[name] = float(finite.mean()) if len(finite) else float("nan")
        found.deviations[name] = float(finite.std(ddof=1)) if len(finite) > 1 else 0.0
        found.runs[name] = values.tolist()
    return found

"""The speed, FLOPs and memory of a run, for its metrics and its log."""

import jax

from jaxgan.experiment.experiment import Experiment
from jaxgan.performance.profiling import Utilization, peak_of
from jaxgan.sharing.sessions import peaks


class Performance:
    """Adds FLOPs and memory to the times of a run's steps.

    Args:
      experiment: of the run.
    """

    def __init__(self, experiment: Experiment) -> None:
        peak = peak_of(
            experiment.layout.devices[0],
            mixed=experiment.config.precision == "mixed",
            precision=jax.config.jax_default_matmul_precision,  # type: ignore
        )
        self._utilization = Utilization(0.0, peak)
        self._last: dict[str, float] = {}

    def set_step_flops(self, flops: float) -> None:
        """Sets the FLOPs of a step on one device; the first program counts."""
        if not self._utilization.flops:
            self._utilization = self._utilization._replace(flops=flops)

    def row(self, times: dict[str, float]) -> dict[str, float]:
        """Returns the metrics of the steps since the last row.

        Args:
          times: from `StepClock.row`.
        """
        if times:
            row = {**times, **self._utilization.row(times[MEDIAN])}
            self._last = {**row, **peak_memory()}
        return self._last if times else {}

    def summary(self) -> str:
        """Returns a line about the last row, "" if there is none."""
        if not self._last:
            return ""
        typical, slow = self._last[MEDIAN], self._last[SLOWEST]
        memory = next(x for name, x in self._last.items() if name in NAMES.values())
        parts = [
            f"{1e3 * typical:.3g} ms per step (99 % within {1e3 * slow:.3g} ms)",
            f"{self._last['performance/input_share']:.1%} waiting for input",
            self._utilization.describe(typical),
            f"{memory / 2**30:.2f} GiB of memory",
        ]
        return "performance: " + ", ".join(part for part in parts if part)


MEDIAN, SLOWEST = "performance/step_seconds_p50", "performance/step_seconds_p99"

NAMES = {
    "peak_device": "performance/peak_device_bytes",
    "peak_host": "performance/peak_host_bytes",
}
"""Metrics of memory by their name in machine.json; the first that is known counts."""


def peak_memory() -> dict[str, int]:
    """Returns the largest use of memory so far: of a device, else of this process."""
    found = peaks()
    return next(
        ({metric: found[name]} for name, metric in NAMES.items() if name in found), {}
    )

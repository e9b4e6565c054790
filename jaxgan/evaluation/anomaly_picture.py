"""The picture of an evaluation of anomalies: histograms of scores, and ROC curves."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxgan import reporting
from jaxgan.metrics import anomaly

BINS = 60


def save(
    file: Path,
    scores: Mapping[str, np.ndarray],
    is_anomaly: np.ndarray,
    threshold: float,
) -> None:
    """Draws the scores of normal tests and of anomalies, and the curve of each method.

    Args:
      file: the PNG.
      scores: of the tests, `[n]` by method; the histogram is of the first.
      is_anomaly: `[n]` bool.
      threshold: of the first method.
    """
    figure = reporting.new_figure(figsize=(10, 4), dpi=110)
    left, right = figure.subplots(1, 2)
    name, own = next(iter(scores.items()))
    # Without outliers, which would leave all others in one bin.
    bins = np.linspace(own.min(), max(np.quantile(own, 0.99), threshold), BINS)
    for label, rows in (("normal", ~is_anomaly), ("anomalies", is_anomaly)):
        left.hist(own[rows].clip(max=bins[-1]), bins, alpha=0.6, label=label)
    left.axvline(threshold, color="black", linewidth=1, label="threshold")
    left.set_xlabel(f"score ({name})")
    left.set_ylabel("tests")
    left.legend(frameon=False)
    for name, values in scores.items():
        false, true = anomaly.curve_of(values, is_anomaly)
        area = 100 * anomaly.auroc(values, is_anomaly)
        right.plot(
            *(100 * false / false[-1], 100 * true / true[-1]),
            linewidth=1,
            label=f"{name}: {area:.1f}",
        )
    right.set_xlabel("false alarms, %")
    right.set_ylabel("detected, %")
    right.grid(alpha=0.3)
    right.legend(loc="lower right", title="AUROC, %", fontsize=7)
    reporting.save_figure(figure, file)

"""Plots the metrics of a run from its metrics.jsonl."""

import io
import logging
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgan.files import atomic_write
from jaxgan.reporting.metrics_file import read_metrics

LOGITS = {
    "discriminator/real": "of real",
    "discriminator/fake": "of fake",
    "probe/held_out": "of held-out real",
}
"""Labels of the mean logits of the discriminator."""
FEW = ("score (distance)", "evaluation", "in [0, 1]")
"""Panels of few values, each of which matters."""
DECADES = ("gradient norm", "terms", "evaluation")
"""Panels with a log axis if their values span decades."""
COLORS = {"generator": "tab:orange", "discriminator": "tab:blue"}


class Curve(NamedTuple):
    """One metric over the steps, two arrays `[n]`."""

    steps: np.ndarray
    values: np.ndarray


class Panel(NamedTuple):
    """Curves that share an axis."""

    title: str
    names: dict[str, str]
    """The labels of the curves by the names of their metrics."""


def read_curves(metrics_path: str | Path) -> dict[str, Curve]:
    """Reads the finite values of each metric, by its name; torn lines are skipped."""
    points: dict[str, list[tuple[int, float]]] = {}
    for row in read_metrics(metrics_path):
        for name, value in row.items():
            if isinstance(value, int | float) and np.isfinite(value):
                points.setdefault(name, []).append((row["step"], float(value)))
    # Pairs [n, 2], sorted by step, become two arrays [n].
    return {
        name: Curve(*np.array(sorted(values), float).T)
        for name, values in points.items()
    }


def smoothed(curve: Curve, reach: int | None = None, most: int = 500) -> Curve:
    """Computes the running median, which is robust against outliers.

    Args:
      curve: the values to smooth.
      reach: the number of values on each side that the median includes; by default a
        twentieth of all.
      most: the maximum number of points of the result.

    >>> smoothed(Curve(np.arange(5), np.array([0.0, 3.0, 900.0, 6.0, 3.0])), reach=1)
    Curve(steps=array([0, 1, 2, 3, 4]), values=array([1.5, 3. , 6. , 6. , 4.5]))
    """
    count = len(curve.values)
    reach = count // 20 if reach is None else reach
    # Evenly spaced indices, at most `most` of them.
    centers = np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))
    # Windows are cut off at both ends.
    windows = (curve.values[max(i - reach, 0) : i + reach + 1] for i in centers)
    return Curve(curve.steps[centers], np.array([np.median(x) for x in windows]))


def panels(
    names: list[str], score_name: str = "", shares: Collection[str] = ()
) -> list[Panel]:
    """Assigns metrics to panels; panels without any are left out.

    Args:
      names: the metrics that the run has.
      score_name: the name of the metric that is the score, if it is known. A curve of
        that name has a panel already.
      shares: evaluated metrics whose values are in [0, 1], which have their own panel.
    """
    players = ("discriminator", "generator")
    not_terms = {"loss", "real", "fake", "grad_norm", "param_norm", "augment"}
    # All other metrics of a player are terms of its loss.
    terms = {
        name: name.replace("/", " ")
        for name in names
        if name.partition("/")[0] in players and name.partition("/")[2] not in not_terms
    }
    score = {"score": score_name or "score"}
    others = {
        name: name.removeprefix("eval/").replace("/", " ")
        for name in names
        if name.startswith("eval/") and name != f"eval/{score_name}"
    }
    panels_ = [
        Panel("loss", {f"{player}/loss": player for player in players}),
        Panel("mean logit", LOGITS),
        Panel("terms", terms),
        Panel("gradient norm", {f"{player}/grad_norm": player for player in players}),
        Panel("augmented", {"discriminator/augment": "probability"}),
        Panel("diversity", {"probe/diversity": "of samples, the data's is 1"}),
        Panel("score (distance)", score),
        Panel("evaluation", {k: x for k, x in others.items() if k not in shares}),
        Panel("in [0, 1]", {k: x for k, x in others.items() if k in shares}),
    ]
    listed = [
        Panel(p.title, {n: label for n, label in p.names.items() if n in names})
        for p in panels_
    ]
    return [panel for panel in listed if panel.names]


def losses_plot(
    metrics_path: str | Path, out: str | Path, score_name: str = ""
) -> bool:
    """Plots a metrics.jsonl to a PNG; returns False if there is nothing to plot.

    Args:
      metrics_path: the file.
      out: the PNG.
      score_name: the name of the metric that is the score, if it is known.
    """
    curves = read_curves(metrics_path)
    shares = [
        name
        for name, curve in curves.items()
        if curve.values.min() >= 0 and curve.values.max() <= 1
    ]
    shown = panels(list(curves), score_name, shares)
    if not shown:
        return False
    # In inches: 2.1 per panel, and the rest for the label of the x axis.
    figure = new_figure(figsize=(10, 0.6 + 2.1 * len(shown)), dpi=110)
    axes = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for panel, axis in zip(shown, axes, strict=True):
        _draw(axis, panel, curves)
    axes[-1].set_xlabel("step")
    save_figure(figure, Path(out))
    return True


def save_figure(figure: Any, file: Path) -> None:
    """Writes a matplotlib figure as a PNG."""
    png = io.BytesIO()
    figure.savefig(png, format="png")
    # Not synced, since a plot can be drawn again.
    atomic_write(file, png.getvalue(), sync=False)


def new_figure(**options: Any) -> Any:
    """Returns an empty matplotlib figure that needs no display.

    `MPLBACKEND` is ignored. A notebook passes its own on to the programs that it
    starts, and matplotlib cannot be imported if that backend does not exist.

    Args:
      **options: passed on to `matplotlib.figure.Figure`.
    """
    options = {"layout": "constrained", **options}
    backend = os.environ.pop("MPLBACKEND", None)
    # Hides warnings, such as that of building the font cache.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    figure = Figure(**options)
    # The canvas attaches itself to the figure.
    FigureCanvasAgg(figure)
    return figure


def _draw(axis: Any, panel: Panel, curves: dict[str, Curve]) -> None:
    """Draws a panel: the values pale, their running median on top."""
    # Colors for the curves whose label is not the name of a player.
    spare = iter(["tab:green", "tab:red", "tab:purple", "tab:brown", "tab:pink"] * 9)
    for name, label in panel.names.items():
        color = COLORS.get(label) or next(spare)
        curve = curves[name]
        if panel.title in FEW:
            axis.plot(*curve, ".-", color=color, label=label)
            if name == "score":
                _mark_best(axis, curve, color)
        else:
            axis.plot(*curve, color=color, alpha=0.25, linewidth=0.7)
            axis.plot(*smoothed(curve), color=color, linewidth=1.5, label=label)
    set_scale(axis, [curves[name].values for name in panel.names], panel.title)
    axis.set_ylabel(panel.title)
    axis.grid(alpha=0.3)
    # To the right of the axes, where it hides no curve.
    axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)
    axis.xaxis.set_major_formatter("{x:,.0f}")


def _mark_best(axis: Any, curve: Curve, color: str) -> None:
    """Circles the lowest value."""
    best = int(curve.values.argmin())
    at = (curve.steps[best], curve.values[best])
    axis.plot(*at, "o", color=color, markersize=9, fillstyle="none", label="best")


def set_scale(axis: Any, values: list[np.ndarray], title: str) -> None:
    """Sets a log axis if values span decades, or else limits without outliers.

    Args:
      axis: matplotlib's axes.
      values: of the curves, at least one.
      title: of the panel.
    """
    joined = np.concatenate(values)
    # Percentiles, so that outliers do not set the scale.
    low, high = np.percentile(joined, [1, 99])
    positive = bool((joined > 0).all())
    if title in DECADES and positive and high > 30 * low:
        axis.set_yscale("log")
    elif title not in FEW and high > low:
        room = 0.15 * (high - low)
        axis.set_ylim(
            max(joined.min(), low - room) - 1e-9, min(joined.max(), high + room)
        )

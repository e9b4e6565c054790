"""The curves of a run, drawn from its metrics.jsonl."""

import io
import logging
import os
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
COLORS = {"generator": "tab:orange", "discriminator": "tab:blue"}


class Curve(NamedTuple):
    """One measure over the steps."""

    steps: np.ndarray
    values: np.ndarray


class Panel(NamedTuple):
    """Curves that share an axis: names of measures, by their labels."""

    title: str
    names: dict[str, str]


def read_curves(metrics_path: str | Path) -> dict[str, Curve]:
    """The finite values of each measure by name; lines that are broken are left out."""
    found: dict[str, list[tuple[int, float]]] = {}
    for values in read_metrics(metrics_path):
        for name, value in values.items():
            if isinstance(value, int | float) and np.isfinite(value):
                found.setdefault(name, []).append((values["step"], float(value)))
    return {
        name: Curve(*np.array(sorted(points), float).T)
        for name, points in found.items()
    }


def smoothed(curve: Curve, reach: int | None = None, most: int = 500) -> Curve:
    """The running median, which single outliers do not move, at `most` places.

    It reaches over `reach` values to both sides, by default a twentieth of all.

    >>> smoothed(Curve(np.arange(5), np.array([0.0, 3.0, 900.0, 6.0, 3.0])), reach=1)
    Curve(steps=array([0, 1, 2, 3, 4]), values=array([1.5, 3. , 6. , 6. , 4.5]))
    """
    count = len(curve.values)
    reach = count // 20 if reach is None else reach
    places = np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))
    around = (curve.values[max(i - reach, 0) : i + reach + 1] for i in places)
    return Curve(curve.steps[places], np.array([np.median(x) for x in around]))


def panels(names: list[str]) -> list[Panel]:
    """What is drawn where: losses, logits, terms, gradients, diversity, score."""
    players = ("discriminator", "generator")
    measured = {"loss", "real", "fake", "grad_norm", "param_norm", "augment"}
    terms = {
        name: name.replace("/", " ")
        for name in names
        if name.partition("/")[0] in players and name.partition("/")[2] not in measured
    }
    every = [
        Panel("loss", {f"{player}/loss": player for player in players}),
        Panel("mean logit", LOGITS),
        Panel("terms", terms),
        Panel("gradient norm", {f"{player}/grad_norm": player for player in players}),
        Panel("augmented", {"discriminator/augment": "probability"}),
        Panel("diversity", {"probe/diversity": "of samples, the data's is 1"}),
        Panel("score (distance)", {"score": "score"}),
    ]
    kept = [
        Panel(p.title, {n: s for n, s in p.names.items() if n in names}) for p in every
    ]
    return [panel for panel in kept if panel.names]


def losses_plot(metrics_path: str | Path, out: str | Path) -> bool:
    """Draws metrics.jsonl into `out`, a panel per kind; False if there is nothing."""
    found = read_curves(metrics_path)
    shown = panels(list(found))
    if not shown:
        return False
    figure = new_figure(figsize=(10, 0.6 + 2.1 * len(shown)), dpi=110)
    axes = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for panel, axis in zip(shown, axes, strict=True):
        _draw(axis, panel, found)
    axes[-1].set_xlabel("step")
    png = io.BytesIO()
    figure.savefig(png, format="png")
    atomic_write(Path(out), png.getvalue(), sync=False)
    return True


def new_figure(**options: Any) -> Any:
    """An empty figure of matplotlib that is drawn without a display.

    `MPLBACKEND` is not read: one that does not exist, as notebooks leave it to programs
    that they start, would keep matplotlib from being imported.
    """
    given = os.environ.pop("MPLBACKEND", None)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    finally:
        if given is not None:
            os.environ["MPLBACKEND"] = given
    figure = Figure(layout="constrained", **options)
    FigureCanvasAgg(figure)
    return figure


def _draw(axis: Any, panel: Panel, found: dict[str, Curve]) -> None:
    spare = iter(["tab:green", "tab:red", "tab:purple", "tab:brown", "tab:pink"] * 9)
    for name, label in panel.names.items():
        colour = COLORS.get(label) or next(spare)
        curve = found[name]
        if panel.names.keys() == {"score"}:
            axis.plot(*curve, ".-", color=colour, label=label)
            _mark_best(axis, curve, colour)
        else:
            axis.plot(*curve, color=colour, alpha=0.25, linewidth=0.7)
            axis.plot(*smoothed(curve), color=colour, linewidth=1.5, label=label)
    _scale(axis, [found[name].values for name in panel.names], panel.title)
    axis.set_ylabel(panel.title)
    axis.grid(alpha=0.3)
    axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)
    axis.xaxis.set_major_formatter("{x:,.0f}")


def _mark_best(axis: Any, curve: Curve, colour: str) -> None:
    best = int(curve.values.argmin())
    at = (curve.steps[best], curve.values[best])
    axis.plot(*at, "o", color=colour, markersize=9, fillstyle="none", label="best")


def _scale(axis: Any, values: list[np.ndarray], title: str) -> None:
    """A log axis where norms and terms span decades; else room without the outliers."""
    every = np.concatenate(values)
    low, high = np.percentile(every, [1, 99])
    positive = bool((every > 0).all())
    if title in ("gradient norm", "terms") and positive and high > 30 * low:
        axis.set_yscale("log")
    elif title != "score (distance)" and high > low:
        room = 0.15 * (high - low)
        axis.set_ylim(
            max(every.min(), low - room) - 1e-9, min(every.max(), high + room)
        )

"""Directions, table and picture of the results of `corruptions.py`.

python benchmarks/corruption_picture.py corruptions.json docs/corruptions.png
"""

import json
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from arms import table
from drawing import INK
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

COLORS = {"mnist": "#1546c0", "fashion_mnist": "#e07b54"}
SUFFIX = "_classifier"
NAMES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}
SAME, BACK = 0.03, 0.1
"""Shares of the whole range that are no change, and of the own range that may turn."""
LISTED = (
    *("fd", "kid", "sliced_wasserstein", "precision", "recall", "density", "coverage"),
    *("score", "confident", "classes", "class_kl", "memorization"),
    *("memorization_close", "ms_ssim", "ms_ssim_within_class", "per_class_fd"),
    *("accuracy_as_asked", "classification_accuracy"),
)
"""Metrics of the table, without the name of the extractor."""
DRAWN = (
    *("fd", "precision", "recall", "coverage", "confident", "class_kl"),
    *("memorization", "ms_ssim_within_class", "per_class_fd", "accuracy_as_asked"),
)
LOGARITHMIC = ("fd", "per_class_fd")
SHARES = (
    *("precision", "recall", "density", "coverage", "confident", "memorization_close"),
    *("ms_ssim", "ms_ssim_within_class", "accuracy_as_asked"),
    "classification_accuracy",
)
"""Metrics from 0 to about 1. The range of others is that over all corruptions."""

FAR = {"fd": "up", "kid": "up", "sliced_wasserstein": "up"}
LABELED = ("per_class_fd", "accuracy_as_asked", "classification_accuracy")
EXPECTED: dict[str, dict[str, str]] = {
    "noise": {
        **FAR,
        **dict.fromkeys(("precision", "density", "coverage", "confident"), "down"),
        **{"per_class_fd": "up", "accuracy_as_asked": "down"},
    },
    "blur": {
        **FAR,
        **dict.fromkeys(("precision", "density", "coverage"), "down"),
        **{"per_class_fd": "up", "accuracy_as_asked": "down"},
    },
    "dropped classes": {
        **FAR,
        **dict.fromkeys(("recall", "coverage", "classes", "score"), "down"),
        "class_kl": "up",
    },
    "duplicates": {
        **dict.fromkeys(("recall", "coverage"), "down"),
        **dict.fromkeys(("per_class_fd", "ms_ssim_within_class"), "up"),
        **dict.fromkeys(("precision", "classes", "accuracy_as_asked"), "same"),
    },
    "memorized": {
        **{"memorization": "down", "memorization_close": "up"},
        **dict.fromkeys(("fd", "precision", "recall", "coverage", "classes"), "same"),
    },
    "wrong labels": {
        **dict.fromkeys(LABELED[1:], "down"),
        **{"per_class_fd": "up", "ms_ssim_within_class": "down"},
        **dict.fromkeys(set(LISTED) - {*LABELED, "ms_ssim_within_class"}, "same"),
    },
}
"""Directions that were expected before the study was run. Others may be any."""

BALLS = "corrupted features can lie in more balls of real ones than real ones do"
LUCK = "at the end, one image of each class remains, and it is good or bad"
EXCEPTIONS = {
    ("noise", "precision"): BALLS,
    ("noise", "density"): BALLS,
    ("blur", "precision"): BALLS,
    ("blur", "density"): BALLS,
    ("noise", "confident"): "a classifier can be sure of a class for mere noise",
    ("dropped classes", "classes"): "a single error counts as a class",
    ("duplicates", "precision"): LUCK,
    ("duplicates", "classes"): LUCK,
    ("duplicates", "accuracy_as_asked"): LUCK,
}
"""Expectations that were wrong for at least one data set, with the reason."""


def direction(values: Sequence[float], whole: float) -> str:
    """Returns how values move from the first to the last: up, down, same or turns.

    Args:
      values: of a metric, at each strength of a corruption.
      whole: the range of the metric over all corruptions.

    >>> direction([1, 2, 4], 4), direction([4, 2.1, 2], 4), direction([1, 1.1], 4)
    ('up', 'down', 'same')
    >>> direction([1, 3, 1], 4)
    'turns'
    """
    moves = np.array(values) - values[0]
    if np.abs(moves).max() <= SAME * whole:
        return "same"
    steps, own = np.diff(values), np.ptp(values)
    if moves[-1] > SAME * whole and steps.min() >= -BACK * own:
        return "up"
    if moves[-1] < -SAME * whole and steps.max() <= BACK * own:
        return "down"
    return "turns"


def directions(study: dict[str, Any]) -> dict[tuple[str, str], str]:
    """Returns directions of a data set by (corruption, metric), as in `LISTED`.

    Args:
      study: the results of the data set.
    """
    kinds = study["corruptions"]
    ranges: dict[str, float] = dict.fromkeys(SHARES, 1.0)
    for name, values in (x for kind in kinds.values() for x in metrics_of(kind)):
        if name not in SHARES:
            moved = float(np.abs(np.array(values) - values[0]).max())
            ranges[name] = max(ranges.get(name, 0.0), moved)
    return {
        (kind, name): direction(values, ranges[name])
        for kind, found in kinds.items()
        for name, values in metrics_of(found)
    }


def metrics_of(found: dict[str, Any]) -> Iterator[tuple[str, list[float]]]:
    """Yields the values of a corruption by the short names in `LISTED`."""
    for name, values in found["values"].items():
        short = name.replace(SUFFIX, "")
        if short in LISTED:
            yield short, values


def wrong(results: dict[str, Any]) -> dict[tuple[str, str], list[str]]:
    """Returns the data sets for which an expectation does not hold, by place."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, study in results["sets"].items():
        for (kind, metric), seen in directions(study).items():
            if EXPECTED[kind].get(metric, seen) != seen:
                found.setdefault((kind, metric), []).append(name)
    return found


def table_of(results: dict[str, Any]) -> list[str]:
    """Returns a table of directions; sets that differ are separated by a slash.

    Bold ones are as expected, and those in italics are not.
    """
    found = [directions(study) for study in results["sets"].values()]
    kinds = list(next(iter(results["sets"].values()))["corruptions"])
    bad = wrong(results)

    def cell(kind: str, metric: str) -> str:
        seen = [x[kind, metric] for x in found if (kind, metric) in x]
        text = seen[0] if len(set(seen)) == 1 else " / ".join(seen)
        if not seen or metric not in EXPECTED[kind]:
            return text
        return f"*{text}*" if (kind, metric) in bad else f"**{text}**"

    rows = [[metric, *(cell(kind, metric) for kind in kinds)] for metric in LISTED]
    return table(["metric", *kinds], rows)


def draw(path: Path, results: dict[str, Any]) -> None:
    """Draws a row for each metric and a column for each corruption."""
    sets = results["sets"]
    kinds = list(next(iter(sets.values()))["corruptions"])
    with mpl.rc_context({"font.size": 7.5, "font.family": "DejaVu Sans"}):
        size = (1.45 * len(kinds) + 0.6, 0.78 * len(DRAWN) + 0.75)
        figure = Figure(size, dpi=100)
        grid = figure.subplots(
            len(DRAWN), len(kinds), squeeze=False, sharey="row", sharex="col"
        )
        for axes, metric in zip(grid, DRAWN, strict=True):
            for axis, kind in zip(axes, kinds, strict=True):
                paint(axis, metric, kind, sets)
            axes[0].set_ylabel(textwrap.fill(metric.replace("_", " "), 13))
        for axis, kind in zip(grid[0], kinds, strict=True):
            axis.set_title(kind, fontsize=9, color=INK)
        lines = [Line2D([], [], color=COLORS[x], marker="o", ms=3) for x in sets]
        names = [NAMES[x] for x in sets]
        figure.legend(lines, names, ncols=len(sets), loc="lower center", frameon=False)
        figure.align_ylabels()
        figure.tight_layout(rect=(0, 0.03, 1, 1), h_pad=0.2, w_pad=0.3)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
    with Image.open(path) as picture:
        flat = picture.convert("RGB").quantize(32, dither=Image.Dither.NONE)
    flat.save(path, optimize=True)


def paint(axis: Any, metric: str, kind: str, sets: dict[str, Any]) -> None:
    """Draws a metric of all data sets against the strengths, evenly spaced."""
    strengths = [0]
    for name, study in sets.items():
        found = study["corruptions"][kind]
        strengths = found["strengths"]
        values = dict(metrics_of(found)).get(metric)
        if values is not None:
            axis.plot(values, color=COLORS[name], marker="o", ms=2.5, lw=1.2)
            axis.axhline(values[0], color=COLORS[name], lw=0.5, ls=":")
    if not axis.lines:
        axis.text(0.5, 0.5, "needs labels", transform=axis.transAxes, ha="center")
    if metric in LOGARITHMIC:
        axis.set_yscale("log")
    last = len(strengths) - 1
    axis.set_xticks([0, last], [str(strengths[0]), str(strengths[last])])
    axis.set_xlim(-0.3, last + 0.3)
    axis.spines[["top", "right"]].set_visible(False)


def main() -> None:
    """Draws a results file, and prints the table and what was unexpected."""
    source, target = map(Path, sys.argv[1:])
    results = json.loads(source.read_text())
    draw(target, results)
    print("\n".join(table_of(results)))
    for (kind, metric), sets in wrong(results).items():
        why = EXCEPTIONS.get((kind, metric), "not known yet")
        print(f"{metric} of {kind} ({', '.join(sets)}): {why}")


if __name__ == "__main__":
    main()

"""Curves of runs as SVG, whose colors are those of the page around them."""

import io
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgan.reporting.plots import (
    FEW,
    Curve,
    new_figure,
    panels,
    set_scale,
    smoothed,
)
from jaxgan.sharing.record import Record

SIZE = (5.4, 2.3)
"""Width and height of a drawing, in inches of 72 pixels."""

MOST = 24
"""Maximum number of drawings."""

SERIES = 8
"""Number of colors of curves."""

INK, GRID, MARK = "#0a0b0c", "#0a0b0d", "#0a0b0e"
"""Colors that stand for variables of the page: text, lines of the grid, findings."""

POINTS = 400
"""Maximum number of points of a curve."""


class Key(NamedTuple):
    """An entry of a legend."""

    label: str
    color: int
    """Number of the color."""


class Drawing(NamedTuple):
    """A panel of curves."""

    title: str
    svg: str
    keys: list[Key]


class Line(NamedTuple):
    """A curve of a drawing."""

    label: str
    color: int
    curve: Curve
    spread: np.ndarray | None = None
    """The standard deviation over seeds at each point, None for a single seed."""


def drawings_of(record: Record) -> list[Drawing]:
    """Returns the curves of a run, with a line at each step that has a finding."""
    curves, spreads = read(record.rows)
    score = score_name(record)
    shares = [k for k, x in curves.items() if x.values.min() >= 0 >= x.values.max() - 1]
    marks = [x["step"] for x in record.findings]
    shown = []
    for panel in panels(list(curves), score, shares):
        lines = [
            Line(label, number % SERIES, curves[name], spreads.get(name))
            for number, (name, label) in enumerate(panel.names.items())
        ]
        shown.append(draw(panel.title, lines, marks))
    return shown[:MOST]


def overlaid(records: Sequence[Record], names: Sequence[str]) -> list[Drawing]:
    """Returns one drawing per metric, with a curve per run.

    Args:
      records: the runs.
      names: their labels.
    """
    read_all = [read(record.rows) for record in records]
    metrics = list(dict.fromkeys(name for curves, _ in read_all for name in curves))
    chosen = [m for panel in panels(metrics) for m in panel.names]
    shown = []
    for metric in chosen:
        lines = [
            Line(name, number % SERIES, curves[metric], spreads.get(metric))
            for number, (name, (curves, spreads)) in enumerate(
                zip(names, read_all, strict=True)
            )
            if metric in curves
        ]
        shown.append(draw(_title(metric), lines, ()))
    return shown[:MOST]


def _title(metric: str) -> str:
    """Returns the title of a drawing of one metric."""
    return metric.removeprefix("eval/").replace("/", " ").replace("_", " ")


def read(
    rows: Sequence[dict[str, Any]],
) -> tuple[dict[str, Curve], dict[str, np.ndarray]]:
    """Returns the curve of each metric, and its spread over several seeds."""
    points: dict[str, list[tuple[int, float, float]]] = {}
    for row in rows:
        spread = row.get("std")
        spread = spread if isinstance(spread, dict) else {}
        for name, value in row.items():
            if _is_number(value):
                deviation = spread.get(name, 0.0)
                deviation = deviation if _is_number(deviation) else 0.0
                points.setdefault(name, []).append((row["step"], value, deviation))
    curves, spreads = {}, {}
    for name, found in points.items():
        steps, values, deviations = np.array(found, float).T
        curves[name] = Curve(steps, values)
        if deviations.any():
            spreads[name] = deviations
    return curves, spreads


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # Larger integers than floats are no metrics.
    return is_number and abs(value) < 1e300 and value == value


def score_name(record: Record) -> str:
    """Returns the name of the metric that is the score, "" if it is not known."""
    rows = [x for x in record.rows if isinstance(x.get("score"), int | float)]
    names = [k.removeprefix("eval/") for x in rows[:1] for k in x if k[:5] == "eval/"]
    for name in names:
        if all(row.get(f"eval/{name}") == row["score"] for row in rows):
            return name
    # A score that is the only metric has no curve of its own.
    metrics = str(record.flags.get("eval_metrics", ""))
    first = re.match(r"[a-z_]+", metrics)
    return first[0] if first and metrics != "auto" else ""


def draw(title: str, lines: Sequence[Line], marks: Sequence[int]) -> Drawing:
    """Draws curves over the steps.

    Args:
      title: of the panel, which decides about its scale.
      lines: the curves, at least one.
      marks: steps with a vertical line.
    """
    figure = new_figure(figsize=SIZE, layout="none")
    axis = figure.add_axes((0.105, 0.13, 0.88, 0.83))
    few = title in FEW or all(len(line.curve.steps) < 40 for line in lines)
    for line in lines:
        _add(axis, line, few=few)
    for step in sorted(set(marks)):
        axis.axvline(step, color=MARK, linewidth=1, linestyle=(0, (3, 2)))
    set_scale(axis, [line.curve.values for line in lines], title)
    _style(axis)
    keys = [Key(line.label, line.color) for line in lines]
    return Drawing(title, as_svg(figure), keys)


def _add(axis: Any, line: Line, *, few: bool) -> None:
    """Adds a curve: its values pale, and their running median on top."""
    color, (steps, values) = _color(line.color), line.curve
    if line.spread is not None:
        low, high = values - line.spread, values + line.spread
        axis.fill_between(steps, low, high, color=color, alpha=0.15, linewidth=0)
    if few:
        axis.plot(steps, values, ".-", color=color, linewidth=1.5, markersize=5)
        return
    thinned = _thinned(line.curve)
    axis.plot(*thinned, color=color, alpha=0.3, linewidth=0.7)
    axis.plot(*smoothed(line.curve, most=POINTS // 2), color=color, linewidth=1.6)


def _thinned(curve: Curve) -> Curve:
    """Returns at most `POINTS` points: the extremes of equal parts, in order."""
    if len(curve.steps) <= POINTS:
        return curve
    parts = np.array_split(np.arange(len(curve.steps)), POINTS // 2)
    kept = {i for part in parts for i in _extremes(part, curve.values)}
    places = sorted(kept)
    return Curve(curve.steps[places], curve.values[places])


def _extremes(places: np.ndarray, values: np.ndarray) -> Iterator[int]:
    part = values[places]
    yield int(places[part.argmin()])
    yield int(places[part.argmax()])


def _style(axis: Any) -> None:
    axis.grid(color=GRID, linewidth=0.6)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.spines["bottom"].set_color(GRID)
    axis.patch.set_alpha(0)
    axis.tick_params(colors=INK, labelsize=8.5, length=0, which="both")
    axis.xaxis.set_major_formatter("{x:,.0f}")
    axis.margins(x=0.02)
    axis.locator_params(axis="x", nbins=6, integer=True)
    axis.xaxis.grid(False)
    if axis.get_yscale() == "linear":
        axis.locator_params(axis="y", nbins=5, min_n_ticks=4)


def _color(number: int) -> str:
    """Returns the color that stands for that of a series."""
    return f"#0a0b{number + 0x10:02x}"


VARIABLES = {
    INK: "var(--muted)",
    GRID: "var(--line)",
    MARK: "var(--bad)",
    **{_color(i): f"var(--series-{i})" for i in range(SERIES)},
}
"""Variables of the page by the colors that stand for them."""


def as_svg(figure: Any) -> str:
    """Returns a figure as an `<svg>` element, whose text stays text."""
    import matplotlib

    file = io.StringIO()
    settings: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "jaxgan",
        "font.family": ["sans-serif"],
    }
    # Without metadata, whose RDF would not be HTML.
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with matplotlib.rc_context(settings):
        figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # Matplotlib's own fonts are not those of the page.
    text = re.sub(r"font: [\d.]+px [^;\"]*", _font, text)
    pattern = re.compile("|".join(map(re.escape, VARIABLES)))
    text = pattern.sub(lambda found: VARIABLES[found[0]], text)
    # The size is that of the page, the ratio of the sides that of the drawing.
    return re.sub(r'<svg ([^>]*?)width="[^"]*"', r"<svg \1", text, count=1).replace(
        ' height="', ' data-height="', 1
    )


def _font(found: re.Match) -> str:
    size = found[0].split()[1]
    return f"font: {size} var(--font)"

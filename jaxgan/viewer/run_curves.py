"""The curves of runs as Bokeh plots."""

# Type checkers do not know the constructors of Bokeh's models.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportCallIssue=false

from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, Span
from bokeh.models.layouts import Column

from jaxgan.reporting.plots import FEW, Panel
from jaxgan.viewer import page
from jaxgan.viewer.run_data import RunCurves, panels_of, thinned

DASHES = ("solid", "dashed", "dotted", "dotdash", "dashdot")
"""Of the runs, if several are compared and a panel has several metrics."""

BAD = "#d1242f"
"""Color of findings."""


class Curves:
    """The plots of curves, which are filled again while runs train.

    Args:
      colors: of the page.
    """

    def __init__(self, colors: page.Colors) -> None:
        self._colors = colors
        self._sources: dict[tuple[str, str, str], tuple[Any, Any]] = {}
        self._spans: dict[str, set[tuple[str, int]]] = {}
        self.plots: dict[str, Any] = {}
        self.layout = Column(name="curves", sizing_mode="stretch_width")

    def show(self, runs: Sequence[RunCurves], *, anew: bool) -> None:
        """Shows the curves of runs.

        Args:
          runs: the runs.
          anew: True if these are other runs than before.
        """
        listed = panels_of(runs)
        if anew or [panel.title for panel in listed] != list(self.plots):
            self._make(listed, runs)
        for panel in listed:
            plot = self.plots[panel.title]
            for number, run in enumerate(runs):
                self._fill(plot, panel, run, number, len(runs))
                self._mark(plot, panel, run)

    def _make(self, listed: list[Panel], runs: Sequence[RunCurves]) -> None:
        self._sources.clear()
        self._spans.clear()
        self.plots = {}
        first = None
        for panel in listed:
            more: dict[str, Any] = {"x_range": first.x_range} if first else {}
            plot = page.plot(
                panel.title,
                tools="xpan,xwheel_zoom,box_zoom,reset,save",
                height=185,
                sizing_mode="stretch_width",
                y_axis_type="log" if self._is_log(panel, runs) else "linear",
                name=f"curves {panel.title}",
                **more,
            )
            plot.xaxis.formatter.update(use_scientific=False)  # type: ignore
            first = first or plot
            self.plots[panel.title] = plot
        if first is None:
            self.layout.children = [page.note("There are no metrics yet.")]
            return
        self.layout.children = list(self.plots.values())

    def _is_log(self, panel: Panel, runs: Sequence[RunCurves]) -> bool:
        """Returns True if positive values span decades."""
        values = [
            run.curves[name].values
            for run in runs
            for name in panel.names
            if name in run.curves
        ]
        joined = np.concatenate(values)
        if panel.title not in ("gradient norm", "terms", "evaluation"):
            return False
        return bool((joined > 0).all() and joined.max() > 30 * joined.min())

    def _fill(
        self, plot: Any, panel: Panel, run: RunCurves, number: int, runs: int
    ) -> None:
        """Draws the curves of a run in a panel, or fills them again."""
        for place, (name, label) in enumerate(panel.names.items()):
            if name not in run.curves:
                continue
            pale, line = thinned(run.curves[name])
            key = panel.title, name, run.name
            if key not in self._sources:
                self._sources[key] = self._draw(
                    plot, panel, label, run.name, place, number, runs
                )
            for source, curve in zip(self._sources[key], (pale, line), strict=True):
                source.data = {"step": curve.steps, "value": curve.values}

    def _draw(
        self,
        plot: Any,
        panel: Panel,
        label: str,
        run: str,
        place: int,
        number: int,
        runs: int,
    ) -> tuple[Any, Any]:
        """Adds two lines to a panel, and returns their sources."""
        more = self._colors.more
        if runs == 1:
            players = {"generator": self._colors.fake, "discriminator": more[0]}
            color, dash = players.get(label, more[place % len(more)]), "solid"
            text = label
        else:
            color = more[number % len(more)]
            dash = DASHES[place % len(DASHES)]
            text = run if len(panel.names) == 1 else f"{run}: {label}"
        text = text if len(text) <= 60 else f"{text[:57]}..."
        sources = ColumnDataSource(EMPTY), ColumnDataSource(EMPTY)
        style = {"line_color": color, "line_dash": dash}
        plot.line("step", "value", source=sources[0], line_alpha=0.25, **style)
        line = plot.line(
            *("step", "value"),
            source=sources[1],
            line_width=1.8,
            legend_label=text,
            **style,
        )
        if panel.title in FEW:
            plot.scatter("step", "value", source=sources[0], color=color, size=5)
        tips = [("step", "@step{0,0}"), ("value", "@value{0.0000}")]
        plot.add_tools(HoverTool(renderers=[line], tooltips=tips, mode="vline"))
        plot.legend.click_policy = "hide"
        plot.legend.location = "top_right"
        return sources

    def _mark(self, plot: Any, panel: Panel, run: RunCurves) -> None:
        """Draws a line at each step at which the monitor found something."""
        marked = self._spans.setdefault(panel.title, set())
        for finding in run.findings[-50:]:
            key = run.name, int(finding["step"])
            if key not in marked:
                marked.add(key)
                plot.add_layout(
                    Span(
                        location=key[1],
                        dimension="height",
                        line_color=BAD,
                        line_dash="dashed",
                        line_alpha=0.8,
                    )
                )


EMPTY: dict[str, list[float]] = {"step": [], "value": []}
"""A curve without points."""

"""The plots and the sentence of a game of the lab."""

# Type checkers do not know the constructors of Bokeh's models.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportCallIssue=false

from typing import Any

import numpy as np
from bokeh.models import (
    Arrow,
    ColumnDataSource,
    Div,
    FreehandDrawTool,
    LinearColorMapper,
    Range1d,
    VeeHead,
)

from jaxgan.viewer import lab_data, page
from jaxgan.viewer.lab_controls import Controls
from jaxgan.viewer.lab_game import ARROWS, SHOWN
from jaxgan.viewer.lab_worker import View

THINNED = 300
"""Maximum number of points of a curve."""


class GameView:
    """The plots and the sentence of a game.

    Args:
      name: of the game, `a` or `b`.
      title: in words.
      colors: of the page.
    """

    def __init__(self, name: str, title: str, colors: page.Colors) -> None:
        self.colors = colors
        self.title = Div(text=page.words(title, tag="h2"), sizing_mode="stretch_width")
        self.say = Div(sizing_mode="stretch_width", name=f"say_{name}")
        self.facts = Div(sizing_mode="stretch_width", name=f"facts_{name}")
        self._sources()
        axes = {"x_range": Range1d(-1.5, 1.5), "y_range": Range1d(-1.5, 1.5)}
        # The area is square, as distances must not look different in x and y.
        self.plane = page.plot(
            tools="pan,wheel_zoom,reset,save",
            aspect_ratio=1.04,
            sizing_mode="scale_width",
            name=f"plane_{name}",
            **axes,
        )
        self._draw_plane()
        self.curves = self._draw_curves()
        self.controls: Controls | None = None
        self.layout: Any = None

    def _sources(self) -> None:
        empty: list[float] = []
        pair = {"x": empty, "y": empty}
        self.real, self.fake = ColumnDataSource({**pair}), ColumnDataSource({**pair})
        ends = {name: empty for name in ("x0", "y0", "x1", "y1")}
        self.arrows = ColumnDataSource(ends)
        self.surface = ColumnDataSource({"image": [], "low": [], "side": []})
        names = ("step", "d", "g")
        # One row, as axes without any would be undefined.
        self.rows = ColumnDataSource({name: [0.0] for name in names})
        self.strokes = ColumnDataSource({"xs": [], "ys": []})

    def _draw_plane(self) -> None:
        plane, colors = self.plane, self.colors
        mapper = LinearColorMapper(palette=page.diverging(colors), low=-1.0, high=1.0)
        plane.image(
            *("image", "low", "low", "side", "side"),
            source=self.surface,
            color_mapper=mapper,
            level="image",
        )
        plane.grid.visible = False
        style = {"line_color": None, "size": 4}
        points = {"fill_color": colors.real, "fill_alpha": 0.55, **style}
        plane.scatter("x", "y", source=self.real, legend_label="data", **points)
        head = VeeHead(size=5, fill_color=colors.ink, line_color=colors.ink)
        plane.add_layout(
            Arrow(
                end=head,
                source=self.arrows,
                **{f"{axis}_{end}": f"{axis}{i}" for axis in "xy" for i, end in ENDS},
                line_color=colors.ink,
                line_alpha=0.55,
            )
        )
        style = {"line_color": colors.card, "line_width": 0.5, "size": 6}
        points = {"fill_color": colors.fake, "fill_alpha": 0.9, **style}
        plane.scatter("x", "y", source=self.fake, legend_label="samples", **points)
        plane.legend.location = "top_left"
        lines = plane.multi_line(
            "xs", "ys", source=self.strokes, line_color=colors.real, line_width=3
        )
        self.pen = FreehandDrawTool(
            renderers=[lines], num_objects=lab_data.MOST_STROKES
        )

    def _draw_curves(self) -> Any:
        curves = page.plot(height=140, sizing_mode="stretch_width", min_border=2)
        style = {"source": self.rows, "line_width": 1.5}
        colors = self.colors
        curves.line("step", "d", legend_label="loss of D", color=colors.real, **style)
        curves.line("step", "g", legend_label="loss of G", color=colors.fake, **style)
        curves.legend.location = "top_right"
        curves.legend.orientation = "horizontal"
        return curves

    def update(self, view: View) -> None:
        """Shows a new picture of the game."""
        plane, seen, now = view.plane, view.seen, view.numbers
        self.say.text = page.words(view.sentence, kind="say", live=True)
        modes = "modes" if now.has_modes else "places"
        self.facts.text = page.words(
            f"step {now.step:,} | {now.covered}/{now.total} {modes} | "
            f"{now.quality:.0%} of samples on the data | D(real) {now.real:.2f}, "
            f"D(fake) {now.fake:.2f} | pull {now.gain:.1%} of D's slope",
            kind="soft",
        )
        points = plane.points[:SHOWN]
        self.real.data = {"x": points[:, 0], "y": points[:, 1]}
        fakes = np.nan_to_num(seen["samples"])
        self.fake.data = {"x": fakes[:SHOWN, 0], "y": fakes[:SHOWN, 1]}
        self.arrows.data = arrows(fakes, seen, plane.extent)
        low, side = [-plane.extent], [2 * plane.extent]
        self.surface.data = {"image": [centered(seen)], "low": low, "side": side}
        if view.rows:
            self.rows.data = curve_columns(view.rows)

    def set_extent(self, extent: float) -> None:
        """Sets the axes."""
        for axis in (self.plane.x_range, self.plane.y_range):
            axis.update(start=-extent, end=extent)


ENDS = ((0, "start"), (1, "end"))
"""Numbers of the ends of an arrow, and Bokeh's words for them."""


def arrows(
    fakes: np.ndarray, seen: dict[str, np.ndarray], extent: float
) -> dict[str, np.ndarray]:
    """Returns the ends of arrows: a pull of D's largest slope is a fifth of the axes.

    Args:
      fakes: the samples, `[n, 2]`.
      seen: what `lab_game.observe` returned.
      extent: of the axes.
    """
    pull, start = np.nan_to_num(seen["arrows"]), fakes[:ARROWS]
    unit = max(float(np.nan_to_num(np.percentile(seen["slopes"], 90))), 1e-9)
    length = np.linalg.norm(pull, axis=1, keepdims=True) / unit
    # Longer ones are cut.
    way = 0.2 * extent * pull / unit * np.minimum(1, 1 / np.maximum(length, 1e-9))
    end = start + way
    return {"x0": start[:, 0], "y0": start[:, 1], "x1": end[:, 0], "y1": end[:, 1]}


def centered(seen: dict[str, np.ndarray]) -> np.ndarray:
    """Returns D's surface for colors from -1 (fake) over 0 to 1 (real).

    0 is the middle of the mean logits of data and samples, where D is undecided,
    whatever the loss makes of logits. Each side has a scale of its own.
    """
    middle = (float(seen["real"]) + float(seen["fake"])) / 2
    surface = np.nan_to_num(seen["surface"] - middle).astype(np.float32)
    for sign in (1, -1):
        side = sign * surface > 0
        if side.any():
            scale = np.percentile(np.abs(surface[side]), 90)
            surface[side] /= max(float(scale), 1e-6)
    return surface


def curve_columns(rows: list[dict[str, float]]) -> dict[str, list[float]]:
    """Returns the losses of both players by step, thinned evenly."""
    stride = -(-len(rows) // THINNED) or 1
    kept = rows[::stride] if len(rows) % stride == 1 else [*rows[::stride], *rows[-1:]]
    names = {"d": "discriminator/loss", "g": "generator/loss", "step": "step"}
    return {k: [row.get(name, np.nan) for row in kept] for k, name in names.items()}

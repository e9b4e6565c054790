"""The page of the lab: one or two games, side by side."""

import threading
from typing import Any

import numpy as np
from bokeh.document import Document
from bokeh.models import (
    Arrow,
    Button,
    CheckboxGroup,
    ColumnDataSource,
    Div,
    FreehandDrawTool,
    LinearColorMapper,
    Range1d,
    Row,
    Select,
    Slider,
    Toggle,
    VeeHead,
)

from jaxgan.viewer import lab_data, page
from jaxgan.viewer.lab_controls import Controls
from jaxgan.viewer.lab_game import ARROWS, COMPARED, SHOWN, Settings
from jaxgan.viewer.lab_worker import MOST_STEPS, View, Worker

MOST_LABS = 4
"""Maximum number of pages of the lab that are open at the same time."""

PERIOD = 150
"""Milliseconds between two looks at the games."""

THINNED = 300
"""Maximum number of points of a curve."""

HELP = (
    "Blue points are data and orange ones are samples of the generator. The surface "
    "is D: blue where it takes points for real, orange where it takes them for fakes. "
    "An arrow is the way on which G's loss pulls a sample; its length is the strength "
    "of the pull, in units of D's slope."
)

open_labs = threading.BoundedSemaphore(MOST_LABS)


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


class Lab:
    """A page of the lab in a browser."""

    def __init__(self, doc: Document) -> None:
        self._doc, self._version = doc, -1
        colors = page.colors(doc)
        self._views = [
            GameView("a", "Relativistic loss with R1 and R2", colors),
            GameView("b", "The tutorials' minimax loss", colors),
        ]
        self._plane = lab_data.plane_set("ring8")
        self._alone = page.argument(doc, "games") == "1"
        # Alone, the library's defaults, with one step of D for one of G.
        self._rules = [Settings() if self._alone else COMPARED[0], COMPARED[1]]
        self._make_widgets()
        self._worker = Worker(self._shown_rules(), self._plane)
        for number, view in enumerate(self._views):
            view.controls = Controls(
                self._rules[number], self._setter(number), "ab"[number]
            )
            view.layout = page.card(
                *(view.title, view.say, view.plane, view.facts, view.curves),
                view.controls.layout,
                max_width=680,
            )
        self._views[1].layout.visible = len(self._shown_rules()) > 1
        games = Row(
            *(view.layout for view in self._views),
            name="games",
            sizing_mode="stretch_width",
            spacing=12,
        )
        page.finish(
            doc,
            *("lab", "Lab", [self._panel(), games]),
            "Trained on this machine by jaxgan's own train step, several steps in one "
            "compiled call.",
        )
        self._set_plane(self._plane)
        self._worker.start()
        doc.add_periodic_callback(self._look, PERIOD)

    def close(self) -> None:
        """Ends the games."""
        self._worker.close()

    def _make_widgets(self) -> None:
        wide: dict[str, Any] = {"sizing_mode": "stretch_width"}
        names = [*lab_data.SETS, ("drawn", "drawn with the mouse")]
        self.data = Select(title="Data", options=names, value="ring8", **wide)
        self.play = Toggle(label="Play", button_type="primary", name="play", **wide)
        self.speed = Slider(
            title="Steps per picture",
            start=1,
            end=MOST_STEPS,
            value=10,
            name="speed",
            **wide,
        )
        self.shown = CheckboxGroup(
            labels=["Compare two games", "Show G's moving average"],
            active=[1] if self._alone else [0, 1],
        )
        self.status = Div(name="status", **wide)
        self.clear = Button(label="Clear the drawing", visible=False, **wide)
        page.watch(self.data, "value", self._choose_data)
        page.watch(self.play, "active", self._set_playing)
        page.watch(self.speed, "value", self._set_speed)
        page.watch(self.shown, "active", self._set_shown)
        self.clear.on_click(lambda: self._clear())
        strokes = self._views[0].strokes
        page.watch(strokes, "data", self._use_drawing)

    def _panel(self) -> Any:
        def button(label, action):
            made = Button(label=label, sizing_mode="stretch_width")
            made.on_click(action)
            return made

        def step(player=None):
            self.play.active = False
            self._worker.step(player)

        steps = Row(
            button("1 step", lambda: step()),
            button("1 of D", lambda: step("discriminator")),
            button("1 of G", lambda: step("generator")),
            sizing_mode="stretch_width",
        )
        return page.card(
            Div(text=page.words("GAN lab", tag="h2")),
            self.data,
            self.clear,
            self.play,
            steps,
            self.speed,
            self.shown,
            button("Restart with new networks", self._worker.restart),
            self.status,
            page.note(HELP),
            name="panel",
        )

    def _setter(self, number: int) -> Any:
        def changed(settings: Settings) -> None:
            self._rules[number] = settings
            heading = f"Loss: {settings.loss}, terms: {settings.d_terms or 'none'}"
            self._views[number].title.text = page.words(heading, tag="h2")
            self._worker.set_games(self._shown_rules())

        return changed

    def _shown_rules(self) -> list[Settings]:
        return self._rules if 0 in self.shown.active else self._rules[:1]

    def _set_playing(self) -> None:
        self._worker.playing = self.play.active
        self.play.label = "Pause" if self.play.active else "Play"
        if not self.play.active:
            self._worker.redraw()

    def _set_speed(self) -> None:
        self._worker.speed = int(self.speed.value)

    def _set_shown(self) -> None:
        both = 0 in self.shown.active
        self._worker.average = 1 in self.shown.active
        if both != self._views[1].layout.visible:
            self._views[1].layout.visible = both
            self._worker.set_games(self._shown_rules())
        else:
            self._worker.redraw()

    def _set_plane(self, plane: lab_data.PlaneSet) -> None:
        self._plane = plane
        for view in self._views:
            view.set_extent(plane.extent)

    def _choose_data(self) -> None:
        drawing, tools = self.data.value == "drawn", self._views[0].plane.toolbar
        pen = self._views[0].pen
        self.clear.visible = drawing
        if drawing:
            if pen not in tools.tools:
                tools.tools = [*tools.tools, pen]
            tools.active_drag = pen
            self._use_drawing()
            return
        tools.active_drag = None
        tools.tools = [tool for tool in tools.tools if tool is not pen]
        self._views[0].strokes.data = {"xs": [], "ys": []}
        plane = lab_data.plane_set(str(self.data.value))
        self._set_plane(plane)
        self._worker.set_plane(plane)

    def _use_drawing(self) -> None:
        if self.data.value != "drawn":
            return
        strokes = self._views[0].strokes.data
        try:
            plane = lab_data.drawn(strokes["xs"], strokes["ys"])
        except (ValueError, TypeError, KeyError) as error:
            self.status.text = page.words(str(error))
            for view in self._views:
                view.set_extent(1.5)
            return
        self._set_plane(plane)
        self._worker.set_plane(plane)

    def _clear(self) -> None:
        self._views[0].strokes.data = {"xs": [], "ys": []}

    def _look(self) -> None:
        """Shows the newest pictures."""
        version, views, status = self._worker.look()
        drawing = self.data.value == "drawn" and self._plane.name != "drawn"
        if not drawing:
            bad = "bad" if status.startswith("Not possible") else "soft"
            text = page.words(status, kind=bad, live=True)
            if text != self.status.text:
                self.status.text = text
        if self.play.active and not self._worker.playing:
            self.play.active = False
        if version == self._version:
            return
        self._version = version
        for mine, view in zip(self._views, views, strict=False):
            mine.update(view)


def lab_page(doc: Document) -> None:
    """Makes the page of the lab."""
    if not open_labs.acquire(blocking=False):
        text = f"{MOST_LABS} labs are open already: close one, and reload this page."
        full = page.card(page.note(text), name="panel")
        page.finish(doc, "lab", "Lab", [full], "")
        return
    try:
        lab = Lab(doc)
    except BaseException:
        open_labs.release()
        raise

    def closed(_: Any) -> None:
        lab.close()
        open_labs.release()

    doc.on_session_destroyed(closed)

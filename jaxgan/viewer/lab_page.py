"""The page of the lab: one or two games, side by side."""

# Type checkers do not know the constructors of Bokeh's models.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportCallIssue=false

import threading
from typing import Any

from bokeh.document import Document
from bokeh.models import (
    Button,
    CheckboxGroup,
    Div,
    Row,
    Select,
    Slider,
    Toggle,
)

from jaxgan.viewer import lab_data, page
from jaxgan.viewer.lab_controls import Controls
from jaxgan.viewer.lab_settings import COMPARED, Settings
from jaxgan.viewer.lab_view import GameView
from jaxgan.viewer.lab_worker import MOST_STEPS, Worker

MOST_LABS = 4
"""Maximum number of pages of the lab that are open at the same time."""

PERIOD = 150
"""Milliseconds between two looks at the games."""

HELP = (
    "Blue points are data and orange ones are samples of the generator. The surface "
    "is D: blue where it takes points for real, orange where it takes them for fakes. "
    "An arrow is the way on which G's loss pulls a sample; its length is the strength "
    "of the pull, in units of D's slope."
)

open_labs = threading.BoundedSemaphore(MOST_LABS)


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
        self.data = Select(
            title="Data", options=names, value="ring8", name="data", **wide
        )
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

"""The page of latents: seeds, truncation, interpolation and directions."""

# Type checkers do not know the constructors of Bokeh's models.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportCallIssue=false

import base64
import io
import json
import statistics
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from bokeh.document import Document
from bokeh.models import Button, CustomJS, Div, Row, Select, Slider, Spinner, TextInput
from PIL import Image

from jaxgan.evaluation import latent_directions, latent_paths
from jaxgan.viewer import background, catalogue, models, page
from jaxgan.viewer.picture_plot import PicturePlot

MOST_SEED = 2**31 - 1
KEPT = 20
"""Moves whose time is in the page's foot."""

MODES = {
    "seeds": "seeds in turn",
    "blend": "between picked samples",
    "directions": "along the first directions",
}
"""Pictures that can be drawn."""

SAVE = """
const link = document.createElement("a");
link.href = cb_obj.tags[0];
link.download = cb_obj.tags[1];
if (link.href) link.click();
"""
"""Downloads what the server put into the tags of a button."""


MOVED = "window.jaxgan_moved = window.jaxgan_moved ?? performance.now();"
SEEN = """
const since = window.jaxgan_moved;
if (since === undefined) return;
window.jaxgan_moved = undefined;
requestAnimationFrame(() => requestAnimationFrame(() => {
  const wait = Math.round(performance.now() - since);
  seen.text = `<p class="soft">on the screen ${wait} ms after the move</p>`;
}));
"""
"""Measures in the browser how long a move takes."""


class LatentsPage:
    """A page of latents in a browser.

    Args:
      doc: its document.
      find: returns the runs by name.
      imports: modules that runs may import, separated by commas.
    """

    def __init__(
        self,
        doc: Document,
        find: Callable[[], dict[str, catalogue.Listed]],
        imports: str,
    ) -> None:
        self._doc, self._runs, self._imports = doc, find(), imports
        self._explorer: models.Explorer | None = None
        self._times: deque[float] = deque(maxlen=KEPT)
        self._picked: list[int] = []
        self._seeds: list[int] = []
        self.picture = PicturePlot(page.colors(doc), "latents", self._pick)
        self._make_widgets(doc)
        self._controls = self._controls_card()
        shown = page.card(
            *(self.state, self.picture.plot, self.told, self.foot, self.seen),
            name="picture",
        )
        foot = "Pictures are drawn on this machine from the newest checkpoint."
        page.finish(doc, "latents", "Latents", [self._controls, shown], foot)
        self._open()

    def _make_widgets(self, doc: Document) -> None:
        wide: dict[str, Any] = {"sizing_mode": "stretch_width"}
        names, asked = list(self._runs), page.argument(doc, "run")
        first = asked if asked in self._runs else (names or [""])[0]
        self.run = Select(title="Run", options=names, value=first, **wide)
        self.mode = Select(title="Show", options=list(MODES.items()), value="seeds")
        self.mode.update(name="mode", **wide)
        self.seed = Spinner(
            title="First seed", low=0, high=MOST_SEED, value=0, name="seed", **wide
        )
        self.label = Select(title="Label", options=[], visible=False, **wide)
        self.truncation = Slider(
            title="Truncation", start=0, end=1.5, step=0.01, value=1, name="truncation"
        )
        self.truncation.update(**wide)
        self.picks = TextInput(
            title="Picked seeds, two or four (or click samples)", name="picks", **wide
        )
        self.across, self.down = (
            Slider(title=name, start=0, end=1, step=0.01, value=0.5, **wide)
            for name in ("Left to right", "Top to bottom")
        )
        self.ways = [
            Slider(
                title=f"Direction {i + 1}",
                start=-4,
                end=4,
                step=0.05,
                value=0,
                name=f"direction{i + 1}",
                **wide,
            )
            for i in range(latent_directions.DIRECTIONS)
        ]
        self.state, self.told, self.foot = Div(**wide), Div(**wide), Div(**wide)
        self.foot.name = "foot"
        self.saves = [self._save_button(x) for x in ("Save picture", "Save seed list")]
        page.watch(self.run, "value", self._open)
        moves = (self.mode, self.seed, self.label, self.truncation, self.picks)
        self.seen = Div(text=page.words("", kind="soft"), name="seen", **wide)
        for widget in (*moves, self.across, self.down, *self.ways):
            page.watch(widget, "value", self._move)
            widget.js_on_change("value", CustomJS(code=MOVED))
        shown = CustomJS(args={"seen": self.seen}, code=SEEN)
        self.picture.source.js_on_change("data", shown)

    def _save_button(self, text: str) -> Button:
        """Returns a button that downloads its tags: an address and a file's name."""
        button = Button(label=text, sizing_mode="stretch_width", tags=["", ""])
        button.js_on_event("button_click", CustomJS(code=SAVE.replace("cb_obj", "b")))
        callback = button.js_event_callbacks["button_click"][0]
        callback.args = {"b": button}
        return button

    def _controls_card(self) -> Any:
        reset = Button(label="Directions to 0", sizing_mode="stretch_width")
        reset.on_click(self._reset)
        other = Button(label="Other seeds", sizing_mode="stretch_width")
        other.on_click(self._other)
        return page.card(
            Div(text=page.words("Latents", tag="h2")),
            *(self.run, self.mode, Row(self.seed, sizing_mode="stretch_width"), other),
            *(self.label, self.truncation),
            *(self.picks, self.across, self.down),
            *(*self.ways, reset),
            Row(*self.saves, sizing_mode="stretch_width"),
            page.note(
                "Truncation moves the output of the generator's first layer towards "
                "its mean: 0 is one sample for all. Directions are principal "
                "components of that output, in standard deviations."
            ),
            name="controls",
        )

    def _open(self) -> None:
        """Opens the chosen run in a thread."""
        listed = self._runs.get(str(self.run.value))
        self._explorer = None
        self._times.clear()
        if listed is None:
            self._say("There are no runs to show.")
            return
        self._say(f"Reading the newest checkpoint of {listed.name} ...")

        def work() -> models.Explorer:
            step = models.newest_step(listed)
            explorer = models.open_run(listed, step, self._imports).explorer
            # Compiled here, so that the first move is as fast as the others.
            z = explorer.latents(list(range(models.SHOWN)))
            explorer.images(z)
            return explorer

        def opened(explorer: models.Explorer) -> None:
            self._explorer = explorer
            self.label.options = [
                (str(i), name) for i, name in enumerate(explorer.classes)
            ]
            self.label.visible = bool(explorer.classes)
            if explorer.classes and not self.label.value:
                self.label.value = "0"
            for number, slider in enumerate(self.ways):
                slider.visible = number < len(explorer.directions)
            runs = explorer.run.config.runs
            which = f", run {explorer.run.number} of {runs}" if runs > 1 else ""
            self._say(
                f"{listed.name}{which}, checkpoint of step {explorer.step:,}, moving "
                f"average; latents of {explorer.dim} numbers"
            )
            self._move()

        background.run(self._doc, work, opened, lambda x: self._say(x, kind="bad"))

    def _latents(self, explorer: models.Explorer) -> tuple[np.ndarray, list[int]]:
        """Returns the latents to draw, `[SHOWN, dim]`, and the seeds they come from."""
        first = int(min(max(self.seed.value or 0, 0), MOST_SEED - models.SHOWN))
        seeds = list(range(first, first + models.SHOWN))
        ways = explorer.directions
        if self.mode.value == "blend":
            picked = self._corners() or seeds[:4]
            corners = explorer.latents(picked)
            places = blend_places(len(corners))
            places[0] = float(self.across.value), float(self.down.value)
            return np.stack(
                [latent_paths.blend_corners(corners, *p) for p in places]
            ), picked
        if self.mode.value == "directions":
            one = explorer.latents(seeds[:1])[0]
            rows = min(4, len(ways))
            steps = np.linspace(-3, 3, models.SHOWN // 4)
            made = [one + s * ways[row] for row in range(rows) for s in steps]
            made += [one] * (models.SHOWN - len(made))
            return np.stack(made), seeds[:1]
        return explorer.latents(seeds), seeds

    def _corners(self) -> list[int]:
        """Returns the picked seeds: two or four; none if fewer are typed."""
        texts = self.picks.value[:200].replace(",", " ").split()
        seeds = [int(x) for x in texts if x.isascii() and x.isdecimal()]
        seeds = [seed for seed in seeds if seed <= MOST_SEED][-4:]
        return seeds[: len(seeds) // 2 * 2]

    def _move(self) -> None:
        """Draws the picture of the widgets."""
        explorer = self._explorer
        if explorer is None:
            return
        started = time.perf_counter()
        z, self._seeds = self._latents(explorer)
        steps = {i: float(x.value) for i, x in enumerate(self.ways)}
        label = int(self.label.value or 0) if explorer.classes else 0
        truncation = float(self.truncation.value)
        z = latent_directions.moved(z, steps, explorer.directions)
        label %= max(len(explorer.classes), 1)
        pixels, layout = explorer.picture(z, label, truncation)
        self.picture.show(pixels, layout)
        # The first sample between others is that of the sliders.
        self.picture.choose(0 if self.mode.value == "blend" else None)
        self._times.append(1e3 * (time.perf_counter() - started))
        self._show_notes(pixels, steps, truncation)

    def _show_notes(
        self, pixels: np.ndarray, steps: dict[int, float], truncation: float
    ) -> None:
        """Shows the seeds and the time, and fills the files to save."""
        last, median = self._times[-1], statistics.median(self._times)
        self.foot.text = page.words(
            f"drawn in {last:.0f} ms, median of the last {len(self._times)} moves "
            f"{median:.0f} ms ({models.SHOWN} samples)",
            kind="soft",
        )
        seeds = ", ".join(map(str, self._seeds))
        self.told.text = page.words(
            f"{MODES[str(self.mode.value)]}: {seeds}", live=True
        )
        listed = {
            "run": str(self.run.value),
            "step": self._explorer.step if self._explorer else 0,
            "shown": self.mode.value,
            "seeds": self._seeds,
            "truncation": truncation,
            "directions": [steps[i] for i in sorted(steps)],
            "label": self.label.value if self.label.visible else None,
        }
        png = io.BytesIO()
        Image.fromarray(pixels).save(png, format="PNG")
        text = json.dumps(listed, indent=1).encode()
        self.saves[0].tags = [_address("image/png", png.getvalue()), "samples.png"]
        self.saves[1].tags = [_address("application/json", text), "seeds.json"]

    def _pick(self, number: int) -> None:
        """Adds the seed of a clicked sample to the picked ones."""
        if self.mode.value != "seeds" or number >= len(self._seeds):
            return
        self._picked = [*self._picked, self._seeds[number]][-4:]
        self.picks.value = ", ".join(map(str, self._picked))
        self.picture.choose(number)

    def _reset(self) -> None:
        for slider in self.ways:
            slider.value = 0

    def _other(self) -> None:
        self.seed.value = (int(self.seed.value or 0) + models.SHOWN) % MOST_SEED

    def _say(self, text: str, kind: str = "soft") -> None:
        self.state.text = page.words(text, kind=kind, live=True)


def latents_page(
    doc: Document, *, find: Callable[[], dict[str, catalogue.Listed]], imports: str
) -> None:
    """Makes the page of latents, see `LatentsPage`."""
    LatentsPage(doc, find, imports)


def blend_places(corners: int) -> list[tuple[float, float]]:
    """Returns where samples between two or four corners are, after the first one.

    >>> blend_places(2)[1], blend_places(2)[-1], blend_places(4)[-1]
    ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))
    """
    if corners < 4:
        line = np.linspace(0, 1, models.SHOWN - 1)
        return [(0.0, 0.0), *((float(x), 0.0) for x in line)]
    side = np.linspace(0, 1, int(np.sqrt(models.SHOWN)))
    return [(float(x), float(y)) for y in side for x in side]


def _address(kind: str, content: bytes) -> str:
    """Returns an address that holds a file."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"

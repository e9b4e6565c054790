"""The page of runs: curves, samples through training, one sample, and flags."""

# Type checkers do not know the constructors of Bokeh's models.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportCallIssue=false

from collections.abc import Callable, Sequence
from typing import Any

from bokeh.document import Document
from bokeh.models import Button, Div, MultiSelect, Row, Select, Slider, Spinner

from jaxgan.config.resolve import make_config, to_dict
from jaxgan.errors import printable
from jaxgan.viewer import background, catalogue, close_examples, models, page
from jaxgan.viewer.picture_plot import PicturePlot, Strip
from jaxgan.viewer.run_curves import Curves
from jaxgan.viewer.run_data import (
    as_example,
    fake_part,
    history,
    load_picture,
    read_run,
    stamp,
    state_of,
    step_of,
    tile,
)

PERIOD = 2_000
"""Milliseconds between two looks at the files of runs."""

MOST_COMPARED = 6
"""Maximum number of runs that are compared."""

MOST_FINDINGS = 12
"""Maximum number of findings that are listed."""


class RunsPage:
    """A page of runs in a browser.

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
        self._doc, self._find, self._imports = doc, find, imports
        self._runs, self._stamps = find(), {}
        self._files: list[Any] = []
        colors = page.colors(doc)
        self.curves = Curves(colors)
        self.samples = PicturePlot(colors, "sampled", self._choose)
        self.past = Strip("This sample through training", "history")
        self.close = Strip("Nearest training examples, and their distance", "nearest")
        self._make_widgets(doc)
        self.parts = [self._choice_card(), self._samples_card(), self._curves_card()]
        foot = f"Runs that were found: {len(self._runs)}"
        page.finish(doc, "runs", "Runs", self.parts, foot)
        self._choose_runs()
        doc.add_periodic_callback(self._look, PERIOD)

    def _make_widgets(self, doc: Document) -> None:
        wide: dict[str, Any] = {"sizing_mode": "stretch_width"}
        names = list(self._runs)
        asked = [x for x in page.argument(doc, "run").split("|") if x in self._runs]
        few = asked or names[: 1 if len(names) != 2 else 2]
        # A native list: Bokeh's MultiChoice would render names as HTML.
        self.choice = MultiSelect(
            title="Runs (hold Ctrl or Shift to compare several)",
            options=names,
            value=few,
            size=4,
            height=120,
            name="choice",
            **wide,
        )
        self.again = Button(label="Look for new runs", width=150, align="end")
        self.state, self.findings = Div(**wide), Div(name="findings", **wide)
        self.shown = Select(title="Samples of", options=few, value=(few or [""])[0])
        self.step = Slider(
            title="Picture", start=0, end=1, value=0, name="through", **wide
        )
        self.place, self.said = Div(**wide), Div(name="said", **wide)
        self.number = Spinner(title="Sample", low=0, value=0, width=90, name="number")
        self.space = Select(
            title="Distance in",
            options=list(close_examples.SPACES),
            value=close_examples.SPACES[0],
            width=150,
        )
        self.search = Button(
            label="Nearest examples and D's score",
            align="end",
            name="search",
            width=230,
        )
        self.flags = Div(**wide)
        page.watch(self.choice, "value", self._choose_runs)
        page.watch(self.shown, "value", self._choose_shown)
        page.watch(self.step, "value", self._show_picture)
        page.watch(self.number, "value", self._show_sample)
        self.again.on_click(self._find_again)
        self.search.on_click(self._search)

    def _choice_card(self) -> Any:
        row = Row(self.choice, self.again, sizing_mode="stretch_width")
        return page.card(row, self.state, self.findings, name="choice")

    def _samples_card(self) -> Any:
        row = Row(self.number, self.space, self.search, sizing_mode="stretch_width")
        return page.card(
            Div(text=page.words("Samples of the same latents", tag="h2")),
            self.shown,
            *(self.step, self.place, self.samples.plot),
            page.note("Click a sample, or type its number, to follow it."),
            *(row, self.said, self.past.plot, self.close.plot),
            name="samples",
        )

    def _curves_card(self) -> Any:
        return page.card(
            Div(text=page.words("Curves", tag="h2")),
            self.curves.layout,
            Div(text=page.words("Flags", tag="h2")),
            self.flags,
            name="curves",
        )

    def _chosen(self) -> list[catalogue.Listed]:
        names = [x for x in self.choice.value if x in self._runs]
        return [self._runs[name] for name in names[:MOST_COMPARED]]

    def _find_again(self) -> None:
        self._runs = self._find()
        self.choice.options = list(self._runs)
        self._look()

    def _choose_runs(self) -> None:
        """Shows other runs."""
        chosen = self._chosen()
        names = [run.name for run in chosen]
        self._stamps = {}
        self._show_flags(chosen)
        self.shown.options = names
        if self.shown.value not in names:
            self.shown.value = names[0] if names else ""
        self._look(anew=True)

    def _show_flags(self, chosen: Sequence[catalogue.Listed]) -> None:
        configs = {run.name: run.config() for run in chosen}
        if len(chosen) > 1:
            rows = catalogue.differences(configs)
            head = ["flag that differs", *configs]
            none = "These runs have the same flags."
        else:
            usual = to_dict(make_config())
            rows = [
                row
                for config in configs.values()
                for row in catalogue.flags_of(config, usual)
            ]
            head, none = ["flag", "value, where it is not the default"], "No flags."
        text = page.table(rows, head) if rows else page.words(none, kind="soft")
        self.flags.text = text

    def _look(self, *, anew: bool = False) -> None:
        """Reads files that have changed."""
        chosen = self._chosen()
        stamps = {run.name: (stamp(run), len(run.pictures())) for run in chosen}
        if stamps != self._stamps or anew:
            self._stamps = stamps
            read = [read_run(run) for run in chosen]
            self.curves.show(read, anew=anew)
            found = [
                (x.get("step"), run.name, x.get("finding"))
                for run in read
                for x in run.findings[-MOST_FINDINGS:]
            ]
            rows = [[f"{step:,}", name, str(text)] for step, name, text in found]
            head = ["step", "run", "finding"]
            self.findings.text = page.table(rows, head) if rows else ""
            states = [
                state_of(run, data, int(run.config().get("steps") or 0))
                for run, data in zip(chosen, read, strict=True)
            ]
            text = "; ".join(states) or "No runs are chosen."
            self.state.text = page.words(text, kind="soft", live=True)
            self._choose_shown()

    def _choose_shown(self) -> None:
        """Shows the pictures of another run, or new ones."""
        run = self._runs.get(str(self.shown.value))
        files = run.pictures() if run else []
        if files == self._files:
            return
        # The slider follows the newest picture unless it was moved back.
        follow = self.step.value >= len(self._files) - 1 or not self._files
        self._files = files
        self.step.end = max(len(files) - 1, 1)
        self.step.disabled = len(files) < 2
        last = max(len(files) - 1, 0)
        value = last if follow else min(int(self.step.value), last)
        if value != self.step.value:
            self.step.value = value
        else:
            self._show_picture()
        self._show_sample()

    def _show_picture(self) -> None:
        """Shows the picture of the slider's step."""
        if not self._files:
            self.place.text = page.words("There are no pictures yet.", kind="soft")
            return
        file = self._files[min(int(self.step.value), len(self._files) - 1)]
        made = load_picture(file)
        if made is None:
            text = f"{file.name} cannot be read"
        else:
            self.samples.show(made.pixels, made.layout)
            text = f"step {step_of(file):,}"
            self.samples.choose(int(self.number.value or 0))
        self.place.text = page.words(text, live=True)

    def _choose(self, number: int) -> None:
        self.number.value = number

    def _show_sample(self) -> None:
        """Follows the chosen sample."""
        number = int(self.number.value or 0)
        self.samples.choose(number)
        past = history(self._files, number)
        self.past.show([cut for _, cut in past], [f"{step:,}" for step, _ in past])
        self.close.show([], [])
        self.said.text = ""

    def _search(self) -> None:
        """Looks for training examples near the sample, in a thread."""
        run = self._runs.get(str(self.shown.value))
        if run is None or not self._files:
            return
        file = self._files[min(int(self.step.value), len(self._files) - 1)]
        number, space = int(self.number.value or 0), str(self.space.value)
        if space not in close_examples.SPACES:
            return
        self.search.disabled = True
        self._say("Reading the checkpoint and the training examples ...")

        def work() -> Any:
            opened = models.open_run(run, models.newest_step(run), self._imports)
            made = load_picture(file)
            cut = made and tile(made, number)
            if made is None or cut is None:
                return "This picture has no such sample.", None
            part = fake_part(cut, made.columns)
            sample = as_example(part, opened.run.example.shape)
            if sample is None:
                return "Only gray and colored images can be compared.", None
            text = describe(close_examples.judge(opened, sample), step_of(file))
            return text, close_examples.nearest(opened, sample, space)

        background.run(self._doc, work, self._show_close, self._failed)

    def _show_close(self, result: Any) -> None:
        text, close = result
        self.search.disabled = False
        if close is not None:
            labels = [f"{distance:.3f}" for distance in close.distances]
            self.close.show(list(close.images), labels)
            numbers = ", ".join(f"{number:,}" for number in close.numbers)
            text += f" The nearest examples have the numbers {numbers}."
            if close.searched < close.size:
                text += f" Of {close.size:,} examples, {close.searched:,} were compared"
                text += ", spread evenly."
        self._say(text)

    def _failed(self, message: str) -> None:
        self.search.disabled = False
        self._say(message, kind="bad")

    def _say(self, text: str, kind: str = "") -> None:
        self.said.text = page.words(text, kind=kind, live=True)


def describe(said: close_examples.Said, step: int) -> str:
    """Returns D's score of a sample in words."""
    label = f" with label {printable(said.label)}" if said.label else ""
    return (
        f"D of step {said.step:,} gives this sample of step {step:,} the logit "
        f"{said.logit:.2f}{label}; compare it with the curves of mean logits."
    )


def runs_page(
    doc: Document, *, find: Callable[[], dict[str, catalogue.Listed]], imports: str
) -> None:
    """Makes the page of runs, see `RunsPage`."""
    RunsPage(doc, find, imports)

"""Where a run reports: console, metrics.jsonl, TensorBoard, pictures."""

import logging
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgan.errors import printable
from jaxgan.files import reason
from jaxgan.reporting.console import SHORT, Pace, format_line, update_pace
from jaxgan.reporting.images import Picture, save_png
from jaxgan.reporting.metrics_file import append, truncate_metrics
from jaxgan.reporting.plots import losses_plot
from jaxgan.reporting.progress import progress
from jaxgan.reporting.statistics import RunStatistics, run_statistics
from jaxgan.reporting.tensorboard import EventWriter
from jaxgan.workdir import writable

log = logging.getLogger("jaxgan")

ConsoleFn = Callable[[int, RunStatistics, Pace], None]


class MetricWriter(NamedTuple):
    """What a run tells; each is one sentence in the loop."""

    log: Callable[[int, Mapping[str, Any]], None]
    """`log(step, metrics)`: a line, the metrics file, and TensorBoard.

    A metric is a number, or one for each of several runs, `[runs]`.
    """
    note: Callable[[int, str, str], None]
    """`note(step, kind, text)`: a finding, on the console and in the same files."""
    preview: Callable[[int, Picture | np.ndarray], None]
    """`preview(step, picture)`: samples/step_XXXXXXXX.png, and TensorBoard."""
    start: Callable[[int], None]
    """`start(step)`: all is compiled, the clock of steps per second starts now."""


def null_writer() -> MetricWriter:
    """A report that tells nothing."""

    def nothing(*_: Any) -> None:
        pass

    return MetricWriter(log=nothing, note=nothing, preview=nothing, start=nothing)


@contextmanager
def open_metric_writer(
    workdir: str | Path,
    *,
    steps: int,
    batch_size: int,
    resume_step: int = 0,
    terminal: bool | None = None,
) -> Iterator[MetricWriter]:
    """Opens all places where the run of a workdir reports; closing draws its curves.

    What was told after `resume_step` is dropped, so that nothing is told twice.
    `batch_size` is the images per step. With `terminal` (by default, where stderr is
    one) a bar takes the place of the lines.
    """
    workdir = Path(workdir)
    with writable(workdir):
        (workdir / "samples").mkdir(exist_ok=True)
        _forget_after(workdir, resume_step)
    terminal = sys.stderr.isatty() if terminal is None else terminal
    bar = (
        _bar(steps, batch_size, resume_step) if terminal else _plain(steps, batch_size)
    )
    with closing(EventWriter(workdir, resume_step)) as events, bar as say:
        writers = _Writers(workdir, events, say, batch_size, resume_step)
        try:
            yield MetricWriter(
                writers.log, writers.note, writers.preview, writers.start_clock
            )
        finally:
            try:
                summarize(workdir)
            except Exception as error:  # what went before is the thing to tell
                log.warning("the run's curves could not be drawn: %s", reason(error))


class _Writers:
    """Writes rows, findings and pictures to all places where a run reports."""

    def __init__(
        self,
        workdir: Path,
        events: EventWriter,
        say: ConsoleFn,
        batch_size: int,
        step: int,
    ) -> None:
        self._workdir, self._events, self._say = workdir, events, say
        self._batch_size = batch_size
        self._pace = Pace(step, time.monotonic())

    def log(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Writes a row of metrics."""
        known = {"step": step, "images": step * self._batch_size}
        if step > self._pace.step:
            self._pace = update_pace(self._pace, step, time.monotonic())
            metrics = {**metrics, "steps_per_second": self._pace.rate}
        found = run_statistics(metrics)
        self._append({**known, **found.as_fields()})
        curves = {
            name: value
            for name, value in found.means.items()
            if name != "seconds" and math.isfinite(value)
        }
        self._events.write_scalars(step, curves)
        self._say(step, found, self._pace)

    def note(self, step: int, kind: str, text: str) -> None:
        """Writes a finding."""
        self._append({"step": step, "kind": kind, "finding": text})
        self._events.write_text(step, "findings", text)
        log.warning("%s", printable(text))

    def preview(self, step: int, picture: Picture | np.ndarray) -> None:
        """Writes a picture of samples."""
        if not isinstance(picture, Picture):
            picture = Picture(np.asarray(picture))
        path = self._workdir / "samples" / f"step_{step:08}.png"
        with writable(self._workdir):
            save_png(path, picture._replace(step=step))
        self._events.write_image(step, "samples", picture.pixels)

    def start_clock(self, step: int) -> None:
        """Starts the clock of steps per second: all is compiled."""
        self._pace = Pace(step, time.monotonic())

    def _append(self, row: Mapping[str, Any]) -> None:
        with writable(self._workdir):
            append(self._workdir / "metrics.jsonl", row)


def summarize(workdir: str | Path) -> None:
    """Draws progress.png and losses.png from what the workdir has so far."""
    workdir = Path(workdir)
    pixels = progress(sorted((workdir / "samples").glob("step_*.png")))
    if pixels is not None:
        save_png(workdir / "progress.png", pixels)
    if (workdir / "metrics.jsonl").exists():
        losses_plot(workdir / "metrics.jsonl", workdir / "losses.png")


def _forget_after(workdir: Path, step: int) -> None:
    truncate_metrics(workdir / "metrics.jsonl", step)
    for path in (workdir / "samples").glob("step_*.png"):
        number = path.stem.removeprefix("step_")
        if number.isascii() and number.isdigit() and int(number) > step:
            path.unlink()


@contextmanager
def _plain(steps: int, batch_size: int) -> Iterator[ConsoleFn]:
    last = -1

    def say(step: int, found: RunStatistics, pace: Pace) -> None:
        nonlocal last
        now = pace if step > last else None
        log.info(
            format_line(step, steps, found.means, now, batch_size, found.deviations)
        )
        last = step

    yield say


@contextmanager
def _bar(steps: int, batch_size: int, resume_step: int) -> Iterator[ConsoleFn]:
    """A bar at the foot of the terminal; log lines go above it, whole."""
    from tqdm import tqdm
    from tqdm.contrib.logging import logging_redirect_tqdm

    known: dict[str, float] = {}

    def say(step: int, found: RunStatistics, pace: Pace) -> None:
        means = found.means
        known.update((name, means[name]) for name in SHORT if name in means)
        bar.n = step
        bar.set_description_str(format_line(step, steps, known, pace, batch_size))

    with (
        tqdm(
            total=steps,
            initial=resume_step,
            desc=format_line(resume_step, steps, {}),
            bar_format="{percentage:3.0f}% {bar} {desc}",
            dynamic_ncols=True,
        ) as bar,
        logging_redirect_tqdm(),
    ):
        yield say

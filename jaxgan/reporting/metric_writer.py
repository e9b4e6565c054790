"""Writes metrics, findings and samples to the console, files and TensorBoard."""

import logging
import math
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from jaxgan.errors import printable
from jaxgan.files import atomic_write, reason
from jaxgan.reporting.animation import save_animation
from jaxgan.reporting.console import (
    UNIT,
    ConsoleLines,
    Pace,
    ProgressBar,
    update_pace,
)
from jaxgan.reporting.images import Picture, save_png
from jaxgan.reporting.metrics_file import append, truncate_metrics
from jaxgan.reporting.plots import losses_plot
from jaxgan.reporting.progress import progress
from jaxgan.reporting.statistics import run_statistics
from jaxgan.reporting.tensorboard import EventWriter
from jaxgan.reporting.texts import as_line
from jaxgan.workdir import writable

log = logging.getLogger("jaxgan")


class MetricWriter:
    """Writes to the console, metrics.jsonl, TensorBoard and samples/.

    `open_metric_writer` constructs it.
    """

    def __init__(
        self,
        workdir: Path,
        events: EventWriter,
        console: ConsoleLines | ProgressBar,
        batch_size: int,
        step: int,
        score_name: str = "",
    ) -> None:
        self._workdir, self._events, self._console = workdir, events, console
        self._batch_size = batch_size
        self.score_name = score_name
        """The name of the metric that is the score; empty if it is unknown."""
        self._pace = Pace(step, time.monotonic())

    def write_scalars(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Writes a row of metrics.

        Args:
          step: the number of finished steps.
          metrics: numbers by name. With several runs, an array `[runs]` holds one
            number per run, and the mean and the standard deviation are shown.
        """
        # Every row has these fields.
        known = {"step": step, "images": step * self._batch_size}
        # A second row of the same step, such as a score, has no speed of its own.
        if step > self._pace.step:
            self._pace = update_pace(self._pace, step, time.monotonic())
            metrics = {**metrics, "steps_per_second": self._pace.rate}
        statistics = run_statistics(metrics)
        self._append({**known, **statistics.as_fields()})
        # TensorBoard has its own clock, and does not plot NaN.
        curves = {
            name: value
            for name, value in statistics.means.items()
            if name != "seconds" and math.isfinite(value)
        }
        self._events.write_scalars(step, curves)
        self._console.write(step, statistics, self._pace)

    def write_text(self, step: int, kind: str, text: str) -> None:
        """Writes a finding and logs it as a warning.

        Args:
          step: the number of finished steps.
          kind: the kind of finding, such as `collapsed` or `rollback`.
          text: a sentence that describes it.
        """
        self._append({"step": step, "kind": kind, "finding": text})
        self._events.write_text(step, "findings", text)
        # The text may quote names of files.
        log.warning("%s", printable(text))

    def write_images(self, step: int, picture: Picture | np.ndarray) -> None:
        """Writes a picture of samples to samples/step_XXXXXXXX.png and TensorBoard.

        The sound of a picture goes to a .wav beside it, and texts to a .txt of lines.

        Args:
          step: the number of finished steps.
          picture: a `Picture`, or its pixels, uint8 `[H, W]` or `[H, W, 3]`.
        """
        if not isinstance(picture, Picture):
            picture = Picture(np.asarray(picture))
        path = self._workdir / "samples" / f"step_{step:08}.png"
        with writable(self._workdir):
            # The step is stored in the file too, apart from its name.
            save_png(path, picture._replace(step=step))
            if picture.sound:
                atomic_write(path.with_suffix(".wav"), picture.sound, sync=False)
        self._events.write_image(step, "samples", picture.pixels)
        if picture.sound:
            self._events.write_sound(step, "samples", picture.sound)
        if picture.texts:
            lines = "".join(f"{as_line(text)}\n" for text in picture.texts)
            with writable(self._workdir):
                atomic_write(path.with_suffix(".txt"), lines.encode(), sync=False)
            # Four spaces make TensorBoard show lines as they are.
            shown = "".join(f"    {line}\n" for line in lines.splitlines())
            self._events.write_text(step, "samples", shown)

    def start_clock(self, step: int) -> None:
        """Starts the clock of steps per second; to be called after compilation."""
        self._pace = Pace(step, time.monotonic())

    def leave_out(self, seconds: float) -> None:
        """Leaves out a time in which there were no steps from steps per second."""
        self._pace = self._pace._replace(time=self._pace.time + seconds)

    def _append(self, row: Mapping[str, Any]) -> None:
        with writable(self._workdir):
            append(self._workdir / "metrics.jsonl", row)


@contextmanager
def open_metric_writer(
    workdir: str | Path,
    *,
    steps: int,
    batch_size: int,
    resume_step: int = 0,
    terminal: bool | None = None,
    score_name: str = "",
    unit: str = UNIT,
) -> Iterator[MetricWriter]:
    """Opens the writer of a run; its curves are drawn when it closes.

    Args:
      workdir: the folder of the run.
      steps: the number of steps of the whole run.
      batch_size: examples per step.
      resume_step: the step at which the run starts. Rows and samples after it are
        dropped, so that none is written twice.
      terminal: shows a progress bar instead of lines; by default if stderr is a
        terminal.
      score_name: the name of the metric that is the score, such as `fd_classifier`.
      unit: the short name of examples in the speed of the run.

    Yields:
      A `MetricWriter`.
    """
    workdir = Path(workdir)
    with writable(workdir):
        (workdir / "samples").mkdir(exist_ok=True)
        _drop_after(workdir, resume_step)
    terminal = sys.stderr.isatty() if terminal is None else terminal
    # Both are closed in reverse order, also after an error.
    with (
        closing(EventWriter(workdir, resume_step)) as events,
        closing(
            ProgressBar(steps, batch_size, resume_step, score_name, unit)
            if terminal
            else ConsoleLines(steps, batch_size, score_name, unit)
        ) as console,
    ):
        try:
            yield MetricWriter(
                workdir, events, console, batch_size, resume_step, score_name
            )
        finally:
            # Also after an error, as the curves show what led to it.
            try:
                summarize(workdir, score_name)
            except Exception as error:  # must not hide the error that ends the run
                log.warning("the run's curves could not be drawn: %s", reason(error))


def summarize(workdir: str | Path, score_name: str = "") -> None:
    """Draws progress.png and losses.png from the samples and metrics in `workdir`.

    Pictures of translated images also become translation.gif.

    Args:
      workdir: the folder of the run.
      score_name: the name of the metric that is the score, if it is known.
    """
    workdir = Path(workdir)
    # Names have eight digits, so that their order is that of the steps.
    samples = sorted((workdir / "samples").glob("step_*.png"))
    pixels = progress(samples)
    if pixels is not None:
        save_png(workdir / "progress.png", pixels)
    save_animation(samples, workdir / "translation.gif")
    if (workdir / "metrics.jsonl").exists():
        file = workdir / "metrics.jsonl"
        losses_plot(file, workdir / "losses.png", score_name)


def _drop_after(workdir: Path, step: int) -> None:
    """Drops the rows and samples of a workdir that come after `step`."""
    truncate_metrics(workdir / "metrics.jsonl", step)
    for path in (workdir / "samples").glob("step_*.*"):
        number = path.stem.removeprefix("step_")
        # Other names are not those of this writer.
        known = path.suffix in (".png", ".wav", ".txt") and number.isascii()
        if known and number.isdigit() and int(number) > step:
            path.unlink()

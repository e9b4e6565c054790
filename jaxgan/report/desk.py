"""Where a run reports: console, metrics.jsonl, TensorBoard, pictures."""

import json
import logging
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgan.errors import UsageError
from jaxgan.report.across import Across, across
from jaxgan.report.history import progress
from jaxgan.report.lines import SHORT, Pace, advance, line
from jaxgan.report.pictures import Picture, save_png
from jaxgan.report.plots import losses_plot
from jaxgan.workdir import truncate_metrics

log = logging.getLogger("jaxgan")

Say = Callable[[int, Across, Pace], None]


class Report(NamedTuple):
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


def silent() -> Report:
    """A report that tells nothing."""

    def nothing(*_: Any) -> None:
        pass

    return Report(log=nothing, note=nothing, preview=nothing, start=nothing)


@contextmanager
def open_report(
    workdir: str | Path,
    *,
    steps: int,
    batch_size: int,
    resume_step: int = 0,
    terminal: bool | None = None,
) -> Iterator[Report]:
    """Opens all places where the run of a workdir reports; closing draws its curves.

    What was told after `resume_step` is dropped, so that nothing is told twice.
    `batch_size` is the images per step. With `terminal` (by default, where stderr is
    one) a bar takes the place of the lines.
    """
    workdir = Path(workdir)
    (workdir / "samples").mkdir(exist_ok=True)
    _forget_after(workdir, resume_step)
    terminal = sys.stderr.isatty() if terminal is None else terminal
    bar = (
        _bar(steps, batch_size, resume_step) if terminal else _plain(steps, batch_size)
    )
    pace = Pace(resume_step, time.monotonic())

    with _board(workdir, resume_step) as board, bar as say:

        def tell(step: int, metrics: Mapping[str, Any]) -> None:
            nonlocal pace
            known = {"step": step, "images": step * batch_size}
            if step > pace.step:
                pace = advance(pace, step, time.monotonic())
                metrics = {**metrics, "steps_per_second": pace.rate}
            found = across(metrics)
            with _writable(workdir):
                append(workdir / "metrics.jsonl", {**known, **found.as_fields()})
            for name, value in found.means.items():
                if name != "seconds" and math.isfinite(value):
                    board.add_scalar(name, value, step)
            say(step, found, pace)

        def note(step: int, kind: str, text: str) -> None:
            found = {"step": step, "kind": kind, "finding": text}
            with _writable(workdir):
                append(workdir / "metrics.jsonl", found)
            board.add_text("findings", text, step)
            log.warning("%s", text)

        def preview(step: int, picture: Picture | np.ndarray) -> None:
            _keep_picture(workdir, board, step, picture)

        def start(step: int) -> None:
            nonlocal pace
            pace = Pace(step, time.monotonic())

        try:
            yield Report(tell, note, preview, start)
        finally:
            try:
                summarise(workdir)
            except OSError as error:  # what went before is the thing to tell
                log.warning("the run's curves could not be written: %s", error)


def _keep_picture(
    workdir: Path, board: Any, step: int, picture: Picture | np.ndarray
) -> None:
    if not isinstance(picture, Picture):
        picture = Picture(np.asarray(picture))
    path = workdir / "samples" / f"step_{step:08}.png"
    with _writable(workdir):
        save_png(path, picture._replace(step=step))
    shape = "HWC" if picture.pixels.ndim == 3 else "HW"
    board.add_image("samples", picture.pixels, step, dataformats=shape)


def append(path: str | Path, values: Mapping[str, Any]) -> None:
    """Adds a line of JSON, the step first; what is not finite is written as null."""
    ordered = {"step": values["step"], **values}
    with Path(path).open("a") as file:
        file.write(json.dumps(_finite(ordered)) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(x) for name, x in value.items()}
    if isinstance(value, list):
        return [_finite(x) for x in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def summarise(workdir: str | Path) -> None:
    """Draws progress.png and losses.png from what the workdir has so far."""
    workdir = Path(workdir)
    pixels = progress(sorted((workdir / "samples").glob("step_*.png")))
    if pixels is not None:
        save_png(workdir / "progress.png", pixels)
    if (workdir / "metrics.jsonl").exists():
        losses_plot(workdir / "metrics.jsonl", workdir / "losses.png")


def _forget_after(workdir: Path, step: int) -> None:
    truncate_metrics(workdir, step)
    for path in (workdir / "samples").glob("step_*.png"):
        number = path.stem.removeprefix("step_")
        if number.isascii() and number.isdigit() and int(number) > step:
            path.unlink()


@contextmanager
def _writable(workdir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"--workdir={workdir} cannot be written any more ({error.strerror}); free "
            "some space, and the same command resumes"
        ) from error


@contextmanager
def _board(workdir: Path, resume_step: int):
    """TensorBoard's writer; points after `resume_step` are dropped by its readers."""
    logging.getLogger("tensorboardX").setLevel(logging.ERROR)
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(
        str(workdir),
        purge_step=resume_step + 1 if resume_step else 0,
        filename_suffix=f".{resume_step:08}",  # the time in the name is in seconds
    )
    try:
        yield writer
    finally:
        writer.close()


@contextmanager
def _plain(steps: int, batch_size: int) -> Iterator[Say]:
    last = -1

    def say(step: int, found: Across, pace: Pace) -> None:
        nonlocal last
        now = pace if step > last else None
        log.info(line(step, steps, found.means, now, batch_size, found.deviations))
        last = step

    yield say


@contextmanager
def _bar(steps: int, batch_size: int, resume_step: int) -> Iterator[Say]:
    """A bar at the foot of the terminal; log lines go above it, whole."""
    from tqdm import tqdm
    from tqdm.contrib.logging import logging_redirect_tqdm

    known: dict[str, float] = {}

    def say(step: int, found: Across, pace: Pace) -> None:
        means = found.means
        known.update((name, means[name]) for name in SHORT if name in means)
        bar.n = step
        bar.set_description_str(line(step, steps, known, pace, batch_size))

    with (
        tqdm(
            total=steps,
            initial=resume_step,
            desc=line(resume_step, steps, {}),
            bar_format="{percentage:3.0f}% {bar} {desc}",
            dynamic_ncols=True,
        ) as bar,
        logging_redirect_tqdm(),
    ):
        yield say

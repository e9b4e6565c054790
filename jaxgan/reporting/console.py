"""Formats the metrics of a step as one line, and writes it to the console."""

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, NamedTuple

from jaxgan.reporting.statistics import RunStatistics

log = logging.getLogger("jaxgan")

SHORT = {"discriminator/loss": "D", "generator/loss": "G", "score": "score"}
"""Metrics with a short name in the line."""
SILENT = ("grad_norm", "param_norm", "real", "fake", "train", "held_out", "spread")
"""Metrics that are plotted but not printed."""
UNIT = "img"
"""Images, in the speed of a run."""
SILENT_GROUP = "performance"
"""The group of metrics that are not printed, but summarized at the end."""


class Pace(NamedTuple):
    """The speed of a run."""

    step: int
    time: float
    """Seconds on the monotonic clock."""
    rate: float = 0.0
    """Steps per second since the previous row; 0 if unknown."""
    smooth: float = 0.0
    """The same, exponentially smoothed, for the remaining time."""


class ConsoleLines:
    """Logs one line per row of metrics."""

    def __init__(
        self, steps: int, images_per_step: int, score_name: str = "", unit: str = UNIT
    ) -> None:
        self._steps, self._images_per_step = steps, images_per_step
        self._score_name, self._unit = score_name, unit
        # No line yet; the first step is 0.
        self._last_step = -1

    def write(self, step: int, statistics: RunStatistics, pace: Pace) -> None:
        """Logs a line; only the first line of a step shows the speed."""
        line = format_line(
            step,
            self._steps,
            statistics.means,
            pace if step > self._last_step else None,
            self._images_per_step,
            statistics.deviations,
            self._score_name,
            self._unit,
        )
        log.info(line)
        self._last_step = step

    def close(self) -> None:
        """Does nothing."""


class ProgressBar:
    """Shows a bar at the bottom of the terminal; log lines are printed above it."""

    def __init__(
        self,
        steps: int,
        images_per_step: int,
        resume_step: int,
        score_name: str = "",
        unit: str = UNIT,
    ) -> None:
        from tqdm import tqdm
        from tqdm.contrib.logging import logging_redirect_tqdm

        self._steps, self._images_per_step = steps, images_per_step
        self._score_name, self._unit = score_name, unit
        self._metrics: dict[str, float] = {}
        # If the redirection fails, the bar is closed again.
        with ExitStack() as stack:
            self._bar: Any = stack.enter_context(
                tqdm(
                    total=steps,
                    initial=resume_step,
                    desc=format_line(resume_step, steps, {}),
                    bar_format="{percentage:3.0f}% {bar} {desc}",
                    dynamic_ncols=True,
                )
            )
            stack.enter_context(logging_redirect_tqdm())
            # Both stay open until close().
            self._resources = stack.pop_all()

    def write(self, step: int, statistics: RunStatistics, pace: Pace) -> None:
        """Moves the bar to `step` and shows the latest losses and score."""
        means = statistics.means
        self._metrics.update((name, means[name]) for name in SHORT if name in means)
        # An absolute position, while tqdm's update would add.
        self._bar.n = step
        line = format_line(
            *(step, self._steps, self._metrics, pace, self._images_per_step),
            score_name=self._score_name,
            unit=self._unit,
        )
        self._bar.set_description_str(line)

    def close(self) -> None:
        """Restores the loggers and ends the bar."""
        self._resources.close()


def update_pace(pace: Pace, step: int, time: float) -> Pace:
    """Returns the pace at a later step.

    >>> update_pace(Pace(0, 0.0), 100, 50.0)
    Pace(step=100, time=50.0, rate=2.0, smooth=2.0)
    """
    # No rate without progress in steps and time.
    if step <= pace.step or time <= pace.time:
        return pace
    # The remaining time follows from a moving average, the shown speed does not.
    rate = (step - pace.step) / (time - pace.time)
    smooth = 0.7 * pace.smooth + 0.3 * rate if pace.smooth else rate
    return Pace(step, time, rate, smooth)


def format_duration(seconds: float) -> str:
    """Formats seconds as M:SS, or as H:MM:SS from one hour on.

    >>> format_duration(59.6), format_duration(252), format_duration(36_000)
    ('1:00', '4:12', '10:00:00')
    """
    # Rounded first, so that 59.6 s is 1:00 and not 0:60.
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def format_line(
    step: int,
    steps: int,
    metrics: dict[str, float],
    pace: Pace | None = None,
    images_per_step: int = 0,
    deviations: Mapping[str, float] | None = None,
    score_name: str = "",
    unit: str = UNIT,
) -> str:
    """Formats the step, the losses, the terms, and the speed if it is known.

    Args:
      step: the number of finished steps.
      steps: the number of steps of the whole run.
      metrics: values by name; for several runs, their means.
      pace: the speed of the run; None leaves the speed out.
      images_per_step: the factor from steps to examples.
      deviations: standard deviations over several runs, by name.
      score_name: the name of the metric that is the score, which is printed with it.
      unit: the short name of examples, before `/s`.

    >>> metrics = {"discriminator/loss": 1.234, "generator/loss": 0.712,
    ...     "discriminator/r1": 0.02}
    >>> format_line(1_200, 10_000, metrics, Pace(1_200, 9.0, 35.1, 34.92), 64)
    'step 1,200/10,000  D 1.234  G 0.712  r1 0.02  35.1 steps/s  2,246 img/s  ETA 4:12'
    """
    parts = [f"step {step:,}/{steps:,}"]
    for name, full in _printed(metrics, score_name).items():
        more = f" ± {deviations[full]:.2g}" if deviations and full in deviations else ""
        parts.append(f"{name} {metrics[full]:.4g}{more}")
    if pace is not None and pace.rate and pace.smooth:
        parts.append(f"{_speed(pace.rate)} steps/s")
        parts.append(f"{_speed(pace.rate * images_per_step)} {unit}/s")
        # A finished run has no remaining time.
        if step < steps:
            parts.append(f"ETA {format_duration((steps - step) / pace.smooth)}")
    return "  ".join(parts)


def _printed(metrics: dict[str, float], score_name: str = "") -> dict[str, str]:
    """Maps short names to the metrics that are printed: losses first, score last."""
    # The score is printed once, with the name of its metric.
    metrics = {k: x for k, x in metrics.items() if k != f"eval/{score_name}"}
    shown = f"score ({score_name})" if score_name else "score"
    # Terms of the same name get the player's initial, such as `G.l2`.
    short = {SHORT[name]: name for name in SHORT if name in metrics}
    # Taken out, so that it follows the terms.
    score = {shown: short.pop("score")} if "score" in short else {}
    for name in metrics:
        player, _, term = name.rpartition("/")
        silent = term in SILENT or player == SILENT_GROUP
        if player and name not in SHORT and not silent:
            known = term if term not in short else f"{player[0].upper()}.{term}"
            short[known] = name
    return {**short, **score}


def _speed(value: float) -> str:
    """Formats a rate with two or three significant digits.

    >>> _speed(0.0531), _speed(35.123), _speed(2246.4)
    ('0.053', '35.1', '2,246')
    """
    if value < 1:
        return f"{value:.2g}"
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"

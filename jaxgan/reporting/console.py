"""A moment of a run in one line."""

from collections.abc import Mapping
from typing import NamedTuple

SHORT = {"discriminator/loss": "D", "generator/loss": "G", "score": "score"}
SILENT = ("grad_norm", "param_norm", "real", "fake", "train", "held_out", "spread")
"""Measures that are drawn and not printed."""


class Pace(NamedTuple):
    """How fast a run is."""

    step: int
    time: float
    rate: float = 0.0
    """Steps per second since the measure before; 0 if not known."""
    smooth: float = 0.0
    """The same, smoothed, for the time that is left."""


def update_pace(pace: Pace, step: int, time: float) -> Pace:
    """The pace at a later step.

    >>> advance(Pace(0, 0.0), 100, 50.0)
    Pace(step=100, time=50.0, rate=2.0, smooth=2.0)
    """
    if step <= pace.step or time <= pace.time:
        return pace
    rate = (step - pace.step) / (time - pace.time)
    smooth = 0.7 * pace.smooth + 0.3 * rate if pace.smooth else rate
    return Pace(step, time, rate, smooth)


def format_duration(seconds: float) -> str:
    """Minutes and seconds, with hours where there are some.

    >>> duration(59.6), duration(252), duration(36_000)
    ('1:00', '4:12', '10:00:00')
    """
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
) -> str:
    """The step, the losses, the terms, and the speed where the pace is known.

    Of several runs, the mean over them and the standard deviation.

    >>> line(1_200, 10_000, {"discriminator/loss": 1.234, "generator/loss": 0.712,
    ...      "discriminator/r1": 0.02}, Pace(1_200, 9.0, 35.1, 34.92), 64)
    'step 1,200/10,000  D 1.234  G 0.712  r1 0.02  35.1 steps/s  2,246 img/s  ETA 4:12'
    """
    parts = [f"step {step:,}/{steps:,}"]
    for name, full in _printed(metrics).items():
        more = f" ± {deviations[full]:.2g}" if deviations and full in deviations else ""
        parts.append(f"{name} {metrics[full]:.4g}{more}")
    if pace is not None and pace.rate and pace.smooth:
        parts.append(f"{_speed(pace.rate)} steps/s")
        parts.append(f"{_speed(pace.rate * images_per_step)} img/s")
        if step < steps:
            parts.append(f"ETA {format_duration((steps - step) / pace.smooth)}")
    return "  ".join(parts)


def _printed(metrics: dict[str, float]) -> dict[str, str]:
    """Names of what a line has room for, by their short names, losses first."""
    short = {SHORT[name]: name for name in SHORT if name in metrics}
    score = {"score": short.pop("score")} if "score" in short else {}
    for name in metrics:
        player, _, term = name.rpartition("/")
        if player and name not in SHORT and term not in SILENT:
            known = term if term not in short else f"{player[0].upper()}.{term}"
            short[known] = name
    return {**short, **score}


def _speed(value: float) -> str:
    """
    >>> _speed(0.0531), _speed(35.123), _speed(2246.4)
    ('0.053', '35.1', '2,246')
    """
    if value < 1:
        return f"{value:.2g}"
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"

"""All that is told and kept of a run while it goes on."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgan import checkpoint, report
from jaxgan.config import flags
from jaxgan.core import TrainState
from jaxgan.gallery import Gallery, open_gallery
from jaxgan.monitor import Finding, not_finite
from jaxgan.prepare import Plan
from jaxgan.watch import Watch, open_watch

Waiting = list[tuple[int, Any]]
"""(first step, metrics) of calls that were not told of yet."""


class Collapse(Exception):
    """A finding that ends the run, or sends it back."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.text)
        self.since = finding.step if finding.since is None else finding.since


class Clerk(NamedTuple):
    """What tells, draws, watches and keeps."""

    plan: Plan
    report: report.Report
    gallery: Gallery
    watch: Watch
    checkpoints: Any
    history: dict[str, Any]
    started: float


@contextmanager
def open_clerk(
    plan: Plan, folder: Path, history: dict[str, Any], step: int, key: jax.Array
) -> Iterator[Clerk]:
    """Opens all places where a run that is at `step` tells and keeps."""
    config = plan.config
    gallery_key, probe_key = jax.random.split(key)
    with ExitStack() as stack:
        checkpoints = stack.enter_context(
            checkpoint.open_checkpoints(
                folder / "checkpoints", keep=config.keep, resume_step=step
            )
        )
        images = config.batch_size * config.d_updates
        told = stack.enter_context(
            report.open_report(
                folder, steps=config.steps, batch_size=images, resume_step=step
            )
        )
        gallery = open_gallery(plan, gallery_key)
        watch = open_watch(plan, probe_key, folder)
        yield Clerk(plan, told, gallery, watch, checkpoints, history, time.monotonic())


def settle(waiting: Waiting, clerk: Clerk) -> None:
    """Brings the metrics to the host and looks that all are finite.

    Of several runs, one that is not finite stands still; the watch tells of it.
    """
    waiting[:] = [(first, jax.device_get(metrics)) for first, metrics in waiting]
    if clerk.plan.config.runs > 1:
        return
    for first, metrics in waiting:
        bad = [
            (first + int(np.flatnonzero(~np.isfinite(values))[0]) + 1, name)
            for name, values in metrics.items()
            if not np.isfinite(values).all()
        ]
        if bad:
            raise Collapse(not_finite(*min(bad)))


def tell(step: int, state: TrainState, waiting: Waiting, clerk: Clerk) -> None:
    """Tells the means since the last line, what a probe shows, and what is wrong."""
    names = waiting[0][1]
    means = {
        name: np.mean(np.concatenate([m[name] for _, m in waiting]), axis=0)
        for name in names
    }
    waiting.clear()
    row = {**means, **clerk.watch.probe(state), "seconds": seconds(clerk)}
    clerk.report.log(step, row)
    act(clerk.watch.look(step, row), clerk)


def act(findings: list[Finding], clerk: Clerk) -> None:
    """Notes what was found; what is fatal ends the run, unless it only is to warn."""
    for finding in findings:
        clerk.report.note(finding.step, finding.kind, finding.text)
    fatal = [finding for finding in findings if finding.fatal]
    if fatal and clerk.plan.config.on_collapse != "warn":
        raise Collapse(fatal[0])


def look_first(step: int, state: TrainState, clerk: Clerk) -> None:
    """Compiles what draws, compares and probes; tells where the run begins."""
    picture, score = clerk.gallery.picture(state.ema), clerk.gallery.score(state.ema)
    probed = clerk.watch.probe(state)
    if step == 0:
        row = {"score": score, **probed}
        clerk.report.preview(0, picture)
        clerk.report.log(0, row)
        clerk.watch.look(0, row)


def show(step: int, state: TrainState, clerk: Clerk) -> None:
    """Draws the same latents once more."""
    clerk.report.preview(step, clerk.gallery.picture(state.ema))


def save(state: TrainState, clerk: Clerk, *, wait: bool = False) -> None:
    """Scores the running mean and saves all, in the background unless told to wait."""
    score = clerk.gallery.score(state.ema)
    step, history = int(state.step), {**clerk.history, "seconds": seconds(clerk)}
    clerk.report.log(step, {"score": score})
    checkpoint.save(
        clerk.checkpoints,
        state,
        history=history,
        config=flags(clerk.plan.config),
        score=float(np.mean(score)),
        wait=wait,
    )
    act(clerk.watch.look(step, {"score": score}), clerk)


def seconds(clerk: Clerk) -> float:
    """Seconds of training, those before a resume included."""
    return clerk.history["seconds"] + time.monotonic() - clerk.started

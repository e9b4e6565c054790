"""All that is told and kept of a run while it goes on."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgan import parallel, reporting
from jaxgan.config.training import to_dict
from jaxgan.distributed.consensus import is_main_process, run_on_main
from jaxgan.evaluation.previews import Previews, open_previews
from jaxgan.experiment import checkpoint
from jaxgan.experiment.setup import Experiment
from jaxgan.monitoring.detectors import Finding, not_finite
from jaxgan.monitoring.monitor import Monitor, open_monitor
from jaxgan.performance import profiling
from jaxgan.types import TrainState

Waiting = list[tuple[int, Any]]
"""(first step, metrics) of calls that were not told of yet."""


class Collapse(Exception):
    """A finding that ends the run, or sends it back."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.text)
        self.since = finding.step if finding.since is None else finding.since


class Clerk(NamedTuple):
    """What tells, draws, watches and keeps; of several processes the first one does.

    All of them call the functions below, as all have a part of the state and decide
    alike what becomes of the run.
    """

    plan: Experiment
    report: reporting.MetricWriter
    gallery: Previews | None
    watch: Monitor | None
    checkpoints: Any
    history: dict[str, Any]
    started: float
    profile: Callable[..., None] = lambda *_: None
    """(program, steps, state) ahead of each call of the step; traces some."""


@contextmanager
def open_clerk(
    plan: Experiment, folder: Path, history: dict[str, Any], step: int, key: jax.Array
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
        if not is_main_process():
            told = reporting.null_writer()
            yield Clerk(plan, told, None, None, checkpoints, history, time.monotonic())
            return
        images = config.batch_size * config.d_updates
        told = stack.enter_context(
            reporting.open_metric_writer(
                folder, steps=config.steps, batch_size=images, resume_step=step
            )
        )
        gallery = open_previews(plan, gallery_key)
        watch = open_monitor(plan, probe_key, folder)
        places = (told, gallery, watch, checkpoints)
        profile = profiling.open_profile(folder / "profile", config.profile)
        ahead = stack.enter_context(profile)
        yield Clerk(plan, *places, history, time.monotonic(), ahead)


def settle(waiting: Waiting, clerk: Clerk) -> None:
    """Brings the metrics to the host and looks that all are finite.

    Of several runs, one that is not finite stands still; the watch tells of it.
    """
    jax.block_until_ready([metrics for _, metrics in waiting])  # raises what failed
    waiting[:] = [
        (first, jax.device_get(parallel.to_local(metrics)))
        for first, metrics in waiting
    ]
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
    own = parallel.to_local(state)

    def say():
        assert clerk.watch
        row = {**means, **clerk.watch.probe(own), "seconds": seconds(clerk)}
        clerk.report.log(step, row)
        return noted(clerk, clerk.watch.look(step, row))

    act(run_on_main(say), clerk)


def noted(clerk: Clerk, findings: list[Finding]) -> list[Finding]:
    """The findings, once they are noted."""
    for finding in findings:
        clerk.report.note(finding.step, finding.kind, finding.text)
    return findings


def act(findings: list[Finding], clerk: Clerk) -> None:
    """What is fatal ends the run, unless it only is to warn."""
    fatal = [finding for finding in findings if finding.fatal]
    if fatal and clerk.plan.config.on_collapse != "warn":
        raise Collapse(fatal[0])


def look_first(step: int, state: TrainState, clerk: Clerk) -> None:
    """Compiles what draws, compares and probes; tells where the run begins."""
    own = parallel.to_local(state)
    if not (clerk.gallery and clerk.watch):
        return
    picture, score = clerk.gallery.picture(own.ema), clerk.gallery.score(own.ema)
    probed = clerk.watch.probe(own)
    if step == 0:
        row = {"score": score, **probed}
        clerk.report.preview(0, picture)
        clerk.report.log(0, row)
        noted(clerk, clerk.watch.look(0, row))


def show(step: int, state: TrainState, clerk: Clerk) -> None:
    """Draws the same latents once more."""
    ema = parallel.to_local(state.ema)
    if clerk.gallery:
        clerk.report.preview(step, clerk.gallery.picture(ema))


def save(state: TrainState, clerk: Clerk, *, wait: bool = False) -> None:
    """Scores the running mean and saves all, in the background unless told to wait.

    A step that was saved before is not scored again.
    """
    step, ema = int(state.step), parallel.to_local(state.ema)
    was_saved = run_on_main(lambda: step in clerk.checkpoints.all_steps())

    def scored():
        if was_saved:
            return None, seconds(clerk)
        assert clerk.gallery
        score = clerk.gallery.score(ema)
        clerk.report.log(step, {"score": score})
        return score, seconds(clerk)

    score, taken = run_on_main(scored)
    checkpoint.save(
        clerk.checkpoints,
        state,
        history={**clerk.history, "seconds": taken},
        config=to_dict(clerk.plan.config),
        score=None if score is None else float(np.mean(score)),
        wait=wait,
    )
    if was_saved:
        return

    def looked():
        assert clerk.watch
        return noted(clerk, clerk.watch.look(step, {"score": score}))

    act(run_on_main(looked), clerk)


def seconds(clerk: Clerk) -> float:
    """Seconds of training, those before a resume included."""
    return clerk.history["seconds"] + time.monotonic() - clerk.started

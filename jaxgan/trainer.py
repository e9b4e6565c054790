"""One training run: restore or begin, then steps, logs, pictures and checkpoints."""

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgan import checkpoint, data, parallel, report, workdir
from jaxgan.config import MAY_CHANGE, Config, flags
from jaxgan.core import TrainState
from jaxgan.errors import TrainingError
from jaxgan.gallery import Gallery, open_gallery
from jaxgan.prepare import Plan, facts, prepare

log = logging.getLogger("jaxgan")


class Keys(NamedTuple):
    """The run's PRNG keys, one per purpose."""

    init: jax.Array
    run: jax.Array
    gallery: jax.Array


class Clerk(NamedTuple):
    """All that is told and kept of a run."""

    report: report.Report
    gallery: Gallery
    checkpoints: Any
    history: dict[str, Any]
    started: float


def keys_of(seed: int) -> Keys:
    """The keys of a seed."""
    return Keys(*jax.random.split(jax.random.key(seed), len(Keys._fields)))


def train(config: Config) -> int:
    """Trains, or resumes what stands in the workdir; returns the exit code.

    0 when all steps are done, 128 + the signal's number when a signal ended it early.

    Raises:
      UsageError: before anything is compiled or written, if something does not fit.
      TrainingError: if a loss or a parameter stops being finite.
    """
    plan = prepare(config)
    if config.dry_run:
        dry_run(plan)
        return 0
    folder, known = Path(config.workdir), facts(plan.dataset)
    with workdir.open_workdir(folder, flags(config), may_change=MAY_CHANGE, data=known):
        return run(plan, folder)


def run(plan: Plan, folder: Path) -> int:
    """The run itself, in a workdir that is ours."""
    config, keys = plan.config, keys_of(plan.config.seed)
    state, history = begin(plan, keys, folder / "checkpoints")
    first = int(state.step)
    if first >= config.steps:
        log.info("step %d of %d is done: nothing left to do", first, config.steps)
        return 0
    images = config.batch_size * config.d_updates
    with (
        checkpoint.open_checkpoints(
            folder / "checkpoints", keep=config.keep, resume_step=first
        ) as checkpoints,
        report.open_report(
            folder, steps=config.steps, batch_size=images, resume_step=first
        ) as told,
        open_feed(plan, first) as feed,
        stop_signals() as stopped,
    ):
        gallery = open_gallery(plan, keys.gallery)
        clerk = Clerk(told, gallery, checkpoints, history, time.monotonic())
        state = run_steps(plan, state, keys.run, feed, clerk, stopped)
        save(plan, state, clerk, wait=True)
    if stopped():
        log.warning("stopped at step %d; the same command resumes", int(state.step))
        return 128 + stopped()
    log.info("done: look at %s", folder / "progress.png")
    log.info("draw more with python -m jaxgan.sample --workdir=%s", folder)
    return 0


def begin(plan: Plan, keys: Keys, folder: Path) -> tuple[TrainState, dict[str, Any]]:
    """The newest checkpoint's state and history, or new ones."""
    template = jax.eval_shape(plan.game.init, keys.init)
    if checkpoint.available(folder):
        state, history = checkpoint.restore(folder, template)
        log.info("resumed at step %d", int(state.step))
    else:
        state, history = jax.jit(plan.game.init)(keys.init), {"seconds": 0.0}
    return parallel.replicate(state, plan.devices), history


def run_steps(
    plan: Plan,
    state: TrainState,
    key: jax.Array,
    feed: parallel.Feed,
    clerk: Clerk,
    stopped: Callable[[], int],
) -> TrainState:
    """Steps until all are done or a signal came; tells and keeps on the way."""
    config, first = plan.config, int(state.step)
    program = parallel.compiled(step_of(plan), feed, plan.devices)
    waiting: list[tuple[int, Any]] = []  # (first step, metrics of a call)
    look_first(first, state, clerk)
    step = first
    while step < config.steps and not stopped():
        count = min(plan.steps_per_call, config.steps - step)
        given = (state, feed.at(step, count), key)
        call = program(count, *given)
        if step == first:
            clerk.report.start(step)
        state, metrics = call(*given)
        waiting.append((step, metrics))
        step += count
        if len(waiting) > 2:
            jax.block_until_ready(waiting[-3])  # the host runs two calls ahead
        log_due, sample_due, save_due = due(step, count, config)
        if log_due or save_due:
            settle(waiting, clerk)  # so that nothing that is not finite is ever saved
        if log_due:
            tell(step, waiting, clerk)
        if sample_due:
            show(step, state, clerk)
        if save_due and step < config.steps:
            save(plan, state, clerk)
    settle(waiting, clerk)
    if waiting:  # stopped between two marks
        tell(step, waiting, clerk)
    return state


@contextmanager
def open_feed(plan: Plan, step: int) -> Iterator[parallel.Feed]:
    """The batches from a step on; closing it ends the threads that decode."""
    feed = feed_of(plan, step)
    try:
        yield feed
    finally:
        feed.close()


def feed_of(plan: Plan, step: int) -> parallel.Feed:
    """The batches from a step on, from the devices or from the host."""
    config, dataset = plan.config, plan.dataset
    if not plan.resident:
        batches = data.stream(
            dataset,
            seed=config.seed,
            updates=config.d_updates,
            batch=config.batch_size,
            first_step=step,
        )
        return parallel.streamed(batches, devices=plan.devices)
    return parallel.resident(
        data.read_all(dataset),
        lambda epoch: data.epoch_order(config.seed, epoch, dataset.size),
        updates=config.d_updates,
        batch=config.batch_size,
        devices=plan.devices,
    )


def step_of(plan: Plan) -> Callable:
    """The game's step on raw batches: they become [-1, 1] on the device."""

    def step(state, batches, key):
        return plan.game.step(state, data.normalise(batches), key)

    return step


def due(step: int, count: int, config: Config) -> tuple[bool, bool, bool]:
    """Whether the last `count` steps passed a mark of log, sample and save.

    The last step of all passes every mark.
    """
    marks = (config.log_every, config.sample_every, config.save_every)
    passed = (step // every > (step - count) // every for every in marks)
    log_due, sample_due, save_due = (mark or step >= config.steps for mark in passed)
    return log_due, sample_due, save_due


def settle(waiting: list[tuple[int, Any]], clerk: Clerk) -> None:
    """Brings the metrics to the host and looks that all are finite."""
    waiting[:] = [(first, jax.device_get(metrics)) for first, metrics in waiting]
    for first, metrics in waiting:
        bad = [
            (first + int(np.flatnonzero(~np.isfinite(values))[0]) + 1, name)
            for name, values in metrics.items()
            if not np.isfinite(values).all()
        ]
        if bad:
            raise not_finite(*min(bad), clerk)


def not_finite(step: int, name: str, clerk: Clerk) -> TrainingError:
    """The error that names the step, the term and the last good checkpoint."""
    good = clerk.checkpoints.latest_step()
    kept = "no checkpoint was saved before it"
    if good is not None:
        kept = f"the last good checkpoint is {good}, in {clerk.checkpoints.directory}"
    return TrainingError(
        f"{name} is not finite at step {step}; {kept}. Try a lower learning rate, "
        "such as --d_optimizer='adam(1e-4)', in another --workdir"
    )


def tell(step: int, waiting: list[tuple[int, Any]], clerk: Clerk) -> None:
    """Logs the means since the last line."""
    names = waiting[0][1]
    means = {
        name: float(np.mean(np.concatenate([m[name] for _, m in waiting])))
        for name in names
    }
    clerk.report.log(step, {**means, "seconds": seconds(clerk)})
    waiting.clear()


def look_first(step: int, state: TrainState, clerk: Clerk) -> None:
    """Compiles what draws and compares; tells of both where the run begins."""
    picture, score = clerk.gallery.picture(state.ema), clerk.gallery.score(state.ema)
    if step == 0:
        clerk.report.preview(0, picture)
        clerk.report.log(0, {"score": score})


def show(step: int, state: TrainState, clerk: Clerk) -> None:
    """Draws the same latents once more."""
    clerk.report.preview(step, clerk.gallery.picture(state.ema))


def save(plan: Plan, state: TrainState, clerk: Clerk, *, wait: bool = False) -> None:
    """Scores the running mean and saves all, in the background unless told to wait."""
    score = clerk.gallery.score(state.ema)
    step, history = int(state.step), {**clerk.history, "seconds": seconds(clerk)}
    clerk.report.log(step, {"score": score})
    checkpoint.save(
        clerk.checkpoints,
        state,
        history=history,
        config=flags(plan.config),
        score=score,
        wait=wait,
    )


def seconds(clerk: Clerk) -> float:
    """Seconds of training, those before a resume included."""
    return clerk.history["seconds"] + time.monotonic() - clerk.started


@contextmanager
def stop_signals() -> Iterator[Callable[[], int]]:
    """Catches SIGINT and SIGTERM; yields a function that tells the caught one, or 0.

    A second signal ends the program at once.
    """
    caught: list[int] = []

    def catch(number, _):
        if caught:
            raise KeyboardInterrupt
        caught.append(number)

    numbers = (signal.SIGINT, signal.SIGTERM)
    main = threading.current_thread() is threading.main_thread()
    before = [(n, signal.signal(n, catch)) for n in numbers] if main else []
    try:
        yield lambda: caught[0] if caught else 0
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def dry_run(plan: Plan) -> None:
    """Prints what would run: flags, parameters, and the compiled step's needs."""
    for name, value in flags(plan.config).items():
        print(f"{name}={value}")
    keys = keys_of(plan.config.seed)
    state = jax.eval_shape(plan.game.init, keys.init)
    for player, params in state.params._asdict().items():
        print(f"{player}: {sum(x.size for x in jax.tree.leaves(params)):,} parameters")
    state = parallel.replicate(jax.jit(plan.game.init)(keys.init), plan.devices)
    with open_feed(plan, 0) as feed:
        given = (state, feed.at(0, plan.steps_per_call), keys.run)
        program = parallel.compiled(step_of(plan), feed, plan.devices)
        for line in parallel.needs(program(plan.steps_per_call, *given)):
            print(line)

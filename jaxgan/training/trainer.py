"""One training run: restore or begin, then steps, logs, pictures and checkpoints."""

import dataclasses
import logging
import math
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgan import parallel, workdir
from jaxgan.config.presets import earlier_flags
from jaxgan.config.training import MAY_CHANGE, Config, flags
from jaxgan.distributed.consensus import agreed, alike, leads, shared, stopping
from jaxgan.errors import TrainingError, printable
from jaxgan.experiment import checkpoint, memory
from jaxgan.experiment.input_pipeline import open_feed, step_of
from jaxgan.experiment.memory_check import fit_memory
from jaxgan.experiment.setup import Plan, facts, may_differ, prepare, seeds_of, shapes
from jaxgan.files import local_path
from jaxgan.monitoring import detectors
from jaxgan.monitoring.monitor import findings
from jaxgan.parallel import multi_seed
from jaxgan.training.hooks import (
    Clerk,
    Collapse,
    look_first,
    open_clerk,
    save,
    settle,
    show,
    tell,
)
from jaxgan.training.shutdown import AGAIN, deadline, stop_signals
from jaxgan.types import TrainState

log = logging.getLogger("jaxgan")

BAD_DATA = 2
"""The exit code of a run that stops, and saves, for an example that cannot be read."""


class Keys(NamedTuple):
    """The run's PRNG keys, one per purpose."""

    init: jax.Array
    run: jax.Array
    gallery: jax.Array


def keys_of(seed: int, rollbacks: int = 0) -> Keys:
    """The keys of a seed; after a rollback all but the gallery's are others."""
    keys = Keys(*jax.random.split(multi_seed.key_of(seed), len(Keys._fields)))
    if rollbacks == 0:
        return keys
    init, run = (jax.random.fold_in(key, rollbacks) for key in (keys.init, keys.run))
    return Keys(init, run, keys.gallery)


@memory.explained("use a smaller --batch_size, smaller --networks, or --input=host")
def train(config: Config) -> int:
    """Trains, or resumes what stands in the workdir; returns the exit code.

    0 when all steps are done, 128 + the signal's number when a signal ended it early,
    75 when its time was over.

    Raises:
      UsageError: before anything is compiled or written, if something does not fit.
      TrainingError: if the run stops being finite, or collapses and may not go on.
    """
    ends = deadline(config.max_minutes)
    alike(flags(config))
    config = shared(lambda: as_started(config))
    plan = agreed(lambda: fit_memory(prepare(config)))
    if config.dry_run:
        dry_run(plan)
        return 0
    known = facts(plan.dataset)
    given, may_change = flags(plan.config), MAY_CHANGE
    checkpoints = local_path("--workdir", config.workdir) / "checkpoints"
    shared(lambda: checkpoint.available(checkpoints))  # or one line, before any write
    with ExitStack() as stack:
        opened = workdir.open_workdir(
            config.workdir,
            given,
            may_change=may_change,
            data=known,
            alike=may_differ(plan.config, known),
        )
        folder = shared(lambda: stack.enter_context(opened))
        return run(plan, folder, ends)


def as_started(config: Config) -> Config:
    """The config; for a run of version 0.1.0 with what its preset meant there."""
    folder = local_path("--workdir", config.workdir)
    if not (folder / "config.json").is_file():
        return config
    earlier = earlier_flags(flags(config), workdir.read_config(folder))
    if earlier:
        shown = " ".join(f"--{name}={value}" for name, value in earlier.items())
        log.info("preset %s as in version 0.1.0: %s", config.preset, shown)
    return dataclasses.replace(config, **earlier)


def run(plan: Plan, folder: Path, ends: float = math.inf) -> int:
    """The run itself, in a workdir that is ours; it goes back where it may."""
    back: Collapse | None = None
    while True:
        try:
            return go_on(plan, folder, back, ends)
        except Collapse as collapse:
            back = may_go_back(plan, folder, collapse)


def go_on(
    plan: Plan, folder: Path, back: Collapse | None, ends: float = math.inf
) -> int:
    """From the newest checkpoint, or from the best after a collapse, to the end."""
    config = plan.config
    state, history = begin(plan, folder, back)
    first = int(state.step)
    if first >= config.steps:
        log.info("step %d of %d is done: nothing left to do", first, config.steps)
        return 0
    key = keys_of(config.seed).gallery
    with (
        open_clerk(plan, folder, history, first, key) as clerk,
        open_feed(plan, first) as feed,
        stop_signals(ends, alone=plan.layout.processes == 1) as ask,
    ):
        if back and leads():
            told = f"back to step {first:,} with other noise, after: {back}"
            clerk.report.note(first, "rollback", told)
        keys = run_keys(plan, rollbacks(folder))
        stop = stopping(lambda: ask() or BAD_DATA * bool(feed.failure()), plan.layout)
        state, code = run_steps(state, keys, feed, clerk, stop)
        save(state, clerk, wait=True)
    if code == BAD_DATA:
        log.warning("saved at step %d", int(state.step))
        agreed(lambda: raise_failure(feed))
    if code:
        why = "its time, or its machine's, is over: " if code == AGAIN else ""
        step = int(state.step)
        log.warning("%sstopped at step %d; the same command resumes", why, step)
        return code
    if not leads():
        return 0
    for line in detectors.summary(findings(folder)):
        log.info("%s", line)
    log.info("done: look at %s", folder / "progress.png")
    log.info("draw more with python -m jaxgan.sample --workdir=%s", folder)
    return 0


def raise_failure(feed: parallel.Feed) -> None:
    """Raises the error for which the feed stops the run, where it is this one's."""
    error = feed.failure()
    if error is not None:
        raise error


def begin(
    plan: Plan, folder: Path, back: Collapse | None
) -> tuple[TrainState, dict[str, Any]]:
    """The newest checkpoint's state and history, or new ones.

    After a collapse the best checkpoint's, of those that are older than its first sign.
    """
    checkpoints, before = folder / "checkpoints", back.since if back else math.inf
    steps = shared(lambda: checkpoint.available(checkpoints))
    if not any(step < before for step in steps):
        times = rollbacks(folder) + (back is not None)
        # A program of XLA for CPU that ran out of memory hangs where its values are
        # read, unless it was waited for.
        return jax.block_until_ready(first_state(plan, times)), {"seconds": 0.0}
    template, found = shapes(plan), []

    def read(which: checkpoint.Which) -> int:
        found.extend(
            checkpoint.restore(checkpoints, template, which=which, before=before)
        )
        return int(found[0].step)

    step = shared(lambda: read("best" if back else "last"))
    if not leads():
        read(step)  # and no other, should that one be damaged here
    log.info("resumed at step %d", step)
    state, history = found
    return jax.block_until_ready(parallel.place(state, plan.layout)), history


def first_state(plan: Plan, rollbacks: int) -> TrainState:
    """A new state on the devices, of each seed where there are several runs."""
    keys = [keys_of(seed, rollbacks).init for seed in seeds_of(plan.config)]
    return parallel.created(plan.game.init, keys, plan.layout)


def run_keys(plan: Plan, rollbacks: int) -> jax.Array:
    """The key of all steps, or of each of several runs `[runs]`."""
    keys = [keys_of(seed, rollbacks).run for seed in seeds_of(plan.config)]
    if len(keys) == 1:
        return parallel.put(keys[0], plan.layout)
    return parallel.put(jnp.stack(keys), plan.layout, 0)


def rollbacks(folder: Path) -> int:
    """How often the run went back."""
    return shared(lambda: sum(x.kind == "rollback" for x in findings(folder)))


def may_go_back(plan: Plan, folder: Path, collapse: Collapse) -> Collapse:
    """The collapse, if the run may go on before it.

    Raises:
      TrainingError: that names the finding and the last good checkpoint.
    """
    config, done = plan.config, rollbacks(folder)
    if config.on_collapse == "rollback" and done < config.rollbacks:
        return collapse
    steps = checkpoint.available(folder / "checkpoints")
    kept = "no checkpoint was saved before it"
    if steps:
        place = folder / "checkpoints"
        kept = f"the last good checkpoint is {steps[-1]}, in {place}"
    if done:
        kept += (
            f"; it went back {done} time(s), as --rollbacks={config.rollbacks} has it"
        )
    raise TrainingError(f"{collapse}; {kept}; use another --workdir")


def run_steps(
    state: TrainState,
    key: jax.Array,
    feed: parallel.Feed,
    clerk: Clerk,
    stop: Callable[[], int],
) -> tuple[TrainState, int]:
    """Steps until all are done or `stop` says so; tells and keeps on the way.

    Returns the newest state, and what `stop` said: 0, or the exit code.
    """
    plan, config, first = clerk.plan, clerk.plan.config, int(state.step)
    program = parallel.compiled(step_of(plan), feed, plan.layout)
    waiting: list[tuple[int, Any]] = []  # (first step, metrics of a call)
    look_first(first, state, clerk)
    step, code = first, 0
    while step < config.steps:
        count = min(plan.steps_per_call, config.steps - step)
        batches = feed.at(step, count)  # ahead of stop(), which tells if it fails
        if code := stop():
            break
        given = (state, batches, key)
        call = program(count, *given)
        if step == first:
            clerk.report.start(step)
        clerk.profile(call, count, state)
        state, metrics = call(*given)
        waiting.append((step, metrics))
        step += count
        if len(waiting) > 2:
            jax.block_until_ready(waiting[-3])  # the host runs two calls ahead
        log_due, sample_due, save_due = due(step, count, config)
        if log_due or save_due:
            settle(waiting, clerk)  # so that nothing that is not finite is ever saved
        if log_due:
            tell(step, state, waiting, clerk)
        if sample_due:
            show(step, state, clerk)
        if save_due and step < config.steps:
            save(state, clerk)
    settle(waiting, clerk)
    if waiting:  # stopped between two marks
        tell(step, state, waiting, clerk)
    return state, code


def due(step: int, count: int, config: Config) -> tuple[bool, bool, bool]:
    """Whether the last `count` steps passed a mark of log, sample and save.

    The last step of all passes every mark.
    """
    marks = (config.log_every, config.sample_every, config.save_every)
    passed = (step // every > (step - count) // every for every in marks)
    log_due, sample_due, save_due = (mark or step >= config.steps for mark in passed)
    return log_due, sample_due, save_due


def dry_run(plan: Plan) -> None:
    """Prints what would run: flags, parameters, and the compiled step's needs."""
    config, lines = plan.config, []
    for name, value in flags(config).items():
        lines.append(f"{name}={value}")
    for player, params in shapes(plan).params._asdict().items():
        size = sum(x.size for x in jax.tree.leaves(params))
        lines.append(f"{player}: {size:,} parameters")
    with open_feed(plan, 0) as feed:
        given = first_state(plan, 0), feed.at(0, plan.steps_per_call), run_keys(plan, 0)
        program = parallel.compiled(step_of(plan), feed, plan.layout)
        lines += parallel.needs(program(plan.steps_per_call, *given))
    if leads():
        print("\n".join(map(printable, lines)))

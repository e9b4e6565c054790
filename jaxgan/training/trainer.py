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
from jaxgan.cli import EXIT_TRY_AGAIN
from jaxgan.config.presets import earlier_flags
from jaxgan.config.training import MAY_CHANGE, Config, to_dict
from jaxgan.distributed.consensus import (
    agree_to_stop,
    all_succeed,
    check_same_flags,
    is_main_process,
    run_on_main,
)
from jaxgan.errors import TrainingError, printable
from jaxgan.experiment import checkpoint, memory
from jaxgan.experiment.input_pipeline import make_train_step, open_feed
from jaxgan.experiment.memory_check import fit_memory
from jaxgan.experiment.setup import (
    Experiment,
    allowed_differences,
    data_facts,
    seeds_of,
    setup,
    state_shapes,
)
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
from jaxgan.training.shutdown import catch_signals, deadline
from jaxgan.types import TrainState

log = logging.getLogger("jaxgan")

EXIT_BAD_DATA = 2
"""The exit code of a run that stops, and saves, for an example that cannot be read."""


class Keys(NamedTuple):
    """The run's PRNG keys, one per purpose."""

    init: jax.Array
    run: jax.Array
    gallery: jax.Array


def seed_keys(seed: int, rollbacks: int = 0) -> Keys:
    """The keys of a seed; after a rollback all but the gallery's are others."""
    keys = Keys(*jax.random.split(multi_seed.key_of(seed), len(Keys._fields)))
    if rollbacks == 0:
        return keys
    init, run = (jax.random.fold_in(key, rollbacks) for key in (keys.init, keys.run))
    return Keys(init, run, keys.gallery)


@memory.explain_out_of_memory(
    "use a smaller --batch_size, smaller --networks, or --input=host"
)
def train(config: Config) -> int:
    """Trains, or resumes what stands in the workdir; returns the exit code.

    0 when all steps are done, 128 + the signal's number when a signal ended it early,
    75 when its time was over.

    Raises:
      UsageError: before anything is compiled or written, if something does not fit.
      TrainingError: if the run stops being finite, or collapses and may not go on.
    """
    ends = deadline(config.max_minutes)
    check_same_flags(to_dict(config))
    config = run_on_main(lambda: with_recorded_presets(config))
    plan = all_succeed(lambda: fit_memory(setup(config)))
    if config.dry_run:
        dry_run(plan)
        return 0
    known = data_facts(plan.dataset)
    given, may_change = to_dict(plan.config), MAY_CHANGE
    checkpoints = local_path("--workdir", config.workdir) / "checkpoints"
    run_on_main(
        lambda: checkpoint.available(checkpoints)
    )  # or one line, before any write
    with ExitStack() as stack:
        opened = workdir.open_workdir(
            config.workdir,
            given,
            may_change=may_change,
            data=known,
            alike=allowed_differences(plan.config, known),
        )
        folder = run_on_main(lambda: stack.enter_context(opened))
        return run_with_rollbacks(plan, folder, ends)


def with_recorded_presets(config: Config) -> Config:
    """The config; for a run of version 0.1.0 with what its preset meant there."""
    folder = local_path("--workdir", config.workdir)
    if not (folder / "config.json").is_file():
        return config
    earlier = earlier_flags(to_dict(config), workdir.read_config(folder))
    if earlier:
        shown = " ".join(f"--{name}={value}" for name, value in earlier.items())
        log.info("preset %s as in version 0.1.0: %s", config.preset, shown)
    return dataclasses.replace(config, **earlier)


def run_with_rollbacks(plan: Experiment, folder: Path, ends: float = math.inf) -> int:
    """The run itself, in a workdir that is ours; it goes back where it may."""
    back: Collapse | None = None
    while True:
        try:
            return run_once(plan, folder, back, ends)
        except Collapse as collapse:
            back = check_rollback(plan, folder, collapse)


def run_once(
    plan: Experiment, folder: Path, back: Collapse | None, ends: float = math.inf
) -> int:
    """From the newest checkpoint, or from the best after a collapse, to the end."""
    config = plan.config
    state, history = restore_or_init(plan, folder, back)
    first = int(state.step)
    if first >= config.steps:
        log.info("step %d of %d is done: nothing left to do", first, config.steps)
        return 0
    key = seed_keys(config.seed).gallery
    with (
        open_clerk(plan, folder, history, first, key) as clerk,
        open_feed(plan, first) as feed,
        catch_signals(ends, alone=plan.layout.processes == 1) as ask,
    ):
        if back and is_main_process():
            told = f"back to step {first:,} with other noise, after: {back}"
            clerk.report.note(first, "rollback", told)
        keys = run_keys(plan, rollbacks(folder))
        stop = agree_to_stop(
            lambda: ask() or EXIT_BAD_DATA * bool(feed.failure()), plan.layout
        )
        state, code = training_loop(state, keys, feed, clerk, stop)
        save(state, clerk, wait=True)
    if code == EXIT_BAD_DATA:
        log.warning("saved at step %d", int(state.step))
        all_succeed(lambda: raise_failure(feed))
    if code:
        why = "its time, or its machine's, is over: " if code == EXIT_TRY_AGAIN else ""
        step = int(state.step)
        log.warning("%sstopped at step %d; the same command resumes", why, step)
        return code
    if not is_main_process():
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


def restore_or_init(
    plan: Experiment, folder: Path, back: Collapse | None
) -> tuple[TrainState, dict[str, Any]]:
    """The newest checkpoint's state and history, or new ones.

    After a collapse the best checkpoint's, of those that are older than its first sign.
    """
    checkpoints, before = folder / "checkpoints", back.since if back else math.inf
    steps = run_on_main(lambda: checkpoint.available(checkpoints))
    if not any(step < before for step in steps):
        times = rollbacks(folder) + (back is not None)
        # A program of XLA for CPU that ran out of memory hangs where its values are
        # read, unless it was waited for.
        return jax.block_until_ready(init_state(plan, times)), {"seconds": 0.0}
    template, found = state_shapes(plan), []

    def read(which: checkpoint.Which) -> int:
        found.extend(
            checkpoint.restore(checkpoints, template, which=which, before=before)
        )
        return int(found[0].step)

    step = run_on_main(lambda: read("best" if back else "last"))
    if not is_main_process():
        read(step)  # and no other, should that one be damaged here
    log.info("resumed at step %d", step)
    state, history = found
    return jax.block_until_ready(parallel.place(state, plan.layout)), history


def init_state(plan: Experiment, rollbacks: int) -> TrainState:
    """A new state on the devices, of each seed where there are several runs."""
    keys = [seed_keys(seed, rollbacks).init for seed in seeds_of(plan.config)]
    return parallel.init_on_devices(plan.game.init, keys, plan.layout)


def run_keys(plan: Experiment, rollbacks: int) -> jax.Array:
    """The key of all steps, or of each of several runs `[runs]`."""
    keys = [seed_keys(seed, rollbacks).run for seed in seeds_of(plan.config)]
    if len(keys) == 1:
        return parallel.put(keys[0], plan.layout)
    return parallel.put(jnp.stack(keys), plan.layout, 0)


def rollbacks(folder: Path) -> int:
    """How often the run went back."""
    return run_on_main(lambda: sum(x.kind == "rollback" for x in findings(folder)))


def check_rollback(plan: Experiment, folder: Path, collapse: Collapse) -> Collapse:
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


def training_loop(
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
    program = parallel.make_compiler(make_train_step(plan), feed, plan.layout)
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


def dry_run(plan: Experiment) -> None:
    """Prints what would run: flags, parameters, and the compiled step's needs."""
    config, lines = plan.config, []
    for name, value in to_dict(config).items():
        lines.append(f"{name}={value}")
    for player, params in state_shapes(plan).params._asdict().items():
        size = sum(x.size for x in jax.tree.leaves(params))
        lines.append(f"{player}: {size:,} parameters")
    with open_feed(plan, 0) as feed:
        given = init_state(plan, 0), feed.at(0, plan.steps_per_call), run_keys(plan, 0)
        program = parallel.make_compiler(make_train_step(plan), feed, plan.layout)
        lines += parallel.format_costs(program(plan.steps_per_call, *given))
    if is_main_process():
        print("\n".join(map(printable, lines)))

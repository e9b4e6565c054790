"""The training loop."""

from collections.abc import Callable
from typing import NamedTuple

import jax

from jaxgan import parallel
from jaxgan.performance.profiling import phase
from jaxgan.training.hooks import Hooks, Pending
from jaxgan.types import TrainState

CALLS_AHEAD = 2
"""Compiled calls that the host starts before it waits for the oldest."""


def training_loop(
    state: TrainState,
    key: jax.Array,
    feed: parallel.Feed,
    hooks: Hooks,
    stop: Callable[[], int],
) -> tuple[TrainState, int]:
    """Trains until all steps are done, or `stop` returns an exit code.

    Args:
      state: on the devices; donated.
      key: of all steps.
      feed: of the batches.
      hooks: called between steps.
      stop: called before each compiled call. Returns 0 to continue.

    Returns:
      The newest state, and the exit code: 0 if all steps are done.
    """
    experiment, first = hooks.experiment, int(state.step)
    steps = experiment.config.steps
    train_step, layout = experiment.train_step, experiment.layout
    compiled = parallel.make_compiler(train_step, feed, layout, hooks.set_step_flops)
    pending: Pending = []
    hooks.prepare(first, state)
    step, code, counted = first, 0, 0
    while step < steps:
        # The last call may have fewer steps.
        count = min(experiment.steps_per_call, steps - step)
        with hooks.clock.waiting(step):
            batches = feed.at(step, count)  # before stop(), which reports its failure
        if code := stop():
            break
        if count != counted:
            hooks.clock.pause()  # the program is compiled now
        program = compiled(count, state, batches, key)
        if step == first:
            hooks.start_clock(step)
        hooks.before_call(program, count, state)
        counted = count
        hooks.clock.resume()
        # This returns at once: the devices compute while the host goes on.
        with phase("step", step):
            state, metrics = program(state, batches, key)
        pending.append((step, metrics))
        hooks.clock.started(metrics, count)
        if step == first:
            hooks.after_first_call(metrics)
        step += count
        if len(pending) > CALLS_AHEAD:
            # Otherwise the host would run far ahead and queue batches in memory.
            with phase("wait", step):
                jax.block_until_ready(pending[-1 - CALLS_AHEAD])
        hooks.clock.look()
        call_hooks(hooks, due_at(step, count, hooks), step, state, pending)
    # The caller saves the last step. A stop may come between two rows of metrics.
    hooks.fetch_metrics(pending)
    if pending:
        hooks.write_metrics(step, state, pending)
    return state, code


class Due(NamedTuple):
    """Hooks to call after a step."""

    log: bool
    sample: bool
    save: bool
    evaluate: bool
    """False if each checkpoint is evaluated, and no other step."""


def call_hooks(
    hooks: Hooks, marks: Due, step: int, state: TrainState, pending: Pending
) -> None:
    """Calls the hooks that are due. The caller saves the last step."""
    if not any(marks):
        return
    if marks.log or marks.save or marks.evaluate:
        hooks.fetch_metrics(pending)  # nothing that is not finite is ever saved
    hooks.clock.pause()
    if marks.log:
        hooks.write_metrics(step, state, pending)
    if marks.sample:
        hooks.write_samples(step, state)
    last = step >= hooks.experiment.config.steps
    if marks.evaluate and not last:
        hooks.evaluate(state)
    if marks.save and not last:
        hooks.save_checkpoint(state)
    hooks.clock.resume()


def due_at(step: int, count: int, hooks: Hooks) -> Due:
    """Returns the hooks that were due in the last `count` steps, all at the end."""
    config = hooks.experiment.config
    intervals = (config.log_every, config.sample_every, config.save_every)
    # A call may end behind the multiple of an interval, so compare quotients.
    passed = (step // every > (step - count) // every for every in intervals)
    log, sample, save = (mark or step >= config.steps for mark in passed)
    every = config.eval_every
    evaluate = every > 0 and step // every > (step - count) // every
    return Due(log, sample, save, evaluate)

"""Traces some calls of the step during training."""

import logging
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import jax

from jaxgan.performance.profiling.table import format_summary, summarize_trace
from jaxgan.types import Tree

log = logging.getLogger("jaxgan")

WARMUP_CALLS = 2
"""Calls before the trace, as the first ones also allocate memory."""


class Call(NamedTuple):
    """A call of the step that is about to run."""

    program: Any
    """The compiled program."""
    steps: int
    """The number of steps in the call."""
    state: Tree
    """The argument of the call, which the previous call returned."""


@contextmanager
def open_profile(folder: Path, calls: int) -> Iterator[Callable[..., None]]:
    """Yields `ahead(program, steps, state)`, to be called before each call of the step.

    After two warm-up calls, the next ones are traced and the most expensive operations
    are logged. A trace that the end of the run cuts short is summarized as well.

    Args:
      folder: the folder for the trace.
      calls: the number of calls to trace; with 0, nothing is ever traced.
    """
    tracer = traced(folder, calls)
    if calls:
        # Run to the first `yield`, where the generator waits for a call.
        next(tracer)

    def ahead(program: Any, steps: int, state: Tree) -> None:
        with suppress(StopIteration):  # the trace is complete
            tracer.send(Call(program, steps, state))

    try:
        yield ahead if calls else lambda *_: None
    finally:
        tracer.close()


def traced(folder: Path, calls: int) -> Generator[None, Call, None]:
    """Traces a run whose calls are sent to it; ends after the summary is logged."""
    try:
        # The call behind the warm-up calls is the first one to be traced.
        for _ in range(WARMUP_CALLS + 1):
            call = yield
    except GeneratorExit:
        log.warning(
            "profile: the run ended within the %d warm-up calls, so nothing was "
            "traced; use more steps, or 1 step per call",
            WARMUP_CALLS,
        )
        return
    # The state is ready when the call before has ended.
    first = call
    jax.block_until_ready(first.state)
    try:
        start(folder)
    except (OSError, RuntimeError) as error:  # such as another trace in progress
        log.warning("profile: nothing can be traced here: %s", error)
        return
    done = 0
    try:
        # A last call with fewer steps is another program, which ends the trace.
        while done < calls and call.program is first.program:
            done += 1
            call = yield
        # The argument of this call is the result of the last traced one.
        jax.block_until_ready(call.state)
    finally:  # also if the run ends first, which has then waited for its state
        finish(folder, first, done)


def start(folder: Path) -> None:
    """Starts a trace of devices and runtime, without Python calls, which are slow."""
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0
    jax.profiler.start_trace(
        folder, create_perfetto_trace=True, profiler_options=options
    )


def finish(folder: Path, call: Call, calls: int) -> None:
    """Writes the trace and logs its summary; a failure is only logged."""
    began = time.monotonic()
    try:
        jax.profiler.stop_trace()
        # Any other number of files raises a ValueError.
        [file] = newest(folder).glob("*.xplane.pb")
        summary = summarize_trace(file, call.program.as_text(), calls * call.steps)
    except (OSError, RuntimeError, ValueError) as error:
        log.warning("profile: the trace could not be written: %s", error)
        return
    steps = "1 step" if call.steps == 1 else f"{call.steps} steps"
    for line in format_summary(summary, f"{calls} call(s) of {steps}"):
        log.info("%s", line)
    log.info(
        "profile: open %s in https://ui.perfetto.dev, or run xprof --logdir=%s "
        "(written in %.1f s)",
        *(file.parent / "perfetto_trace.json.gz", folder, time.monotonic() - began),
    )


def newest(folder: Path) -> Path:
    """Returns the folder of the most recent trace."""
    # The folders are named by the time of their trace.
    return max((folder / "plugins" / "profile").iterdir(), key=lambda x: x.name)

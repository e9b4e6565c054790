"""Traces some calls of the step while a run goes on."""

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
"""Calls before the trace: the first ones also allocate."""


class Call(NamedTuple):
    """A call of the step that is about to be made."""

    program: Any
    """Compiled."""
    steps: int
    state: Tree
    """What it is given, the result of the call before."""


@contextmanager
def open_profile(folder: Path, calls: int) -> Iterator[Callable[..., None]]:
    """Yields ahead(program, steps, state), to be called before each call of the step.

    After two calls that warm up, the next `calls` are traced into `folder`; then the
    costliest operations are told. At the end of the run it is done with what there is.
    With no calls nothing is ever traced.
    """
    watching = traced(folder, calls)
    if calls:
        next(watching)

    def ahead(program: Any, steps: int, state: Tree) -> None:
        with suppress(StopIteration):  # it is done
            watching.send(Call(program, steps, state))

    try:
        yield ahead if calls else lambda *_: None
    finally:
        watching.close()


def traced(folder: Path, calls: int) -> Generator[None, Call, None]:
    """Is sent every call of a run in turn; ends when it has told."""
    try:
        for _ in range(WARMUP_CALLS + 1):
            call = yield
    except GeneratorExit:
        log.warning(
            "--profile: the run ended within the %d calls that warm up, so nothing was "
            "traced; use more --steps, or --steps_per_call=1",
            WARMUP_CALLS,
        )
        return
    first = call
    jax.block_until_ready(first.state)
    try:
        start(folder)
    except (OSError, RuntimeError) as error:  # such as another trace that goes on
        log.warning("--profile: nothing can be traced here: %s", error)
        return
    done = 0
    try:
        while done < calls and call.program is first.program:
            done += 1
            call = yield
        jax.block_until_ready(call.state)
    finally:  # also at the end of the run, which has waited for its last state
        finish(folder, first, done)


def start(folder: Path) -> None:
    """Starts to trace devices and runtime; Python's own calls would slow it down."""
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0
    jax.profiler.start_trace(
        folder, create_perfetto_trace=True, profiler_options=options
    )


def finish(folder: Path, call: Call, calls: int) -> None:
    """Writes the trace, and tells what it shows; the run goes on if it cannot."""
    began = time.monotonic()
    try:
        jax.profiler.stop_trace()
        [written] = newest(folder).glob("*.xplane.pb")
        found = summarize_trace(written, call.program.as_text(), calls * call.steps)
    except (OSError, RuntimeError, ValueError) as error:
        log.warning("--profile: the trace could not be written: %s", error)
        return
    steps = "1 step" if call.steps == 1 else f"{call.steps} steps"
    for line in format_summary(found, f"{calls} call(s) of {steps}"):
        log.info("%s", line)
    log.info(
        "profile: look at %s in https://ui.perfetto.dev, or with xprof --logdir=%s "
        "(written in %.1f s)",
        *(written.parent / "perfetto_trace.json.gz", folder, time.monotonic() - began),
    )


def newest(folder: Path) -> Path:
    """Where jax put the trace that was written last."""
    return max((folder / "plugins" / "profile").iterdir(), key=lambda x: x.name)

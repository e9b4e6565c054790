"""Names the phases of a run in a trace, so that the host's time has a label."""

from contextlib import AbstractContextManager

import jax

PHASES = ("input", "step", "wait", "log", "sample", "evaluate", "save")
"""Names of the phases in a trace, on the line of the main thread.

`input` waits for a batch, `step` starts a compiled call, and `wait` waits for the
devices.
"""


def phase(name: str, step: int) -> AbstractContextManager:
    """Returns a context that shows its time in a trace, and costs 1 us without one.

    Args:
      name: one of `PHASES`.
      step: the number of finished steps, which the trace shows too.
    """
    # Profilers group device operations by annotations of this type.
    if name == "step":
        return jax.profiler.StepTraceAnnotation(name, step_num=step)
    return jax.profiler.TraceAnnotation(name, step_num=step)

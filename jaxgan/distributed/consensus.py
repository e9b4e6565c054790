"""Decisions that all processes share. All processes call each function, in order."""

import pickle
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from jaxgan.errors import TrainingError, UsageError
from jaxgan.parallel import Layout, from_processes

T = TypeVar("T")

OWN = frozenset({"process_id", "data_dir"})
"""Flags that may differ between processes."""


class RemoteError(UsageError):
    """An error that was raised in another process."""


def is_main_process() -> bool:
    """Returns True in process 0, which prints and writes."""
    return jax.process_index() == 0


def barrier(name: str) -> None:
    """Waits until all processes have called it with the same name."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


def run_on_main(make: Callable[[], T]) -> T:
    """Runs `make` in process 0 only and returns its result in all processes.

    Raises:
      UsageError: in all processes, if `make` raises it.
      TrainingError: in all processes, if `make` raises it.
    """
    if jax.process_count() == 1:
        return make()
    # The other processes send None and receive the outcome of process 0.
    outcome = _try(make) if is_main_process() else None
    return _unwrap(_all_gather(outcome)[0], 0)


def all_succeed(work: Callable[[], T]) -> T:
    """Runs `work` in every process and raises the first error in all of them.

    Returns:
      The result of `work` in this process, if it succeeded in all.

    Raises:
      UsageError: in all processes, if `work` raises it in one.
      TrainingError: in all processes, if `work` raises it in one.
    """
    if jax.process_count() == 1:
        return work()
    local = _try(work)
    # Only errors are sent: a result may be large or impossible to pickle.
    shared = local if "error" in local else {}
    for number, outcome in enumerate(_all_gather(shared)):
        if "error" in outcome:
            _unwrap(outcome, number)
    return local["value"]


def gather(value: T) -> list[T]:
    """Returns the values of all processes, in order of their number."""
    return [value] if jax.process_count() == 1 else _all_gather(value)


def check_same_flags(flags: dict[str, Any]) -> None:
    """Checks that all processes have the same flags, except those in `OWN`.

    Raises:
      UsageError: naming a flag that differs, with both values.
    """
    if jax.process_count() == 1:
        return
    every = _all_gather(flags)
    for number, theirs in enumerate(every):
        # Compare with the flags of process 0, one by one.
        for name, value in every[0].items():
            if name not in OWN and theirs.get(name) != value:
                raise UsageError(
                    f"--{name} is {value!r} in process 0 and {theirs.get(name)!r} in "
                    f"process {number}: use the same flags in all processes"
                )


def agree_to_stop(ask: Callable[[], int], layout: Layout) -> Callable[[], int]:
    """Returns now() -> the largest exit code of all processes, or 0 to go on.

    Each process calls `now` before each call of the train step. Its result is that of
    two calls before, so that no process waits for another, and all stop at the same
    step.

    Args:
      ask: returns the exit code with which this process wants to stop, or 0.
      layout: the devices of all processes.
    """
    if layout.processes == 1:
        return ask
    # The maximum is replicated, so that each process can read it.
    largest = jax.jit(jnp.max, out_shardings=layout.spread(None))
    # One code per device, as the array is split over all devices.
    local_devices = len(layout.devices) // layout.processes
    pending: deque[jax.Array] = deque()

    def now():
        codes = from_processes(np.full(local_devices, ask()), layout, 0)
        pending.append(largest(codes))
        # A result of two calls before is ready, so that reading it does not block.
        return int(pending.popleft()) if len(pending) > 2 else 0

    return now


def _try(work: Callable[[], Any]) -> dict[str, Any]:
    """Returns {"value": result}, or {"error": error} for an expected error."""
    try:
        return {"value": work()}
    except (UsageError, TrainingError) as error:
        return {"error": error}


def _unwrap(outcome: dict[str, Any], number: int) -> Any:
    """Returns the value of an outcome of process `number`, or raises its error."""
    error = outcome.get("error")
    if error is None:
        return outcome["value"]
    if number == jax.process_index():
        # Keeps the traceback.
        raise error
    # Errors of process 0 are not prefixed: it is the one that prints.
    text = str(error) if number == 0 else f"process {number}: {error}"
    if isinstance(error, TrainingError):
        raise TrainingError(text)
    raise RemoteError(text)


def _all_gather(value: Any) -> list[Any]:
    """Returns the values of all processes, in order of their number."""
    # The pickled value as bytes, `[size]`.
    local = np.frombuffer(pickle.dumps(value), np.uint8)
    # Arrays must have the same shape everywhere, so pad to the longest.
    sizes = multihost_utils.process_allgather(np.array([local.size]))
    padded = np.zeros(int(sizes.max()), np.uint8)
    padded[: local.size] = local
    # Rows of `[processes, longest]`.
    rows = np.asarray(multihost_utils.process_allgather(padded))
    # Cut the padding off each row.
    counts = np.asarray(sizes).ravel()
    pairs = zip(rows.reshape(len(counts), -1), counts, strict=True)
    return [pickle.loads(row[:count].tobytes()) for row, count in pairs]

"""What all processes decide alike; each function is called by all of them, in order."""

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
"""Flags in which processes may differ."""


class RemoteError(UsageError):
    """An error that another process tells of."""


def is_main_process() -> bool:
    """Whether this process is the one that prints and writes."""
    return jax.process_index() == 0


def barrier(name: str) -> None:
    """Returns when all processes are here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


def run_on_main(make: Callable[[], T]) -> T:
    """What `make` gives in process 0, in all; it is called in no other.

    What it raises is raised in all.
    """
    if jax.process_count() == 1:
        return make()
    outcome = _try(make) if is_main_process() else None
    return _unwrap(_all_gather(outcome)[0], 0)


def all_succeed(work: Callable[[], T]) -> T:
    """What `work` gives here once it succeeded in all; else the first error, in all."""
    if jax.process_count() == 1:
        return work()
    own = _try(work)
    told = own if "error" in own else {}
    for number, outcome in enumerate(_all_gather(told)):
        if "error" in outcome:
            _unwrap(outcome, number)
    return own["value"]


def check_same_flags(flags: dict[str, Any]) -> None:
    """Raises UsageError where processes were given different flags, naming them."""
    if jax.process_count() == 1:
        return
    every = _all_gather(flags)
    for number, theirs in enumerate(every):
        for name, value in every[0].items():
            if name not in OWN and theirs.get(name) != value:
                raise UsageError(
                    f"--{name} is {value!r} in process 0 and {theirs.get(name)!r} in "
                    f"process {number}: give all the same flags"
                )


def agree_to_stop(ask: Callable[[], int], layout: Layout) -> Callable[[], int]:
    """Returns now(): the largest of what `ask` told in any process, 0 for none.

    Each process calls it before each call of the step. What it tells was asked three
    calls before: so none waits for another, and all stop at the same step.
    """
    if layout.processes == 1:
        return ask
    largest = jax.jit(jnp.max, out_shardings=layout.spread(None))
    own = len(layout.devices) // layout.processes
    asked: deque[jax.Array] = deque()

    def now():
        asked.append(largest(from_processes(np.full(own, ask()), layout, 0)))
        return int(asked.popleft()) if len(asked) > 2 else 0

    return now


def _try(work: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"value": work()}
    except (UsageError, TrainingError) as error:
        return {"error": error}


def _unwrap(outcome: dict[str, Any], number: int) -> Any:
    error = outcome.get("error")
    if error is None:
        return outcome["value"]
    if number == jax.process_index():
        raise error
    text = str(error) if number == 0 else f"process {number}: {error}"
    if isinstance(error, TrainingError):
        raise TrainingError(text)
    raise RemoteError(text)


def _all_gather(value: Any) -> list[Any]:
    """What each process gives, in all."""
    own = np.frombuffer(pickle.dumps(value), np.uint8)
    sizes = multihost_utils.process_allgather(np.array([own.size]))
    padded = np.zeros(int(sizes.max()), np.uint8)
    padded[: own.size] = own
    rows = np.asarray(multihost_utils.process_allgather(padded))
    counts = np.asarray(sizes).ravel()
    pairs = zip(rows.reshape(len(counts), -1), counts, strict=True)
    return [pickle.loads(row[:count].tobytes()) for row, count in pairs]

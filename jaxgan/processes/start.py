"""From flags, or from what a cluster tells, to processes that know of one another."""

import contextlib
import logging
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from jaxgan.cli import ending, foreseen, print_error
from jaxgan.config import Config
from jaxgan.errors import UsageError
from jaxgan.maintenance import chips
from jaxgan.processes.lifeline import Lifeline
from jaxgan.processes.rendezvous import meet, split

log = logging.getLogger("jaxgan")


@contextlib.contextmanager
def together(config: Config) -> Iterator[None]:
    """Within, `jax` knows of all processes; one that fails ends all with its message.

    Process 0 prints. Where flags and cluster tell of one process only, nothing happens.

    Raises:
      UsageError: before jax starts, if the others are not there or do not fit.
    """
    lifeline = start(config)
    if lifeline is None:
        yield
        return
    try:
        yield
    except BaseException as error:
        _end(error, lifeline)
    lifeline.leave()
    import jax

    jax.distributed.shutdown()


def start(config: Config) -> Lifeline | None:
    """Starts `jax.distributed` where there are several processes."""
    given = config.num_processes > 0 or config.process_id >= 0
    if config.coordinator in ("auto", "none"):
        if given:
            raise UsageError(
                "--num_processes and --process_id go with --coordinator=HOST:PORT of "
                "process 0, such as --coordinator=127.0.0.1:1234"
            )
        if config.coordinator == "none":
            return None
        return _of_cluster()
    if config.num_processes < 1 or config.process_id < 0:
        raise UsageError(
            f"--coordinator={config.coordinator} goes with --num_processes and "
            "--process_id, such as --num_processes=2 --process_id=0"
        )
    count, number = config.num_processes, config.process_id
    host, _ = split(config.coordinator)
    lifeline = Lifeline(number)
    where = lifeline.listen(host, count) if number == 0 else None
    where = meet(config.coordinator, count, number, config.meet_seconds, where)
    if number:
        _reach(lifeline, where)
    own = number == 0 and host == "127.0.0.1"
    _initialised(
        coordinator_address=config.coordinator,
        coordinator_bind_address=config.coordinator if own else None,
        num_processes=count,
        process_id=number,
    )
    return lifeline


def _of_cluster() -> Lifeline | None:
    if scheduled(os.environ):
        return _connected(_initialised())
    if not chips(os.environ):
        return None
    try:  # a TPU's own machine tells jax of the others, if it is of a pod
        return _connected(_initialised())
    except UsageError as error:
        log.info("one process: %s", error)
        return None


def scheduled(environment: Mapping[str, str]) -> bool:
    """Whether a scheduler started several processes, which jax then asks for them.

    >>> scheduled({"SLURM_STEP_NUM_TASKS": "4"}), scheduled({})
    (True, False)
    """
    tasks = ("SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE")
    return any(int(environment.get(name) or 1) > 1 for name in tasks)


def _initialised(**where: Any) -> Any:
    import jax

    # else jax keeps SIGTERM to itself, and one that comes before training is lost
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(**where)
    except (RuntimeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(
            f"the processes did not find one another: {reason}; give --coordinator, "
            "--num_processes and --process_id, or --coordinator=none for one process"
        ) from error
    return jax


def _connected(jax: Any) -> Lifeline | None:
    """Processes that jax brought together, with a connection from each to process 0."""
    count, number = jax.process_count(), jax.process_index()
    if count == 1:
        return None
    from jaxgan.agreement import shared

    lifeline = Lifeline(number)
    where = shared(lambda: lifeline.listen(socket.gethostname(), count))
    if number:
        _reach(lifeline, where)
    return lifeline


def _reach(lifeline: Lifeline, where: tuple[str, int]) -> None:
    """In a process that follows: it prints nothing but its own errors."""
    logging.getLogger("jaxgan").setLevel(logging.ERROR)
    try:
        lifeline.reach(*where)
    except OSError as error:
        log.error("process 0 cannot be reached (%s); jax ends all later", error)


def _end(error: BaseException, lifeline: Lifeline) -> None:
    """The end of a process that failed; it waits for none of the others."""
    from jaxgan.agreement import Elsewhere, leads

    if not foreseen(error):
        time.sleep(2.0)  # another's end is the cause, most likely, and is told first
    code, message = ending(error)
    lifeline.fail(message, code)
    if leads() or not isinstance(error, Elsewhere):
        print_error(message)
    sys.stdout.flush()
    os._exit(code)

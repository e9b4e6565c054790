"""From flags, or from what a cluster tells, to processes that know of one another."""

import contextlib
import ipaddress
import logging
import math
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from jaxgan.cli import ending, foreseen, print_error
from jaxgan.config.training import Config
from jaxgan.distributed.connections import listen
from jaxgan.distributed.rendezvous import TOKEN_VARIABLE, listen_at, meet, split_address
from jaxgan.distributed.watchdog import Watchdog
from jaxgan.environment import has_tpu
from jaxgan.errors import UsageError, first_line

log = logging.getLogger("jaxgan")

MAX_SECONDS = 10_000_000
"""Seconds; what waits, here and in jax, takes no number of any size."""


@contextlib.contextmanager
def initialize(config: Config) -> Iterator[None]:
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
        import jax

        jax.distributed.shutdown()  # waits for all
    except BaseException as error:
        _exit(error, lifeline)
    lifeline.leave()


def start(config: Config) -> Watchdog | None:
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
        return _from_cluster(config)
    if config.num_processes < 1 or config.process_id < 0:
        raise UsageError(
            f"--coordinator={config.coordinator} goes with --num_processes and "
            "--process_id, such as --num_processes=2 --process_id=0"
        )
    count, number = config.num_processes, config.process_id
    host, _ = split_address(config.coordinator)
    lifeline, where = _watchdog(number, config), None
    if number == 0:
        listener = listen_at(host, 0, f"--coordinator={config.coordinator}")
        where = lifeline.listen(listener, host)
    secret = os.environ.get(TOKEN_VARIABLE, "")
    where = meet(config.coordinator, count, number, config.meet_seconds, where, secret)
    if number == 0:
        lifeline.accept(count)
    else:
        _connect_to_main(lifeline, where)
    own = number == 0 and is_loopback(host)
    _initialize_jax(
        config,
        coordinator_address=config.coordinator,
        coordinator_bind_address=config.coordinator if own else None,
        num_processes=count,
        process_id=number,
    )
    return lifeline


def _watchdog(number: int, config: Config) -> Watchdog:
    return Watchdog(number, silence=min(config.heartbeat_seconds, MAX_SECONDS))


def is_loopback(host: str) -> bool:
    """Returns True if only this machine reaches a host.

    >>> is_loopback("::1"), is_loopback("10.0.0.1")
    (True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _from_cluster(config: Config) -> Watchdog | None:
    if scheduled(os.environ):
        return _connect(_initialize_jax(config), config)
    if not has_tpu(os.environ):
        return None
    try:  # a TPU's own machine tells jax of the others, if it is of a pod
        return _connect(_initialize_jax(config), config)
    except UsageError as error:
        log.info("one process: %s", error)
        return None


def scheduled(environment: Mapping[str, str]) -> bool:
    """Whether a scheduler started several processes, which jax then asks for them.

    >>> scheduled({"SLURM_STEP_NUM_TASKS": "4"}), scheduled({})
    (True, False)
    """
    tasks = ("SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE")
    return any(_count(environment.get(name, "")) > 1 for name in tasks)


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 1


def _initialize_jax(config: Config, **where: Any) -> Any:
    import jax

    # else jax keeps SIGTERM to itself, and one that comes before training is lost
    jax.config.update("jax_enable_preemption_service", False)
    # jax ends a process with a dump of its stack: the lifeline notices silence before,
    # jax after half of its time at the earliest
    heartbeat = max(100, math.ceil(min(3 * config.heartbeat_seconds, MAX_SECONDS)))
    patience = max(300, math.ceil(min(config.meet_seconds, MAX_SECONDS)))
    try:
        jax.distributed.initialize(
            **where,
            heartbeat_timeout_seconds=heartbeat,
            initialization_timeout=patience,
        )
    except (RuntimeError, ValueError, KeyError) as error:
        raise UsageError(
            f"the processes did not find one another: {first_line(error)}; give "
            "--coordinator, --num_processes and --process_id, or --coordinator=none "
            "for one process"
        ) from error
    return jax


def _connect(jax: Any, config: Config) -> Watchdog | None:
    """Processes that jax brought together, with a connection from each to process 0."""
    count, number = jax.process_count(), jax.process_index()
    if count == 1:
        return None
    from jaxgan.distributed.consensus import run_on_main

    lifeline = _watchdog(number, config)
    where = run_on_main(lambda: _listen(lifeline, socket.gethostname()))
    if number:
        _connect_to_main(lifeline, where)
    elif where is not None:
        lifeline.accept(count)
    return lifeline


def _listen(lifeline: Watchdog, host: str) -> tuple[str, int, str] | None:
    try:
        return lifeline.listen(listen(host, 0), host)
    except (OSError, ValueError) as error:  # its name may be no address of its own
        log.warning("no connection to the others (%s: %s)", host, first_line(error))
        return None


def _connect_to_main(lifeline: Watchdog, where: Any) -> None:
    """In a process that follows: it prints nothing but its own errors."""
    logging.getLogger("jaxgan").setLevel(logging.ERROR)
    if where is None:
        return
    try:
        host, port, token = where
        lifeline.reach(host, port, token)
    except (OSError, TypeError, ValueError) as error:
        log.error("process 0 cannot be reached (%s); jax ends all later", error)


def _exit(error: BaseException, lifeline: Watchdog) -> None:
    """The end of a process that failed; it waits for none of the others."""
    from jaxgan.distributed.consensus import RemoteError, is_main_process

    if not foreseen(error):
        time.sleep(2.0)  # another's end is the cause, most likely, and is told first
    code, message = ending(error)
    lifeline.fail(message, code)
    if is_main_process() or not isinstance(error, RemoteError):
        print_error(message)
    sys.stdout.flush()
    os._exit(code)

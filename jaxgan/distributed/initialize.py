"""Connects the processes of a run, from flags or from the variables of a cluster."""

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
"""Maximum timeout in seconds. Sockets and jax reject larger numbers."""


@contextlib.contextmanager
def initialize(config: Config) -> Iterator[None]:
    """Connects all processes for the duration of the `with` block.

    Within the block `jax` knows the devices of all processes. If one process fails, all
    end with its message. Only process 0 prints. With a single process this does
    nothing.

    Args:
      config: `coordinator`, `num_processes`, `process_id`, `meet_seconds` and
        `heartbeat_seconds` are read.

    Raises:
      UsageError: before jax starts, if other processes are missing or have different
        flags.
    """
    watchdog = start(config)
    if watchdog is None:
        yield
        return
    try:
        yield
        import jax

        jax.distributed.shutdown()  # waits for all processes
    except BaseException as error:
        _exit(error, watchdog)
    watchdog.leave()


def start(config: Config) -> Watchdog | None:
    """Starts `jax.distributed` if there are several processes.

    Returns:
      The watchdog of this process, or None for a single process.

    Raises:
      UsageError: if the flags do not fit together, or other processes are missing.
    """
    # Flags that only make sense with an address.
    manual = config.num_processes > 0 or config.process_id >= 0
    if config.coordinator in ("auto", "none"):
        if manual:
            raise UsageError(
                "--num_processes and --process_id require --coordinator=HOST:PORT of "
                "process 0, such as --coordinator=127.0.0.1:1234"
            )
        if config.coordinator == "none":
            return None
        return _from_cluster(config)
    if config.num_processes < 1 or config.process_id < 0:
        raise UsageError(
            f"--coordinator={config.coordinator} requires --num_processes and "
            "--process_id, such as --num_processes=2 --process_id=0"
        )
    count, number = config.num_processes, config.process_id
    host, _ = split_address(config.coordinator)
    watchdog, where = _watchdog(number, config), None
    # Process 0 opens the watchdog's port first, to send its address in the meeting.
    if number == 0:
        listener = listen_at(host, 0, f"--coordinator={config.coordinator}")
        where = watchdog.listen(listener, host)
    secret = os.environ.get(TOKEN_VARIABLE, "")
    where = meet(config.coordinator, count, number, config.meet_seconds, where, secret)
    # Watch the processes before jax connects them, which may fail as well.
    if number == 0:
        watchdog.accept(count)
    else:
        _connect_to_main(watchdog, where)
    # By default jax listens on all interfaces, even for a loopback address.
    bind_host_only = number == 0 and is_loopback(host)
    _initialize_jax(
        config,
        coordinator_address=config.coordinator,
        coordinator_bind_address=config.coordinator if bind_host_only else None,
        num_processes=count,
        process_id=number,
    )
    return watchdog


def _watchdog(number: int, config: Config) -> Watchdog:
    """Returns the watchdog of process `number`."""
    return Watchdog(number, silence=min(config.heartbeat_seconds, MAX_SECONDS))


def is_loopback(host: str) -> bool:
    """Returns True if a host can be reached from this machine only.

    >>> is_loopback("::1"), is_loopback("10.0.0.1")
    (True, False)
    """
    try:
        # An address, or else a name.
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _from_cluster(config: Config) -> Watchdog | None:
    """Starts `jax.distributed` if a scheduler or a TPU pod has several processes."""
    if scheduled(os.environ):
        return _connect(_initialize_jax(config), config)
    if not has_tpu(os.environ):
        return None
    # jax asks the TPU machine for the other hosts of its pod, if there are any.
    try:
        return _connect(_initialize_jax(config), config)
    except UsageError as error:
        log.info("training in a single process: %s", error)
        return None


def scheduled(environment: Mapping[str, str]) -> bool:
    """Returns True if SLURM or Open MPI started several processes.

    jax then reads the addresses from the scheduler's variables.

    >>> scheduled({"SLURM_STEP_NUM_TASKS": "4"}), scheduled({})
    (True, False)
    """
    tasks = ("SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE")
    return any(_count(environment.get(name, "")) > 1 for name in tasks)


def _count(text: str) -> int:
    """Returns the number of processes in a variable, 1 if it is invalid."""
    # Digits in other scripts pass `isdigit` alone.
    return int(text) if text.isascii() and text.isdigit() else 1


def _initialize_jax(config: Config, **where: Any) -> Any:
    """Calls `jax.distributed.initialize` and returns the `jax` module."""
    import jax

    # Otherwise jax catches SIGTERM, and one that comes before training is lost.
    jax.config.update("jax_enable_preemption_service", False)
    # jax aborts a process with a stack trace after half of its timeout at the earliest,
    # so that the watchdog, which exits cleanly, has to be faster.
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
            f"the processes could not connect: {first_line(error)}; set --coordinator, "
            "--num_processes and --process_id, or use --coordinator=none for a single "
            "process"
        ) from error
    return jax


def _connect(jax: Any, config: Config) -> Watchdog | None:
    """Connects each process to process 0, after jax has connected them.

    Returns:
      The watchdog of this process, or None for a single process.
    """
    count, number = jax.process_count(), jax.process_index()
    if count == 1:
        return None
    from jaxgan.distributed.consensus import run_on_main

    watchdog = _watchdog(number, config)
    # jax connects the processes already, so it carries the address.
    where = run_on_main(lambda: _listen(watchdog, socket.gethostname()))
    if number:
        _connect_to_main(watchdog, where)
    elif where is not None:
        watchdog.accept(count)
    return watchdog


def _listen(watchdog: Watchdog, host: str) -> tuple[str, int, str] | None:
    """Returns the arguments of `Watchdog.reach`, or None if it cannot listen."""
    try:
        return watchdog.listen(listen(host, 0), host)
    except (OSError, ValueError) as error:  # the host name may have no address
        why = first_line(error)
        log.warning("cannot listen for the other processes (%s: %s)", host, why)
        return None


def _connect_to_main(watchdog: Watchdog, where: Any) -> None:
    """Connects this process, other than 0, to process 0 and silences its log."""
    logging.getLogger("jaxgan").setLevel(logging.ERROR)
    # Process 0 cannot listen, so that only jax watches the processes.
    if where is None:
        return
    try:
        host, port, token = where
        watchdog.reach(host, port, token)
    except (OSError, TypeError, ValueError) as error:
        log.error(
            "cannot connect to process 0 (%s); if a process fails, jax ends the others "
            "later",
            error,
        )


def _exit(error: BaseException, watchdog: Watchdog) -> None:
    """Exits this process because of an error, without waiting for the others."""
    from jaxgan.distributed.consensus import RemoteError, is_main_process

    if not foreseen(error):
        # A failure of another process is the likely cause, so let it report first.
        time.sleep(2.0)
    code, message = ending(error)
    watchdog.fail(message, code)
    # An error of another process is printed once, by process 0.
    if is_main_process() or not isinstance(error, RemoteError):
        print_error(message)
    # `_exit` does not flush.
    sys.stdout.flush()
    os._exit(code)

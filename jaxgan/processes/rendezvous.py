"""Processes wait for one another before jax does, which ends them where one is absent.

Process 0 listens where its coordinator will, and says so when all are there. Nothing
here imports jax.
"""

import contextlib
import json
import logging
import socket
import time
from collections.abc import Iterator
from typing import Any

from jaxgan.errors import UsageError

log = logging.getLogger("jaxgan")

PATIENCE = 5.0
"""Seconds to wait before it says so."""


def meet(address: str, count: int, number: int, wait: float, where: Any = None) -> Any:
    """Returns when all processes are there: in each, what process 0 gives as `where`.

    Args:
      address: `host:port` of process 0.
      count: of processes.
      number: of this one, from 0.
      wait: seconds at most.
      where: the others are to turn to next, as JSON has it.

    Raises:
      UsageError: naming the flags, when the address is of no use, when others do not
        come in time, or when they do not fit together.
    """
    host, port = split(address)
    if not 0 <= number < count:
        raise UsageError(
            f"--process_id={number}: of --num_processes={count} the numbers are 0 to "
            f"{count - 1}"
        )
    ends = time.monotonic() + wait
    if number == 0:
        _await_all(host, port, count, ends, where)
        return where
    return _report_to(host, port, count, number, ends)


def split(address: str) -> tuple[str, int]:
    """Host and port of an address.

    >>> split("127.0.0.1:1234")
    ('127.0.0.1', 1234)
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 2**16:
        raise UsageError(
            f"--coordinator={address}: give HOST:PORT of process 0, such as "
            "127.0.0.1:1234"
        )
    return host, int(port)


def _await_all(host: str, port: int, count: int, ends: float, where: Any) -> None:
    there: dict[int, socket.socket] = {}
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(_listener(host, port))
        while len(there) < count - 1 and time.monotonic() < ends:
            listener.settimeout(max(ends - time.monotonic(), 0.01))
            try:
                other = stack.enter_context(listener.accept()[0])
            except TimeoutError:
                break
            said = _heard(other)
            if said is None:
                continue  # no process of ours
            problem = _misfit(said, count, there)
            if problem:
                _answer([other, *there.values()], problem)
                raise UsageError(problem)
            there[said["number"]] = other
        missing = sorted(set(range(1, count)) - set(there))
        problem = ""
        if missing:
            problem = (
                f"of --num_processes={count}, {missing} did not come to "
                f"--coordinator={host}:{port} in time: start them with the same flags "
                "and their own --process_id"
            )
        _answer(list(there.values()), problem, where)
        if problem:
            raise UsageError(problem)


@contextlib.contextmanager
def _listener(host: str, port: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(1024)
        except OSError as error:
            raise UsageError(
                f"--coordinator={host}:{port}: process 0 cannot listen there "
                f"({error.strerror}); give a free port of its own machine"
            ) from None
        yield listener


def _heard(other: socket.socket) -> dict[str, int] | None:
    other.settimeout(5.0)
    try:
        said = json.loads(_line(other))
        return {"count": int(said["count"]), "number": int(said["number"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _misfit(said: dict[str, int], count: int, there: dict[int, socket.socket]) -> str:
    if said["count"] != count:
        return (
            f"--num_processes is {count} in process 0 and {said['count']} in process "
            f"{said['number']}: give both the same"
        )
    if said["number"] in there:
        return f"two processes have --process_id={said['number']}: give each its own"
    return ""


def _answer(others: list[socket.socket], problem: str, where: Any = None) -> None:
    said = json.dumps({"problem": problem, "where": where}).encode() + b"\n"
    for other in others:
        with contextlib.suppress(OSError):
            other.sendall(said)


def _report_to(host: str, port: int, count: int, number: int, ends: float) -> Any:
    place, began, told = f"--coordinator={host}:{port}", time.monotonic(), False
    while True:
        left = ends - time.monotonic()
        if left <= 0:
            raise UsageError(
                f"{place} does not answer: start process 0 there, with "
                f"--num_processes={count} --process_id=0"
            )
        try:
            with socket.create_connection((host, port), min(left, 5.0)) as there:
                there.sendall(
                    json.dumps({"count": count, "number": number}).encode() + b"\n"
                )
                there.settimeout(max(ends - time.monotonic(), 0) + 5.0)
                answer = json.loads(_line(there))
        except (OSError, ValueError):
            if not told and time.monotonic() > began + PATIENCE:
                log.info("waiting for %s", place)
                told = True
            time.sleep(min(0.2, max(ends - time.monotonic(), 0)))
            continue
        if answer["problem"]:
            raise UsageError(answer["problem"])
        return answer["where"]


def _line(connection: socket.socket) -> bytes:
    """Up to a line's end; empty if the other side is gone."""
    found = b""
    while not found.endswith(b"\n"):
        more = connection.recv(4096)
        if not more:
            break
        found += more
    return found

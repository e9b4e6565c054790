"""A connection from each process to process 0 that tells when one of them fails.

A process that is killed closes its connection too, and one that is stopped falls
silent, so that the others do not wait for it in vain. Nothing here imports jax.
"""

import contextlib
import logging
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from jaxgan.cli import print_error
from jaxgan.distributed.connections import (
    GREETING_SECONDS,
    Connection,
    arrivals,
    connect,
)
from jaxgan.distributed.rendezvous import same_secret
from jaxgan.errors import printable

log = logging.getLogger("jaxgan")

EXIT_KILLED = 1
"""The exit code where a process was ended from outside, or stopped."""

SIGNALS = {128 + getattr(signal, x, 0) for x in ("SIGHUP", "SIGINT", "SIGTERM")}
EXIT_CODES = {1, 2, 70, 75, *SIGNALS}
"""Exit codes that programs of ours end with, but for success."""

MAX_MISSED = 10
"""Heartbeats that may be missed in a row."""

MAX_TEXT = 1_000
"""Characters of a message that are passed on."""

LINGER_SECONDS = 1.0
"""Seconds that process 0, on which jax depends in all, waits for the others' end."""


def exit_now(message: str, code: int) -> None:
    """Ends this process at once: it may be waiting for one that is no more."""

    def say() -> None:
        with contextlib.suppress(OSError, ValueError):
            print_error(message)
            sys.stdout.flush()

    saying = threading.Thread(target=say, daemon=True)
    saying.start()
    saying.join(5.0)  # nobody may read what is printed
    os._exit(code)


def _start_thread(work: Callable[..., None], *given: Any) -> None:
    threading.Thread(target=work, args=given, name="lifeline", daemon=True).start()


class Watchdog:
    """Keeps the processes together until `leave`.

    Each side of a connection sends a heartbeat from a thread of its own. Silence is
    counted in heartbeats of the listener rather than by the clock: a process that was
    stopped itself does not blame the others.

    Args:
      number: of this process, from 0.
      end: called as end(message, code) when another process failed.
      silence: seconds without a sign of life after which a process counts as lost.
    """

    def __init__(
        self,
        number: int,
        end: Callable[[str, int], None] = exit_now,
        silence: float = 60.0,
    ) -> None:
        self.number, self.silence = number, silence
        self._end = end
        self._beat = silence / MAX_MISSED
        self._tick = min(self._beat, 1.0)
        self._token = ""
        self._others: dict[int, Connection] = {}
        self._left: set[int] = set()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._listener: socket.socket | None = None

    def listen(self, listener: socket.socket, host: str) -> tuple[str, int, str]:
        """In process 0: returns the arguments with which the others `reach` it.

        Args:
          listener: a listening socket, which belongs to this object from now on.
          host: the name or address under which the others find it.
        """
        self._listener, self._token = listener, secrets.token_hex()
        return host, listener.getsockname()[1], self._token

    def accept(self, count: int, wait: float = 60.0) -> None:
        """In process 0: awaits the others, of `count` processes, in the background."""
        _start_thread(self._accept, count, time.monotonic() + wait)
        _start_thread(self._send_heartbeats)

    def reach(self, host: str, port: int, token: str) -> None:
        """In the other processes; raises OSError if process 0 cannot be reached."""
        there = connect(host, port, 60.0, self._tick)
        there.send({"number": self.number, "token": token})
        self._others[0] = there
        _start_thread(self._read, 0, there)
        _start_thread(self._send_heartbeats)

    def fail(self, message: str, code: int) -> None:
        """Tells the others why this process ends; they end too."""
        self._over.set()
        self._tell_all(self.number, message, code)

    def leave(self) -> None:
        """Tells the others that this process ends as it should."""
        self._over.set()
        self._send_all({"left": self.number})
        with self._lock:
            for other in self._others.values():
                other.shut_down()  # its reader closes it

    def _accept(self, count: int, ends: float) -> None:
        came: set[int] = set()

        def over() -> bool:
            all_here = len(came) == count - 1
            return all_here or self._over.is_set() or time.monotonic() >= ends

        assert self._listener is not None
        with self._listener:
            for other, number in arrivals(
                self._listener, self._greet, over, self._tick
            ):
                if not 0 < number < count or number in came:
                    other.close()
                    continue
                came.add(number)
                with self._lock:
                    self._others[number] = other
                _start_thread(self._read, number, other)
        missing = sorted(set(range(1, count)) - came)
        if missing and not self._over.is_set():
            message = "did not come: look at its machine's log"
            self._pass_on(missing[0], message, EXIT_KILLED)

    def _greet(self, other: Connection) -> int:
        said = other.receive(GREETING_SECONDS)
        number = said.get("number")
        if type(number) is not int or not same_secret(self._token, said.get("token")):
            raise ConnectionError("no process of ours")
        return number

    def _send_heartbeats(self) -> None:
        while not self._over.wait(self._beat):
            self._send_all({"alive": self.number})

    def _read(self, number: int, other: Connection) -> None:
        """Listens to one process until it leaves, fails or is lost."""
        missed, lost = 0, "was ended from outside"
        with contextlib.suppress(OSError):  # closed, or not one of ours
            while missed < MAX_MISSED:
                try:
                    said = other.receive(self._beat)
                except TimeoutError:
                    missed += 1
                    continue
                missed = 0
                if "left" in said:
                    self._left.add(number)
                elif "failed" in said:
                    self._pass_on(*self._failure(said, number))
                    break
            else:
                lost = (
                    f"gave no sign of life for {self.silence:g} s, stopped or cut off"
                )
        if number not in self._left:
            self._pass_on(number, f"{lost}: look at its machine's log", EXIT_KILLED)
        with self._lock:
            self._others.pop(number, None)
        other.close()

    def _failure(self, said: dict[str, Any], number: int) -> tuple[int, str, int]:
        """Returns who failed, why and the exit code, as far as `number` may say so."""
        failed, code = said["failed"], said.get("code")
        if type(failed) is not int or (number and failed != self.number):
            failed = number  # only process 0 speaks for others
        if type(code) is not int or code not in EXIT_CODES:
            code = EXIT_KILLED
        return failed, printable(str(said.get("message")))[:MAX_TEXT], code

    def _pass_on(self, failed: int, message: str, code: int) -> None:
        """From process 0 to all others; then the end."""
        with self._lock:
            if self._over.is_set():
                return
            self._over.set()
        self._tell_all(failed, message, code)
        self._end(f"process {failed}: {message}", code)

    def _tell_all(self, failed: int, message: str, code: int) -> None:
        message = printable(message)[:MAX_TEXT]
        self._send_all({"failed": failed, "message": message, "code": code})
        ends = time.monotonic() + LINGER_SECONDS
        while self.number == 0 and time.monotonic() < ends:
            with self._lock:
                if not set(self._others) - {failed}:
                    return
            time.sleep(0.02)

    def _send_all(self, message: dict[str, Any]) -> None:
        with self._lock:
            for other in self._others.values():
                with contextlib.suppress(OSError):
                    other.send(message)

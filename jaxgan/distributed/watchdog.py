"""Ends all processes of a run when one of them fails, is killed or stops responding.

Each process has a connection to process 0. It sends heartbeats and the reason if it
fails. The system closes the connection of a process that is killed, and a process that
is stopped sends no heartbeats. Without this, the others would wait in a collective
operation until jax aborts them. This module does not import jax.
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
"""The exit code if another process was killed or stopped responding."""

SIGNALS = {128 + getattr(signal, x, 0) for x in ("SIGHUP", "SIGINT", "SIGTERM")}
EXIT_CODES = {1, 2, 70, 75, *SIGNALS}
"""Exit codes of the programs of jaxgan, except 0."""

MAX_MISSED = 10
"""Heartbeats missed in a row after which a process counts as lost."""

MAX_TEXT = 1_000
"""Maximum number of characters of a message that is passed on."""

LINGER_SECONDS = 1.0
"""Seconds that process 0 waits for the others to exit: jax needs it in all of them."""


def exit_now(message: str, code: int) -> None:
    """Prints an error and exits immediately: the main thread may wait for a dead peer.

    Args:
      message: the error.
      code: the exit code.
    """

    def report() -> None:
        with contextlib.suppress(OSError, ValueError):
            print_error(message)
            sys.stdout.flush()

    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    reporter.join(5.0)  # printing blocks if stderr is a pipe that is not read
    # Without the cleanup of Python, which may wait for other threads.
    os._exit(code)


def _start_thread(work: Callable[..., None], *args: Any) -> None:
    """Starts a daemon thread that calls `work(*args)`."""
    threading.Thread(target=work, args=args, name="watchdog", daemon=True).start()


class Watchdog:
    """Watches the other processes until `leave`.

    Each side of a connection sends heartbeats from its own thread. A receiver counts
    the heartbeats that it missed, rather than the time: after being stopped itself, it
    does not report the others as lost.

    Args:
      number: number of this process, from 0.
      end: called as end(message, code) when another process has failed.
      silence: seconds without a heartbeat after which a process counts as lost.
    """

    def __init__(
        self,
        number: int,
        end: Callable[[str, int], None] = exit_now,
        silence: float = 60.0,
    ) -> None:
        self.number, self.silence = number, silence
        self._end = end
        # Seconds between two heartbeats.
        self._beat = silence / MAX_MISSED
        # A system call has to return at least once per heartbeat.
        self._tick = min(self._beat, 1.0)
        self._token = ""
        # Connections by number of the process, and numbers of those that have left.
        self._others: dict[int, Connection] = {}
        self._left: set[int] = set()
        # Guards the connections, which several threads use.
        self._lock = threading.Lock()
        # Set once this process is about to end.
        self._over = threading.Event()
        self._listener: socket.socket | None = None

    def listen(self, listener: socket.socket, host: str) -> tuple[str, int, str]:
        """In process 0: returns the arguments of `reach` for the other processes.

        Args:
          listener: a listening socket. The watchdog takes ownership of it.
          host: name or address by which the others can reach this machine.

        Returns:
          The host, the port and a secret token.
        """
        self._listener, self._token = listener, secrets.token_hex()
        return host, listener.getsockname()[1], self._token

    def accept(self, count: int, wait: float = 60.0) -> None:
        """In process 0: accepts the other processes in the background.

        Args:
          count: number of processes, including this one.
          wait: seconds after which a process that did not connect counts as failed.
        """
        _start_thread(self._accept, count, time.monotonic() + wait)
        _start_thread(self._send_heartbeats)

    def reach(self, host: str, port: int, token: str) -> None:
        """In the other processes: connects to process 0.

        Args:
          host: name or address of process 0.
          port: its port.
          token: its secret token.

        Raises:
          OSError: if the connection fails.
        """
        main = connect(host, port, 60.0, self._tick)
        # The token shows that this process belongs to the run.
        main.send({"number": self.number, "token": token})
        self._others[0] = main
        _start_thread(self._read, 0, main)
        _start_thread(self._send_heartbeats)

    def fail(self, message: str, code: int) -> None:
        """Sends the reason why this process exits to the others, which exit too."""
        # Failures that follow from this one are not reported.
        self._over.set()
        self._send_failure(self.number, message, code)

    def leave(self) -> None:
        """Announces to the others that this process exits normally."""
        # A connection that ends from here on is no failure.
        self._over.set()
        self._send_all({"left": self.number})
        with self._lock:
            for other in self._others.values():
                other.shut_down()  # the reading thread closes it

    def _accept(self, count: int, ends: float) -> None:
        """In process 0: accepts the others until the time `ends`, or fails."""
        joined: set[int] = set()

        def over() -> bool:
            # Process 0 is not among the others.
            complete = len(joined) == count - 1
            return complete or self._over.is_set() or time.monotonic() >= ends

        assert self._listener is not None
        with self._listener:
            for other, number in arrivals(
                self._listener, self._greet, over, self._tick
            ):
                # Numbers of no process, or of one that has connected already.
                if not 0 < number < count or number in joined:
                    other.close()
                    continue
                joined.add(number)
                with self._lock:
                    self._others[number] = other
                _start_thread(self._read, number, other)
        # Report the first process that did not connect.
        missing = sorted(set(range(1, count)) - joined)
        if missing and not self._over.is_set():
            message = "did not connect: check the log of its machine"
            self._pass_on(missing[0], message, EXIT_KILLED)

    def _greet(self, other: Connection) -> int:
        """Returns the number of a new process; raises OSError for a stranger."""
        hello = other.receive(GREETING_SECONDS)
        number = hello.get("number")
        # `type`, as `isinstance` would accept True.
        if type(number) is not int or not same_secret(self._token, hello.get("token")):
            raise ConnectionError("it is not a process of this run")
        return number

    def _send_heartbeats(self) -> None:
        """Sends heartbeats until this process ends."""
        while not self._over.wait(self._beat):
            self._send_all({"alive": self.number})

    def _read(self, number: int, other: Connection) -> None:
        """Reads the messages of one process until it leaves, fails or is lost."""
        # Heartbeats missed in a row, and the reason if the connection ends.
        missed, lost = 0, "was killed or disconnected"
        # An OSError here means a closed connection or an invalid message.
        with contextlib.suppress(OSError):
            while missed < MAX_MISSED:
                try:
                    message = other.receive(self._beat)
                except TimeoutError:
                    missed += 1
                    continue
                # Any message shows that the process is alive.
                missed = 0
                if "left" in message:
                    # The end of the connection is expected now.
                    self._left.add(number)
                elif "failed" in message:
                    self._pass_on(*self._failure(message, number))
                    break
            else:
                # No `break`: too many heartbeats in a row are missing.
                lost = f"sent no heartbeat for {self.silence:g} s (stopped or cut off)"
        if number not in self._left:
            # Has no effect if the failure was passed on already.
            self._pass_on(number, f"{lost}: check the log of its machine", EXIT_KILLED)
        with self._lock:
            self._others.pop(number, None)
        other.close()

    def _failure(self, message: dict[str, Any], number: int) -> tuple[int, str, int]:
        """Returns the failed process, the reason and the exit code in a message.

        Args:
          message: untrusted, from process `number`.
          number: number of the sender.
        """
        failed, code = message["failed"], message.get("code")
        if type(failed) is not int or (number and failed != self.number):
            failed = number  # only process 0 may report another process
        # A code that no program of jaxgan has is not passed on.
        if type(code) is not int or code not in EXIT_CODES:
            code = EXIT_KILLED
        return failed, printable(str(message.get("message")))[:MAX_TEXT], code

    def _pass_on(self, failed: int, message: str, code: int) -> None:
        """Sends a failure on to all others, then ends this process. Works once."""
        with self._lock:
            if self._over.is_set():  # only the first failure counts
                return
            self._over.set()
        # Not within the lock, which sending takes as well.
        self._send_failure(failed, message, code)
        self._end(f"process {failed}: {message}", code)

    def _send_failure(self, failed: int, message: str, code: int) -> None:
        """Sends a failure. Process 0 then waits shortly for the others to exit."""
        message = printable(message)[:MAX_TEXT]
        self._send_all({"failed": failed, "message": message, "code": code})
        # Process 0 hosts jax's coordinator: if it exits first, jax aborts the others.
        ends = time.monotonic() + LINGER_SECONDS
        while self.number == 0 and time.monotonic() < ends:
            with self._lock:
                # The others have closed their connections.
                if not set(self._others) - {failed}:
                    return
            time.sleep(0.02)

    def _send_all(self, message: dict[str, Any]) -> None:
        """Sends a message on all connections that are open."""
        with self._lock:
            for other in self._others.values():
                # The thread that reads from a broken connection reports it.
                with contextlib.suppress(OSError):
                    other.send(message)

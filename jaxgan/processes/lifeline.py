"""A connection from each process to process 0 that tells when one of them fails.

A process that is killed closes its connection too, so that the others do not wait for
it in vain. Nothing here imports jax.
"""

import contextlib
import json
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any, TextIO

log = logging.getLogger("jaxgan")

KILLED = 1
"""The exit code where a process was ended from outside."""


def end(message: str, code: int) -> None:
    """Ends this process at once: it may be waiting for one that is no more."""
    print(f"error: {message}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(code)


def _begin(work: Callable[..., None], *given: Any) -> None:
    threading.Thread(target=work, args=given, name="lifeline", daemon=True).start()


class Lifeline:
    """What keeps the processes together until `leave`."""

    def __init__(
        self, number: int, end: Callable[[str, int], None] = end, wait: float = 60.0
    ) -> None:
        self.number, self.wait = number, wait
        self._end = end
        self._others: dict[int, socket.socket] = {}
        self._left: set[int] = set()
        self._lock = threading.Lock()
        self._over = False

    def listen(self, host: str, count: int) -> tuple[str, int]:
        """In process 0: returns where the others are to `reach` it."""
        listener = socket.create_server((host, 0), backlog=1024)
        _begin(self._accept, listener, count)
        return host, listener.getsockname()[1]

    def reach(self, host: str, port: int) -> None:
        """In the other processes; raises OSError if process 0 cannot be reached."""
        there = socket.create_connection((host, port), self.wait)
        there.settimeout(None)
        self._others[0] = there
        self._say(there, {"number": self.number})
        self._watch(0, there, there.makefile())

    def fail(self, message: str, code: int) -> None:
        """Tells the others why this process ends; they end too."""
        self._over = True
        said = {"failed": self.number, "message": message, "code": code}
        with self._lock:
            for other in self._others.values():
                self._say(other, said)

    def leave(self) -> None:
        """Tells the others that this process ends as it should."""
        self._over = True
        with self._lock:
            for other in self._others.values():
                self._say(other, {"left": self.number})
                with contextlib.suppress(OSError):
                    other.shutdown(socket.SHUT_RDWR)  # its reader closes it

    def _accept(self, listener: socket.socket, count: int) -> None:
        with listener:
            listener.settimeout(self.wait)
            while len(self._others) < count - 1:
                try:
                    other, _ = listener.accept()
                except OSError:
                    missing = sorted(set(range(1, count)) - set(self._others))
                    if missing:
                        message = "did not come: look at its machine's log"
                        said = {"failed": missing[0], "message": message}
                        self._pass_on({**said, "code": KILLED})
                    return
                told = other.makefile()
                try:
                    number = int(json.loads(told.readline())["number"])
                except (OSError, ValueError, KeyError, TypeError):
                    other.close()  # no process of ours
                    told.close()
                    continue
                with self._lock:
                    self._others[number] = other
                self._watch(number, other, told)

    def _watch(self, number: int, other: socket.socket, told: TextIO) -> None:
        _begin(self._read, number, other, told)

    def _read(self, number: int, other: socket.socket, told: TextIO) -> None:
        with contextlib.suppress(OSError, ValueError), other, told:
            for line in told:
                said = json.loads(line)
                if "left" in said:
                    self._left.add(number)
                elif "failed" in said:
                    return self._pass_on(said)
        if not self._over and number not in self._left:
            message = "was ended from outside: look at its machine's log"
            self._pass_on({"failed": number, "message": message, "code": KILLED})

    def _pass_on(self, said: dict) -> None:
        """From process 0 to all others; then the end."""
        if self._over:
            return
        self._over = True
        with self._lock:
            for number, other in self._others.items():
                if number != said["failed"]:
                    self._say(other, said)
        self._end(f"process {said['failed']}: {said['message']}", said["code"])

    def _say(self, other: socket.socket, said: dict) -> None:
        with contextlib.suppress(OSError):
            other.sendall(json.dumps(said).encode() + b"\n")

"""Messages between processes: JSON lines over TCP, bounded in length and in time.

Anyone may connect to an open port, say nothing, or send anything. Nothing here imports
jax.
"""

import contextlib
import json
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

MAX_MESSAGE = 16_384
"""Bytes in one message at most."""

GREETING_SECONDS = 20.0
"""How long a new connection may take to send its first message."""

MOST_GREETED = 256
"""Connections whose first message is awaited at the same time."""


class Connection:
    """Exchanges JSON objects with another process, one per line.

    Args:
      there: a connected socket, which belongs to this object from now on.
      tick: seconds in which a call of the system returns.
    """

    def __init__(self, there: socket.socket, tick: float = 1.0) -> None:
        self._socket = there
        self._socket.settimeout(tick)
        self._received = b""

    def send(self, message: dict[str, Any]) -> None:
        """Raises OSError if the other side is gone or reads nothing."""
        self._socket.sendall(json.dumps(message).encode() + b"\n")

    def receive(self, seconds: float) -> dict[str, Any]:
        """Returns the next message.

        Raises:
          TimeoutError: if no whole message came in time; the next call goes on.
          ConnectionError: at the end, or for something that is no message.
        """
        ends = time.monotonic() + seconds
        while b"\n" not in self._received:
            if len(self._received) > MAX_MESSAGE:
                raise ConnectionError("a message that is too long")
            if time.monotonic() >= ends:
                raise TimeoutError
            with contextlib.suppress(TimeoutError):
                more = self._socket.recv(4096)
                if not more:
                    raise ConnectionError("closed by the other side")
                self._received += more
        line, _, self._received = self._received.partition(b"\n")
        return _message(line)

    def is_open(self) -> bool:
        """Returns False once the other side has closed it."""
        tick = self._socket.gettimeout()
        self._socket.setblocking(False)
        try:
            return self._socket.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            self._socket.settimeout(tick)

    def shut_down(self) -> None:
        """Ends both directions; whoever waits in `receive` on either side returns."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Frees the socket."""
        self._socket.close()


def _message(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        raise ConnectionError("not a message") from None
    if not isinstance(message, dict):
        raise ConnectionError("not a message")
    return message


def listen(host: str, port: int) -> socket.socket:
    """Returns a listening socket; port 0 takes a free one.

    Raises OSError if `host` is not an address or a name of this machine, or if the port
    is taken.
    """
    family, *_, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return socket.create_server(where, family=family, backlog=1024)


def reason(error: OSError) -> str:
    """Returns why a connection failed, in a few words."""
    if (error.errno or 0) > 0:  # those of names are negative
        return os.strerror(error.errno or 0)
    return error.strerror or str(error) or "no answer"


def address(host: str, port: int) -> str:
    """Returns the text of an address.

    >>> address("10.0.0.1", 1234), address("::1", 1234)
    ('10.0.0.1:1234', '[::1]:1234')
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def connect(host: str, port: int, seconds: float, tick: float = 1.0) -> Connection:
    """Connects to a listener; raises OSError if there is none."""
    there = socket.create_connection((host, port), seconds)
    if is_own(there):
        there.close()
        raise ConnectionRefusedError("nobody listens there")
    return Connection(there, tick)


def is_own(there: socket.socket) -> bool:
    """Returns True for a socket that is connected to itself.

    The system may give a client the very port it connects to, if that port is one of
    those for clients and nobody listens there; TCP then connects the two ends.
    """
    return there.getsockname() == there.getpeername()


def arrivals(
    listener: socket.socket,
    greet: Callable[[Connection], T],
    over: Callable[[], bool],
    tick: float = 1.0,
) -> Iterator[tuple[Connection, T]]:
    """Accepts connections and yields those that were greeted, until `over()`.

    Connections are greeted side by side, so that a silent one delays nobody. One whose
    `greet` raises OSError is closed.
    """
    greeted: queue.SimpleQueue[tuple[Connection, T]] = queue.SimpleQueue()
    threads: list[threading.Thread] = []
    ended = threading.Event()

    def welcome(connection: Connection) -> None:
        try:
            said = greet(connection)
        except OSError:
            return connection.close()
        return connection.close() if ended.is_set() else greeted.put((connection, said))

    listener.settimeout(0.1)
    try:
        while not over():
            threads = [thread for thread in threads if thread.is_alive()]
            if len(threads) < MOST_GREETED:
                with contextlib.suppress(OSError):
                    connection = Connection(listener.accept()[0], tick)
                    threads.append(_start_thread(welcome, connection))
            else:
                time.sleep(0.1)
            while not greeted.empty():
                yield greeted.get()
    finally:
        ended.set()
        while not greeted.empty():
            greeted.get()[0].close()


def _start_thread(work: Callable[[Connection], None], connection: Connection):
    thread = threading.Thread(target=work, args=(connection,), daemon=True)
    thread.start()
    return thread

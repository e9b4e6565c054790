"""JSON messages between processes over TCP, one per line, limited in size and time.

The peer is untrusted: anyone can connect to an open port and send nothing or anything.
This module does not import jax.
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
"""Maximum size of a message, in bytes."""

GREETING_SECONDS = 20.0
"""Maximum time until a new connection sends its first message, in seconds."""

MOST_GREETED = 256
"""Maximum number of connections whose first message is awaited at the same time."""


class Connection:
    """A connection that exchanges JSON objects with another process.

    Args:
      there: a connected socket. The connection takes ownership of it.
      tick: timeout of a single system call, in seconds.
    """

    def __init__(self, there: socket.socket, tick: float = 1.0) -> None:
        self._socket = there
        self._socket.settimeout(tick)
        # Bytes that are received but not returned yet.
        self._received = b""

    def send(self, message: dict[str, Any]) -> None:
        """Sends a message.

        Raises:
          OSError: if the peer closed the connection or does not read.
        """
        self._socket.sendall(json.dumps(message).encode() + b"\n")

    def receive(self, seconds: float) -> dict[str, Any]:
        """Returns the next message.

        Args:
          seconds: maximum time to wait.

        Raises:
          TimeoutError: if no complete message arrived in time. What was received is
            kept for the next call.
          ConnectionError: if the peer closed the connection or sent an invalid message.
        """
        ends = time.monotonic() + seconds
        while b"\n" not in self._received:
            # A message without an end must not fill the memory.
            if len(self._received) > MAX_MESSAGE:
                raise ConnectionError("the message is too long")
            if time.monotonic() >= ends:
                raise TimeoutError
            # A timeout here is only one tick. The deadline above decides.
            with contextlib.suppress(TimeoutError):
                more = self._socket.recv(4096)
                if not more:
                    raise ConnectionError("the peer closed the connection")
                self._received += more
        # The rest may begin the next message.
        line, _, self._received = self._received.partition(b"\n")
        return _parse_message(line)

    def is_open(self) -> bool:
        """Returns True if the peer has not closed the connection."""
        tick = self._socket.gettimeout()
        self._socket.setblocking(False)
        try:
            # Peek only: the byte stays for `receive`.
            return self._socket.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:  # open, and nothing to read
            return True
        except OSError:
            return False
        finally:
            self._socket.settimeout(tick)

    def shut_down(self) -> None:
        """Closes both directions, so that `receive` returns on both sides."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Releases the socket."""
        self._socket.close()


def _parse_message(line: bytes) -> dict[str, Any]:
    """Returns the JSON object in a line; raises ConnectionError for anything else."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        # Deeply nested JSON raises RecursionError.
        raise ConnectionError("the message is not valid JSON") from None
    if not isinstance(message, dict):
        raise ConnectionError("the message is not a JSON object")
    return message


def listen(host: str, port: int) -> socket.socket:
    """Returns a listening socket.

    Args:
      host: a name or an address of this machine.
      port: the port, or 0 for a free one.

    Raises:
      OSError: if `host` is not an address of this machine or the port is in use.
    """
    # The first address decides between IPv4 and IPv6.
    family, *_, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return socket.create_server(where, family=family, backlog=1024)


def reason(error: OSError) -> str:
    """Returns a short description of why a connection failed."""
    if (error.errno or 0) > 0:  # errors of name resolution have negative numbers
        return os.strerror(error.errno or 0)
    return error.strerror or str(error) or "no answer"


def address(host: str, port: int) -> str:
    """Formats an address, with brackets around an IPv6 host.

    >>> address("10.0.0.1", 1234), address("::1", 1234)
    ('10.0.0.1:1234', '[::1]:1234')
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def connect(host: str, port: int, seconds: float, tick: float = 1.0) -> Connection:
    """Connects to a listening process.

    Args:
      host: name or address to connect to.
      port: port to connect to.
      seconds: maximum time to wait.
      tick: timeout of a single system call of the connection, in seconds.

    Raises:
      OSError: if no process listens there.
    """
    there = socket.create_connection((host, port), seconds)
    if is_own(there):
        there.close()
        raise ConnectionRefusedError("no process listens there")
    return Connection(there, tick)


def is_own(there: socket.socket) -> bool:
    """Returns True if a socket is connected to itself.

    This happens when no process listens on a port in the range for clients and the
    system picks this very port for the client: TCP then connects the socket to itself.
    """
    return there.getsockname() == there.getpeername()


def arrivals(
    listener: socket.socket,
    greet: Callable[[Connection], T],
    over: Callable[[], bool],
    tick: float = 1.0,
) -> Iterator[tuple[Connection, T]]:
    """Accepts connections until `over()` and yields them with their greeting.

    Connections are greeted in parallel threads, so that a silent one does not delay the
    others.

    Args:
      listener: a listening socket.
      greet: reads the first message of a connection and returns the greeting. If it
        raises OSError, the connection is closed.
      over: returns True to stop.
      tick: timeout of a single system call of the connections, in seconds.
    """
    greeted: queue.SimpleQueue[tuple[Connection, T]] = queue.SimpleQueue()
    threads: list[threading.Thread] = []
    ended = threading.Event()

    def welcome(connection: Connection) -> None:
        try:
            greeting = greet(connection)
        except OSError:
            return connection.close()
        # The queue is not read any more.
        if ended.is_set():
            return connection.close()
        return greeted.put((connection, greeting))

    # `accept` returns often, so that `over` is checked.
    listener.settimeout(0.1)
    try:
        while not over():
            # Forget the threads that have ended.
            threads = [thread for thread in threads if thread.is_alive()]
            # Limit the threads that a flood of silent connections can occupy.
            if len(threads) < MOST_GREETED:
                with contextlib.suppress(OSError):
                    connection = Connection(listener.accept()[0], tick)
                    threads.append(_start_thread(welcome, connection))
            else:
                time.sleep(0.1)
            # Yield those whose greeting has arrived.
            while not greeted.empty():
                yield greeted.get()
    finally:
        ended.set()
        # Close the connections that nobody will use.
        while not greeted.empty():
            greeted.get()[0].close()


def _start_thread(
    work: Callable[[Connection], None], connection: Connection
) -> threading.Thread:
    """Starts a daemon thread that calls `work(connection)`."""
    thread = threading.Thread(target=work, args=(connection,), daemon=True)
    thread.start()
    return thread

"""The server from which profilers capture traces while a run goes on."""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import jax

from jaxgan.errors import UsageError
from jaxgan.files import reason

LAST_PORT = 65_535


@contextmanager
def open_server(port: int) -> Iterator[None]:
    """Lets xprof and TensorBoard capture traces of this process.

    Args:
      port: of all network interfaces; 0 for no server.

    Raises:
      UsageError: if the port is in use or not allowed, or if this process has a server
        already.
    """
    if not port:
        yield
        return
    check_port(port)
    try:
        jax.profiler.start_server(port)
    except ValueError as error:  # jax supports one per process
        raise UsageError("this process has a profiler server already") from error
    try:
        yield
    finally:
        jax.profiler.stop_server()


def check_port(port: int) -> None:
    """Checks that a server may listen at a port; jax only prints that it may not.

    Raises:
      UsageError: naming a free port nearby if it is in use.
    """
    if error := _why_not(port):
        if error.errno != errno.EADDRINUSE:
            raise UsageError(f"port {port} cannot be used ({reason(error)})")
        nearby = range(port + 1, min(port + 100, LAST_PORT + 1))
        free = next((x for x in nearby if not _why_not(x)), 0)
        raise UsageError(f"port {port} is in use: use {free}")


def _why_not(port: int) -> OSError | None:
    """Returns the error of listening at a port, None if there is none."""
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    # Dual-stack like the server's, so that an IPv4 listener is a conflict too.
    dual = family == socket.AF_INET6
    try:
        socket.create_server(("", port), family=family, dualstack_ipv6=dual).close()
    except OSError as error:
        return error
    return None

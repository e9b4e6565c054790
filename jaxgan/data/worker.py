"""A process that decodes pictures: reads places from a connection, writes pixels.

Runs as `python -c` in `workers`, without `jaxgan.data`, whose API imports jax.
"""

import os
import pickle
import signal
import sys
from multiprocessing.connection import Connection


def serve(connection: Connection) -> None:
    """Answers requests until the other end is closed.

    Receives a decoder first, and lists of places then. Sends dtype and shape, followed
    by the pixels; or the text of an error, after which the other end reads itself.

    Args:
      connection: to the process that trains.
    """
    # Ctrl+C is for the process that trains, which ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        decode = pickle.loads(connection.recv_bytes())
        while True:
            places = pickle.loads(connection.recv_bytes())
            try:
                pixels = decode(places)
            except Exception as error:  # decoders raise many types
                connection.send(str(error))
                continue
            connection.send((pixels.dtype.str, pixels.shape))
            connection.send_bytes(pixels.data.cast("B"))
    except (EOFError, OSError):
        pass  # the other end was closed, or its process ended


def main() -> None:
    """Serves on the file descriptor in `sys.argv`."""
    # Training has the first claim on the cores.
    if hasattr(os, "nice"):
        os.nice(1)
    serve(Connection(int(sys.argv[1])))

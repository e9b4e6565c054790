"""Processes that decode pictures.

They are new interpreters, as forks of a process with jax's threads may hang, and as the
start methods of `multiprocessing` would run the main module of the user again.
"""

import os
import pickle
import queue
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgan.data.picture_reader import PictureDecoder, Place
from jaxgan.errors import TrainingError

PATIENCE = 300.0
"""Seconds without an answer after which a worker counts as stuck."""
END = 5.0
"""Seconds in which a worker ends once its connection is closed."""

PROGRAM = """
import sys, types
# The modules of jaxgan.data without its API, which imports jax.
package = types.ModuleType("jaxgan.data")
package.__path__ = [sys.argv[2]]
sys.modules["jaxgan.data"] = package
from jaxgan.data.worker import main
main()
"""


class _Worker(NamedTuple):
    process: subprocess.Popen
    connection: Connection


class Undecodable(Exception):
    """Raised for pictures that a worker cannot decode."""


class Workers:
    """Processes that decode pictures. Calls are thread-safe, one for each worker."""

    def __init__(self, decoder: PictureDecoder, count: int) -> None:
        """Starts the processes.

        Args:
          decoder: the function that decodes.
          count: number of processes.
        """
        self.count = count
        self._closed = False
        self._workers: list[_Worker] = []
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        recipe = pickle.dumps(decoder)
        try:
            for _ in range(count):
                self._workers.append(_start())
            for worker in self._workers:
                worker.connection.send_bytes(recipe)
                self._idle.put(worker)
        except BaseException:
            self.close()
            raise

    def __call__(self, places: Sequence[Place], out: np.ndarray) -> None:
        """Decodes the pictures at some places.

        Args:
          places: of the pictures.
          out: where the pixels are written, contiguous.

        Raises:
          Undecodable: if a picture cannot be decoded.
          TrainingError: if the process ended, or does not answer.
        """
        worker = self._idle.get(timeout=PATIENCE)
        try:
            _decode(worker.connection, places, out)
        except (EOFError, OSError) as error:
            raise self._failed(worker, error) from error
        finally:
            self._idle.put(worker)

    def _failed(self, worker: _Worker, error: Exception) -> TrainingError:
        """Returns the error for a process that ended or is stuck."""
        again = "resume the run with the same command"
        if isinstance(error, TimeoutError):
            return TrainingError(
                f"a process that decodes pictures has not answered for {PATIENCE:.0f} "
                f"s; check that the disk is still there, and {again}"
            )
        try:
            code = worker.process.wait(END)
        except subprocess.TimeoutExpired:
            code = 0
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        more = ", perhaps as memory ran out" if code == -9 else ""
        return TrainingError(
            f"a process that decodes pictures {how}{more}; {again}, or with "
            "--input_workers=0 to decode in threads"
        )

    def close(self) -> None:
        """Ends the processes."""
        if self._closed:
            return
        self._closed = True
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            try:
                worker.process.wait(END)
            except subprocess.TimeoutExpired:
                worker.process.kill()  # such as one that is stopped
                worker.process.wait(END)
            worker.connection.close()


def _decode(connection: Connection, places: Sequence[Place], out: np.ndarray) -> None:
    connection.send_bytes(pickle.dumps(places))
    if not connection.poll(PATIENCE):
        raise TimeoutError
    answer = connection.recv()
    if isinstance(answer, str):
        raise Undecodable(answer)
    if answer != (out.dtype.str, out.shape):
        raise Undecodable(f"pixels are {answer}")
    connection.recv_bytes_into(out.data.cast("B"))


def _start() -> _Worker:
    """Starts a process that is connected to this one."""
    ours, theirs = Pipe()
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here.parent.parent), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": paths}
    # One thread each, as there are as many processes as cores.
    environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(theirs.fileno()), str(here)],
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            env=environment,
        )
    return _Worker(process, ours)


def supported() -> bool:
    """Returns True if this system can pass connections to new processes."""
    return os.name == "posix"

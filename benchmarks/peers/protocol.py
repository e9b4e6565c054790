"""Protocol between the driver and its contestants: lines of JSON through pipes.

A contestant receives its job as an argument, builds, warms up and reports that it is
ready. It then answers `{"run": n}` with the number of steps and the seconds they took,
and `{"memory": true}` with its peak in bytes, until its standard input ends. It blocks
on that pipe between answers and exits when the pipe is closed, even during a step.
"""

import json
import os
import queue
import re
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

FOLDER = Path(__file__).parents[1]
"""Folder of the package `peers`."""

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
"""Clocks by name: the time that passes, or that of all threads of the process."""

LONGEST = 200
"""Maximum length of a reason in characters."""


class Contestant(NamedTuple):
    """The functions and facts of a worker."""

    run: Callable[[int], int]
    """Runs at least this number of steps, waits and returns the number of steps run."""
    memory: Callable[[], int]
    """Returns the peak memory in bytes."""
    facts: dict[str, Any]
    """Facts for the driver. The default of `compile_seconds` is the time of the first
    step minus that of the third."""


def with_latents(recipe: Any, job: dict[str, Any]) -> Any:
    """Returns a peer's recipe with `again` set by the job's flag `g_latents`, if any.

    `again` is True if G's update draws new samples (`fresh`), and False if it reuses
    those of D's update (`same`).
    """
    latents = job.get("flags", {}).get("g_latents")
    return recipe._replace(again=latents == "fresh") if latents else recipe


def serve(build: Callable[[dict[str, Any]], Contestant]) -> None:
    """Main function of a worker: builds its job and answers requests."""
    send = _channel()
    requests: queue.SimpleQueue = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    try:
        contestant = build(json.loads(sys.argv[1]))
        send({"ready": True, **_warm(contestant)})
        while True:
            send(_answer(contestant, requests.get()))
    except Exception as error:
        send({"error": reason(error)})
        raise


def _channel() -> Callable[[dict[str, Any]], None]:
    """Reserves standard output for answers; output of libraries goes to the log."""
    own = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return lambda answer: print(json.dumps(answer), file=own, flush=True)


def _listen(requests: queue.SimpleQueue) -> None:
    """Queues requests; kills the process and its children when the input ends."""
    for line in sys.stdin:
        requests.put(json.loads(line))
    if os.getpgrp() == os.getpid():  # compilers may still run
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def _warm(contestant: Contestant) -> dict[str, Any]:
    """Runs three steps and returns the facts with the time of the first step."""
    first, _, third = (_timed(contestant, 1)["seconds"] for _ in range(3))
    facts = {"compile_seconds": max(first - third, 0.0), **contestant.facts}
    return {**facts, "first_step_seconds": first}


def _timed(contestant: Contestant, steps: int, clock: str = "wall") -> dict[str, Any]:
    started = CLOCKS[clock]()
    done = contestant.run(steps)
    return {"steps": done, "seconds": CLOCKS[clock]() - started}


def _answer(contestant: Contestant, request: dict[str, Any]) -> dict[str, Any]:
    if "run" in request:
        return _timed(contestant, request["run"], request.get("clock", "wall"))
    return {"bytes": contestant.memory()}


def reason(error: BaseException) -> str:
    """Returns the first line of an error, limited in length.

    >>> reason(ValueError("no such thing\\nand much more"))
    'ValueError: no such thing'
    """
    first = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {first}".rstrip(": ")[:LONGEST]


def peak_rss() -> int:
    """Returns the peak memory of this process in bytes, without that of its parent."""
    status = Path("/proc/self/status")
    if not status.exists():
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
    return 1024 * int(found[1]) if found else 0


class Worker(NamedTuple):
    """A process started by the driver."""

    process: subprocess.Popen
    log: IO[str]


@contextmanager
def started(module: str, job: dict[str, Any], python: str = "") -> Iterator[Worker]:
    """Starts a worker, `python -m peers.MODULE JOB`, and ends it after the block.

    Its compilation caches are new and empty, so that all compilations are cold.
    """
    paths = [str(FOLDER), os.environ.get("PYTHONPATH", "")]
    command = [python or sys.executable, "-m", f"peers.{module}", json.dumps(job)]
    with tempfile.TemporaryDirectory() as folder, open(f"{folder}/log", "w+") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, paths)),
                "TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor",
                "TRITON_CACHE_DIR": f"{folder}/triton",
                "TF_CPP_MIN_LOG_LEVEL": "2",
                "TF_FORCE_GPU_ALLOW_GROWTH": "true",
                "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
                **job.get("env", {}),
            },
        )
        worker = Worker(process, log)
        try:
            yield worker
        finally:
            end(worker)


def end(worker: Worker, patience: float = 10.0) -> None:
    """Ends a worker by closing its input, then kills it and its children."""
    process = worker.process
    for pipe in (process.stdin, process.stdout):
        with suppress(BrokenPipeError):  # it has ended
            assert pipe is not None
            pipe.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(patience)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def ask(worker: Worker, request: dict[str, Any], patience: float) -> dict[str, Any]:
    """Sends a request and returns the answer, or `error` if there is none."""
    assert worker.process.stdin is not None
    with suppress(BrokenPipeError):  # it has ended: its log is read below
        print(json.dumps(request), file=worker.process.stdin, flush=True)
    return answer(worker, patience)


def answer(worker: Worker, patience: float) -> dict[str, Any]:
    """Returns the next answer of a worker; waits up to `patience` seconds."""
    assert worker.process.stdout is not None
    if not select.select([worker.process.stdout], [], [], patience)[0]:
        return {"error": f"no answer in {patience:.0f} s"}
    line = worker.process.stdout.readline()
    return json.loads(line) if line else {"error": _exit_reason(worker)}


def _exit_reason(worker: Worker) -> str:
    """Returns the reason why a worker ended without an answer."""
    code = worker.process.wait()
    worker.log.seek(0)
    lines = [line.strip() for line in worker.log if line.strip()]
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    return f"exit code {code}: {lines[-1] if lines else 'no output'}"[:LONGEST]


def cpu_seconds(worker: Worker) -> float:
    """Returns the CPU seconds of a worker and its threads; 0 if not on Linux."""
    stat = Path(f"/proc/{worker.process.pid}/stat")
    if not stat.exists():
        return 0.0
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

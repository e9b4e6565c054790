"""How the driver and its contestants talk: lines of JSON through pipes.

A contestant is told its job as its argument, builds and warms up, and says that it is
ready. Then it answers `{"run": n}` with the steps it made and the seconds they took,
and `{"memory": true}` with its peak in bytes, until its standard input ends. It blocks
on that pipe between answers, and ends with it, in whatever it is doing.
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
"""Where the package `peers` lies."""

LONGEST = 200
"""Characters of a reason."""


class Contestant(NamedTuple):
    """What a worker has built."""

    run: Callable[[int], int]
    """Makes at least so many steps and waits for the last; returns how many it made."""
    memory: Callable[[], int]
    """Peak in bytes."""
    facts: dict[str, Any]
    """For the driver; without `compile_seconds`, that is what its first step took more
    than its third."""


def with_latents(recipe: Any, job: dict[str, Any]) -> Any:
    """A peer's recipe, whose `again` follows the job's flag `g_latents` if it is there.

    `again` says whether G's update draws new samples, `fresh`, or is shown those that D
    was shown, `same`.
    """
    said = job.get("flags", {}).get("g_latents")
    return recipe._replace(again=said == "fresh") if said else recipe


def serve(build: Callable[[dict[str, Any]], Contestant]) -> None:
    """The main of a worker: builds what its argument asks for and answers requests."""
    say = _channel()
    requests: queue.SimpleQueue = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    try:
        contestant = build(json.loads(sys.argv[1]))
        say({"ready": True, **_warm(contestant)})
        while True:
            say(_answer(contestant, requests.get()))
    except Exception as error:
        say({"error": reason(error)})
        raise


def _channel() -> Callable[[dict[str, Any]], None]:
    """Standard output for answers alone: what libraries print goes to the log."""
    own = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return lambda answer: print(json.dumps(answer), file=own, flush=True)


def _listen(requests: queue.SimpleQueue) -> None:
    """Passes requests on, and ends the process and its children with its input."""
    for line in sys.stdin:
        requests.put(json.loads(line))
    if os.getpgrp() == os.getpid():  # compilers of ours may run
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def _warm(contestant: Contestant) -> dict[str, Any]:
    """The facts with what the first step took."""
    first, _, third = (_timed(contestant, 1)["seconds"] for _ in range(3))
    facts = {"compile_seconds": max(first - third, 0.0), **contestant.facts}
    return {**facts, "first_step_seconds": first}


def _timed(contestant: Contestant, steps: int) -> dict[str, Any]:
    started = time.perf_counter()
    done = contestant.run(steps)
    return {"steps": done, "seconds": time.perf_counter() - started}


def _answer(contestant: Contestant, request: dict[str, Any]) -> dict[str, Any]:
    if "run" in request:
        return _timed(contestant, request["run"])
    return {"bytes": contestant.memory()}


def reason(error: BaseException) -> str:
    """The first line of an error, not too long.

    >>> reason(ValueError("no such thing\\nand much more"))
    'ValueError: no such thing'
    """
    first = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {first}".rstrip(": ")[:LONGEST]


def peak_rss() -> int:
    """The most memory that this process has had, in bytes; not what it began as."""
    status = Path("/proc/self/status")
    if not status.exists():
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
    return 1024 * int(found[1]) if found else 0


class Worker(NamedTuple):
    """A process of the driver's."""

    process: subprocess.Popen
    log: IO[str]


@contextmanager
def started(module: str, job: dict[str, Any], python: str = "") -> Iterator[Worker]:
    """A worker, `python -m peers.MODULE JOB`, that ends with this block.

    Its compiler's cache is its own and new, so that compiling takes what it takes.
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
    """Ends a worker by ending its input; kills what is left of it, and its children."""
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
    """A worker's answer to a request, which has `error` if it gave none."""
    assert worker.process.stdin is not None
    with suppress(BrokenPipeError):  # it has ended: its last words are read below
        print(json.dumps(request), file=worker.process.stdin, flush=True)
    return answer(worker, patience)


def answer(worker: Worker, patience: float) -> dict[str, Any]:
    """The next line of a worker, waiting so many seconds at most."""
    assert worker.process.stdout is not None
    if not select.select([worker.process.stdout], [], [], patience)[0]:
        return {"error": f"no answer in {patience:.0f} s"}
    line = worker.process.stdout.readline()
    return json.loads(line) if line else {"error": _last_words(worker)}


def _last_words(worker: Worker) -> str:
    """Why a worker ended without an answer."""
    code = worker.process.wait()
    worker.log.seek(0)
    said = [line.strip() for line in worker.log if line.strip()]
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    return f"exit code {code}: {said[-1] if said else 'it said nothing'}"[:LONGEST]


def cpu_seconds(worker: Worker) -> float:
    """What a worker has used of processors so far, with its threads; Linux only."""
    stat = Path(f"/proc/{worker.process.pid}/stat")
    if not stat.exists():
        return 0.0
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

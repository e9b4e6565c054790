"""Runs command lines in forks of one process that has the package imported.

A fork starts in milliseconds, where a new interpreter takes seconds to import jax. The
process forks before any backend exists, so that each child makes its own.
"""

import contextlib
import functools
import gc
import json
import logging
import os
import resource
import signal
import stat
import subprocess
import sys
import time
import traceback
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

PROGRAMS = {
    **{x: x for x in ("train", "sample", "apply", "score", "evaluate", "plan")},
    **{x: x for x in ("export", "report", "view", "invert")},
    "augment": "augment.__main__",
}
"""Modules of programs by name."""
MOST_MEMORY = 4 * 2**30
"""Bytes that reading a data set may take."""
LATE = (
    *("training.trainer", "training.augmentation"),
    *("evaluation.sampler", "evaluation.report"),
    *("evaluation.apply", "evaluation.score", "evaluation.invert"),
    *("sharing.export.export", "sharing.report.report"),
    *("performance.planning.planner", "performance.planning.settings"),
)
"""Modules that programs import after their flags are read."""
LOWERING = ("mhlo", "stablehlo", "chlo", "sdy", "func", "arith", "math")
"""Modules of `jaxlib.mlir.dialects` that jax imports when it first traces."""


class Outcome(NamedTuple):
    """The end of a program."""

    code: int
    """Its exit code, or minus the signal that ended it; -9 after `seconds`."""
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """Returns the lines on stderr that tell of an error."""
        return [x for x in self.err.splitlines() if x.startswith("error: ")]


class Forks:
    """A process that forks a child for each command line; close it after use."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, program: str, argv: list[str], cwd: Path, **more: Any) -> Outcome:
        """Runs a program's `main` in the folder `cwd`, which is its HOME too.

        Args:
          program: a name in `PROGRAMS`, or `load` to read all of a data set.
          argv: the flags.
          cwd: the working directory.
          **more: `env`, variables to set or, where None, to remove; `seconds` to wait
            before it is killed, 60 by default.
        """
        server = self._server
        assert server.stdin
        assert server.stdout
        request = {"program": program, "argv": argv, "cwd": str(cwd), **more}
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        return Outcome(**json.loads(server.stdout.readline()))

    def close(self) -> None:
        """Ends the process."""
        self._server.communicate(timeout=60)


def tree(*roots: Path) -> dict[str, tuple]:
    """All that lies in folders, in enough detail to tell whether it was changed."""
    found = {}
    for root in roots:
        for path in (root, *root.rglob("*")):
            status = path.lstat()
            kind = stat.S_IFMT(status.st_mode)
            size = status.st_size if kind == stat.S_IFREG else 0
            found[os.fsdecode(path)] = (kind, size, status.st_mtime_ns)
    return found


def assert_refused(outcome: Outcome, *words: str, code: int = 2) -> None:
    """Asserts that a program ended with one clear line that holds some words."""
    assert "Traceback" not in outcome.err, outcome.err[-3000:]
    assert outcome.code == code, outcome
    assert len(outcome.errors) == 1, outcome.err[-3000:]
    assert outcome.err.endswith(outcome.errors[0] + "\n"), outcome.err[-3000:]
    line = outcome.errors[0]
    assert line.isprintable(), ascii(line)
    assert len(line) < 1200, line
    for word in words:
        assert word in line, line


def _serve() -> None:
    import importlib

    mains = {
        name: importlib.import_module(f"jaxgan.{x}").main
        for name, x in PROGRAMS.items()
    }
    mains["load"] = _load
    for name in LATE:
        importlib.import_module(f"jaxgan.{name}")
    for name in LOWERING:
        importlib.import_module(f"jaxlib.mlir.dialects.{name}")
    Image.init()  # imports the readers of all formats
    # jax looks for plugins when it opens a backend: a third of a child's time.
    metadata.entry_points = functools.cache(metadata.entry_points)
    metadata.entry_points(group="jax_plugins")
    gc.collect()
    gc.freeze()  # or each child's collections copy most of the memory
    for line in sys.stdin:
        request = json.loads(line)
        out, err = (os.memfd_create(name) for name in ("out", "err"))
        child = os.fork()
        if not child:
            _child(mains[request["program"]], request, out, err)
        code = _wait(child, request.get("seconds", 60))
        print(json.dumps({"code": code, "out": _read(out), "err": _read(err)}))
        sys.stdout.flush()


def _load(argv: list[str]) -> int:
    """Reads all of the data set named; prints its size, shape and classes as JSON."""
    from jaxgan import data
    from jaxgan.cli import program

    @program
    def load() -> int:
        dataset = data.load(argv[0])
        found = dataset.read(np.arange(dataset.size))["image"].shape
        assert found == (dataset.size, *dataset.shape)
        print(json.dumps([dataset.size, dataset.shape, dataset.classes]))
        return 0

    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
    return load()


def _child(main: Any, request: dict[str, Any], out: int, err: int) -> None:
    code = 1
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        logging.root.handlers.clear()  # a library's, made while it was imported
        os.chdir(request["cwd"])
        os.environ["HOME"] = request["cwd"]
        for name, value in request.get("env", {}).items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        code = main(request["argv"])
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _wait(child: int, seconds: float) -> int:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.killpg(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _read(file: int) -> str:
    with os.fdopen(file, "rb") as content:
        content.seek(0)
        return content.read().decode(errors="replace")


if __name__ == "__main__":
    _serve()

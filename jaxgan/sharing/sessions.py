"""machine.json of a run: on what it was trained, one entry per start."""

import contextlib
import importlib.metadata
import json
import os
import platform
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from jaxgan import storage
from jaxgan.errors import UsageError
from jaxgan.files import atomic_write, kind

FILE = "machine.json"
"""Name of the file."""

KEPT = 50
"""Entries that are kept: the first one and the newest."""

PACKAGES = ("jaxgan", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
"""Packages whose versions are recorded."""


class Session:
    """The entry of this start of a run.

    Args:
      folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._started = folder, time.monotonic()
        self.first_step = newest_step(folder)
        """The step of the newest checkpoint."""
        self._before: list[dict[str, Any]] = []
        self._entry: dict[str, Any] = {}

    def begin(self) -> None:
        """Writes the machine, the versions and the command."""
        self._before = read(self._folder)
        self._entry = {**facts(), "first_step": self.first_step}
        self._write()

    def end(self) -> None:
        """Adds the last step, the time and the largest use of memory."""
        self._entry["last_step"] = newest_step(self._folder)
        self._entry["seconds"] = round(time.monotonic() - self._started, 1)
        self._entry |= peaks()
        self._write()

    def _write(self) -> None:
        entries = [*self._before, self._entry]
        if len(entries) > KEPT:
            entries = [*entries[:1], *entries[1 - KEPT :]]
        text = json.dumps({"sessions": entries}, indent=2) + "\n"
        # Not synced, since no resumed run depends on it.
        atomic_write(self._folder / FILE, text.encode(), sync=False)


def newest_step(folder: Path) -> int:
    """Returns the step of the newest checkpoint, 0 if there is none."""
    return max(checkpoint_steps(folder), default=0)


def checkpoint_steps(folder: Path) -> list[int]:
    """Returns the steps of the checkpoints, by the names of their folders."""
    try:
        checkpoints = storage.checkpoints_in(folder / "checkpoints")
        names = [x.name for x in checkpoints.iterdir() if storage.is_complete(x)]
    except (OSError, UsageError):  # there are none
        return []
    return sorted(int(x) for x in names if x.isascii() and x.isdigit())


def read(folder: Path) -> list[dict[str, Any]]:
    """Returns the entries of a run's machine.json, [] if it has none or is damaged."""
    file = folder / FILE
    try:
        content = json.loads(file.read_bytes()) if kind(file) == "a file" else {}
        entries = content["sessions"] if isinstance(content, dict) else []
    except (OSError, ValueError, KeyError, RecursionError):
        return []
    return [x for x in entries if isinstance(x, dict)]


def facts() -> dict[str, Any]:
    """Returns the machine, the versions and the command of this process."""
    import jax

    devices = jax.devices()
    return {
        "started": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        "command": command(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_name(),
        "cpus": _cpus(),
        "memory": _memory(),
        "devices": f"{len(devices)} x {devices[0].device_kind}",
        "backend": jax.default_backend(),
        "processes": jax.process_count(),
        "python": platform.python_version(),
        "versions": versions(),
    }


def command() -> str:
    """Returns the command line of this process, "" if it is no program of jaxgan."""
    program, *rest = sys.argv or [""]
    path = Path(program)
    is_ours = path.parent.name == "jaxgan"
    if path.name == "jaxgan" or (is_ours and path.stem == "__main__"):
        return shlex.join(["jaxgan", *rest])
    if not is_ours:
        return ""  # a notebook or a script
    return shlex.join(["python", "-m", f"jaxgan.{path.stem}", *rest])


def versions() -> dict[str, str]:
    """Returns the versions of `PACKAGES` that are installed."""
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def cpu_name() -> str:
    """Returns the name of the processor, "" if it is unknown."""
    with contextlib.suppress(OSError, IndexError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _cpus() -> int:
    """Returns the number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> int:
    """Returns the bytes of memory of this machine."""
    import psutil

    return psutil.virtual_memory().total


def peaks() -> dict[str, int]:
    """Returns the largest use of memory so far, in bytes: `host`, and of a device."""
    import jax

    found = {}
    with contextlib.suppress(ImportError):  # Windows has no such module
        import resource

        largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        # In bytes on macOS, in KiB elsewhere.
        found["peak_host"] = largest * (1 if sys.platform == "darwin" else 1024)
    # Those of other processes cannot be asked.
    stats = [x.memory_stats() or {} for x in jax.local_devices()]
    used = [x.get("peak_bytes_in_use", 0) for x in stats]
    if any(used):
        found["peak_device"] = max(used)
    return found

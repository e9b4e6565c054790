"""Free memory of this machine, for this process."""

import math
import re
import warnings
from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")


def host_bytes() -> float:
    """Returns the bytes that this process may still allocate, within its limits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no /proc/vmstat
        swap = psutil.swap_memory().free
    system = psutil.virtual_memory().available + swap
    return max(0, min(system, group_bytes(), _own_bytes()))


def _own_bytes() -> float:
    try:
        import resource
    except ImportError:  # Windows
        return math.inf
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return math.inf
    return limit - psutil.Process().memory_info().vms


def group_bytes(
    groups: Path = Path("/proc/self/cgroup"), root: Path = CGROUPS
) -> float:
    """Returns the bytes that the control groups, version 1 or 2, leave this process.

    A group's caches of files count as free: the kernel drops them first. In a container
    the path may be that of the machine, then the nearest folder that exists counts.
    """
    try:
        lines = groups.read_text().splitlines()
    except OSError:
        return math.inf
    free = math.inf
    for line in lines:
        _, controllers, path = line.split(":", 2)
        names = (
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
            "total_inactive_file",
        )
        if not controllers:
            names = ("memory.max", "memory.current", "inactive_file")
        elif "memory" not in controllers.split(","):
            continue
        base = root / controllers if controllers else root
        own = base / path.lstrip("/")
        for folder in (own, *own.parents):
            if folder.is_relative_to(base):
                free = min(free, _left(folder, *names))
    return free


def _left(folder: Path, limit: str, usage: str, cache: str) -> float:
    try:
        most, used = (int((folder / name).read_text()) for name in (limit, usage))
        stat = (folder / "memory.stat").read_text()
    except (OSError, ValueError):  # no such group, or "max"
        return math.inf
    cached = re.search(rf"^{cache} (\d+)$", stat, re.MULTILINE)
    return most - used + (int(cached[1]) if cached else 0)

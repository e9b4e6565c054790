"""Free memory of the host, within the limits of this process."""

import math
import re
import warnings
from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")
"""The mount point of control groups on Linux."""


def host_bytes() -> float:
    """Returns the number of bytes that this process can still allocate."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # if there is no /proc/vmstat
        swap = psutil.swap_memory().free
    system = psutil.virtual_memory().available + swap
    # The tightest limit counts; it may be exceeded already.
    return max(0, min(system, group_bytes(), _own_bytes()))


def _own_bytes() -> float:
    """Returns the bytes left below the address space limit of this process."""
    try:
        import resource
    except ImportError:  # Windows
        return math.inf
    # The soft limit of virtual memory, which ulimit -v sets.
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return math.inf
    return limit - psutil.Process().memory_info().vms


def group_bytes(
    groups: Path = Path("/proc/self/cgroup"), root: Path = CGROUPS
) -> float:
    """Returns the bytes left below the limits of the control groups of this process.

    File caches of a group count as free, because the kernel drops them first. Versions
    1 and 2 of control groups are supported.

    Args:
      groups: the file with the groups of this process.
      root: the folder of all control groups.

    Returns:
      The number of bytes, or infinity if there is no limit.
    """
    try:
        lines = groups.read_text().splitlines()
    except OSError:
        return math.inf
    free = math.inf
    for line in lines:
        # A line is ID:CONTROLLERS:PATH.
        _, controllers, path = line.split(":", 2)
        # Version 1 lists the controllers of a group, version 2 none.
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
        group = base / path.lstrip("/")
        # Limits of the parents hold too. In a container the path may be that of the
        # host, so that only some parents exist.
        for folder in (group, *group.parents):
            if folder.is_relative_to(base):
                free = min(free, _left(folder, *names))
    return free


def _left(folder: Path, limit: str, usage: str, cache: str) -> float:
    """Returns the bytes left in a group, given the names of its files and entry."""
    try:
        most, used = (int((folder / name).read_text()) for name in (limit, usage))
        stat = (folder / "memory.stat").read_text()
    except (OSError, ValueError):  # no such group, or the limit is "max"
        return math.inf
    cached = re.search(rf"^{cache} (\d+)$", stat, re.MULTILINE)
    # The usage includes file caches that the kernel can drop.
    return most - used + (int(cached[1]) if cached else 0)

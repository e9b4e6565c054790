"""The number of CPU devices of a run, chosen before jax is imported.

XLA for CPU runs an operation of one device on all threads. Small convolutions do not
keep several threads busy, so that some networks train faster on several devices, each
with a part of every batch.
"""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxgan import spec, storage, workdir
from jaxgan.config.training import Config
from jaxgan.distributed.initialize import scheduled
from jaxgan.environment import has_tpu
from jaxgan.errors import UsageError

VARIABLE = "JAX_NUM_CPU_DEVICES"
"""The variable from which jax reads the number of CPU devices."""
FORCED = "xla_force_host_platform_device_count"
"""The flag of XLA for the same."""

QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""The limit of a container, in Linux."""

MOST = 8
"""Maximum number of devices that are chosen."""

LEAST_EXAMPLES = 32
"""Minimum number of examples per device and micro-batch; fewer gain nothing."""


def small(width: int = 16, blur: bool = False) -> bool:
    """Returns True for widths of `small` whose convolutions gain from devices."""
    del blur
    return width <= 16


GAINS: Mapping[str, Callable[..., bool]] = {"small": small}
"""Networks that train faster on several devices, given their arguments.

Measured on two cores that were otherwise idle, two devices make 1.4 times the steps of
one for `small`, 0.8 for `mlp` and 1.0 for `dcgan`: `benchmarks/step_throughput.py
--variants=ours:float32,ours:float32+hosts2+all`.
"""


class Choice(NamedTuple):
    """A number of CPU devices."""

    count: int
    reason: str = ""
    """For the log; empty if the user has chosen."""


def choose(config: Config, cores: int, recorded: int | None = None) -> Choice:
    """Chooses the number of CPU devices of a run.

    A function of its arguments only, so that a resumed run has the same number.

    Args:
      config: the configuration.
      cores: number of cores that this process may use.
      recorded: `devices` in the config.json of a run that is resumed, else None.

    >>> choose(Config(), cores=2).count, choose(Config(networks="mlp"), cores=2).count
    (2, 1)
    >>> [choose(Config(batch_size=n), cores=6).count for n in (32, 64, 96, 127, 512)]
    [1, 2, 3, 1, 4]
    """
    if config.devices:
        return Choice(min(config.devices, cores))
    # Version 0.1.0 recorded 0, and used one device.
    if recorded is not None and recorded <= cores:
        return Choice(max(recorded, 1), "like the run that is resumed")
    # Several runs, and several processes, have one device each.
    alone = config.runs == 1 and config.coordinator in ("auto", "none")
    if not alone or config.batch_per_device or config.shard_state:
        return Choice(1)
    if not gains(config.networks):
        return Choice(1, f"{_name(config.networks)} keeps all threads busy")
    count = _most_devices(config.batch_size, config.accumulate, min(cores, MOST))
    if count == 1:
        return Choice(1, f"batches of {config.batch_size} are too small to split")
    return Choice(count, f"convolutions of {_name(config.networks)} are small")


def gains(networks: str) -> bool:
    """Returns True if networks gain from several devices; False for a wrong text.

    >>> gains("small"), gains("small(width=64)"), gains("mlp"), gains("small('x')")
    (True, False, False, False)
    """
    try:
        [(name, args, kwargs)] = spec.parse(networks)
        return GAINS[name](*args, **kwargs)
    except (UsageError, KeyError, TypeError, ValueError):  # the builder reports it
        return False


def _name(networks: str) -> str:
    """Returns the name of networks without their arguments."""
    return f"--networks={networks.partition('(')[0].strip()}"


def _most_devices(batch_size: int, accumulate: int, limit: int) -> int:
    """Returns the most devices that divide a batch, with enough examples on each."""
    fit = (
        count
        for count in range(1, limit + 1)
        if batch_size % (count * accumulate) == 0
        and batch_size // (count * accumulate) >= LEAST_EXAMPLES
    )
    return max(fit, default=1)


def available_cores() -> int:
    """Returns the number of cores that this process may use, at least 1."""
    # macOS and Windows cannot tell.
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, int(min(cores, _quota())))


def _quota() -> float:
    """Returns the number of cores whose time a container may use."""
    try:
        # Microseconds per period, such as `150000 100000`, or `max` of them.
        time, period = QUOTA.read_text().split()
        return int(time) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return float("inf")


def chosen(config: Config) -> Choice:
    """Returns the choice for this machine and for the run in the workdir, if any."""
    return choose(config, available_cores(), _recorded(config))


def _recorded(config: Config) -> int | None:
    """Returns `devices` of the run to resume, or None if there is none to read."""
    try:
        folder = storage.run_folder("--workdir", config.workdir)
        if not config.workdir or not (folder / "config.json").is_file():
            return None
        devices: Any = workdir.read_config(folder).get("devices", 0)
    except (UsageError, OSError):  # reported when the run is resumed
        return None
    return devices if type(devices) is int and devices >= 0 else None


def request(config: Config, environment: Any = os.environ) -> None:
    """Asks jax for the chosen number of CPU devices, for programs only.

    It does nothing once jax is imported, on other platforms, or if the environment sets
    a number.

    Args:
      config: the configuration.
      environment: the environment variables, one of which is set.
    """
    platform = environment.get("JAX_PLATFORMS", "").split(",")[0] or "cpu"
    if "jax" in sys.modules or platform != "cpu" or has_tpu(environment):
        return
    set_already = VARIABLE in environment or FORCED in environment.get("XLA_FLAGS", "")
    if set_already or scheduled(environment):
        return
    count = chosen(config).count
    if count > 1:
        environment[VARIABLE] = str(count)


def describe(config: Config, devices: int) -> str | None:
    """Returns a line that says why a run has its CPU devices, and how to change it.

    Args:
      config: the configuration, before its devices are recorded.
      devices: number of devices in use.

    Returns:
      None if the user has chosen, or if there is one core.
    """
    count, reason = chosen(config)
    cores = available_cores()
    if count != devices or not reason or cores == 1:
        return None
    if devices > 1:
        return f"a part of each batch on each device: {reason} (--devices=1 for one)"
    return f"one device with {cores} threads: {reason} (--devices={cores} for more)"

"""Selects devices and describes them, with defaults that depend on the device."""

import importlib.metadata
import logging
import os

import jax

from jaxgan.environment import has_tpu
from jaxgan.errors import UsageError, first_line
from jaxgan.types import Device

log = logging.getLogger("jaxgan")


def choose_devices(count: int) -> list[Device]:
    """Returns the first `count` devices of each process, in order of the processes.

    Args:
      count: number of devices per process, 0 for all.

    Raises:
      UsageError: if jax finds no device, or a process has fewer than `count`.
    """
    try:
        devices = jax.local_devices()
    except RuntimeError as error:
        reason = first_line(error)
        raise UsageError(f"jax cannot start on any device: {reason}") from error
    if not 0 <= count <= len(devices):
        raise UsageError(
            f"devices={count}: there are {len(devices)} devices; use 0 for all"
        )
    if jax.process_count() == 1:
        # 0 selects all devices.
        return devices[: count or None]
    # The devices of all processes, in order.
    every = [jax.local_devices(process_index=i) for i in range(jax.process_count())]
    fewest = min(len(local) for local in every)
    # Each process needs the same number, to have an equal part of the batch.
    if any(len(local[: count or None]) != (count or fewest) for local in every):
        raise UsageError(
            f"devices={count}: the processes have {[len(local) for local in every]} "
            f"devices; use devices={fewest} in all processes"
        )
    return [device for local in every for device in local[: count or None]]


def describe_devices(devices: list[Device]) -> str:
    """Returns a line such as `1 cpu device (cpu), jax 0.10.2`."""
    first = devices[0]
    noun = "device" if len(devices) == 1 else "devices"
    processes = len({device.process_index for device in devices})
    of = f" of {processes} processes" if processes > 1 else ""
    return (
        f"{len(devices)} {first.platform} {noun} ({first.device_kind}){of}, "
        f"jax {jax.__version__}"
    )


def unused_accelerator(platform: str) -> str | None:
    """Returns the installed plugin of an accelerator that is not used, or None.

    The plugin for TPUs counts only on machines with TPU chips: `jaxgan.plan` uses it on
    other machines too.

    Args:
      platform: the platform in use, such as `cpu`.
    """
    requested = os.environ.get("JAX_PLATFORMS", "")
    if platform != "cpu" or requested == "cpu":
        return None
    # Names of all installed packages; a broken one may have none.
    names = (d.metadata["Name"] or "" for d in importlib.metadata.distributions())
    tpu = has_tpu(os.environ)
    plugins = [n for n in names if n.startswith("jax-cuda") or (tpu and n == "libtpu")]
    return min(plugins, default=None)


def warn_of_unused_accelerator(devices: list[Device]) -> None:
    """Logs a prominent warning if an installed accelerator is not used."""
    plugin = unused_accelerator(devices[0].platform)
    if plugin:
        line = "!" * 72
        log.warning(
            "%s\n%s is installed, but jax found no such device and RUNS ON THE CPU.\n"
            "Check its driver, or set JAX_PLATFORMS=cpu if you want the CPU.\n"
            "%s",
            *(line, plugin, line),
        )


def resident_limit(devices: list[Device]) -> int:
    """Returns the maximum size of a dataset kept on the devices, in bytes per device.

    It is a quarter of a device's memory, or 2 GiB if the size is unknown, as on CPU.
    """
    # Only the devices of this process report their memory.
    local = [d for d in devices if d.process_index == jax.process_index()]
    stats = local[0].memory_stats() or {}
    # A quarter of 2**33 bytes is 2 GiB.
    return stats.get("bytes_limit", 2**33) // 4


def default_steps_per_call(devices: list[Device]) -> int:
    """Returns 1 on CPU, where XLA runs convolutions in loops slowly; 50 elsewhere."""
    return 1 if devices[0].platform == "cpu" else 50

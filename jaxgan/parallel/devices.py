"""Which devices there are, and what becomes of them by default."""

import importlib.metadata
import logging
import os

import jax

from jaxgan.environment import has_tpu
from jaxgan.types import Device, UsageError

log = logging.getLogger("jaxgan")


def choose_devices(count: int) -> list[Device]:
    """The first `count` devices of each process, 0 for all, process by process.

    Raises:
      UsageError: if there are not so many, or none at all.
    """
    try:
        devices = jax.local_devices()
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"jax starts on no device: {reason}") from error
    if not 0 <= count <= len(devices):
        raise UsageError(
            f"--devices={count}: there are {len(devices)}; 0 takes all of them"
        )
    if jax.process_count() == 1:
        return devices[: count or None]
    every = [jax.local_devices(process_index=i) for i in range(jax.process_count())]
    fewest = min(len(own) for own in every)
    if any(len(own[: count or None]) != (count or fewest) for own in every):
        raise UsageError(
            f"--devices={count}: the processes have {[len(own) for own in every]} "
            f"devices; use --devices={fewest} in all"
        )
    return [device for own in every for device in own[: count or None]]


def describe_devices(devices: list[Device]) -> str:
    """One line that names the devices, such as `1 cpu device (cpu), jax 0.10.2`."""
    kind = devices[0]
    many = "device" if len(devices) == 1 else "devices"
    processes = len({device.process_index for device in devices})
    of = f" of {processes} processes" if processes > 1 else ""
    return (
        f"{len(devices)} {kind.platform} {many} ({kind.device_kind}){of}, "
        f"jax {jax.__version__}"
    )


def unused_accelerator(platform: str) -> str | None:
    """An accelerator's plugin that is installed but not in use, if there is one.

    That of TPUs counts where there are chips: it also serves to plan without.
    """
    asked = os.environ.get("JAX_PLATFORMS", "")
    if platform != "cpu" or asked == "cpu":
        return None
    names = (d.metadata["Name"] or "" for d in importlib.metadata.distributions())
    tpu = has_tpu(os.environ)
    found = [n for n in names if n.startswith("jax-cuda") or (tpu and n == "libtpu")]
    return min(found, default=None)


def warn_of_unused_accelerator(devices: list[Device]) -> None:
    """Says so, unmistakably, when an installed accelerator is not what runs."""
    plugin = unused_accelerator(devices[0].platform)
    if plugin:
        line = "!" * 72
        log.warning(
            "%s\n%s is installed, but jax found no such device and RUNS ON THE CPU.\n"
            "Look at its driver, or set JAX_PLATFORMS=cpu if that is what you want.\n"
            "%s",
            *(line, plugin, line),
        )


def resident_limit(devices: list[Device]) -> int:
    """Bytes of a data set that may lie on each device: a quarter of it, or 2 GiB."""
    own = [d for d in devices if d.process_index == jax.process_index()]
    stats = own[0].memory_stats() or {}
    return stats.get("bytes_limit", 2**33) // 4


def default_steps_per_call(devices: list[Device]) -> int:
    """1 on CPU, where XLA slows convolutions down in loops; 50 elsewhere."""
    return 1 if devices[0].platform == "cpu" else 50

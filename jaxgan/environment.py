"""Settings made before jax is imported or started, and the compilation cache."""

import gc
import logging
import os
import re
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxgan.errors import UsageError, first_line, printable

log = logging.getLogger("jaxgan")

SETTINGS = {
    "jax_enable_x64": False,
    "jax_disable_jit": False,
    "jax_numpy_rank_promotion": "allow",
    "jax_numpy_dtype_promotion": "standard",
}
"""Options of jax that the train step relies on, whatever the JAX_ variables are."""


RARE = 100_000
"""Number of new objects after which garbage is collected while a program starts."""

_usual: list[tuple[int, int, int]] = []
"""The thresholds to set again."""


def collect_rarely() -> None:
    """Collects garbage rarely, while imports and traces make many lasting objects."""
    _usual.append(gc.get_threshold())
    gc.set_threshold(RARE, *_usual[-1][1:])


def collect_as_usual() -> None:
    """Collects garbage as before `collect_rarely`, so that arrays do not wait for it.

    Does nothing without a call of that.
    """
    if _usual:
        gc.set_threshold(*_usual[0])
        _usual.clear()


def start_jax() -> None:
    """Imports jax and starts its backend, with the options in `SETTINGS`.

    Raises:
      UsageError: if jax is not installed, or if a variable such as `JAX_PLATFORMS` is
        invalid or names a device that this machine does not have.
    """
    try:
        import jax
    except ImportError as error:
        raise UsageError(
            f"jax cannot be imported ({first_line(error)}): pip install jaxgan"
        ) from error
    except ValueError as error:
        raise UsageError(f"jax does not start: {first_line(error)}") from error
    # Variables must not change what the train step relies on.
    for name, value in SETTINGS.items():
        if getattr(jax.config, name) != value:
            variable = name.upper()
            log.warning("%s is ignored: jaxgan trains with %r", variable, value)
            jax.config.update(name, value)
    try:
        # The first query of devices starts the backend.
        jax.local_devices()
    except (RuntimeError, AssertionError) as error:
        # Replace the advice of jax, which suggests an empty JAX_PLATFORMS.
        reason = first_line(error).partition(" (set JAX_PLATFORMS")[0]
        platforms = os.environ.get("JAX_PLATFORMS", "")
        if platforms:
            advice = f"JAX_PLATFORMS={platforms}: set it to cpu, or unset it"
        else:
            advice = "set JAX_PLATFORMS=cpu to use the CPU"
        if isinstance(error, AssertionError):  # it has no message
            reason = "it has no plugin for that platform"
        raise UsageError(
            f"jax cannot start on any device ({reason}); {advice}"
        ) from error


def cache_folder() -> Path | None:
    """Returns the folder for cached files, or None if the user has no home folder."""
    base = os.path.expanduser(os.environ.get("XDG_CACHE_HOME", ""))
    if not os.path.isabs(base):  # XDG requires that relative paths are ignored
        base = os.path.expanduser("~/.cache")
    if not os.path.isabs(base):  # HOME is not set, and the user is unknown
        return None
    return Path(base, "jaxgan")


def enable_compilation_cache() -> None:
    """Caches compiled programs on disk, unless the environment sets another folder."""
    folder = cache_folder()
    if folder:
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder / "xla"))
    # Cache short compilations too, as a run has dozens of programs.
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    # jax reads variables when it is imported, which a program's package may do.
    if jax := sys.modules.get("jax"):
        for name, kind in CACHE_SETTINGS.items():
            if value := os.environ.get(name.upper()):
                jax.config.update(name, kind(value))
    log_cache_failures_once()


CACHE_SETTINGS: dict[str, type] = {
    "jax_compilation_cache_dir": str,
    "jax_persistent_cache_min_compile_time_secs": float,
}
"""Options of jax with the folder of the cache, and the shortest time of an entry."""

CACHE_FAILURE = "Error (reading|writing) persistent compilation cache entry"
"""The start of jax's warnings about its cache, as a regular expression."""


def log_cache_failures_once() -> None:
    """Logs jax's first warning about its cache and drops the others.

    jax warns for each of the dozens of programs of a run, for example if the disk is
    full.
    """
    show, logged = warnings.showwarning, False

    def show_once(message: Any, *more: Any) -> None:
        nonlocal logged
        if not re.match(CACHE_FAILURE, str(message)):
            show(message, *more)
        elif not logged:
            logged = True
            # The text behind the name of the entry.
            why = printable(str(message).partition("': ")[2][:120])
            folder = os.environ.get("JAX_COMPILATION_CACHE_DIR")
            log.warning("compiled programs cannot be cached in %s: %s", folder, why)

    warnings.showwarning = show_once
    warnings.filterwarnings("always", CACHE_FAILURE)  # even if warnings are errors


def silence_libtpu() -> None:
    """Sets variables that silence libtpu on machines without a TPU."""
    os.environ.setdefault("TPU_ACCELERATOR_TYPE", "v5litepod-4")
    os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
    os.environ.setdefault("TPU_LOG_DIR", "disabled")
    os.environ.setdefault("TPU_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TPU_STDERR_LOG_LEVEL", "3")


def has_tpu(environment: Mapping[str, str], devices: str = "/dev") -> bool:
    """Returns True if this machine has TPU chips and jax may use them.

    Args:
      environment: environment variables.
      devices: the folder of device files.
    """
    # The first platform in the list is the one in use.
    if environment.get("JAX_PLATFORMS", "tpu").split(",")[0] != "tpu":
        return False
    # Older TPU VMs have /dev/accel0, newer ones /dev/vfio/0.
    chips = [*Path(devices).glob("accel[0-9]*"), *Path(devices).glob("vfio/[0-9]*")]
    return bool(chips)

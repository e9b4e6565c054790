"""The environment that jax starts in."""

import logging
import os
import re
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
"""Options of jax that the train step relies on; variables may say otherwise."""


def start_jax() -> None:
    """Imports jax and starts its backend, with the options that we rely on.

    Raises:
      UsageError: where jax is not installed, or for a variable such as
        `JAX_PLATFORMS` that names no device here or that jax cannot read.
    """
    try:
        import jax
    except ImportError as error:
        raise UsageError(
            f"jax cannot be imported ({first_line(error)}): pip install jaxgan"
        ) from error
    except ValueError as error:
        raise UsageError(f"jax does not start: {first_line(error)}") from error
    for name, value in SETTINGS.items():
        if getattr(jax.config, name) != value:
            variable = name.upper()
            log.warning("%s is ignored: jaxgan trains with %r", variable, value)
            jax.config.update(name, value)
    try:
        jax.local_devices()
    except (RuntimeError, AssertionError) as error:  # one of them has no message
        reason = first_line(error).partition(" (set JAX_PLATFORMS")[0]
        named = os.environ.get("JAX_PLATFORMS", "")
        if named:
            advice = f"JAX_PLATFORMS={named}: set it to cpu, or unset it"
        else:
            advice = "set JAX_PLATFORMS=cpu to use the processor"
        if isinstance(error, AssertionError):
            reason = "it has no plugin for that platform"
        raise UsageError(f"jax starts on no device ({reason}); {advice}") from error


def cache_folder() -> Path | None:
    """Returns the folder of files that may be lost, None where there is no home."""
    home = os.path.expanduser(os.environ.get("XDG_CACHE_HOME", ""))
    if not os.path.isabs(home):  # such a one is to be ignored, by the XDG's standard
        home = os.path.expanduser("~/.cache")
    if not os.path.isabs(home):  # no HOME, and a user that the system does not know
        return None
    return Path(home, "jaxgan")


def enable_compilation_cache() -> None:
    """Keeps compiled programs for the next start, unless jax was told where already."""
    folder = cache_folder()
    if folder:
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder / "xla"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    log_cache_failures_once()


CACHE_FAILURE = "Error (reading|writing) persistent compilation cache entry"


def log_cache_failures_once() -> None:
    """Logs the first of jax's warnings that its cache fails, and drops the others.

    jax warns for each of the dozens of programs of a run, as on a disk that is full.
    """
    show, logged = warnings.showwarning, False

    def show_once(message: Any, *more: Any) -> None:
        nonlocal logged
        if not re.match(CACHE_FAILURE, str(message)):
            show(message, *more)
        elif not logged:
            logged = True
            why = printable(str(message).partition("': ")[2][:120])
            folder = os.environ.get("JAX_COMPILATION_CACHE_DIR")
            log.warning("compiled programs are not kept in %s: %s", folder, why)

    warnings.showwarning = show_once
    warnings.filterwarnings("always", CACHE_FAILURE)  # an error ends no run either


def silence_libtpu() -> None:
    """Where there is no TPU, its library would say so at length on the console."""
    os.environ.setdefault("TPU_ACCELERATOR_TYPE", "v5litepod-4")
    os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
    os.environ.setdefault("TPU_LOG_DIR", "disabled")
    os.environ.setdefault("TPU_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TPU_STDERR_LOG_LEVEL", "3")


def has_tpu(environment: Mapping[str, str], devices: str = "/dev") -> bool:
    """Whether this machine has TPU chips that jax is to use."""
    if environment.get("JAX_PLATFORMS", "tpu").split(",")[0] != "tpu":
        return False
    found = [*Path(devices).glob("accel[0-9]*"), *Path(devices).glob("vfio/[0-9]*")]
    return bool(found)

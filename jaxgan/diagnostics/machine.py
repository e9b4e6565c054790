"""Devices, memory, writable folders, and servers of data sets."""

import os
import shutil
import tempfile
import threading
from pathlib import Path

import jax
from tensorflow_datasets.core import constants

from jaxgan import environment, host_memory
from jaxgan.data.tfds import builders, download, files, prepare
from jaxgan.data.tfds.mirrors import MIRRORS
from jaxgan.diagnostics.finding import FAIL, OK, WARN, Finding
from jaxgan.files import reason
from jaxgan.parallel.devices import describe_devices, unused_accelerator

SERVED = ("mnist", "fashion_mnist", "cifar10")
"""Data sets whose servers are probed."""

GIB = 2**30
LEAST_FREE = 2 * GIB
"""Bytes of free memory, or on a disk, below which a warning is given."""

PATIENCE = 20.0
"""Seconds in which a server must answer, including the lookup of its name."""


def find_devices() -> list[Finding]:
    """Returns the devices in use, and those of the machine that are not in use."""
    devices = jax.local_devices()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    cores = cores or os.cpu_count() or 1
    free = host_memory.host_bytes()
    memory = f"{cores} cores, {free / GIB:.1f} GiB of memory free"
    few = free < LEAST_FREE
    findings = [
        Finding(OK, "devices", describe_devices(devices)),
        Finding(WARN if few else OK, "host", memory),
    ]
    missed = missed_device(devices[0].platform)
    return findings + ([Finding(WARN, "devices", missed)] if missed else [])


def missed_device(platform: str, folder: str = "/dev") -> str | None:
    """Returns the reason why an accelerator of this machine is not used.

    Args:
      platform: the platform in use.
      folder: the folder of device files.

    Returns:
      One line with a remedy, None if there is no such accelerator.
    """
    if platform != "cpu":
        return None
    if os.environ.get("JAX_PLATFORMS") == "cpu":
        return "accelerators are not looked for, as JAX_PLATFORMS=cpu is set"
    if plugin := unused_accelerator(platform):
        return f"{plugin} is installed, but jax does not use it: check the driver"
    if list(Path(folder).glob("nvidia[0-9]*")):
        return "an NVIDIA GPU is not used: pip install 'jaxgan[cuda]'"
    if environment.has_tpu(os.environ, folder):
        return "a TPU is not used: pip install 'jaxgan[tpu]'"
    return None


def find_folders(data_dir: str) -> list[Finding]:
    """Returns the state of the folders to which programs write.

    Args:
      data_dir: the folder of prepared data sets; empty for the default of TFDS.
    """
    cache = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    data = Path(data_dir or constants.DATA_DIR).expanduser()
    findings = [
        _folder("run folder", Path("runs"), "--workdir"),
        _folder("data folder", data, "--data_dir"),
        _folder("temporary", Path(tempfile.gettempdir()), "TMPDIR"),
    ]
    if cache:
        place = _folder("compile cache", Path(cache), "JAX_COMPILATION_CACHE_DIR")
        # Without it, programs are compiled again in every run.
        status = WARN if place.status == FAIL else place.status
        findings.append(place._replace(status=status))
    return findings


def _folder(subject: str, folder: Path, name: str) -> Finding:
    """Returns the state of a folder, or of its nearest parent that exists.

    Args:
      subject: the folder in words.
      folder: its path.
      name: the flag or variable that changes it.
    """
    absolute = folder.absolute()
    place = absolute
    while not place.exists():
        place = place.parent
    try:
        # Permission bits say nothing to root.
        with tempfile.TemporaryFile(dir=place):
            pass
        free = shutil.disk_usage(place).free
    except OSError as error:
        text = f"{absolute} is not writable ({reason(error)}); change it by {name}"
        return Finding(FAIL, subject, text)
    text = f"{absolute}, {free / GIB:,.0f} GiB free"
    if place != absolute:
        text += " (created when it is needed)"
    return Finding(WARN if free < LEAST_FREE else OK, subject, text)


def find_data(data_dir: str, *, offline: bool) -> list[Finding]:
    """Returns the data sets that are prepared, and whose servers answer.

    Args:
      data_dir: the folder of prepared data sets; empty for the default of TFDS.
      offline: True to send no request.
    """
    findings = []
    for name in SERVED:
        builder = builders.open_builder(name, data_dir or None)
        if prepare.is_prepared(builder):
            findings.append(Finding(OK, name, f"prepared in {builder.data_dir}"))
        elif not offline:
            findings.append(_server(name, builder))
    return findings


def _server(name: str, builder: object) -> Finding:
    """Returns the answer of the server of a data set, within `PATIENCE` seconds."""
    url = files.search_for(builder, Path(tempfile.gettempdir())).files[0].url
    answers: list[str | None] = []
    # A lookup of a name has no timeout of its own.
    probe = threading.Thread(
        target=lambda: answers.append(download.unreachable(url)), daemon=True
    )
    probe.start()
    probe.join(PATIENCE)
    failed = answers[0] if answers else f"no answer in {PATIENCE:.0f} seconds"
    if failed is None:
        return Finding(OK, name, "not prepared yet; its server answers")
    other = "; packages have it too" if name in MIRRORS else ""
    return Finding(WARN, name, f"its server does not answer ({failed}){other}")

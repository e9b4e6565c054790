"""Environment variables to set before JAX and the TPU compiler are imported."""

import os

from jaxgan.environment import silence_libtpu

SETTINGS = {
    "JAX_PLATFORMS": "cpu",
    "TPU_SKIP_MDS_QUERY": "1",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}
"""JAX runs on the CPU, and libtpu does not query Google Cloud's metadata server.

The slice to compile for is named later. `ALLOW_MULTIPLE_LIBTPU_LOAD` lets several
processes compile at once, which is safe as none of them opens a TPU.
"""


def set_environment(topologies: tuple[str, ...]) -> None:
    """Sets unset variables, unless the devices of this machine are planned for."""
    if "local" in topologies:
        return
    silence_libtpu()
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)

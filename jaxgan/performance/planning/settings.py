"""What the environment has to say before jax and the compiler of TPUs are imported."""

import os

from jaxgan.environment import silence_libtpu

SETTINGS = {
    "JAX_PLATFORMS": "cpu",
    "TPU_SKIP_MDS_QUERY": "1",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}
"""jax runs on the CPU, and libtpu asks no cloud's server.

None of it says which slice is compiled for: that is named later. The last lets several
processes compile at once, as none of them opens a TPU.
"""


def set_environment(topologies: tuple[str, ...]) -> None:
    """Sets what is not set, unless this machine's own devices are asked for."""
    if "local" in topologies:
        return
    silence_libtpu()
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)

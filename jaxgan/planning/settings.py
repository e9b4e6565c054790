"""What the environment has to say before jax and the compiler of TPUs are imported."""

import os

SETTINGS = {
    "JAX_PLATFORMS": "cpu",
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_LOG_DIR": "disabled",
    "TPU_MIN_LOG_LEVEL": "3",
    "TPU_STDERR_LOG_LEVEL": "3",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}
"""What libtpu would else ask a cloud's server for, and say on the console.

None of it says which slice is compiled for: that is named later. The last lets several
processes compile at once, as none of them opens a TPU.
"""


def settle(topologies: tuple[str, ...]) -> None:
    """Sets what is not set, unless this machine's own devices are asked for."""
    if "local" in topologies:
        return
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)

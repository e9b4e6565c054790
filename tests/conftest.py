"""The environment of all tests: eight CPU devices, one compilation cache."""

import os
import tempfile

import numpy as np
import pytest

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", os.path.join(tempfile.gettempdir(), "jaxgan-test-xla")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """An npz of 50 pictures of 8x8, with labels."""
    from games import images  # imports jax, for which the environment is now set

    path = tmp_path_factory.mktemp("data") / "pictures.npz"
    raw = np.round((images(50) + 1) * 127.5).astype(np.uint8)
    np.savez(path, images=raw, labels=np.arange(50) % 5)
    return path


@pytest.fixture(scope="session")
def finished(pictures, tmp_path_factory):
    """A run of 20 steps."""
    from test_train import run

    return run(pictures, tmp_path_factory.mktemp("runs") / "whole", 20)

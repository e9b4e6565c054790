"""The environment of all tests: eight CPU devices, one compilation cache."""

import gc
import os
import tempfile
from contextlib import contextmanager

import numpy as np
import psutil
import pytest
from PIL import Image

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", os.path.join(tempfile.gettempdir(), "jaxgan-test-xla")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

collect_ignore = ["anomaly_toys_registered.py", "maps_registered.py"]
"""Modules that fill tables when they are imported, which all tests would see."""

# Traces make many objects and little garbage, which took a tenth of the tests' time.
gc.set_threshold(10_000, *gc.get_threshold()[1:])


def pytest_collection_finish():
    """Leaves modules and tests, which last, out of later collections of garbage."""
    gc.collect()
    gc.freeze()


MOST_BYTES = 3 * 2**30
"""Memory of a worker above which compiled programs are dropped."""


@pytest.fixture(scope="module", autouse=True)
def bounded_memory():
    """Drops compiled programs between modules, or two workers need over 20 GiB."""
    yield
    if psutil.Process().memory_info().rss > MOST_BYTES:
        import jax

        # They are compiled again from the cache on disk.
        jax.clear_caches()
        gc.collect()


@pytest.fixture(scope="session", autouse=True)
def no_reports():
    """Runs write no report at the end, which takes time; `test_report` tests that."""
    from jaxgan.sharing.report import report  # imports jax, like `games` below

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "write_safely", lambda folder: None)
        yield


@contextmanager
def curves_drawn_by(draw):
    """Replaces the function that draws the curves of a run at its end."""
    from jaxgan.reporting import metric_writer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metric_writer, "losses_plot", draw)
        yield


def empty_plot(metrics_path, out, score_name=""):
    """Writes one pixel in place of curves, which take longer than a tiny run."""
    Image.new("L", (1, 1)).save(out, "png")
    return True


@pytest.fixture(scope="session", autouse=True)
def no_curves():
    """Runs draw no curves, but those of tests with the fixture `curves`."""
    with curves_drawn_by(empty_plot):
        yield


@pytest.fixture
def curves(no_curves):
    """Runs draw their curves."""
    from jaxgan.reporting import losses_plot

    with curves_drawn_by(losses_plot):
        yield


@pytest.fixture(scope="module")
def quick_compilation():
    """Compiles without the optimizations that take most of a tiny program's time.

    For modules that compare programs with each other or with known values, and whose
    programs run for a few steps.
    """
    with compiled_quickly(True):
        yield


@contextmanager
def compiled_quickly(quickly):
    """Sets if XLA leaves out most of its optimizations."""
    import jax

    name = "jax_disable_most_optimizations"
    before = jax.config.read(name)

    def change(value):
        if value != jax.config.read(name):
            jax.config.update(name, value)
            # Earlier programs would be used again, and differ in the last bit.
            jax.clear_caches()

    change(quickly)
    try:
        yield
    finally:
        change(before)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """An npz of 50 pictures of 8x8, with labels."""
    from games import images  # imports jax, for which the environment is now set

    path = tmp_path_factory.mktemp("data") / "pictures.npz"
    raw = np.round((images(50) + 1) * 127.5).astype(np.uint8)
    np.savez(path, images=raw, labels=np.arange(50) % 5)
    return path


@pytest.fixture(scope="session")
def finished(no_curves, pictures, tmp_path_factory):
    """A run of 20 steps, with its curves."""
    from test_train import run

    from jaxgan.reporting import losses_plot

    # Optimized, also if a module asks first that compiles quickly: others compare.
    with curves_drawn_by(losses_plot), compiled_quickly(False):
        return run(pictures, tmp_path_factory.mktemp("runs") / "whole", 20)

"""Exports as ONNX equal jaxgan; skipped where jax2onnx is not installed.

jax2onnx needs an older Orbax than jaxgan, so that no environment of the tests has it.
`scripts/to_onnx.py` has the commands of its own environment.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts/to_onnx.py"


def call(*args):
    return subprocess.run(
        [sys.executable, "-W", "ignore", str(SCRIPT), *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


@pytest.mark.skipif(
    importlib.util.find_spec("jax2onnx") is None,
    reason="jax2onnx is not installed: it needs an older Orbax than jaxgan",
)
@pytest.mark.parametrize("name", ["mlp", "labels", "norms"])
def test_onnx_equals_the_export(name, tmp_path):
    from sharing_runs import make

    import jaxgan

    run = make(name, tmp_path / "run")
    folder, out = jaxgan.export_run(run, tmp_path / "new", "npz"), tmp_path / "g.onnx"
    done = call(folder, out)
    assert done.returncode == 0, done.stderr
    assert "largest difference" in done.stdout
    assert call(folder, out).returncode == 2  # it exists

"""The built distributions, and the command `jaxgan` installed from the wheel."""

import os
import shutil
import site
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import jaxgan

ROOT = Path(__file__).parent.parent
KEPT = ("jaxgan", "scripts", "MANIFEST.in", "pyproject.toml", "README.md", "LICENSE")


def run(*command, **more):
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, timeout=300, **more
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with the wheel and the source distribution."""
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("build")
    source = folder / "source"
    source.mkdir()
    for name in KEPT:  # not in the checkout, where setuptools leaves files
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    run(sys.executable, "-m", "build", "--no-isolation", cwd=source)
    return source / "dist"


def test_distributions_have_the_package_and_its_types(built):
    (wheel,), (sdist,) = built.glob("*.whl"), built.glob("*.tar.gz")
    assert wheel.name == f"jaxgan-{jaxgan.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
    # Modules, py.typed, and the templates of pages and reports.
    modules = {
        str(x.relative_to(ROOT))
        for x in (ROOT / "jaxgan").rglob("*")
        if x.is_file() and "__pycache__" not in x.parts
    }
    assert modules <= set(names)
    assert "jaxgan/py.typed" in names
    assert {x.split("/")[0].split("-")[0] for x in names} == {"jaxgan"}
    with tarfile.open(sdist) as file:
        inside = {x.partition("/")[2] for x in file.getnames()}
    assert {*modules, "README.md", "LICENSE", "scripts/launch.py"} <= inside


def test_the_command_runs_from_the_wheel(built, tmp_path):
    (wheel,) = built.glob("*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "env")
    python = tmp_path / "env/bin/python"
    packages = run(python, "-c", "import site; print(site.getsitepackages()[0])")
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--no-deps")
    run(*pip, "--no-index", "--quiet", wheel)
    # The dependencies of this environment, but not its own jaxgan.
    shared = "\n".join(site.getsitepackages())
    (Path(packages.strip()) / "shared.pth").write_text(shared)
    plain = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    where = "import jaxgan; print(jaxgan.__file__)"
    found = run(python, "-c", where, env=plain, cwd=tmp_path)
    assert found.startswith(str(tmp_path))
    said = run(
        *(tmp_path / "env/bin/jaxgan", "doctor", "--seconds=0", "--offline"),
        env=plain,
        cwd=tmp_path,
    )
    assert f"jaxgan        {jaxgan.__version__}," in said

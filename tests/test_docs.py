"""The documentation: it builds without a warning, and what it shows works."""

import importlib
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest

from jaxgan.config.programs import PROGRAMS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
NOTEBOOKS = sorted((DOCS / "examples").glob("*.ipynb"))
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("*/*.md"))]
COMMAND = re.compile(r"^(?:python -m jaxgan\.|jaxgan )(\w+)((?: .*)?)$")


def commands(page):
    """Programs and arguments of the command lines on a page."""
    text = page.read_text().replace("\\\n", " ")
    # Indented lines are code, and each part of `a && b` is a command.
    code = [x for x in text.split("\n") if x.startswith("    ")]
    lines = (part.strip() for x in code for part in x.split("&&"))
    for line in lines:
        if found := COMMAND.match(line):
            yield found[1], shlex.split(found[2], comments=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda x: str(x.relative_to(ROOT)))
def test_commands_have_flags_that_exist(page):
    if page.parent.name == "generated":
        return
    for name, args in commands(page):
        if name not in PROGRAMS:
            assert name == "completion", f"{page}: {name}"
            continue
        flags = importlib.import_module(f"jaxgan.config.{PROGRAMS[name].flags}")
        if name == "train" and not any("PATH" in x or "NAME" in x for x in args):
            if not any(x.startswith("--import=") for x in args):
                flags.parse_args(args)
            continue
        _, rest = flags.make_parser().parse_known_args(args)
        unknown = [x for x in rest if x.startswith("--")]
        # The flags of `plan` are also those of training.
        assert name == "plan" or not unknown, f"{page}: {name} {unknown}"


def test_it_builds_without_a_warning(tmp_path):
    pytest.importorskip("sphinx")
    pytest.importorskip("myst_nb")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going"]
    done = subprocess.run(
        [*command, "-d", tmp_path / "cache", DOCS, tmp_path / "out"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out/index.html").read_text()
    assert "A row of samples" in page
    # Nothing is fetched from elsewhere.
    assert not re.search(r'<(script|link|img)[^>]+(src|href)="https?://', page)
    programs = (tmp_path / "out/generated/programs.html").read_text()
    assert all(f'id="{name}"' in programs for name in PROGRAMS)
    assert "--batch_size" in programs


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda x: x.stem)
def test_notebooks_run(notebook, monkeypatch, tmp_path, capsys, quick_compilation):
    """Runs the cells here, where programs are compiled once, with few steps."""
    monkeypatch.chdir(tmp_path)
    namespace: dict = {}
    with mpl.rc_context({"backend": "agg"}):
        for cell in json.loads(notebook.read_text())["cells"]:
            if cell["cell_type"] == "code":
                source = re.sub(r"(?m)^( *)%pip.*$", r"\1pass", "".join(cell["source"]))
                source = re.sub(r"(?m)^STEPS = \d+", "STEPS = 4", source)
                exec(
                    compile(source, f"{notebook.name}:{cell['id']}", "exec"), namespace
                )
        import matplotlib.pyplot as plt

        plt.close("all")
    assert namespace["STEPS"] == 4


def test_notebooks_are_small_and_have_outputs():
    assert len(NOTEBOOKS) >= 4
    for notebook in NOTEBOOKS:
        assert notebook.stat().st_size < 400_000, notebook
        cells = json.loads(notebook.read_text())["cells"]
        codes = [x for x in cells if x["cell_type"] == "code"]
        assert any(x["outputs"] for x in codes), f"{notebook}: jupyter execute it"
        assert not any(
            output["output_type"] == "error" for x in codes for output in x["outputs"]
        )

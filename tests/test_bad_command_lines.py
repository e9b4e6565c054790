"""Bad command lines: one clear line, exit code 2, nothing written; none hangs."""

import os
from pathlib import Path

import numpy as np
import pytest
from bad_command_lines import BASE, ROWS, Row
from forked import Forks, assert_refused, tree
from PIL import Image

FACTS = '{"shape": [8, 8, 1], "dtype": "uint8", "classes": [], "size": 16}'


def label(row: tuple[str, Row]) -> str:
    """A name for a row that fits on a line."""
    flags = " ".join(row[1][1:])[-50:]
    return f"{row[0]} {flags}".encode("ascii", "backslashreplace").decode()


@pytest.fixture(scope="module")
def forks():
    server = Forks()
    yield server
    server.close()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Files that rows name."""
    root = tmp_path_factory.mktemp("data")
    images = np.arange(16 * 64, dtype=np.uint8).reshape(16, 8, 8)
    np.savez(root / "pictures.npz", images=images, labels=np.arange(16) % 2)
    np.savez(root / "plain.npz", images=images)
    Image.fromarray(images[0]).save(root / "picture.png")
    Image.fromarray(images[0, :, :7]).save(root / "other.jpg")
    (root / "text.npz").write_text("not an archive")
    (root / "empty").mkdir()
    (root / "folder.png").mkdir()
    os.mkfifo(root / "pipe.npz")
    for name, files in {
        "no_config": {"data.json": "{}"},
        "no_json": {"config.json": "{", "data.json": "{}"},
        "list": {"config.json": "[]", "data.json": "{}"},
        "no_data": {"config.json": "{}"},
        "null": {"config.json": '{"batch_size": null}', "data.json": FACTS},
        "wrong": {"config.json": '{"steps": "many"}', "data.json": FACTS},
        "no_keys": {"config.json": "{}", "data.json": "{}"},
        "no_checkpoint": {"config.json": "{}", "data.json": FACTS},
    }.items():
        (root / name).mkdir()
        for file, text in files.items():
            (root / name / file).write_text(text)
    return root


def refuse(forks: Forks, data: Path, run: Path, cwd: Path, program: str, row: Row):
    """Asserts that a command line is refused, and writes nothing."""
    word, *flags = row
    argv = [
        flag.replace("{data}", str(data)).replace("{run}", str(run))
        for flag in (*BASE[program], *flags)
    ]
    before = tree(cwd, data, run)
    outcome = forks.run(program.split()[0], argv, cwd)
    assert_refused(outcome, word)
    assert tree(cwd, data, run) == before


def test_there_are_enough_of_them():
    assert len({(program, row) for program, row in ROWS}) == len(ROWS) > 300


@pytest.mark.parametrize(("program", "row"), ROWS, ids=map(label, ROWS))
def test_a_bad_command_line_is_refused(forks, data, finished, tmp_path, program, row):
    refuse(forks, data, finished, tmp_path, program, row)

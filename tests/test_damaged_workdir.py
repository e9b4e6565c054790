"""Programs meet a workdir that is not as they left it: one line, nothing written."""

import json
import os
import shutil

import pytest
from test_train import argv

from jaxgan import sample, train


def state_of_tree(folder):
    """All that is in a folder, by its place: sizes and times of what is there."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        found[path] = (
            status.st_mode,
            status.st_ino,
            status.st_size,
            status.st_mtime_ns,
        )
    return found


def replaced(make):
    def damage(path):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        make(path)

    return damage


def changed(**fields):
    def damage(path):
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))

    return damage


def without(name):
    def damage(path):
        left = json.loads(path.read_text())
        del left[name]
        path.write_text(json.dumps(left))

    return damage


KINDS = {
    "pipe": replaced(os.mkfifo),
    "link": replaced(lambda path: path.symlink_to("nothing")),
    "device": replaced(lambda path: path.symlink_to("/dev/zero")),
    "folder": replaced(lambda path: path.mkdir()),
}
TEXTS = {
    "null": lambda path: path.write_text("null"),
    "list": lambda path: path.write_text("[1]"),
    "half": lambda path: path.write_text(path.read_text()[:40]),
    "deep": lambda path: path.write_text("[" * 50_000),
    "bytes": lambda path: path.write_bytes(b"\xff\xfe\0"),
}
FILES = ("config.json", "data.json")
BOTH = [(name, KINDS[kind]) for name in FILES for kind in KINDS]
BOTH += [(name, TEXTS[text]) for name in FILES for text in TEXTS]
BOTH += [("data.json", without(name)) for name in ("shape", "dtype", "classes")]
BOTH += [("data.json", changed(shape=None)), ("data.json", changed(classes=7))]
BOTH += [("data.json", changed(dtype="no")), ("data.json", changed(shape=[0]))]
TRAIN = [(name, KINDS[kind]) for name in (".lock", "metrics.jsonl") for kind in KINDS]
TRAIN += [("samples", KINDS[kind]) for kind in ("pipe", "link", "device")]
TRAIN += [("samples", replaced(lambda path: path.touch()))]
TRAIN += [("config.json", changed(batch_size=None)), ("config.json", changed(loss=3))]


@pytest.fixture
def run(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run", symlinks=True)
    return tmp_path / "run"


def check(run, name, damage, main, flags, capsys):
    damage(run / name)
    before = state_of_tree(run.parent)
    capsys.readouterr()
    assert main(flags) == 2
    said = capsys.readouterr().err
    [line] = [x for x in said.splitlines() if x.startswith("error: ")]
    assert "Traceback" not in said
    assert "--workdir" in line
    assert state_of_tree(run.parent) == before


@pytest.mark.parametrize(("name", "damage"), BOTH + TRAIN)
def test_training(run, pictures, capsys, name, damage):
    check(run, name, damage, train.main, argv(pictures, run, 30), capsys)


@pytest.mark.parametrize(("name", "damage"), BOTH)
def test_sampling(run, capsys, name, damage):
    flags = [f"--workdir={run}", f"--out={run.parent / 'x.png'}"]
    check(run, name, damage, sample.main, flags, capsys)

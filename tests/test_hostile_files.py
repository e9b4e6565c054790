"""Hostile files: each is read as what it is, or refused in one line; none hangs."""

import json
import shutil

import pytest
from forked import Forks, assert_refused, tree
from hostile_arrays import ARRAYS
from hostile_pictures import PICTURES, Accepted, Refused
from hostile_workdirs import WORKDIRS
from test_train import argv

pytestmark = pytest.mark.usefixtures("quick_compilation")

CASES = [*PICTURES, *ARRAYS]


@pytest.fixture(scope="module")
def forks():
    server = Forks()
    yield server
    server.close()


def check(forks, tmp_path, make, expected):
    """Asserts that what `make` makes is read or refused as expected."""
    root, cwd = tmp_path / "data", tmp_path / "cwd"
    root.mkdir()
    cwd.mkdir()
    dataset = make(root)
    before = tree(tmp_path)
    outcome = forks.run("load", [dataset], cwd)
    assert tree(tmp_path) == before
    if isinstance(expected, Refused):
        assert_refused(outcome, expected.word)
        return
    assert outcome.code == 0, outcome.err[-3000:]
    size, shape, classes = json.loads(outcome.out)
    assert Accepted(size, tuple(shape), tuple(classes)) == expected
    assert all(line.isprintable() for line in outcome.err.splitlines())


@pytest.mark.parametrize(
    ("make", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_hostile_file(forks, tmp_path, make, expected):
    check(forks, tmp_path, make, expected)


def check_workdir(forks, pictures, finished, tmp_path, program, damage, word):
    """Asserts that a program refuses a damaged workdir, or does not mind."""
    run, cwd = tmp_path / "run", tmp_path / "cwd"
    shutil.copytree(finished, run)
    cwd.mkdir()
    damage(run)
    before = tree(tmp_path)
    flags = [f"--workdir={run}", "--n=4", "--out=new.png"]
    given = argv(pictures, run, 20) if program == "train" else flags
    outcome = forks.run(program, given, cwd)
    if not word:
        assert outcome.code == 0, outcome.err[-3000:]
        return
    assert_refused(outcome, word)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("program", "damage", "word"),
    [row[1:] for row in WORKDIRS],
    ids=[row[0] for row in WORKDIRS],
)
def test_a_damaged_workdir(forks, pictures, finished, tmp_path, program, damage, word):
    check_workdir(forks, pictures, finished, tmp_path, program, damage, word)

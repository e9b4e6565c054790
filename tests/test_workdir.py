"""A run's folder is whole at every moment and belongs to one run and one program."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jaxgan import files, workdir
from jaxgan.errors import UsageError
from jaxgan.workdir import KINDS, differences, open_workdir, read_config, read_data

CONFIG = {"dataset": "mnist", "loss": "hinge", "steps": 100, "workdir": "runs/a"}
DATA = {"shape": [28, 28, 1], "dtype": "uint8", "classes": ["0", "1"]}
MAY_CHANGE = frozenset({"steps"})


def opened(path, config=CONFIG, data=DATA):
    with open_workdir(path, config, may_change=MAY_CHANGE, data=data) as folder:
        return folder


def refusal(path, config=CONFIG, data=DATA) -> str:
    """The error for the user: one line that names the flag."""
    with pytest.raises(UsageError) as caught:
        opened(path, config, data)
    message = str(caught.value)
    assert "\n" not in message
    assert "--workdir" in message
    return message


def as_link(path):
    path.symlink_to("nothing")


def as_the_other(path):
    """A folder where a file belongs, and the other way round."""
    path.mkdir() if KINDS[path.name] == "a file" else path.write_text("mine")


def test_a_new_folder_gets_config_and_data(tmp_path):
    folder = opened(tmp_path / "runs" / "a")
    assert folder == tmp_path / "runs" / "a"
    assert json.loads((folder / "config.json").read_text()) == CONFIG
    assert sorted(os.listdir(folder)) == [".lock", "config.json", "data.json"]
    assert read_config(folder) == CONFIG
    assert read_data(str(folder)) == DATA


def test_the_config_is_written_first(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(workdir, "atomic_write", lambda f, _: written.append(f))
    opened(tmp_path)
    assert [file.name for file in written] == ["config.json", "data.json"]


def test_the_same_config_resumes_and_changes_nothing(tmp_path):
    opened(tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n')
    before = (tmp_path / "config.json").stat()
    opened(tmp_path, {**CONFIG})
    after = (tmp_path / "config.json").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_another_config_is_refused_with_both_values(tmp_path):
    opened(tmp_path)
    said = refusal(tmp_path, {**CONFIG, "loss": "wgan", "dataset": "cifar10"})
    assert 'dataset is "mnist" in the run and "cifar10" now' in said
    assert 'loss is "hinge" in the run and "wgan" now' in said
    assert "use another --workdir or the same flags" in said
    assert read_config(tmp_path) == CONFIG


def test_a_field_that_may_change_is_written(tmp_path):
    opened(tmp_path)
    opened(tmp_path, {**CONFIG, "steps": 200})
    assert read_config(tmp_path) == {**CONFIG, "steps": 200}


def test_other_data_are_refused(tmp_path):
    opened(tmp_path)
    said = refusal(tmp_path, data={**DATA, "shape": (32, 32, 1)})
    assert "shape is [28, 28, 1] in the run and [32, 32, 1] now" in said


def test_a_run_of_another_version_resumes(tmp_path):
    """Fields that only one side knows are kept or added."""
    opened(tmp_path, {**CONFIG, "old": 1})
    opened(tmp_path, {**CONFIG, "new": 2, "steps": 7})
    assert read_config(tmp_path) == {**CONFIG, "old": 1, "new": 2, "steps": 7}


def test_differences():
    old = {"a": 1, "b": [1, 2], "c": "x", "gone": 0}
    new = {"a": 2, "b": (1, 2), "c": "y", "fresh": 0}
    assert differences(old, new) == {"a": (1, 2), "c": ("x", "y")}
    assert differences(old, new, frozenset({"a"})) == {"c": ("x", "y")}
    assert differences(old, old) == {}


def test_a_kill_between_the_two_files_is_mended(tmp_path):
    opened(tmp_path)
    (tmp_path / "data.json").unlink()
    opened(tmp_path)
    assert read_data(tmp_path) == DATA


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    assert "/file is a file; use a folder, such as runs/1" in refusal(tmp_path / "file")
    assert "/file is a file" in refusal(tmp_path / "file" / "below" / "it")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("name", ["metrics.jsonl", "samples", "checkpoints"])
def test_results_without_a_config_are_refused(tmp_path, name):
    path = tmp_path / name
    path.mkdir() if KINDS[name] == "a folder" else path.touch()
    assert f"has {name} but no config.json" in refusal(tmp_path)
    assert os.listdir(tmp_path) == [name]


def test_other_files_are_nobodys_business(tmp_path):
    (tmp_path / "notes.txt").write_text("try hinge")
    (tmp_path / ".config.json.1.tmp").write_text('{"da')
    opened(tmp_path)
    assert read_config(tmp_path) == CONFIG


@pytest.mark.parametrize("text", ["", '{"loss": "hin', "[1, 2]", "\udcff"])
def test_a_damaged_config_is_refused(tmp_path, text):
    (tmp_path / "config.json").write_text(text, errors="surrogateescape")
    assert "config.json is damaged: it is not JSON" in refusal(tmp_path)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    """Root passes all permission bits, so the file system says no by itself."""

    def read_only(**_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("tempfile.TemporaryFile", read_only)
    said = refusal(tmp_path / "a")
    assert "a cannot be written (Read-only file system); use a writable folder" in said


def test_where_no_folder_can_be_made_it_is_refused():
    assert "cannot be written" in refusal("/proc/run")


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("make", [os.mkfifo, as_link, as_the_other])
def test_what_is_in_the_way_of_a_file_or_folder_is_refused(tmp_path, name, make):
    opened(tmp_path)
    if (tmp_path / name).exists():
        (tmp_path / name).unlink()
    make(tmp_path / name)
    before = sorted(os.listdir(tmp_path))
    said = refusal(tmp_path)
    assert f": {name} is a" in said
    assert f"not {KINDS[name]}; remove or rename it" in said
    assert sorted(os.listdir(tmp_path)) == before


def test_a_pipe_is_not_read(tmp_path):
    for read, name in ((read_config, "config.json"), (read_data, "data.json")):
        os.mkfifo(tmp_path / name)
        with pytest.raises(UsageError, match=f"{name} is a named pipe; use the folder"):
            read(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shape": None}, "shape is null, not a list of sizes"),
        ({"shape": [28, "28", 1]}, 'shape is \\[28, "28", 1\\], not'),
        ({"shape": [28, -1, 1]}, "not a list of sizes"),
        ({"shape": [True]}, "not a list of sizes"),
        ({"dtype": 3}, "dtype is 3, not the name of a numeric dtype"),
        ({"dtype": "object"}, "not the name of a numeric dtype"),
        ({"dtype": "("}, "not the name of a numeric dtype"),
        ({"classes": {"a": 1}}, "not a list of names"),
        ({"classes": [1, 2]}, "not a list of names"),
    ],
)
def test_facts_of_another_kind_are_damaged(tmp_path, change, words):
    opened(tmp_path)
    file = tmp_path / "data.json"
    file.write_text(json.dumps({**DATA, **change}))
    with pytest.raises(UsageError, match=rf"data\.json is damaged: .*{words}"):
        read_data(tmp_path)
    assert "data.json is damaged" in refusal(tmp_path)


@pytest.mark.parametrize("name", DATA)
def test_facts_that_are_not_there_are_damaged(tmp_path, name):
    opened(tmp_path)
    left = {key: value for key, value in DATA.items() if key != name}
    (tmp_path / "data.json").write_text(json.dumps(left))
    assert f"data.json is damaged: {name} is absent, not " in refusal(tmp_path)


def test_where_the_current_folder_is_gone_it_is_refused(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    said = refusal("run")
    assert said == (
        "--workdir=run: the working directory no longer exists; change to another, "
        "or use an absolute path"
    )
    opened(tmp_path / "whole")


def test_a_name_with_escape_codes_is_shown_escaped(tmp_path):
    (tmp_path / "a\x1b[31m").write_text("mine")
    said = refusal(tmp_path / "a\x1b[31m")
    assert said.isprintable()
    assert "a\\x1b[31m is a file" in said


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (errno.ENOSPC, "free some space, and the same command resumes"),
        (errno.EDQUOT, "free some space, and the same command resumes"),
        (errno.EFBIG, "raise the file size limit"),
        (errno.EROFS, "make the disk writable, and"),
        (errno.EACCES, "get write permission, and"),
        (errno.EISDIR, "remove or rename what is in the way, and"),
        (errno.EIO, "check the disk, and"),
    ],
)
def test_the_remedy_is_that_of_the_reason(tmp_path, code, remedy):
    with pytest.raises(UsageError) as caught, workdir.writable(tmp_path):
        raise OSError(code, os.strerror(code))
    said = str(caught.value)
    assert f"({os.strerror(code)}); {remedy}" in said
    assert ("space" in said.replace("left on device", "")) == (
        code in (errno.ENOSPC, errno.EDQUOT)
    )


def test_what_is_no_run_is_not_read(tmp_path):
    refused = r"is not the folder of a run: it has no "
    with pytest.raises(UsageError, match=rf"{refused}config.json"):
        read_config(tmp_path)
    with pytest.raises(UsageError, match=rf"{refused}data.json"):
        read_data(tmp_path / "none")


HOLDER = """
import sys
from jaxgan.workdir import open_workdir
data = {"shape": [1], "dtype": "uint8", "classes": []}
with open_workdir(sys.argv[1], {"a": 1}, data=data):
    print("open", flush=True)
    sys.stdin.read()
"""
ROOT = Path(__file__).parent.parent
FEW = {"shape": [1], "dtype": "uint8", "classes": []}


def test_one_program_at_a_time_until_it_ends_even_by_kill_9(tmp_path):
    args = [sys.executable, "-c", HOLDER, str(tmp_path)]
    holder = subprocess.Popen(
        args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"open\n"
    assert "is in use by another program" in refusal(tmp_path, {"a": 1}, FEW)
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    opened(tmp_path, {"a": 1}, FEW)


WITHOUT = """
import sys
sys.modules["fcntl"] = None
"""
PROGRAMS = """
import jaxgan.train, jaxgan.sample
import jaxgan.training.trainer, jaxgan.evaluation.sampler
"""


def test_without_fcntl_programs_are_imported_and_lock(tmp_path):
    """As on Windows, where a program that is killed leaves no lock either."""

    def start(more=""):
        args = [sys.executable, "-W", "ignore", "-c", WITHOUT + more + HOLDER]
        return subprocess.Popen(
            [*args, str(tmp_path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    holder = start(PROGRAMS)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"open\n"
    assert b"is in use by another program" in start().communicate()[1]
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert start().communicate() == (b"open\n", b"")


WRITER = """
import sys
from pathlib import Path
from jaxgan.files import atomic_write
number = 0
while True:
    atomic_write(Path(sys.argv[1]), (f"{number} " * 50_000).encode())
    if not number:
        print("written", flush=True)
    number += 1
"""


def test_kill_9_while_writing_leaves_a_whole_file(tmp_path):
    rng = random.Random(0)
    for _ in range(8):
        args = [sys.executable, "-c", WRITER, str(tmp_path / "config.json")]
        writer = subprocess.Popen(args, stdout=subprocess.PIPE, cwd=ROOT)
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
        time.sleep(rng.uniform(0, 0.05))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        words = (tmp_path / "config.json").read_text().split()
        assert len(words) == 50_000
        assert len(set(words)) == 1


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path, monkeypatch):
    file = tmp_path / "config.json"
    file.write_text("old")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.atomic_write(file, b"new")
    assert os.listdir(tmp_path) == ["config.json"]
    assert file.read_text() == "old"

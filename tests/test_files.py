"""Paths as users write them."""

from pathlib import Path

import pytest

from jaxgan.config import sampling
from jaxgan.errors import UsageError
from jaxgan.files import first_free, local_path


def test_home_is_expanded(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    assert local_path("--workdir", "~/runs") == Path("/home/ada/runs")
    assert local_path("--workdir", "runs/~") == Path("runs/~")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gs://bucket/run", "only local paths"),
        ("s3://x", "only local paths"),
        ("file:///tmp/x", "only local paths"),
        ("~nobody-of-that-name/x", "no such home folder"),
        ("a\0b", "NUL"),
        ("x" * 300, "at most 255 bytes"),
        ("ü" * 200, "at most 255 bytes"),
    ],
)
def test_impossible_paths_are_refused_in_one_line(text, words):
    with pytest.raises(UsageError, match=words) as caught:
        local_path("--workdir", text)
    assert str(caught.value).startswith("--workdir=")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("text", ["a:b", "x/gs://y", "C:\\runs", ""])
def test_other_paths_stay(text):
    assert str(local_path("--out", text)) == str(Path(text))


def test_the_first_free_name_leaves_all_files_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(first_free("a.png")) == "a.png"
    Path("a.png").touch()
    Path("a-2.png").symlink_to("nowhere")
    assert str(first_free("a.png")) == "a-3.png"
    # Of samples, for each seed a file.
    Path("samples-seed1.png").touch()
    Path("run").mkdir()
    found = sampling.parse_args(["--workdir=run", "--seed=0-1"])
    assert found.out.name == "samples-2.png"

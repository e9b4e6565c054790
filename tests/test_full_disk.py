"""Disks that are full, files that may not grow, and a TensorBoard that fails."""

import contextlib
import errno
import logging
import os
import resource
import sys
import time
import warnings

import numpy as np
import pytest
from games import same
from tensorboardX import RecordWriter
from test_reporting import events, metrics_of, tell
from test_train import argv, run, state_of, values

from jaxgan import reporting, train
from jaxgan.environment import log_cache_failures_once
from jaxgan.reporting.tensorboard import EventWriter


@contextlib.contextmanager
def files_of_at_most(size):
    """Writes beyond so many bytes of a file fail, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def error_of(flags, size, capsys):
    """The one line in which a run ends that may write so many bytes to a file."""
    with files_of_at_most(size):
        assert train.main(flags) == 2
    said = capsys.readouterr().err
    [line] = [text for text in said.splitlines() if text.startswith("error: ")]
    assert "File too large); " in line
    assert "raise the file size limit" in line
    assert "Traceback" not in said
    return line


def test_a_full_disk_is_one_line_and_the_same_command_resumes(
    pictures, finished, tmp_path, capsys
):
    """The disk is too small for config.json, a picture, the metrics or a checkpoint."""
    flags = argv(pictures, tmp_path / "run", 20)
    said = [error_of(flags, size, capsys) for size in (100, 1_300, 2_000, 5_000)]
    assert ["--workdir" in line.partition("(")[0] for line in said] == [True] * 3 + [
        False
    ]
    assert "a checkpoint could not be saved" in said[-1]
    assert train.main(flags) == 0
    same(state_of(tmp_path / "run", 20), state_of(finished, 20))
    assert values(tmp_path / "run") == values(finished)


def test_what_was_saved_stays_and_a_last_picture_may_fail(
    pictures, finished, curves, tmp_path, capsys, caplog
):
    folder = run(pictures, tmp_path / "run", 10)
    (folder / "losses.png").unlink()
    flags = argv(pictures, folder, 20)
    said = error_of(flags, 5_000, capsys)
    assert "the last good one (step 10) is kept" in said
    caplog.clear()
    with files_of_at_most(40_000):
        assert train.main(flags) == 0
    assert "resumed at step 10" in caplog.messages
    assert "the run's curves could not be drawn: File too large" in caplog.messages
    assert not (folder / "losses.png").exists()
    same(state_of(folder, 20), state_of(finished, 20))
    assert values(folder) == values(finished)


def test_a_cache_that_cannot_be_written_is_told_once(caplog):
    with warnings.catch_warnings(record=True) as others:
        warnings.simplefilter("error")
        log_cache_failures_once()
        for name in ("jit_a", "jit_b"):
            start = "Error writing persistent compilation cache entry for"
            warnings.warn(f"{start} '{name}': OSError: No space left", stacklevel=1)
        with pytest.raises(UserWarning, match="of others"):
            warnings.warn("of others", stacklevel=1)
    [said] = caplog.messages
    assert said.startswith("compiled programs cannot be cached in ")
    assert said.endswith(": OSError: No space left")
    assert others == []


# TensorBoard


def full(folder):
    return files_of_at_most(100)


@contextlib.contextmanager
def gone(folder):
    folder.rmdir()
    yield


@contextlib.contextmanager
def broken(name, what=None):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, name, what)
        yield


def failing(name):
    """A method of a writer that fails after its work."""
    work = getattr(RecordWriter, name)

    def fail(*given):
        work(*given)
        raise OSError(errno.EIO, "Input/output error")

    return fail


FAILURES = {
    "full": (full, "File too large"),
    "gone": (gone, "No such file or directory"),
    "not installed": (
        lambda _: broken("tensorboardX"),
        "import of tensorboardX halted",
    ),
    "of another version": (
        lambda _: broken("tensorboardX.proto.event_pb2", logging),
        "cannot import name 'Event'",
    ),
}


@pytest.mark.parametrize(("failure", "words"), FAILURES.values(), ids=FAILURES)
def test_events_that_cannot_be_written_are_told_once(tmp_path, caplog, failure, words):
    folder = tmp_path / "run"
    folder.mkdir()
    with failure(folder), contextlib.closing(EventWriter(folder)) as writer:
        for step in range(300):
            writer.write_scalars(step, {"a": 1.0, "b": 2.0})
            writer.write_text(step, "c", "text")
            writer.write_image(step, "d", np.zeros((2, 3, 3), np.uint8))
    [said] = [record.getMessage() for record in caplog.records]
    assert said.startswith("TensorBoard events are no longer written: ")
    assert words in said


@pytest.mark.parametrize("name", ["write", "flush", "close"])
def test_a_run_goes_on_without_its_events(tmp_path, caplog, monkeypatch, name):
    monkeypatch.setattr(RecordWriter, name, failing(name))
    tell(tmp_path, [1, 2])
    said = [x for x in caplog.messages if "TensorBoard" in x]
    told = "TensorBoard events are no longer written: Input/output error"
    assert said == [told] * (name != "close")
    assert [line["step"] for line in metrics_of(tmp_path)] == [1, 2]


def test_what_ends_a_run_is_not_hidden_by_its_events(tmp_path, monkeypatch):
    monkeypatch.setattr(RecordWriter, "close", failing("close"))
    with (
        pytest.raises(ZeroDivisionError),
        reporting.open_metric_writer(tmp_path, steps=4, batch_size=1, terminal=False),
    ):
        raise ZeroDivisionError


@pytest.mark.parametrize("now", [0.0, -5e8, 1e11])
def test_a_clock_that_is_far_off_stops_nothing(tmp_path, monkeypatch, now):
    monkeypatch.setattr(time, "time", lambda: now)
    tell(tmp_path, list(range(1, 8)))
    points = [(e.step, e.value) for e in events(tmp_path).Scalars("generator/loss")]
    assert points == [(step, step / 2) for step in range(1, 8)]


def test_a_clock_that_goes_back_stops_nothing(tmp_path, monkeypatch):
    clock = iter(range(2_000_000_000, 0, -1_000_000))
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    tell(tmp_path, list(range(1, 8)))
    assert len(events(tmp_path).Scalars("generator/loss")) == 7


def test_a_picture_that_names_no_tiles_of_its_own_fails_no_run(tmp_path, caplog):
    tell(tmp_path, [1])
    path = tmp_path / "samples" / "step_00000002.png"
    wrong = reporting.Layout(height=10**6, width=10**6, pad=0, columns=1, count=3)
    pixels = np.zeros((4, 4, 3), np.uint8)
    reporting.save_png(path, reporting.Picture(pixels, wrong, 2))
    os.mkfifo(tmp_path / "samples" / "step_00000003.png")
    tell(tmp_path, [], resume_step=4)
    assert any("could not be drawn" in text for text in caplog.messages)

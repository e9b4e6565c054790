"""Processes that decode pictures: the batches of threads, and failures."""

import itertools
import os
import signal
from typing import Any

import numpy as np
import psutil
import pytest
from shard_files import encode, pictures, write_tar

from jaxgan import data
from jaxgan.data import workers
from jaxgan.errors import TrainingError, UsageError
from jaxgan.experiment.input_pipeline import choose_workers

STEP: dict[str, Any] = {"seed": 3, "updates": 2, "batch": 24}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of 60 pictures of two classes."""
    root = tmp_path_factory.mktemp("pictures")
    for i, image in enumerate(pictures(60)):
        (root / "ab"[i % 2]).mkdir(exist_ok=True)
        (root / "ab"[i % 2] / f"{i:02}.png").write_bytes(encode(image))
    return root


def assert_same(one, other):
    assert one.keys() == other.keys()
    for key, value in one.items():
        assert value.dtype == other[key].dtype
        np.testing.assert_array_equal(value, other[key])


def test_processes_yield_the_batches_of_threads_from_any_step(folder, tmp_path):
    train, _ = data.hold_out(data.load(f"folder:{folder}"), "5", "train", data.load)
    whole = list(data.stream(train, **STEP, steps=6))
    with_processes = data.stream(train, **STEP, first_step=2, steps=4, workers=2)
    for one, other in zip(whole[2:], with_processes, strict=True):
        assert_same(one, other)
    # One process of a run that is split over two.
    part = data.stream(train, **STEP, shard=(1, 2), steps=1, workers=1)
    np.testing.assert_array_equal(next(part)["label"], whole[0]["label"][:, 12:])
    part.close()  # type: ignore[attr-defined]
    # Tar files are read by processes too.
    samples = [{"png": encode(image), "cls": b"1"} for image in pictures(60)]
    write_tar(tmp_path / "s.tar", samples)
    tar = data.load(f"webdataset:{tmp_path}/s.tar")
    both = [next(data.stream(tar, **STEP, workers=n)) for n in (0, 1)]
    assert_same(*both)


def test_a_vanished_file_is_named_or_replaced(folder, tmp_path):
    for file in sorted(folder.rglob("*.png")):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    dataset = data.load(f"folder:{tmp_path}")
    (tmp_path / "07.png").unlink()
    batches = data.stream(dataset, seed=0, updates=1, batch=60, workers=2)
    with pytest.raises(UsageError, match=r"07\.png cannot be read .*No such file"):
        next(batches)
    skipping = data.skip_bad_examples(dataset)
    both = [
        next(data.stream(skipping, seed=0, updates=1, batch=60, workers=n))
        for n in (0, 1)
    ]
    assert_same(*both)


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_that_is_killed_or_stuck_ends_the_stream(
    folder, signal_number, monkeypatch
):
    monkeypatch.setattr(workers, "PATIENCE", 5.0)
    monkeypatch.setattr(workers, "END", 0.5)
    batches = data.stream(data.load(f"folder:{folder}"), **STEP, workers=1)
    before = set(psutil.Process().children())
    next(batches)
    (child,) = set(psutil.Process().children()) - before
    os.kill(child.pid, signal_number)
    killed = signal_number == signal.SIGKILL
    words = "killed by signal 9" if killed else "has not answered for 5 s"
    with pytest.raises(TrainingError, match=words):
        list(itertools.islice(batches, 20))
    assert not set(psutil.Process().children()) - before


def test_closing_a_stream_ends_its_processes(folder):
    before = set(psutil.Process().children())
    batches = data.stream(data.load(f"folder:{folder}"), **STEP, workers=2)
    next(batches)
    assert len(set(psutil.Process().children()) - before) == 2
    batches.close()  # type: ignore[attr-defined]
    assert not set(psutil.Process().children()) - before


@pytest.mark.parametrize(("cores", "expected"), [(1, 0), (2, 0), (4, 3), (64, 16)])
def test_the_number_of_processes(monkeypatch, cores, expected):
    monkeypatch.setattr(
        os, "sched_getaffinity", lambda _: set(range(cores)), raising=False
    )
    assert choose_workers(0) == 0
    assert choose_workers(5) == 5
    assert choose_workers(-1) == expected

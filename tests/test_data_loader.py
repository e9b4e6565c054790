import threading
from typing import Any

import numpy as np
import pytest

from jaxgan.data import Dataset, step_indices, stream
from jaxgan.errors import UsageError
from jaxgan.types import image_example

SIZE = 50
STEP: dict[str, Any] = {"seed": 5, "updates": 2, "batch": 6}


def numbered(read=None) -> Dataset:
    """Example `i` is a 2 x 3 picture of `i`, labelled `i % 4`."""

    def look_up(numbers):
        image = np.broadcast_to(numbers[:, None, None, None], (len(numbers), 2, 3, 1))
        return {
            "image": image.astype(np.uint8),
            "label": (numbers % 4).astype(np.int32),
        }

    return Dataset(
        name="numbered",
        size=SIZE,
        example=image_example((2, 3, 1), classes=("a", "b", "c", "d")),
        read=read or look_up,
        origin="this test",
    )


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("ahead", [0, 1, 7])
def test_stream_gathers_the_examples_of_each_step(threads, ahead):
    batches = list(stream(numbered(), **STEP, steps=10, threads=threads, ahead=ahead))
    assert len(batches) == 10
    for step, batch in enumerate(batches):
        numbers = step_indices(step, size=SIZE, **STEP)
        assert batch["image"].shape == (2, 6, 2, 3, 1)
        assert batch["image"].dtype == np.uint8
        np.testing.assert_array_equal(batch["image"][..., 0, 0, 0], numbers)
        np.testing.assert_array_equal(batch["label"], numbers % 4)


def test_a_resumed_stream_is_the_tail_of_the_whole():
    whole = list(stream(numbered(), **STEP, steps=9))
    tail = list(stream(numbered(), **STEP, first_step=6, steps=3))
    for a, b in zip(whole[6:], tail, strict=True):
        np.testing.assert_array_equal(a["image"], b["image"])


def test_the_parts_of_all_processes_make_the_global_batch():
    whole = list(stream(numbered(), **STEP, steps=5))
    parts = [list(stream(numbered(), **STEP, steps=5, shard=(i, 3))) for i in range(3)]
    for step, batch in enumerate(whole):
        joined = np.concatenate([p[step]["image"] for p in parts], axis=1)
        np.testing.assert_array_equal(joined, batch["image"])


def test_a_batch_that_does_not_split_is_refused_at_once():
    with pytest.raises(UsageError, match=r"--batch_size=6 .* 4 .* --batch_size=8"):
        stream(numbered(), **STEP, shard=(0, 4))
    with pytest.raises(UsageError, match="--batch_size=64 needs more than the 50"):
        stream(numbered(), seed=0, updates=1, batch=64)


def test_an_error_surfaces_where_the_stream_is_read():
    def read(numbers):
        raise UsageError("broken.png cannot be read")

    with pytest.raises(UsageError, match=r"broken\.png"):
        next(stream(numbered(read), **STEP))


def reading_threads() -> int:
    return sum(t.name.startswith("jaxgan-data") for t in threading.enumerate())


def test_closing_the_stream_ends_its_threads():
    batches = stream(numbered(), **STEP, threads=2)
    next(batches)
    assert reading_threads() > 0
    batches.close()  # type: ignore[attr-defined]
    assert reading_threads() == 0


def test_a_slow_reader_changes_nothing():
    turn = threading.Event()
    calls = []

    def read(numbers):
        calls.append(1)
        if len(calls) == 1:
            turn.wait(5)  # the first step is the last to be ready
        else:
            turn.set()
        return numbered().read(numbers)

    batches = list(stream(numbered(read), **STEP, steps=4, threads=2))
    for step, batch in enumerate(batches):
        numbers = step_indices(step, size=SIZE, **STEP)
        np.testing.assert_array_equal(batch["image"][..., 0, 0, 0], numbers)

"""Examples that cannot be read: in memory, streamed, in a run, and after a resume."""

import shutil
import sys
import threading
from pathlib import Path

import jax
import numpy as np
import pytest
import tensorflow_datasets as tfds
from data_fixtures import png, prepare_own
from games import same
from PIL import Image
from test_train import TINY, state_of

from jaxgan import data, parallel, train
from jaxgan.config.training import RESUMABLE
from jaxgan.data.bad_examples import BackgroundCheck
from jaxgan.data.dataset import Dataset
from jaxgan.errors import UsageError
from jaxgan.experiment import checkpoint
from jaxgan.types import image_example

SIZE = 40


def numbered(bad=(), size=SIZE) -> Dataset:
    """Example `i` is a picture of `i`; some cannot be read."""

    def read(numbers):
        for n in numbers.tolist():
            if n in bad:
                raise data.BadExample(f"{n}.png cannot be read", "fix it")
        images = np.broadcast_to(numbers[:, None, None, None], (len(numbers), 2, 2, 1))
        return {"image": images.astype(np.uint8)}

    kind = np.dtype(np.uint8)
    return Dataset(
        "numbered", size, image_example((2, 2, 1), kind), read, origin="this test"
    )


def values(examples) -> list[int]:
    return examples["image"][..., 0, 0, 0].ravel().tolist()


@pytest.mark.parametrize("order", [range(SIZE), range(SIZE - 1, -1, -1)])
def test_the_next_whole_example_takes_the_place_of_a_bad_one(order, caplog):
    dataset = data.skip_bad_examples(numbered({3, 4, 39}))
    numbers = np.array(order)
    want = [{3: 5, 4: 5, 39: 0}.get(n, n) for n in order]
    for size in (1, 7, SIZE):  # alone, and among others; known by then, or not
        parts = np.split(numbers, range(size, SIZE, size))
        assert [x for part in parts for x in values(dataset.read(part))] == want
    told = [x for x in caplog.messages if x.startswith("skipped: ")]
    assert sorted(told) == [f"skipped: {n}.png cannot be read" for n in (3, 39, 4)]


def test_streams_keep_their_positions():
    given: dict = {"seed": 1, "updates": 2, "batch": 5}
    skipping = data.skip_bad_examples(numbered({7}))
    whole = list(data.stream(numbered(), **given, steps=9))
    found = list(data.stream(skipping, **given, steps=9))
    tail = list(data.stream(skipping, **given, first_step=5, steps=4))
    for a, b in zip(whole, found, strict=True):
        assert [8 if x == 7 else x for x in values(a)] == values(b)
    for a, b in zip(found[5:], tail, strict=True):
        assert values(a) == values(b)


def test_a_disk_that_is_gone_is_not_skipped_for_ever():
    dataset = data.skip_bad_examples(numbered(range(1, 1000), size=1000))
    assert values(dataset.read(np.array([901]))) == [0]
    with pytest.raises(UsageError, match="100 examples in a row cannot be read") as e:
        dataset.read(np.array([1]))
    assert not isinstance(e.value, data.BadExample)
    with pytest.raises(UsageError, match="4 examples in a row"):
        data.skip_bad_examples(numbered(range(4), size=4)).read(np.array([2]))


def test_the_check_in_the_background_finds_the_first():
    check = BackgroundCheck(numbered({9, 23}))
    check.join()
    assert "9.png cannot be read; fix it, or use --on_bad_example=skip" in str(
        check.failure
    )
    second = BackgroundCheck(numbered({9, 23}), (1, 2))  # of two processes
    first = BackgroundCheck(numbered({9, 23}), (0, 2))
    first.join()
    second.join()
    assert first.failure is None
    assert str(second.failure) == str(check.failure)


def test_the_check_in_the_background_ends_when_it_is_closed(caplog):
    skipping = BackgroundCheck(data.skip_bad_examples(numbered({9, 23})))
    skipping.join()
    assert skipping.failure is None
    assert len([x for x in caplog.messages if x.startswith("skipped")]) == 2
    started = threading.Event()

    def read(numbers):
        started.set()
        return {}

    endless = BackgroundCheck(numbered(size=10**9)._replace(read=read))
    started.wait()
    endless.close()
    assert not any(t.name == "jaxgan-check" for t in threading.enumerate())


def test_a_feed_that_fails_gives_its_newest_batch_again():
    layout = parallel.layout_of(jax.devices()[:1], parallel="auto", shard_state=False)
    feed = parallel.streamed(
        data.stream(numbered({30}), seed=0, updates=1, batch=8), layout=layout
    )
    bad = next(s for s in range(5) if 30 in numbers(s))
    assert bad > 0
    for step in range(bad):
        assert feed.failure() is None
        assert values(feed.at(step, 1)) == numbers(step)
    assert values(feed.at(bad, 2)) == 2 * numbers(bad - 1)
    assert "30.png" in str(feed.failure())
    assert values(feed.at(bad + 2, 1)) == numbers(bad - 1)
    feed.close()


def numbers(step) -> list[int]:
    found = data.step_indices(step, seed=0, size=SIZE, updates=1, batch=8)
    return found.ravel().tolist()


COUNT, BATCH = 320, 64


@pytest.fixture
def folder(tmp_path):
    """320 gray pictures of noise: an epoch has 5 steps of 64."""
    noise = np.random.default_rng(0).integers(0, 256, (COUNT, 8, 8)).astype(np.uint8)
    (tmp_path / "pictures").mkdir()
    for i, pixels in enumerate(noise):
        Image.fromarray(pixels).save(tmp_path / "pictures" / f"{i:03}.png")
    return tmp_path / "pictures"


def cut(file: Path) -> bytes:
    """Takes the pixels of a picture, but not its header; returns what it was."""
    whole = file.read_bytes()
    file.write_bytes(whole[:60])
    return whole


def flags(folder, workdir, steps, **other):
    given = {**TINY, "batch_size": BATCH, "held_out": "none", "input": "host"}
    given |= {"dataset": f"folder:{folder}", "workdir": workdir, "steps": steps}
    return [f"--{name}={value}" for name, value in {**given, **other}.items()]


def unseen() -> int:
    """A picture that neither the probe nor the gallery looks at."""
    return int(data.epoch_order(0, 0, COUNT)[-1])


def first_use(number: int, after: int) -> int:
    """The first step from there that trains on the picture."""
    steps = range(after, after + 20)
    return next(
        s
        for s in steps
        if number in data.step_indices(s, seed=0, size=COUNT, updates=1, batch=BATCH)
    )


@pytest.fixture
def looks_at_two(monkeypatch):
    """A run looks at two examples before it starts, as if the set were large."""
    for name in ("value_range", "fingerprint"):
        monkeypatch.setattr(sys.modules[f"jaxgan.data.{name}"], "MOST", 2)


@pytest.mark.usefixtures("looks_at_two")
def test_a_run_saves_and_stops_and_goes_on_when_the_picture_is_whole(
    folder, tmp_path, capsys
):
    workdir, number = tmp_path / "run", unseen()
    whole = tmp_path / "whole"
    assert train.main(flags(folder, whole, 12)) == 0
    assert train.main(flags(folder, workdir, 6)) == 0
    content = cut(folder / f"{number:03}.png")
    step = first_use(number, 6)
    assert 6 < step < 12
    assert train.main(flags(folder, workdir, 12)) == 2
    said = capsys.readouterr().err
    (line,) = [x for x in said.splitlines() if x.startswith("error")]
    assert f"{number:03}.png cannot be read as a picture" in line
    assert line.endswith("fix it, or use --on_bad_example=skip")
    assert checkpoint.available(workdir / "checkpoints")[-1] == step
    (folder / f"{number:03}.png").write_bytes(content)
    assert train.main(flags(folder, workdir, 12)) == 0
    same(state_of(workdir, 12), state_of(whole, 12))


@pytest.mark.usefixtures("looks_at_two")
def test_a_bad_picture_is_found_before_its_turn(folder, tmp_path, capsys):
    number = unseen()
    cut(folder / f"{number:03}.png")
    # Of batches of 63, the first epoch leaves five pictures out: this one too.
    given = {"batch_size": 63, "devices": 1}
    code = train.main(flags(folder, tmp_path / "run", 1_000_000, **given))
    assert code == 2
    assert f"{number:03}.png cannot be read" in capsys.readouterr().err
    assert checkpoint.available(tmp_path / "run" / "checkpoints")


@pytest.fixture
def twin(folder, tmp_path):
    """A copy of the folder, before two of its pictures were damaged.

    In the places of those are what follows them.
    """
    copy = shutil.copytree(folder, tmp_path / "twin")
    for number in (3, unseen()):
        shutil.copy(copy / f"{number + 1:03}.png", copy / f"{number:03}.png")
    (folder / "003.png").write_bytes(b"?")  # not even a header
    cut(folder / f"{unseen():03}.png")
    return copy


def test_skipping_is_the_next_one_in_its_place(folder, twin, caplog):
    with pytest.raises(data.BadExample, match=r"003\.png cannot be read"):
        data.load(f"folder:{folder}")
    skipping = data.load(f"folder:{folder}", on_bad_example="skip")
    skipping = data.skip_bad_examples(skipping)
    whole = data.load(f"folder:{twin}")
    want = data.read_all(whole)["image"]
    np.testing.assert_array_equal(data.read_all(skipping)["image"], want)
    given: dict = {"seed": 0, "updates": 1, "batch": BATCH}
    given |= {"first_step": 3, "steps": 8}
    for a, b in zip(
        data.stream(skipping, **given), data.stream(whole, **given), strict=True
    ):
        np.testing.assert_array_equal(a["image"], b["image"])
    assert len([x for x in caplog.messages if x.startswith("skipped: ")]) == 2


@pytest.mark.usefixtures("twin")
def test_a_run_skips(folder, tmp_path, caplog):
    given = {"on_bad_example": "skip"}
    assert train.main(flags(folder, tmp_path / "run", 6, **given)) == 0
    told = [x for x in caplog.messages if x.startswith("skipped: ")]
    assert ["003.png" in x for x in told].count(True) == 1
    assert len(told) == 2
    assert checkpoint.available(tmp_path / "run" / "checkpoints") == [6]


def test_how_to_treat_bad_examples_may_change():
    assert "on_bad_example" in RESUMABLE


@pytest.mark.parametrize("flag", ["on_bad_example", "alpha"])
def test_unknown_choices_are_refused(folder, tmp_path, capsys, flag):
    assert train.main(flags(folder, tmp_path / "run", 2, **{flag: "x"})) == 2
    assert f"--{flag}=x: choose " in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.fixture
def small_set(tmp_path):
    """A set of TFDS whose fourth picture is cut short, and the values of the others."""
    shape = (40, 40, 1)
    images = [np.full(shape[:2], i, np.uint8) for i in range(12)]
    encoded = [png(x) for x in images]
    encoded[3] = encoded[3][:60]
    features = {"image": tfds.features.Image(shape=shape)}
    prepare_own(tmp_path, "small", features, [{"image": x} for x in encoded])
    return tmp_path


def test_bad_examples_of_tfds_are_skipped_and_not_kept(small_set, caplog):
    dataset = data.load("small", data_dir=str(small_set))
    with pytest.raises(data.BadExample, match="the image of example"):
        data.read_all(dataset)
    skipping = data.skip_bad_examples(dataset)
    found = values(data.read_all(skipping))
    (place,) = [i for i in range(12) if found[i] == found[(i + 1) % 12]]
    assert sorted({*range(12)} - {*found}) == [3]
    assert f"the image of example {place} cannot be decoded" in caplog.text
    with pytest.raises(data.BadExample):  # no file keeps what was skipped
        data.read_all(data.load("small", data_dir=str(small_set)))


@pytest.mark.parametrize(
    "content", [b"", b"%!PS-Adobe-3.0 EPSF-3.0\n", png(np.zeros((4, 4), np.uint8))[:20]]
)
def test_bad_headers_of_tfds(tmp_path, content):
    images = [content] + [png(np.full((4, 4), i, np.uint8)) for i in range(5)]
    features = {"image": tfds.features.Image(shape=(None, None, 1))}
    prepare_own(tmp_path, "loose", features, [{"image": x} for x in images])
    with pytest.raises(data.BadExample, match=r"example \d cannot be decoded .*again"):
        data.load("loose", data_dir=str(tmp_path))
    dataset = data.load("loose", data_dir=str(tmp_path), on_bad_example="skip")
    found = values(data.read_all(data.skip_bad_examples(dataset)))
    assert (len(found), {*found}) == (6, {*range(5)})

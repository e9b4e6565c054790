"""Runs and data sets in a bucket, on an emulator with faults, and in memory."""

import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import tensorflow_datasets as tfds
from buckets import NAME, emulated, environment
from data_fixtures import png, prepare_own
from games import same
from slow import slow
from test_processes import SGD, close, ended, killed_on_failure, start
from test_train import argv, state_of, values

from jaxgan import data, report, sample, storage, train
from jaxgan.errors import UsageError
from jaxgan.storage import copies, lease, mirror, remote


@pytest.fixture(scope="module")
def emulator():
    """An emulator of Google Cloud Storage, which this process uses."""
    with emulated() as made:
        yield made


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder of this test alone, and short waits."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(remote, "FIRST_DELAY", 0.01)
    return tmp_path / "cache"


def objects(url):
    """The names of all objects below a URL."""
    return set(remote.Remote(url).files())


def steps_of(names):
    """The steps of the complete checkpoints among the names of objects."""
    ends = "/commit_success.txt"
    found = [x.removesuffix(ends).split("/") for x in names if x.endswith(ends)]
    return sorted(int(x[1]) for x in found if len(x) == 2)


def test_a_run_that_is_killed_in_an_upload_resumes_exactly(
    emulator, cache, pictures, finished, tmp_path, caplog
):
    url = f"gs://{NAME}/runs/killed"
    process = subprocess.Popen(
        [sys.executable, "-m", "jaxgan.train", *argv(pictures, url, 20)],
        env=environment(emulator, cache),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    def kill(method, path):
        if method == "POST" and "checkpoints%2F20%2Fstate" in path:
            process.kill()
        return 0

    emulator.fault = kill
    said, _ = process.communicate(timeout=240)
    assert process.returncode == -signal.SIGKILL, said
    assert str(cache) not in said
    names = objects(url)
    assert steps_of(names) == [10], names
    assert any(x.startswith("checkpoints/20/") for x in names)
    assert {"config.json", "data.json", "metrics.jsonl"} <= names
    # The next run meets errors and slow answers, and a stale copy of the small files.
    stale = next(cache.glob("jaxgan/buckets/work-*/killed"))
    (stale / "metrics.jsonl").write_text("stale\n")
    (stale / "samples" / "step_00000099.png").write_text("stale")
    count = iter(range(10**9))

    def disturb(method, path):
        number = next(count)
        time.sleep(0.05 * (number % 7 == 0))
        return 503 * (number % 17 == 3 and number < 150)

    emulator.fault = disturb
    assert train.main(argv(pictures, url, 20)) == 0
    emulator.fault = lambda method, path: 0
    assert "resumed at step 10" in caplog.text
    folder = storage.run_folder("--workdir", url)
    assert values(folder) == values(finished)
    same(state_of(folder, 20), state_of(finished, 20))
    names = objects(url)
    assert steps_of(names) == [10, 20]
    assert not any("step_00000099" in x for x in names)
    kept = {str(x.relative_to(finished)) for x in finished.rglob("*") if x.is_file()}
    small = {x for x in kept if copies.is_small(x)}
    assert small - {".lock"} <= names, small - names
    for place in (url, finished):
        for program, name, flags in (
            (sample, "s.npz", ["--n=4"]),
            (report, "report.html", []),
        ):
            out = tmp_path / f"{'bucket' if place == url else 'here'}-{name}"
            assert program.main([f"--workdir={place}", f"--out={out}", *flags]) == 0
    drawn = [np.load(tmp_path / f"{x}-s.npz") for x in ("bucket", "here")]
    np.testing.assert_array_equal(drawn[0]["samples"], drawn[1]["samples"])
    assert report.main([f"--workdir={url}"]) == 0
    assert "report.html" in objects(url)


def waited_for():
    """The threads for which a program waits at its end."""
    return {thread for thread in threading.enumerate() if not thread.daemon}


def test_a_bucket_that_vanishes_loses_nothing_that_was_saved(
    emulator, pictures, finished, caplog, monkeypatch
):
    monkeypatch.setattr(mirror, "INTERVAL", 0.1)
    monkeypatch.setattr(lease, "SECONDS", 1.0)
    monkeypatch.setattr(lease, "RENEW", 0.2)
    monkeypatch.setattr(lease, "LOOK", 0.1)
    url, threads = f"gs://{NAME}/runs/vanished", waited_for()
    gone = False
    last = "runs/vanished/checkpoints/10/commit_success.txt".replace("/", "%2F")

    def vanish(method, path):
        nonlocal gone
        # Once the first checkpoint is complete, the bucket is not found.
        place = f"/storage/v1/b/{NAME}/o/{last}"
        gone = gone or emulator.ask("GET", place, b"", {})[0] == 200
        return 404 * gone

    emulator.fault = vanish
    assert train.main(argv(pictures, url, 20)) == 2
    emulator.fault = lambda method, path: 0
    assert gone
    assert waited_for() <= threads  # none of Orbax waits in vain
    assert "the lease could not be released" in caplog.text
    assert steps_of(objects(url)) == [10]
    caplog.clear()
    assert train.main(argv(pictures, url, 20)) == 0
    assert "resumed at step 10" in caplog.text
    folder = storage.run_folder("--workdir", url)
    assert values(folder) == values(finished)
    same(state_of(folder, 20), state_of(finished, 20))


@pytest.mark.filterwarnings("ignore")  # TFDS's own
def test_prepared_sets_are_copied_once_and_compared(emulator, cache, tmp_path, caplog):
    rng = np.random.default_rng(0)
    rows = [{"image": png(rng.integers(0, 255, (8, 8), np.uint8))} for _ in range(9)]
    features = {"image": tfds.features.Image(shape=(8, 8, 1))}
    prepare_own(tmp_path / "tfds", "own_set", features, {"train": rows, "test": rows})
    here = data.load("own_set", data_dir=str(tmp_path / "tfds"))
    url = f"gs://{NAME}/sets"
    store = remote.Remote(url)
    for file in (tmp_path / "tfds").rglob("*"):
        if file.is_file():
            store.write(str(file.relative_to(tmp_path / "tfds")), file)
    read = [data.load("own_set", data_dir=url) for _ in range(2)][1].read(np.arange(9))
    np.testing.assert_array_equal(read["image"], here.read(np.arange(9))["image"])
    asked = [x for x in emulator.requests if "alt=media" in x and "own_set-t" in x]
    assert len(asked) == 1, asked  # one shard, once
    assert "train" in asked[0]
    # A damaged copy is fetched again, and a set that is not prepared is an error.
    (copy,) = cache.rglob("own_set-train*")
    copy.write_bytes(b"damaged")
    data.load("own_set", data_dir=url)
    assert len(copy.read_bytes()) > 100
    with pytest.raises(UsageError, match=f"mnist is not prepared in {url}; prepare it"):
        data.load("mnist", data_dir=url)


@pytest.mark.parametrize("count", [slow(2)])
def test_two_processes_share_a_run_in_a_bucket(
    emulator, cache, pictures, tmp_path, count
):
    url, here = f"gs://{NAME}/runs/two", tmp_path / "here"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(emulator, cache).items():
            patch.setenv(name, value)
        started = start(pictures, url, 1_000, count, save_every=10, **SGD)
        with killed_on_failure(started):
            until_saved(url, 20)
            started[1].kill()
            for process in started:
                process.communicate(timeout=120)
        last = max(steps_of(objects(url)))
        codes, said = ended(start(pictures, url, last + 10, count, **SGD))
    assert codes == [0, 0], said
    assert f"resumed at step {last}" in said[0]
    assert train.main(argv(pictures, here, last + 10, devices=2, **SGD)) == 0
    folder = storage.run_folder("--workdir", url)
    close(state_of(folder, last + 10), state_of(here, last + 10), 1e-5)
    assert [x["step"] for x in values(folder)] == [x["step"] for x in values(here)]
    assert sample.main([f"--workdir={url}", f"--out={tmp_path / 's.npz'}"]) == 0


def until_saved(url, step):
    """Waits until a run has a checkpoint."""
    ends = time.monotonic() + 200
    while step not in steps_of(objects(url)):
        assert time.monotonic() < ends
        time.sleep(0.2)

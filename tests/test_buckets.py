"""Runs and data sets in a bucket, on an emulator with faults, and in memory."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from buckets import NAME, emulated, environment
from games import same
from test_train import argv, state_of, values

from jaxgan import evaluate, report, sample, storage, train
from jaxgan.storage import remote


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
    assert not any("99" in x for x in names)
    kept = {str(x.relative_to(finished)) for x in finished.rglob("*") if x.is_file()}
    small = {x for x in kept if storage.copies.is_small(x)}
    assert small - {".lock"} <= names, small - names
    for place in (url, finished):
        for program, name, flags in (
            (sample, "s.npz", ["--n=4"]),
            (report, "report.html", []),
        ):
            out = tmp_path / f"{'bucket' if place == url else 'here'}-{name}"
            assert program.main([f"--workdir={place}", f"--out={out}", *flags]) == 0
    drawn = [np.load(tmp_path / f"{x}-s.npz") for x in ("bucket", "here")]
    np.testing.assert_array_equal(drawn[0]["image"], drawn[1]["image"])
    assert report.main([f"--workdir={url}"]) == 0
    flags = ["--n=16", "--metrics=sliced_wasserstein", "--checkpoint=best"]
    assert evaluate.main([f"--workdir={url}", *flags]) == 0
    assert {"report.html", "evaluation.json"} <= objects(url)

"""Runs in buckets of S3, on an emulator: `pip install 'jaxgan[s3]' 'moto[server]'`."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from games import same
from slow import slow
from test_storage import ring
from test_train import values

from jaxgan import sample, storage, train
from jaxgan.evaluation.load_run import load_run
from jaxgan.storage import remote, uploads

pytestmark = pytest.mark.filterwarnings("ignore")  # moto's and botocore's own


@pytest.fixture
def emulator(tmp_path, monkeypatch):
    """An emulator of S3 with the bucket `bucket`, and a cache folder."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server")
    made = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    made.start()
    _, port = made.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_DEFAULT_REGION": "us-east-1",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(name, value)
    import fsspec

    fsspec.filesystem("s3").mkdir("bucket")
    yield made
    made.stop()
    fsspec.get_filesystem_class("s3").clear_instance_cache()


def uploaded(store):
    """The steps of the complete checkpoints."""
    return sorted(map(int, uploads.complete_steps(store, store.files())))


@pytest.mark.parametrize("every", [slow(5)])
def test_a_killed_run_resumes_exactly_and_is_sampled(emulator, tmp_path, caplog, every):
    url, here = "s3://bucket/runs/1", tmp_path / "here"
    store, other = remote.Remote(url), {"save_every": every, "log_every": every}
    command = [sys.executable, "-m", "jaxgan.train", *ring(url, 10**6, **other)]
    process = subprocess.Popen(command, env=dict(os.environ), stderr=subprocess.DEVNULL)
    ends = time.monotonic() + 200
    try:
        while not uploaded(store):
            assert process.poll() is None
            assert time.monotonic() < ends
            time.sleep(0.1)
    finally:
        process.kill()
        process.wait()
    last = uploaded(store)[-1]
    # One process creates an object, and others do not replace it.
    assert store.create("x", b"1")
    assert not store.create("x", b"2")
    assert store.read("x") == b"1"
    assert train.main(ring(url, last + 10, **other)) == 0
    assert f"resumed at step {last}" in caplog.text
    assert train.main(ring(here, last + 10, **other)) == 0
    assert values(storage.run_folder("--workdir", url)) == values(here)
    same(load_run(url).restore("last"), load_run(here).restore("last"))
    drawn = []
    for place in (url, here):
        out = tmp_path / f"{len(drawn)}.npz"
        assert sample.main([f"--workdir={place}", "--n=4", f"--out={out}"]) == 0
        drawn.append(np.load(out)["samples"])
    np.testing.assert_array_equal(*drawn)

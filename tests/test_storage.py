"""Runs in buckets that are in memory: copies, mirrors, leases and their errors."""

import base64
import contextlib
import json
import re
import shutil
import sys
import threading
import time
import types

import pytest
from games import same
from orbax.checkpoint._src.serialization import tensorstore_utils
from test_train import values

from jaxgan import storage, train
from jaxgan.config.resolve import make_config
from jaxgan.errors import UsageError
from jaxgan.evaluation.load_run import load_run
from jaxgan.experiment import checkpoint
from jaxgan.storage import copies, lease, limits, mirror, remote, uploads, urls

pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder of this test alone, and short waits."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(remote, "FIRST_DELAY", 0.01)


def objects(url):
    """The names of all objects below a URL."""
    return set(remote.Remote(url).files())


MEMORY = "memory://runs"


def ring(url, steps, **other):
    """The flags of a run of a few steps in memory."""
    flags = {
        **{"dataset": "ring8", "networks": "mlp(g=(8,), d=(8,))", "batch_size": 8},
        **{
            "devices": 1,
            "samples": 4,
            "score_samples": 8,
            "log_every": 2,
            "save_every": 4,
            # The preset's rates end with the run, and runs here go on later.
            "g_optimizer": "adam(1e-3)",
            "d_optimizer": "adam(1e-3)",
        },
        **{"sample_every": 4, "keep": 1, "steps": steps, "workdir": url, **other},
    }
    return [f"--{name}={value}" for name, value in flags.items()]


def test_other_buckets_get_checkpoints_by_upload(tmp_path, caplog, capsys):
    url, here = f"{MEMORY}/uploaded", tmp_path / "here"
    for steps in (4, 10):
        assert train.main(ring(url, steps)) == 0
    assert train.main(ring(here, 10)) == 0
    assert "resumed at step 4" in caplog.text
    folder = storage.run_folder("--workdir", url)
    assert values(folder) == values(here)
    names = objects(url)
    # The best checkpoint is kept besides the newest.
    kept = {str(x) for x in checkpoint.available(here / "checkpoints")}
    assert {x.split("/")[1] for x in names if x.startswith("checkpoints/")} == kept
    # Without its marker a checkpoint does not count, and its copy does not either.
    run = load_run(url)
    newest = run.restore("last")
    same(newest, load_run(here).restore("last"))
    run.restore("best")
    store = remote.Remote(url)
    store.remove(["checkpoints/10/uploaded.json"])
    assert 10 not in checkpoint.available(folder / "checkpoints")
    # One run at a time, also if the other one is on another machine.
    name = f".lease-{9:08}.json"
    store.create(name, json.dumps({"host": "other", "pid": 7}).encode())
    with renewed(store, name), pytest.MonkeyPatch.context() as patch:
        patch.setattr(lease, "LOOK", 0.01)
        assert train.main(ring(url, 12)) == 2
    assert f"{url} is in use by other, process 7, until" in capsys.readouterr().err


@contextlib.contextmanager
def renewed(store, name):
    """Renews a lease again and again, as its owner does."""
    ended = threading.Event()

    def renew():
        number = 0
        while not ended.wait(0.02):
            content = {"host": "other", "pid": 7, "renewed": number}
            store.write(name, json.dumps(content).encode())
            number += 1

    thread = threading.Thread(target=renew)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_locations_are_checked_before_anything_is_opened(monkeypatch):
    for text, words in {
        "gs://bucket": "name a folder in a bucket, such as gs://bucket/run",
        "gs://bucket/../run": "use a URL of letters",
        "gs://bucket/a*": "use a URL of letters",
        "gs://bucket/a::b": "use a URL of letters",
        "http://host/run": "http:// is no bucket",
        "nonsense://host/run": "nonsense:// is no bucket",
        f"gs://bucket/{'x' * 900}": "use a shorter URL",
    }.items():
        with pytest.raises(UsageError, match=re.escape(words)):
            storage.location("--workdir", text)
    assert storage.location("--workdir", "gcs://bucket//a/") == "gs://bucket/a"
    assert storage.location("--workdir", "runs/1") == "runs/1"
    monkeypatch.setattr(urls, "find_spec", lambda name: None)
    monkeypatch.setattr(sys.modules["fsspec.registry"], "registry", {})
    for text, words in {
        "gs://bucket/run": "needs gcsfs: pip install 'jaxgan[gcs]'",
        "s3://bucket/run": "needs s3fs: pip install 'jaxgan[s3]'",
    }.items():
        with pytest.raises(UsageError, match=re.escape(words)):
            make_config(dataset="ring8", workdir=text)


def test_a_bucket_that_does_not_answer_is_one_error_in_bounded_time(monkeypatch):
    monkeypatch.setattr(remote, "CONNECT_SECONDS", 0.05)
    never = threading.Event()
    monkeypatch.setattr(remote, "_file_system", lambda url: never.wait(20))
    store = remote.Remote("gs://bucket/run", "--workdir=gs://bucket/run")
    for _ in range(2):  # the second time at once
        with pytest.raises(UsageError, match="cannot be opened: no answer in"):
            store.files()
    never.set()
    for error, words in {
        OSError("Forbidden: x"): "get credentials",
        ValueError("Anonymous caller"): "application-default login",
        FileNotFoundError("there is no bucket b"): "create the bucket first",
        RuntimeError("odd"): "odd; check the network",
    }.items():
        assert words in remote.explain(error)
        assert remote.is_transient(error) == isinstance(error, RuntimeError)


def test_a_run_that_saves_more_often_than_it_uploads_has_a_checkpoint(tmp_path):
    copy = copies.Copy(remote.Remote(f"{MEMORY}/often"), tmp_path)
    folder, made = tmp_path / "checkpoints", uploads.Checkpoints(copy)

    class Slow(remote.Remote):
        """Uploads so slowly that the run removes the checkpoint meanwhile."""

        def write(self, name, source):
            shutil.rmtree(folder, ignore_errors=True)
            super().write(name, source)

    made._remote = store = Slow(copy.remote.url)
    for steps in (["4", "8"], ["12"], ["16"]):
        for step in steps:
            (folder / step / "state").mkdir(parents=True)
            (folder / step / "state" / "a").write_text(step)
        made.upload(steps)
        newest = steps[-1]
        assert set(uploads.complete_steps(store, store.files())) == {newest}
        assert store.read(f"checkpoints/{newest}/state/a") == newest.encode()


def test_checksums_are_compared_in_both_directions(tmp_path):
    content = b"123456789"
    file = tmp_path / "file"
    file.write_bytes(content)
    # The check value of CRC-32C (Castagnoli).
    facts = {"size": 9, "crc32c": base64.b64encode(bytes.fromhex("e3069283"))}
    composite = remote._entry(facts)
    assert (composite.md5, composite.crc32c) == ("", "e3069283")
    remote._check_copy(file, composite)
    remote._check_copy(file, composite._replace(crc32c=""))
    for wrong in (
        composite._replace(crc32c="e3069284"),
        composite._replace(md5="0" * 32),
        composite._replace(size=8),
    ):
        with pytest.raises(ValueError, match="the copy"):
            remote._check_copy(file, wrong)
    # gcsfs compares the MD5 that the bucket reports after an upload.
    asked = []
    store = remote.Remote("gs://bucket/run")
    store._fs = types.SimpleNamespace(pipe_file=lambda *x, **more: asked.append(more))
    store.write("file", file)
    assert asked == [{"consistency": "md5"}]


def test_a_silent_bucket_is_not_asked_again_and_again(monkeypatch):
    store, tries = remote.Remote(f"{MEMORY}/silent"), []

    def fail(*args, **more):
        tries.append(args)
        raise RuntimeError("503")

    store.write("a", b"")
    pipe = store._fs.pipe_file
    monkeypatch.setattr(store._fs, "pipe_file", fail)
    for count in (remote.ATTEMPTS, 1, 1):
        tries.clear()
        with pytest.raises(UsageError, match="503"):
            store.write("a", b"")
        assert len(tries) == count
    monkeypatch.setattr(store._fs, "pipe_file", pipe)
    store.write("a", b"")
    monkeypatch.setattr(store._fs, "pipe_file", fail)
    tries.clear()
    with pytest.raises(UsageError, match="503"):
        store.write("a", b"")
    assert len(tries) == remote.ATTEMPTS
    # TensorStore gives up too, after about a minute.
    limits.bound_waits()
    settings = tensorstore_utils.get_ts_context()["gcs_request_retries"].to_json()
    assert settings["max_retries"] == limits.RETRIES["max_retries"]


def test_a_copy_has_what_the_bucket_has(tmp_path, monkeypatch):
    store = remote.Remote(f"{MEMORY}/copied")
    for name in ("config.json", "samples/1.png", "x/../y", "checkpoints/4/a"):
        store.write(name, name.encode())
    copy = storage.Copy(store, tmp_path / "copy")
    copy.pull(copies.is_small)
    (copy.folder / "config.json").write_text("changed here")
    (copy.folder / "old").write_text("")
    asked = []
    monkeypatch.setattr(store, "fetch", lambda *x: asked.append(x[0]) or fetch(*x))
    fetch = remote.Remote(store.url).fetch
    store.write("new", b"1")
    copy.pull(copies.is_small)
    assert copies.names_below(copy.folder) == [
        "config.json",
        "new",
        "samples/1.png",
    ]
    assert asked == ["config.json", "new"]
    assert (copy.folder / "config.json").read_text() == "config.json"
    # A file that changes while it is fetched.
    store.write("new", b"22")
    stale = store.files()
    store.write("new", b"333")
    copy.pull(copies.is_small, stale)
    assert (copy.folder / "new").read_bytes() == b"333"
    entry = store.files()["new"]._replace(md5="0" * 32)
    with pytest.raises(UsageError, match="does not match its checksum"):
        remote.Remote(store.url).fetch("new", tmp_path / "x", entry)
    assert not (tmp_path / "x").exists()


def test_uploads_that_fail_are_tried_again_and_then_an_error(caplog, monkeypatch):
    monkeypatch.setattr(mirror, "INTERVAL", 0.02)
    monkeypatch.setattr(remote, "ATTEMPTS", 1)
    url, fails = f"{MEMORY}/failing", threading.Event()
    write = remote.Remote.write

    def broken(self, name, source):
        if fails.is_set() and name == "metrics.jsonl":
            raise UsageError(f"{name} cannot be written: 503")
        write(self, name, source)

    monkeypatch.setattr(remote.Remote, "write", broken)
    with storage.open_folder("--workdir", url) as folder:
        file = folder / "metrics.jsonl"
        for word in ("fail", "succeed"):
            if word == "fail":
                fails.set()
            else:
                fails.clear()
            file.write_text(word)
            until(lambda: caplog.text.count("; the run goes on") == 1)
            if word == "succeed":
                until(lambda: "succeed again" in caplog.text)
        assert remote.Remote(url).read("metrics.jsonl") == b"succeed"
        (folder / "samples").mkdir()
        (folder / "samples" / "1.png").write_text("")
        storage.flush()
        (folder / "samples" / "1.png").unlink()
        storage.flush()
        assert not any("samples" in x for x in objects(url))
    assert not folder.exists()  # everything is in the bucket
    opened = storage.open_folder("--workdir", url)
    folder = opened.__enter__()
    fails.set()
    (folder / "metrics.jsonl").write_text("lost?")
    with pytest.raises(UsageError, match="what the bucket lacks is in"):
        opened.__exit__(None, None, None)
    assert (folder / "metrics.jsonl").read_text() == "lost?"
    fails.clear()
    with storage.open_folder("--workdir", url) as folder:  # the bucket is the truth
        assert (folder / "metrics.jsonl").read_text() == "succeed"


def until(holds):
    """Waits until something holds, for a minute at most."""
    ends = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_one_run_holds_the_lease_of_a_workdir(monkeypatch):
    monkeypatch.setattr(lease, "SECONDS", 0.6)
    monkeypatch.setattr(lease, "RENEW", 0.1)
    monkeypatch.setattr(lease, "LOOK", 0.05)
    store = remote.Remote(f"{MEMORY}/leased", f"--workdir={MEMORY}/leased")
    first = lease.Lease(store)
    with pytest.raises(UsageError, match=r"in use by .*, process \d+, until .* UTC"):
        lease.Lease(store)
    first.check()
    first.release()
    second = lease.Lease(store)  # at once
    assert sorted(objects(store.url)) == [".lease-00000002.json"]
    # A process of this machine that has ended is dead, whatever its lease says.
    second.release()
    gone = json.loads(store.read(".lease-00000002.json") or b"")
    gone |= {"released": False, "pid": 2**22 + 1}
    store.write(".lease-00000002.json", json.dumps(gone).encode())
    monkeypatch.setattr(lease, "SECONDS", 60.0)
    third = lease.Lease(store)
    # One of another machine is dead once its lease has not changed for its duration,
    # by the clock of the bucket: that of this machine may be off by hours.
    third.release()
    other = {"host": "elsewhere", "pid": 1, "released": False}
    store.write(".lease-00000003.json", json.dumps(other).encode())
    monkeypatch.setattr(lease, "SECONDS", 0.3)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    fourth = lease.Lease(store)
    # A run that another one has replaced must not write any more.
    monkeypatch.setattr(lease, "RENEW", 0.05)
    store.create(".lease-00000009.json", json.dumps(other).encode())
    until(lambda: fourth._lost)
    with pytest.raises(UsageError, match="elsewhere, process 1 has taken this run"):
        fourth.check()
    fourth.release()
    assert json.loads(store.read(".lease-00000009.json") or b"") == other
    # A file system that cannot create exclusively.
    fs = store._fs
    monkeypatch.setattr(remote, "SETTLE_SECONDS", 0.0)
    pipe = fs.pipe_file

    def plain(path, value, mode="overwrite"):
        if mode == "create":
            raise TypeError
        pipe(path, value)

    monkeypatch.setattr(fs, "pipe_file", plain)
    assert store.create("once", b"1")
    assert store.create("once", b"1")  # the answer of the first try was lost
    assert not store.create("once", b"2")

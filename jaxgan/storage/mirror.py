"""Mirrors the working folder of a run to its bucket, in the background.

A thread looks for changed files every few seconds and uploads them, so that training
never waits for it. Before a checkpoint counts as saved, `flush` uploads the rest: the
bucket then has all rows of metrics up to its step.
"""

import logging
import threading
from pathlib import Path
from typing import NamedTuple

from jaxgan.errors import UsageError, first_line
from jaxgan.storage import uploads
from jaxgan.storage.copies import Copy, names_below
from jaxgan.storage.lease import Lease
from jaxgan.storage.remote import Entry

log = logging.getLogger("jaxgan")

INTERVAL = 2.0
"""Seconds between looks for changed files. Buckets limit writes of one object to one
per second."""

LAST_SECONDS = 600.0
"""Longest wait for an upload in progress when a run ends."""

FIRST = ("config.json", "data.json", "metrics.jsonl")
"""Files that are uploaded before others: without config.json nothing can be resumed."""


class Stamp(NamedTuple):
    """The size and the time of a file, which a change of it changes."""

    size: int
    time: int


class Mirror:
    """Uploads the files of a working folder that change.

    Args:
      copy: the working folder, which equals the bucket.
      files: of the bucket.
      lease: the right to write.
      uploads_checkpoints: True if checkpoints are saved here and uploaded; False if
        they are written to the bucket directly.
    """

    def __init__(
        self,
        copy: Copy,
        files: dict[str, Entry],
        lease: Lease,
        *,
        uploads_checkpoints: bool,
    ) -> None:
        self._copy = copy
        self.check, self.probe = lease.check, lease.renew
        copy.is_mirrored = True
        self._checkpoints = uploads.Checkpoints(copy) if uploads_checkpoints else None
        self._uploaded = {x: self._stamp(x) for x in self._names() if x in files}
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)
        self._thread.start()

    @property
    def folder(self) -> Path:
        """The working folder."""
        return self._copy.folder

    def flush(self) -> None:
        """Uploads all that has changed.

        Raises:
          UsageError: if it cannot be uploaded, or may not be.
        """
        if not self._lock.acquire(timeout=LAST_SECONDS):
            raise UsageError(
                f"{self._copy.remote.shown}: an upload has not ended in "
                f"{LAST_SECONDS:.0f} seconds; check the network"
            )
        try:
            self._upload()
        finally:
            self._lock.release()

    def close(self) -> None:
        """Uploads the rest and ends the thread.

        Raises:
          UsageError: if it cannot be uploaded. The files stay in the working folder.
        """
        self._ended.set()
        try:
            self.flush()
        except UsageError as error:
            raise UsageError(
                f"{error}; until the next start, what the bucket lacks is in "
                f"{self.folder.parent}"
            ) from error

    def _run(self) -> None:
        while not self._ended.wait(INTERVAL):
            try:
                self.flush()
            except Exception as error:  # tried again, and raised at the end
                if not self._failing:
                    log.warning("%s; the run goes on", first_line(error))
                self._failing = True
                continue
            if self._failing:
                log.warning("uploads to %s succeed again", self._copy.remote.url)
            self._failing = False

    def _upload(self) -> None:
        """Uploads changed files, then checkpoints."""
        self.check()
        # The rows and samples of steps that are complete now are uploaded first.
        steps = self._checkpoints.complete() if self._checkpoints else []
        names = self._names()
        order = sorted(names, key=lambda x: (x not in FIRST, x))
        for name in order:
            stamp = self._stamp(name)
            if stamp is None or stamp == self._uploaded.get(name):
                continue
            try:
                self._copy.remote.write(name, self.folder / name)
            except FileNotFoundError:  # replaced or removed meanwhile
                continue
            # A change during the upload is uploaded the next time.
            self._uploaded[name] = stamp
        gone = [x for x in self._uploaded if x not in names]
        self._copy.remote.remove(gone)
        for name in gone:
            del self._uploaded[name]
        if self._checkpoints:
            self._checkpoints.upload(steps)

    def _names(self) -> list[str]:
        return [x for x in names_below(self.folder) if not uploads.is_checkpoint(x)]

    def _stamp(self, name: str) -> Stamp | None:
        try:
            status = (self.folder / name).stat()
        except OSError:
            return None
        return Stamp(status.st_size, status.st_mtime_ns)


_ACTIVE: list[Mirror] = []
"""The mirror of the run of this process, if any."""


def activate(mirror: Mirror) -> None:
    """Makes a mirror the one of `flush`."""
    _ACTIVE.append(mirror)


def deactivate(mirror: Mirror) -> None:
    """Undoes `activate`."""
    _ACTIVE.remove(mirror)


def check() -> None:
    """Raises UsageError if the run of this process may not write any more."""
    for mirror in _ACTIVE:
        mirror.check()


def probe() -> None:
    """Writes to the bucket of the run of this process, if it is in one.

    Raises:
      UsageError: if it cannot be written.
    """
    for mirror in _ACTIVE:
        mirror.probe()


def flush() -> None:
    """Uploads what the run of this process has written, if it is in a bucket.

    Raises:
      UsageError: if it cannot be uploaded.
    """
    for mirror in _ACTIVE:
        mirror.flush()

"""The lease of a run in a bucket, in place of the file lock of a folder.

A lease is an object with a number in its name, and the highest number holds. A run
creates the object of the next number, which of several runs one can do, once the
current one is released, or has not been renewed for its whole duration. Times are those
of the server, or differences of one clock, so that clocks of machines need not agree.
"""

import contextlib
import json
import logging
import os
import re
import socket
import threading
import time
import uuid
from typing import Any

from jaxgan.errors import UsageError, printable
from jaxgan.storage.remote import Remote

log = logging.getLogger("jaxgan")

SECONDS = 60.0
"""A lease that is not renewed for so long has expired."""

RENEW = 15.0
"""Seconds between renewals."""

LOOK = 2.0
"""Seconds between looks at a lease that may have expired."""

_NAME = re.compile(r"\.lease-(\d{8})\.json")


class Lease:
    """The right to write to a run in a bucket, renewed until `release`.

    Args:
      remote: the folder of the run.

    Raises:
      UsageError: if another run holds the lease, or the bucket cannot be used.
    """

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._owner = {**_this_process(), "id": uuid.uuid4().hex}
        self._renewed = 0
        self._lost = ""
        self._ended = threading.Event()
        self._number = self._acquire()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises UsageError if another run has taken the lease over."""
        if self._lost:
            raise UsageError(
                f"{self._remote.shown}: {self._lost} has taken this run over, as its "
                f"lease was not renewed for {SECONDS:.0f} seconds; wait until that "
                "ends, and start the same command again"
            )

    def renew(self) -> None:
        """Renews the lease now, which shows that the bucket can be written.

        Raises:
          UsageError: if it cannot.
        """
        self._renewed += 1
        self._write()

    def release(self) -> None:
        """Ends the renewal, and lets the next run start at once."""
        self._ended.set()
        self._thread.join(SECONDS)
        if not self._lost:
            try:
                self._write(released=True)
            except UsageError as error:
                log.warning("the lease could not be released: %s", error)

    def _acquire(self) -> int:
        """Returns the number of the lease that this run has created."""
        held = self._newest()
        if held:
            self._wait_until_free(*held)
        number = held[0] + 1 if held else 1
        name = _name(number)
        if not self._remote.create(name, self._content()):
            raise self._refusal(number, self._read(number))
        # Another run may have been as fast, or slow and with an older view.
        newest = self._newest()
        if newest and newest[0] != number:
            raise self._refusal(*newest)
        if held:
            self._remote.remove([_name(held[0])])
        return number

    def _newest(self) -> tuple[int, dict[str, Any]] | None:
        """Returns the number and the content of the lease that holds."""
        numbers = [int(m[1]) for x in self._remote.files() if (m := _NAME.fullmatch(x))]
        return (max(numbers), self._read(max(numbers))) if numbers else None

    def _read(self, number: int) -> dict[str, Any]:
        try:
            content = json.loads(self._remote.read(_name(number)) or b"{}")
        except (ValueError, RecursionError):
            content = {}
        return content if isinstance(content, dict) else {}

    def _wait_until_free(self, number: int, first: dict[str, Any]) -> None:
        """Returns once a lease is released or expired, at once if that is known.

        Raises:
          UsageError: if it is renewed meanwhile, or replaced.
        """
        if first.get("released") or _has_died(first):
            return
        waited = self._age(number)
        if waited < SECONDS:
            log.info(
                "%s: waiting up to %.0f seconds for the lease of %s",
                self._remote.url,
                SECONDS - waited,
                _holder(first),
            )
        while waited < SECONDS:
            time.sleep(min(LOOK, SECONDS - waited))
            waited += LOOK
            newest = self._newest()
            if newest is None or newest[1].get("released"):
                return
            if newest != (number, first):
                raise self._refusal(*newest)

    def _age(self, number: int) -> float:
        """Returns the seconds since a lease was renewed, by the server's clock."""
        probe = f".clock-{self._owner['id']}"
        self._remote.write(probe, b"")
        now, lease = self._remote.entry(probe), self._remote.entry(_name(number))
        self._remote.remove([probe])
        if not now or not lease or not now.updated or not lease.updated:
            return 0.0
        return max(0.0, now.updated - lease.updated)

    def _refusal(self, number: int, holder: dict[str, Any]) -> UsageError:
        """Returns the error for a lease that another run holds."""
        entry = self._remote.entry(_name(number))
        ends = (entry.updated if entry else 0) or time.time()
        until = time.strftime("%H:%M:%S UTC", time.gmtime(ends + SECONDS))
        return UsageError(
            f"{self._remote.shown} is in use by {_holder(holder)}, until {until} or "
            "longer, as it renews its lease; wait until it ends, or use another "
            "--workdir"
        )

    def _content(self, released: bool = False) -> bytes:
        fields = {**self._owner, "renewed": self._renewed, "seconds": SECONDS}
        return json.dumps({**fields, "released": released}).encode()

    def _write(self, released: bool = False) -> None:
        self._remote.write(_name(self._number), self._content(released))

    def _keep(self) -> None:
        """Renews the lease until it is released or lost."""
        while not self._ended.wait(RENEW):
            try:
                newest = self._newest()
                if newest and newest[0] > self._number:
                    self._lost = _holder(newest[1])
                    return
                self.renew()
            except Exception as error:  # tried again until the lease is taken over
                log.warning("the lease could not be renewed: %s", error)


def _name(number: int) -> str:
    return f".lease-{number:08}.json"


def _this_process() -> dict[str, Any]:
    """Returns what identifies this process among those of all machines."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "start": _start()}


def _start() -> str:
    """Returns the start of the machine, the set of process numbers and our start."""
    import psutil

    return f"{_machine()} {psutil.Process().create_time():.0f}"


def _machine() -> str:
    """Returns the start of this machine and the container's set of process numbers."""
    facts = []
    with contextlib.suppress(OSError):
        with open("/proc/sys/kernel/random/boot_id") as file:
            facts.append(file.read().strip())
        facts.append(os.readlink("/proc/self/ns/pid"))
    return "-".join(facts)


def _has_died(lease: dict[str, Any]) -> bool:
    """Returns True if a lease is that of a process of this machine that has ended."""
    import psutil

    machine, _, started = str(lease.get("start", "")).partition(" ")
    pid = lease.get("pid")
    if not machine or machine != _machine() or type(pid) is not int:
        return False
    if lease.get("host") != socket.gethostname():
        return False
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        return f"{process.create_time():.0f}" != started
    except psutil.NoSuchProcess:
        return True
    except (psutil.Error, ValueError, OverflowError):
        return False


def _holder(lease: dict[str, Any]) -> str:
    """Returns the owner of a lease in words."""
    host, pid = lease.get("host", "an unknown machine"), lease.get("pid", "?")
    return printable(f"{host}, process {pid}")[:200]

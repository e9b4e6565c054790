"""Cloud TPU machines tell of their maintenance, or of their end, before it begins.

As https://cloud.google.com/compute/docs/metadata/getting-live-migration-notice has it.
"""

import http.client
import os
import re
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jaxgan.environment import has_tpu

NOTHING_PLANNED = {"maintenance-event": "NONE", "preempted": "FALSE"}
"""What the machine's metadata say while nothing is to come."""

POLL_SECONDS = 10.0
"""Between two looks; notices come at least 30 s ahead."""

NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Opens URLs without a proxy, which would tell of its own machine."""


@contextmanager
def watch_notices(
    host: str | None = None, seconds: float = POLL_SECONDS
) -> Iterator[Callable[[], bool]]:
    """Yields a function that tells whether this machine is about to end.

    Without a `host` that is asked for, it is asked only where there are TPU chips: the
    one in `GCE_METADATA_IP`, or Google Cloud's.
    """
    if host is None and not has_tpu(os.environ):
        yield lambda: False
        return
    host = host or os.environ.get("GCE_METADATA_IP", "metadata.google.internal")
    told, over = threading.Event(), threading.Event()

    def look():
        while not told.is_set() and not over.is_set():
            if any(
                _has_notice(host, name, quiet)
                for name, quiet in NOTHING_PLANNED.items()
            ):
                told.set()
            over.wait(seconds)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield told.is_set
    finally:
        over.set()


def _has_notice(host: str, name: str, quiet: str) -> bool:
    """Returns True unless the metadata say that nothing is planned.

    Metadata are words in capitals; whoever else answers at that name, such as the login
    page of a network, tells nothing of this machine.
    """
    request = urllib.request.Request(
        f"http://{host}/computeMetadata/v1/instance/{name}",
        headers={"Metadata-Flavor": "Google"},
    )
    try:
        with NO_PROXY.open(request, timeout=5.0) as answer:
            said = answer.read(256).decode().strip()
    except (OSError, ValueError, http.client.HTTPException):
        return False  # not of Google Cloud, or not to be had now
    return said != quiet and re.fullmatch("[A-Z_]{1,100}", said) is not None

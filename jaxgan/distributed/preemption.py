"""Polls the Cloud TPU metadata server for maintenance and preemption notices.

See https://cloud.google.com/compute/docs/metadata/getting-live-migration-notice.
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
"""Values of the instance metadata while there is no notice."""

POLL_SECONDS = 10.0
"""Seconds between two polls. Notices come at least 30 s ahead."""

NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Opens URLs without a proxy, which would answer for its own machine."""


@contextmanager
def watch_notices(
    host: str | None = None, seconds: float = POLL_SECONDS
) -> Iterator[Callable[[], bool]]:
    """Yields a function that returns True once this machine has a notice.

    Args:
      host: address of the metadata server. By default it is `GCE_METADATA_IP` or that
        of Google Cloud, and is polled only on machines with TPU chips.
      seconds: time between two polls.
    """
    if host is None and not has_tpu(os.environ):
        yield lambda: False
        return
    host = host or os.environ.get("GCE_METADATA_IP", "metadata.google.internal")
    noticed, over = threading.Event(), threading.Event()

    def poll():
        # The first notice is final.
        while not noticed.is_set() and not over.is_set():
            if any(
                _has_notice(host, name, quiet)
                for name, quiet in NOTHING_PLANNED.items()
            ):
                noticed.set()
            # Sleeps, but ends early when the watch is over.
            over.wait(seconds)

    # Polled in the background, as a request may take up to its timeout.
    watcher = threading.Thread(target=poll, daemon=True)
    watcher.start()
    try:
        yield noticed.is_set
    finally:
        over.set()


def _has_notice(host: str, name: str, quiet: str) -> bool:
    """Returns True if a metadata entry has another value than `quiet`.

    Valid values are words in capitals. Any other answer is ignored: it may come from
    another server under that name, such as the login page of a network.
    """
    request = urllib.request.Request(
        f"http://{host}/computeMetadata/v1/instance/{name}",
        # The metadata server rejects requests without this header.
        headers={"Metadata-Flavor": "Google"},
    )
    try:
        # Valid values are short, so the rest is not read.
        with NO_PROXY.open(request, timeout=5.0) as answer:
            value = answer.read(256).decode().strip()
    except (OSError, ValueError, http.client.HTTPException):
        return False  # not on Google Cloud, or the server is unavailable
    return value != quiet and re.fullmatch("[A-Z_]{1,100}", value) is not None

"""Work that takes seconds, such as reading checkpoints, beside the server's loop."""

import concurrent.futures
import logging
from collections.abc import Callable
from typing import Any

from bokeh.document import Document

from jaxgan.errors import UsageError, first_line

log = logging.getLogger("jaxgan")

_pools: list[concurrent.futures.ThreadPoolExecutor] = []
"""One thread once it is needed, as the machine is used for training too."""


def run(
    doc: Document,
    work: Callable[[], Any],
    done: Callable[[Any], None],
    failed: Callable[[str], None],
) -> None:
    """Runs `work` in a thread, then `done` with its result on the document's loop.

    Args:
      doc: the document.
      work: the function to run.
      done: called with its result.
      failed: called with a message instead, if it raises an error.
    """

    def finish(future: concurrent.futures.Future) -> None:
        error = future.exception()
        if error is None:
            result = future.result()
            call = lambda: done(result)  # noqa: E731
        else:
            if not isinstance(error, UsageError):
                log.debug("work of a page failed", exc_info=error)
            kind = "" if isinstance(error, UsageError) else f"{type(error).__name__}: "
            message = f"{kind}{first_line(error)}"
            call = lambda: failed(message)  # noqa: E731
        # A page that was closed has no loop any more.
        if doc.session_context is not None:
            doc.add_next_tick_callback(call)

    if not _pools:
        _pools.append(concurrent.futures.ThreadPoolExecutor(1, "viewer"))
    _pools[0].submit(work).add_done_callback(finish)


def close() -> None:
    """Drops work that has not begun; what runs is waited for."""
    while _pools:
        _pools.pop().shutdown(wait=True, cancel_futures=True)

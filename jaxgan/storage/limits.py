"""Bounds of the waits of TensorStore and Orbax for a bucket that does not answer."""

import importlib
import logging
import os

log = logging.getLogger("jaxgan")

ENVIRONMENT = {
    "TENSORSTORE_CURL_CONNECT_TIMEOUT_SECONDS": "30",
    # An answer without a byte for a minute is given up.
    "TENSORSTORE_CURL_LOW_SPEED_TIME_SECONDS": "60",
    "TENSORSTORE_CURL_LOW_SPEED_LIMIT_BYTES": "1",
}
"""Variables that TensorStore reads at its first request."""

RETRIES = {"max_retries": 6, "initial_delay": "1s", "max_delay": "16s"}
"""Of one request: about a minute, in place of up to 17."""

CONTEXTS = ("_BASE_TS_CONTEXT", "_DEFAULT_OCDBT_TS_CONTEXT")
"""Settings with which Orbax opens arrays. It has no public option for them."""


def bound_waits() -> None:
    """Limits the time for which a save or a restore waits for a bucket.

    Without it, threads of a save to a bucket that fails keep a program alive for up to
    17 minutes. Large arrays may still take long: the limit is one of silence.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    module = "orbax.checkpoint._src.serialization.tensorstore_utils"
    try:
        contexts = [getattr(importlib.import_module(module), x) for x in CONTEXTS]
    except (ImportError, AttributeError) as error:
        log.debug("retries are those of TensorStore: %s", error)
        return
    for context in contexts:
        context.setdefault("gcs_request_retries", RETRIES)

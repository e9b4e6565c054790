"""URLs of buckets: their form, and the packages that they need."""

import os
import re
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from jaxgan.errors import UsageError, printable
from jaxgan.files import LONGEST_NAME, is_url, local_path

EXTRAS = {"gs": "'jaxgan[gcs]'", "s3": "'jaxgan[s3]'"}
"""Packages for pip by scheme; for others it is the one that fsspec names."""

SAME = {"gcs": "gs"}
"""Other names of schemes."""

NOT_BUCKETS = frozenset({"file", "local", "http", "https", "zip", "tar", "data"})
"""Schemes of fsspec that are no place for a run."""

MOST = 1_000
"""Maximum number of bytes in an object's name, of the 1024 that buckets have."""


def location(flag: str, text: str | Path, prefix: str = "") -> str:
    """Returns the text of a flag that names a local path or a URL, in its usual form.

    Args:
      flag: the flag to name in errors, such as `--workdir`.
      text: a path, or a URL such as `gs://bucket/run`.
      prefix: the text before the path in the flag, such as `hf:`.

    Raises:
      UsageError: for an impossible path or URL, or if the package for it is missing.

    >>> location("--workdir", "memory://bucket/runs//1/"), location("--workdir", "runs")
    ('memory://bucket/runs/1', 'runs')
    """
    text = os.fspath(text)
    if prefix or not is_url(text):
        return str(local_path(flag, text, prefix))
    shown = f"{flag}={printable(text)}"
    scheme, _, rest = text.partition("://")
    scheme = SAME.get(scheme.lower(), scheme.lower())
    parts = [part for part in rest.split("/") if part]
    if len(parts) < 2:
        raise UsageError(
            f"{shown}: name a folder in a bucket, such as {scheme}://bucket/run"
        )
    # fsspec reads some of these characters as patterns, options or chains of URLs.
    odd = re.search(r"[*?\[\]{}#%:@\\\x00-\x1f\x7f]", rest)
    if odd or {".", ".."} & set(parts):
        raise UsageError(
            f"{shown}: use a URL of letters, digits and -_./ alone, such as "
            f"{scheme}://bucket/run"
        )
    if len(rest.encode(errors="replace")) > MOST - LONGEST_NAME:
        raise UsageError(f"{flag}={printable(text[:40])}...: use a shorter URL")
    _check_package(shown, scheme)
    return f"{scheme}://{'/'.join(parts)}"


def _check_package(shown: str, scheme: str) -> None:
    """Raises UsageError if no installed package opens URLs of a scheme."""
    try:
        from fsspec.registry import known_implementations, registry
    except ImportError:
        raise UsageError(
            f"{shown}: buckets need fsspec: pip install 'jaxgan[gcs]'"
        ) from None
    known = scheme in known_implementations or scheme in registry
    if not known or scheme in NOT_BUCKETS:
        raise UsageError(
            f"{shown}: {printable(scheme)}:// is no bucket; use a path such as runs/1, "
            "or a URL such as gs://bucket/run"
        )
    if scheme in registry:
        return
    package = known_implementations[scheme]["class"].split(".")[0]
    if find_spec(package) is None:
        raise UsageError(
            f"{shown} needs {package}: pip install {EXTRAS.get(scheme, package)}"
        )


def name_of(url: str) -> str:
    """Returns a short name for messages and folders: the last part of a URL.

    >>> name_of("gs://bucket/runs/1")
    '1'
    """
    return urlsplit(url).path.rpartition("/")[2]

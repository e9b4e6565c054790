"""Versions of Python and of the packages, and the extras that are installed."""

import importlib.metadata
import platform
import re

import jaxgan
from jaxgan.diagnostics.finding import FAIL, OK, WARN, Finding

PACKAGES = (
    *("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "tensorflow-datasets"),
    *("numpy", "libtpu"),
)
"""Packages that a report of a fault should name."""

NOT_OF_USERS = ("dev", "bench", "torch")
"""Extras that only developers of jaxgan install."""


def find_versions() -> list[Finding]:
    """Returns the versions, and the extras that are installed and missing."""
    python = f"Python {platform.python_version()} on {platform.platform()}"
    found = {name: version for name in PACKAGES if (version := version_of(name))}
    return [
        Finding(OK, "jaxgan", f"{jaxgan.__version__}, {python}"),
        Finding(OK, "packages", ", ".join(f"{k} {v}" for k, v in found.items())),
        *_requirements(),
    ]


def version_of(package: str) -> str | None:
    """Returns the version of an installed package, None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def required(requirements: list[str]) -> dict[str, list[str]]:
    """Returns the requirements of each extra; those of the key '' always apply.

    Args:
      requirements: lines of a package's metadata.

    >>> required(["jax>=0.10", 'jax[tpu]>=0.10; extra == "tpu"'])
    {'': ['jax'], 'tpu': ['jax[tpu]']}
    """
    found: dict[str, list[str]] = {}
    for line in requirements:
        name = re.match(r"[\w.-]+(\[[\w,-]+\])?", line)
        extra = re.search(r"extra == [\"']([\w-]+)[\"']", line)
        if name:
            found.setdefault(extra[1] if extra else "", []).append(name[0])
    return found


def is_installed(requirement: str) -> bool:
    """Returns True if a package, and what its extras need, is installed.

    Args:
      requirement: a name, with extras in brackets, such as `jax[tpu]`.
    """
    name, _, extras = requirement.rstrip("]").partition("[")
    if version_of(name) is None:
        return False
    needed = required(importlib.metadata.requires(name) or [])
    return all(
        is_installed(other)
        for extra in extras.split(",")
        for other in (needed.get(extra, []) if extra else [])
    )


def _requirements() -> list[Finding]:
    """Returns findings about required packages and extras."""
    try:
        lines = importlib.metadata.requires("jaxgan") or []
    except importlib.metadata.PackageNotFoundError:
        hint = "not installed, but imported from a folder: pip install -e ."
        return [Finding(WARN, "package", hint)]
    needed = required(lines)
    missing = [name for name in needed.pop("", []) if not is_installed(name)]
    extras = {
        extra: all(map(is_installed, names))
        for extra, names in sorted(needed.items())
        if extra not in NOT_OF_USERS
    }
    findings = []
    if missing:
        hint = f"not installed: {', '.join(missing)}; pip install jaxgan"
        findings.append(Finding(FAIL, "packages", hint))
    have = ", ".join(k for k, installed in extras.items() if installed) or "none"
    lack = ", ".join(k for k, installed in extras.items() if not installed) or "none"
    text = f"installed: {have}; not installed: {lack}"
    return [*findings, Finding(OK, "extras", text)]

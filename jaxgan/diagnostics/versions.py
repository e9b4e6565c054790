"""Versions of Python and of the packages, and the extras that are installed."""

import importlib.metadata
import platform

from packaging.requirements import Requirement

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


def required(package: str, extra: str = "") -> list[Requirement]:
    """Returns the requirements that an extra of an installed package adds.

    Args:
      package: its name.
      extra: the name of the extra; empty for the requirements that always apply.
    """

    def holds(requirement: Requirement, name: str) -> bool:
        marker = requirement.marker
        return marker is None or marker.evaluate({"extra": name})

    found = map(Requirement, importlib.metadata.requires(package) or [])
    return [x for x in found if holds(x, extra) and not (extra and holds(x, ""))]


def is_installed(requirement: Requirement) -> bool:
    """Returns True if a package, and what its extras need, is installed."""
    if version_of(requirement.name) is None:
        return False
    return all(
        is_installed(other)
        for extra in requirement.extras
        for other in required(requirement.name, extra)
    )


def _requirements() -> list[Finding]:
    """Returns findings about required packages and extras."""
    try:
        needed = required("jaxgan")
    except importlib.metadata.PackageNotFoundError:
        hint = "not installed, but imported from a folder: pip install -e ."
        return [Finding(WARN, "package", hint)]
    missing = [x.name for x in needed if not is_installed(x)]
    names = importlib.metadata.metadata("jaxgan").get_all("Provides-Extra") or []
    extras = {
        extra: all(map(is_installed, required("jaxgan", extra)))
        for extra in sorted({*names} - {*NOT_OF_USERS})
    }
    findings = []
    if missing:
        hint = f"not installed: {', '.join(missing)}; pip install jaxgan"
        findings.append(Finding(FAIL, "packages", hint))
    have = ", ".join(k for k, installed in extras.items() if installed) or "none"
    lack = ", ".join(k for k, installed in extras.items() if not installed) or "none"
    text = f"installed: {have}; not installed: {lack}"
    return [*findings, Finding(OK, "extras", text)]

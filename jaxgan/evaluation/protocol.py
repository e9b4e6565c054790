"""The facts that every value depends on, and the table that shows them."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

import jax

from jaxgan.evaluation.load_run import Run
from jaxgan.metrics.features import Extractor

PACKAGES = ("jaxgan", "jax", "flax", "numpy")
"""Packages whose versions are part of the protocol."""


def extractor_facts(extractors: dict[str, Extractor]) -> dict[str, Any]:
    """Returns digest, layer, resizing and other facts of each extractor."""
    return {x.name: {"digest": x.digest, **x.protocol} for x in extractors.values()}


def environment() -> dict[str, Any]:
    """Returns the versions of libraries, and the devices."""
    return {
        "versions": {name: _version(name) for name in PACKAGES},
        "platform": jax.default_backend(),
        "processes": jax.process_count(),
    }


def parameters_of(run: Run, *, raw: bool) -> str:
    """Returns the parameters that samples are drawn with.

    Args:
      run: the run; one without a moving average has the newest ones only.
      raw: True if the newest ones were asked for.
    """
    newest = raw or run.config.ema_half_life == 0
    return "newest" if newest else "moving average"


def _version(package: str) -> str:
    """Returns the version of a package, which a folder of PYTHONPATH may not have."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def table(report: dict[str, Any]) -> list[str]:
    """Returns the lines of a table of all values, and the protocol."""
    facts = report["protocol"]
    spread = " and ".join(facts["std_over"])
    lines = [f"{'metric':28} {'value':>12} {'floor':>12}"]
    for name, x in report["metrics"].items():
        shown = f"{x['value']:.5g}" + (f" +- {x['std']:.2g}" if "std" in x else "")
        floor = f"{x['floor']:.5g}" if "floor" in x else "-"
        lines.append(f"{name:28} {shown:>12} {floor:>12}")
    lines += [f"+- is the standard deviation over {spread}"] * bool(spread)
    lines.append(f"{_fake(facts)} against {_real(facts)}; floor: {facts['floor']}")
    for name, x in facts["extractors"].items():
        more = ", ".join(f"{key} {value}" for key, value in x.items())
        lines.append(f"{name}: {more}")
    return lines


def _fake(facts: dict[str, Any]) -> str:
    """Returns the images that were judged, in a few words."""
    if "fake" in facts:
        return f"{facts['n_fake']:,} of {facts['fake']}"
    return (
        f"{facts['n_fake']:,} samples of step {facts['step']} ({facts['parameters']})"
    )


def _real(facts: dict[str, Any]) -> str:
    """Returns the real examples, in a few words."""
    real = facts["held_out"] if "held_out" in facts else facts["real"]
    # Statistics name their count themselves, if it is known.
    if facts["statistics"]:
        return f"the statistics of {real}"
    return f"{facts['n_real']:,} of {real}{trained_note(facts)}"


def trained_note(facts: dict[str, Any]) -> str:
    """Returns a note of real examples that the run was trained on, or an empty text.

    Args:
      facts: a protocol, whose `trained_on` is the number of them.

    >>> trained_note({"trained_on": 90}), trained_note({})
    (' (90 of the real examples were trained on)', '')
    """
    count = facts.get("trained_on")
    return f" ({count:,} of the real examples were trained on)" if count else ""

"""Values of a run in words, for reports and model cards."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from jaxgan.errors import printable
from jaxgan.monitoring.detectors import Finding, summary

SUMMARIZED = ("extractors", "versions", "metrics", "std_over")
"""Facts of a protocol that are themselves several facts."""


def number(value: Any) -> str:
    """Returns a number with four significant digits, a dash if it is none.

    >>> number(0.043966), number(12000), number(3.0), number(None), number(float("nan"))
    ('0.04397', '12,000', '3', '-', '-')
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "-"
    if not math.isfinite(value):
        return "-"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.4g}"


def size(count: float) -> str:
    """Returns bytes in a readable unit.

    >>> size(512), size(3 * 2**20), size(2.5 * 2**30)
    ('512 B', '3.0 MiB', '2.5 GiB')
    """
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def finding_lines(findings: Sequence[dict[str, Any]]) -> list[str]:
    """Returns one sentence per kind of finding, or that nothing was found wrong."""
    found = [
        Finding(x["step"], str(x.get("kind")), printable(str(x["finding"])), False)
        for x in findings
    ]
    return summary(found)


def summary_of(protocol: dict[str, Any]) -> str:
    """Returns what was compared with what, in one sentence."""

    def fact(name: str) -> str:
        value = protocol.get(name)
        return number(value) if isinstance(value, int | float) else str(value)

    fake = f"{fact('n_fake')} of {fact('fake')}"
    if "step" in protocol:
        kind = protocol.get("parameters", "moving average")
        outputs = "samples" if "n_fake" in protocol else "outputs"
        count = fact("n_fake" if "n_fake" in protocol else "n")
        fake = f"{count} {outputs} of step {fact('step')} ({kind})"
    real = next((fact(k) for k in ("held_out", "real", "tests") if k in protocol), "")
    against = f" against {fact('n_real')} of {real}" if "n_real" in protocol else ""
    if not against and real:
        against = f", one for each of {real}"
    floor = f"; floor: {fact('floor')}" if "floor" in protocol else ""
    return f"{fake}{against}{floor}."


def facts_in_words(protocol: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields all facts of a protocol as texts, those of a group in one."""
    for name, value in protocol.items():
        key = name.replace("_", " ")
        if isinstance(value, dict):
            for inner, facts in value.items():
                if isinstance(facts, dict):
                    shown = ", ".join(f"{k} {x}" for k, x in facts.items())
                    yield f"{key}: {inner}", shown
            plain = {k: x for k, x in value.items() if not isinstance(x, dict)}
            if plain:
                yield key, ", ".join(f"{k} {x}" for k, x in plain.items())
        elif isinstance(value, list):
            if value:
                yield key, ", ".join(map(str, value))
        elif value is not None:
            is_number = isinstance(value, int | float)
            yield key, number(value) if is_number else str(value)

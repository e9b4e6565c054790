"""The table of a text run: a row per metric, a column per method."""

from typing import Any

from jaxgan.evaluation.protocol import trained_note

FIRST = 18
"""Width of the column of metrics, in characters."""

SCALES = {"kid_minilm": 1_000}
"""Metrics whose values are small, with the factor that they are shown with."""


def table(report: dict[str, Any]) -> list[str]:
    """Returns the lines of a table of all methods, and the protocol.

    Args:
      report: the one of `text_report.report_of`.
    """
    facts, rows = report["protocol"], report["rows"]
    lines = [" " * FIRST + "".join(f" {x:>{_width(x)}}" for x in rows)]
    for name in report["metrics"]:
        scale = SCALES.get(name, 1)
        shown = name if scale == 1 else f"{name} x{scale}"
        cells = [_cell(name, method, report) for method in rows]
        lines.append(f"{shown:{FIRST}}" + "".join(cells))
    spread = " and ".join(facts["std_over"])
    deviations = [
        f"{name} {x['std'] * SCALES.get(name, 1):.2g}"
        for name, x in report["metrics"].items()
        if "std" in x
    ]
    if deviations:
        lines.append(f"standard deviation over {spread}: {', '.join(deviations)}")
    lines.append(
        f"{facts['n_fake']:,} {facts['fake']} against {facts['real']}"
        f"{trained_note(facts)}"
    )
    for name, x in facts["metrics"].items():
        settings = ", ".join(f"{k}: {v}" for k, v in x.items())
        lines.append(f"{name}: {settings}")
    for name, x in facts["extractors"].items():
        more = ", ".join(f"{key} {value}" for key, value in x.items())
        lines.append(f"{name}: {more}")
    return lines + [facts["missing"]] * bool(facts["missing"])


def _width(name: str) -> int:
    """Returns the width of a method's column."""
    return max(len(name), 9)


def _cell(name: str, method: str, report: dict[str, Any]) -> str:
    """Returns a value of a method; only some generators know likelihoods."""
    value = report["rows"][method].get(name)
    text = "-" if value is None else f"{value * SCALES.get(name, 1):.4g}"
    return f" {text:>{_width(method)}}"

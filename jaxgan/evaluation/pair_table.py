"""The table of an image-to-image run: a row per method, a column per metric."""

from typing import Any

from jaxgan.evaluation.protocol import trained_note

FIRST = 20
"""Width of the column of methods, in characters."""


def table(report: dict[str, Any]) -> list[str]:
    """Returns the lines of a table of all methods, and the protocol.

    Args:
      report: the one of `pair_report.report_of`.
    """
    facts, rows = report["protocol"], report["rows"]
    names = list(report["metrics"])
    lines = [f"{'':{FIRST}}" + "".join(f" {x:>{_width(x)}}" for x in names)]
    for method, values in rows.items():
        cells = [_cell(name, values, report, method) for name in names]
        lines.append(f"{method:{FIRST}}" + "".join(cells))
    for name in facts["missing_baselines"]:
        lines.append(
            f"{name:{FIRST}} is not installed: pip install 'jaxgan[inpainting]'"
        )
    spread = " and ".join(facts["std_over"])
    lines += [f"+- is the standard deviation over {spread}"] * bool(spread)
    lines.append(
        f"{facts['n']:,} outputs of step {facts['step']} ({facts['parameters']}), one "
        f"for each of {facts['held_out']}, split {facts['split']}"
        f"{trained_note(facts)}"
    )
    for name, x in facts["metrics"].items():
        settings = {k: v for k, v in x.items() if k != "better"}
        shown = ", ".join(_setting(*pair) for pair in settings.items())
        lines.append(f"{name}: {shown}; {x['better']} is better")
    for name, x in facts["extractors"].items():
        more = ", ".join(f"{key} {value}" for key, value in x.items())
        lines.append(f"{name}: {more}")
    return lines


def _setting(name: str, value: Any) -> str:
    """Returns a fact of a protocol in a few words.

    >>> _setting("channel", "RGB"), _setting("border", 4), _setting("to", "the source")
    ('RGB', 'border 4 cut off', 'to the source')
    """
    if name == "border":
        return f"border {value} cut off" if value else "no border cut off"
    return str(value) if name in ("unit", "channel", "region") else f"{name} {value}"


def _width(name: str) -> int:
    """Returns the width of a metric's column."""
    return max(len(name), 16)


def _cell(
    name: str, values: dict[str, float], report: dict[str, Any], method: str
) -> str:
    """Returns a value, with its spread if it is one of the generator."""
    # Some methods lack a value, as other real examples lack an L1.
    text = f"{values[name]:.5g}" if name in values else "-"
    deviation = report["metrics"][name].get("std")
    if method == next(iter(report["rows"])) and deviation is not None:
        text += f" +- {deviation:.2g}"
    return f" {text:>{_width(name)}}"

"""The table of a run that finds anomalies: a row per method."""

from typing import Any

from jaxgan.evaluation.anomaly_autoencoder import BATCH

FIRST = 20
"""Width of the column of methods, in characters."""

HEADS = {
    "auroc": "AUROC",
    "ap": "precision",
    "false_alarms": "false alarms",
    "detected": "detected",
}
"""The columns by the names of their values, in percent."""


def table(report: dict[str, Any]) -> list[str]:
    """Returns the lines of a table of all methods, and the protocol.

    Args:
      report: the one of `anomaly_report.report_of`.
    """
    facts, rows = report["protocol"], report["rows"]
    first = next(iter(rows))
    lines = [f"{'%':{FIRST}}" + "".join(f" {x:>15}" for x in HEADS.values())]
    for method, values in rows.items():
        cells = []
        for name in HEADS:
            text = f"{100 * values[name]:.2f}"
            deviation = report["metrics"][name].get("std")
            if method == first and deviation is not None:
                text += f" +- {100 * deviation:.2f}"
            cells.append(f" {text:>15}")
        lines.append(f"{method:{FIRST}}" + "".join(cells))
    if steps := facts["autoencoder_steps"]:
        lines.append(
            f"autoencoder: the networks of the run, trained by L2 alone for {steps:,} "
            f"steps of {BATCH} images"
        )
    for name in facts["missing_baselines"]:
        lines.append(f"{name:{FIRST}} is not installed: pip install 'jaxgan[anomaly]'")
    spread = " and ".join(facts["std_over"])
    lines += [f"+- is the standard deviation over {spread}"] * bool(spread)
    lines.append(
        f"{facts['n_anomalies']:,} anomalies among {facts['n']:,} of {facts['tests']}, "
        f"split {facts['split']}; normal: {_some(facts['normal'])}; step "
        f"{facts['step']} ({facts['parameters']})"
    )
    weights = ", ".join(f"{name} {x:g}" for name, x in facts["weights"].items())
    lines.append(f"weights of the parts: {weights}, {facts['weights_of']}")
    lines.append(
        f"the thresholds of the last two columns are set for "
        f"{100 * facts['false_alarms']:g} % false alarms on {facts['n_held_out']:,} "
        f"held-out normal examples; {facts['n_train']:,} were trained on"
    )
    return lines


def _some(names: list[str]) -> str:
    """Returns the first names of a list.

    >>> _some(["a", "b"]), _some(list("abcdefghijkl"))
    ('a, b', 'a, b, c, d, e, f, g, h, i, j, ...')
    """
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")

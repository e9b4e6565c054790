"""Bar plots of `step_throughput.py`, with a panel for each preset, shape and batch.

python benchmarks/step_picture.py steps.json steps.png      # all batch sizes
python benchmarks/step_picture.py steps.json steps.png 128  # only this one
"""

import json
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from step_rows import short

COLORS = {"jaxgan": "#1546c0", "pytorch": "#e07b54", "keras": "#7fbf9b"}
INK = "#222222"
COLUMNS = 2


def draw(path: Path, rows: list[dict[str, Any]]) -> None:
    """Draws bars of milliseconds per step with their quartiles."""
    panels = [list(group) for _, group in groupby(rows, _title)]
    if not panels:
        return
    columns = min(COLUMNS, len(panels))
    lines = [panels[i : i + columns] for i in range(0, len(panels), columns)]
    heights = [max(map(len, line)) for line in lines]
    high = sum(0.27 * count + 0.75 for count in heights)
    with mpl.rc_context({"font.size": 9, "font.family": "DejaVu Sans"}):
        figure = Figure((5.6 * columns, high), dpi=110)
        grid = figure.subplots(
            len(lines), columns, squeeze=False, height_ratios=[h + 2 for h in heights]
        )
        for axes, line in zip(grid, lines, strict=True):
            for axis in axes[len(line) :]:
                axis.set_axis_off()
            for axis, panel in zip(axes, line, strict=False):
                paint(axis, panel)
        figure.tight_layout(h_pad=1.2, w_pad=1.5)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)


def _title(row: dict[str, Any]) -> str:
    shape = "x".join(map(str, row["shape"]))
    latents = f":{row['latents']}" if row.get("latents") else ""
    batch = f"{row['batch_size']} x {row['d_updates']}"
    return f"{row['preset']}{latents}, {shape}, batch {batch}"


def paint(axis: Any, panel: list[dict[str, Any]]) -> None:
    """Draws one panel, with the first contestant on top."""
    times = [row.get("ms_per_step", 0.0) for row in panel]
    longest = max(times) or 1.0
    for place, row in enumerate(panel):
        if "error" in row:
            axis.text(
                0.01 * longest, place, _fitting(row["error"]), **_small("#888888")
            )
            continue
        middle, (low, high) = row["ms_per_step"], row["quartiles"]
        color = COLORS.get(row["contestant"].split()[0], "#999999")
        axis.barh(place, middle, height=0.72, color=color)
        error = [[middle - low], [high - middle]]
        axis.errorbar(middle, place, xerr=error, color=INK, lw=1, capsize=2)
        axis.text(high + 0.015 * longest, place, short(middle), **_small(INK))
    axis.set_yticks(range(len(panel)), [row["contestant"] for row in panel])
    axis.set(ylim=(len(panel) - 0.5, -0.5), xlim=(0, 1.17 * _end(panel, longest)))
    axis.set_title(_title(panel[0]), fontsize=10, color=INK, loc="left")
    axis.set_xlabel("ms per step", fontsize=8)
    axis.tick_params(axis="y", length=0)
    axis.spines[["top", "right"]].set_visible(False)


def _end(panel: list[dict[str, Any]], longest: float) -> float:
    """Returns the end of the longest bar, including its quartiles."""
    return max([longest, *(row["quartiles"][1] for row in panel if "quartiles" in row)])


def _small(color: str) -> dict[str, Any]:
    return {"va": "center", "fontsize": 8, "color": color}


def _fitting(reason: str) -> str:
    """Shortens a reason so that it fits into a panel."""
    text = reason.split(": ", 1)[-1]
    return text if len(text) < 62 else text[:60] + "..."


def main() -> None:
    """Draws the rows of a results file."""
    source, target, *batch = sys.argv[1:]
    rows = json.loads(Path(source).read_text())["rows"]
    draw(Path(target), [r for r in rows if not batch or str(r["batch_size"]) in batch])


if __name__ == "__main__":
    main()

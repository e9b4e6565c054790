"""Plots a sweep."""

import os
from typing import IO, Any

import numpy as np

from jaxgan import reporting


def draw(
    series: dict[str, list[dict[str, Any]]],
    path: str | os.PathLike[str] | IO[bytes],
) -> None:
    """Plots weak scaling over chips: images/s and the share of communication.

    Args:
      series: the rows of a sweep, by name.
      path: the path of a PNG, or an open file.
    """
    figure = reporting.new_figure(figsize=(9, 3.6), dpi=80)
    left, right = figure.subplots(1, 2)
    for i, (name, rows) in enumerate(series.items()):
        # One color per series and one curve per batch size.
        for size, points in by_size(rows).items():
            chips = np.array([row["chips"] for row in points])
            images = np.array([row["images_per_second"] for row in points])
            label = f"{name}, {size} per chip"
            left.loglog(
                chips, images, "o-", color=f"C{i}", alpha=_fade(size), label=label
            )
            # Dotted: perfect scaling.
            left.loglog(chips, images[0] * chips / chips[0], ":", color="0.7", lw=0.8)
            # The share of messages in the serial step.
            share = [
                row["seconds"]["communication"] / row["seconds"]["serial"]
                for row in points
            ]
            right.semilogx(
                chips, 100 * np.array(share), "o-", color=f"C{i}", alpha=_fade(size)
            )
    for axes in (left, right):
        # Ticks only at the numbers of chips that were compiled for.
        ticks = sorted({row["chips"] for rows in series.values() for row in rows})
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel("chips")
        axes.grid(alpha=0.3)
    left.set_title("images/s at the peaks, no overlap", fontsize=10)
    right.set_title("share of the step spent in messages, %", fontsize=10)
    right.set_ylim(0, None)
    left.legend(fontsize=7, loc="upper left")
    figure.savefig(path)


def by_size(rows: list[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    """Groups the rows that have a time by batch per chip, sorted by chips."""
    groups: dict[int, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: row["chips"]):
        if row.get("seconds"):
            groups.setdefault(row["batch_per_chip"], []).append(row)
    return groups


def _fade(size: int) -> float:
    """Returns the opacity of a curve; larger batches are darker."""
    # The opacity grows by 0.12 with each doubling of the batch.
    return min(0.35 + 0.12 * np.log2(max(size, 1)), 1.0)

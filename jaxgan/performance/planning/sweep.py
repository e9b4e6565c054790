"""Plans a run over several slices and batch sizes, to show how it scales."""

import dataclasses
import logging
from typing import Any

from jaxgan import data
from jaxgan.config.training import Config
from jaxgan.errors import UsageError
from jaxgan.performance.planning.chips import Slice
from jaxgan.performance.planning.compiling import DoesNotFit, compile_step
from jaxgan.performance.planning.summary import figures, mib

log = logging.getLogger("jaxgan")

HEADS = (
    *("slice", "chips", "batch per chip", "batch", "step us", "images/s", "bound"),
    *("memory", "messages", "weak", "strong"),
)
"""Columns of the table."""


def rows(
    config: Config, slices: list[Slice], sizes: tuple[int, ...], dataset: data.Dataset
) -> list[dict[str, Any]]:
    """Compiles each slice with each batch size per chip; returns their figures."""
    result = []
    for size in sizes:
        for slice_ in slices:
            # The total batch grows with the slice.
            batch = size * slice_.chips
            changed = dataclasses.replace(config, batch_size=batch, batch_per_device=0)
            row = {"batch_per_chip": size, "batch_size": batch}
            try:
                step = compile_step(changed, dataset, slice_)
            except DoesNotFit as error:
                # The row stays in the table, with the memory that would be needed.
                row |= {"topology": slice_.name, "slices": slice_.count}
                row |= {"chips": slice_.chips}
                row |= {"fits": False, "needed": error.needed}
            except UsageError as error:
                log.info("skipped %s with %d per chip: %s", slice_.title, size, error)
                continue
            else:
                row |= figures(step, slice_)
            result.append(row)
            log.info("compiled for %s, batch %d", slice_.title, batch)
    return with_scaling(result)


def with_scaling(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Adds `weak` and `strong`: images/s per chip relative to the smallest slice.

    Weak scaling keeps the batch per chip, strong scaling the total batch. The smallest
    slice has 1; at 0.5, half of the chips would be as fast if they scaled perfectly.
    """
    for row in found:
        for name, key in (("weak", "batch_per_chip"), ("strong", "batch_size")):
            # Rows with the same batch per chip, or the same total batch.
            alike = [x for x in found if x[key] == row[key] and rate(x)]
            smallest = min(alike, key=lambda x: x["chips"], default=None)
            row[name] = rate(row) / rate(smallest) if smallest and rate(row) else None
    return found


def rate(row: dict[str, Any]) -> float:
    """Returns the images per second and chip; 0 if unknown."""
    return (row.get("images_per_second") or 0.0) / row["chips"]


def table(found: list[dict[str, Any]]) -> list[str]:
    """Formats the rows as a table in Markdown."""
    lines = ["| " + " | ".join(HEADS) + " |", "|" + " --- |" * len(HEADS)]
    return lines + ["| " + " | ".join(cells(row)) + " |" for row in found]


def cells(row: dict[str, Any]) -> list[str]:
    """Formats the cells of a row. Times and rates assume no overlap."""
    slices = row.get("slices", 1)
    first = [
        f"{slices} x {row['topology']}" if slices > 1 else row["topology"],
        str(row["chips"]),
        str(row["batch_per_chip"]),
        f"{row['batch_size']:,}",
    ]
    # A step that did not compile has no figures.
    if "memory" not in row:
        return [*first, *[""] * 3, f"does not fit: {mib(row['needed'])}", *[""] * 3]
    sent = sum(
        message["nbytes"]
        for key in ("collectives", "between_slices")
        for message in row.get(key, {}).values()
    )
    seconds = row["seconds"]
    # Empty if the peaks of the chip are unknown.
    timed = ["", "", ""]
    if seconds:
        timed = [f"{1e6 * seconds['serial']:,.0f}", f"{row['images_per_second']:,.0f}"]
        timed.append(row["bound"])
    verdict = "" if row["fits"] else " (does not fit)"
    # Efficiencies relative to the smallest slice.
    scaled = [f"{row[x]:.2f}" if row[x] else "" for x in ("weak", "strong")]
    return [*first, *timed, mib(row["memory"]["total"]) + verdict, mib(sent), *scaled]

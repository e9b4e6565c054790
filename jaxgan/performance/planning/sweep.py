"""One run over several slices and batch sizes: how it would scale."""

import dataclasses
import logging
from typing import Any

from jaxgan import data
from jaxgan.config.training import Config
from jaxgan.performance.planning.chips import Slice
from jaxgan.performance.planning.compiling import DoesNotFit, compile_step
from jaxgan.performance.planning.summary import figures, mib
from jaxgan.types import UsageError

log = logging.getLogger("jaxgan")

HEADS = (
    *("slice", "chips", "batch per chip", "batch", "step us", "images/s", "bound"),
    *("memory", "messages", "weak", "strong"),
)


def rows(
    config: Config, slices: list[Slice], sizes: tuple[int, ...], dataset: data.Dataset
) -> list[dict[str, Any]]:
    """Figures of each slice with each batch size per chip."""
    found = []
    for size in sizes:
        for slice_ in slices:
            batch = size * slice_.chips
            changed = dataclasses.replace(config, batch_size=batch, batch_per_device=0)
            row = {"batch_per_chip": size, "batch_size": batch}
            try:
                step = compile_step(changed, dataset, slice_)
            except DoesNotFit as error:
                row |= {"topology": slice_.name, "chips": slice_.chips}
                row |= {"fits": False, "needed": error.needed}
            except UsageError as error:
                log.info("left out, %s with %d a chip: %s", slice_.name, size, error)
                continue
            else:
                row |= figures(step, slice_)
            found.append(row)
            log.info("compiled for %s, batch %d", slice_.name, batch)
    return with_scaling(found)


def with_scaling(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with `weak` and `strong`: images/s per chip beside the smallest slice's.

    Weak: the same batch on each chip. Strong: the same batch in all. A slice that is
    the smallest with its batch has 1; 0.5 means that half of the chips would do.
    """
    for row in found:
        for name, same in (("weak", "batch_per_chip"), ("strong", "batch_size")):
            alike = [x for x in found if x[same] == row[same] and rate(x)]
            least = min(alike, key=lambda x: x["chips"], default=None)
            row[name] = rate(row) / rate(least) if least and rate(row) else None
    return found


def rate(row: dict[str, Any]) -> float:
    """Images per second and chip, 0 if that is not known."""
    return (row.get("images_per_second") or 0.0) / row["chips"]


def table(found: list[dict[str, Any]]) -> list[str]:
    """The rows as a table in Markdown."""
    lines = ["| " + " | ".join(HEADS) + " |", "|" + " --- |" * len(HEADS)]
    return lines + ["| " + " | ".join(cells(row)) + " |" for row in found]


def cells(row: dict[str, Any]) -> list[str]:
    """One line of the table. Times and rates are those without any overlap."""
    first = [
        row["topology"],
        str(row["chips"]),
        str(row["batch_per_chip"]),
        f"{row['batch_size']:,}",
    ]
    if "memory" not in row:
        return [*first, *[""] * 3, f"does not fit: {mib(row['needed'])}", *[""] * 3]
    sent = sum(x["nbytes"] for x in row["collectives"].values())
    seconds = row["seconds"]
    timed = ["", "", ""]
    if seconds:
        timed = [f"{1e6 * seconds['serial']:,.0f}", f"{row['images_per_second']:,.0f}"]
        timed.append(row["bound"])
    over = "" if row["fits"] else " (does not fit)"
    scaled = [f"{row[x]:.2f}" if row[x] else "" for x in ("weak", "strong")]
    return [*first, *timed, mib(row["memory"]["total"]) + over, mib(sent), *scaled]

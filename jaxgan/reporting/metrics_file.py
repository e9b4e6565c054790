"""Reads and writes metrics.jsonl: one JSON object per row of metrics or finding."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxgan.files import atomic_write


def append(path: str | Path, values: Mapping[str, Any]) -> None:
    """Appends a row, with `step` first; values that are not finite become null."""
    ordered = {"step": values["step"], **values}
    with Path(path).open("a") as file:
        file.write(json.dumps(_finite(ordered)) + "\n")


def read_metrics(file: str | Path) -> list[dict[str, Any]]:
    """Reads the complete rows of a metrics.jsonl; none if there is no such file.

    A killed process or a full disk may leave a torn line, which is skipped, as is any
    other line that is not an object with an integer `step`.
    """
    file = Path(file)
    lines = file.read_bytes().splitlines(keepends=True) if file.exists() else []
    return [row for line in lines if (row := _parse(line))]


def read_rows(file: str | Path) -> list[dict[str, Any]]:
    """Reads the rows of metrics, without findings."""
    return [row for row in read_metrics(file) if "finding" not in row]


def read_findings(file: str | Path) -> list[dict[str, Any]]:
    """Reads the findings: objects with `step`, `kind` and `finding`."""
    return [row for row in read_metrics(file) if "finding" in row]


def truncate_metrics(file: str | Path, step: int) -> None:
    """Drops the rows of a metrics.jsonl after `step`, and torn lines.

    A run that resumes at `step` then writes each row once. A run that starts at step 0
    writes the rows of step 0 again, so these are dropped too. Rollbacks are kept, as
    they are counted.
    """
    file = Path(file)
    if not file.exists():
        return
    content = file.read_bytes()
    lines = content.splitlines(keepends=True)
    kept = b"".join(line for line in lines if _is_kept(line, step))
    # Some line before the end is dropped, so that truncation is not enough.
    if not content.startswith(kept):
        atomic_write(file, kept)
    elif content != kept:
        os.truncate(file, len(kept))  # works on a full disk


def _is_kept(line: bytes, step: int) -> bool:
    row = _parse(line)
    if row.get("kind") == "rollback":
        return True
    # A torn line is {}, which has no step.
    return bool(row) and row["step"] <= step and step > 0


def _parse(line: bytes) -> dict[str, Any]:
    """Parses a row; returns {} if the line is torn or has no step."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    # The exact type, since a bool is an int too.
    has_step = isinstance(row, dict) and type(row.get("step")) is int
    # Without a line break, the next row would follow on the same line.
    return row if has_step and line.endswith(b"\n") else {}


def _finite(value: Any) -> Any:
    """Replaces NaN and infinities, which JSON does not have, by None."""
    if isinstance(value, Mapping):
        return {name: _finite(x) for name, x in value.items()}
    if isinstance(value, list):
        return [_finite(x) for x in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

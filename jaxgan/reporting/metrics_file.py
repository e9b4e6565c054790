"""metrics.jsonl: a line of JSON for each row of metrics, and for each finding."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxgan.files import atomic_write


def append(path: str | Path, values: Mapping[str, Any]) -> None:
    """Adds a line of JSON, the step first; what is not finite is written as null."""
    ordered = {"step": values["step"], **values}
    with Path(path).open("a") as file:
        file.write(json.dumps(_finite(ordered)) + "\n")


def read_metrics(file: str | Path) -> list[dict[str, Any]]:
    """The whole lines of a metrics.jsonl that have a step; none where there is none.

    A program that is killed, or whose disk is full, may leave a part of a line.
    """
    file = Path(file)
    lines = file.read_bytes().splitlines(keepends=True) if file.exists() else []
    return [values for line in lines if (values := _parsed(line))]


def truncate_metrics(file: str | Path, step: int) -> None:
    """Drops the lines of a metrics.jsonl after `step`, and what is not a whole line.

    A run that resumes at `step` then writes each line once; one that begins, at step 0,
    writes that step's lines too. Rollbacks stay, as they are counted.
    """
    file = Path(file)
    if not file.exists():
        return
    whole = file.read_bytes()
    kept = b"".join(x for x in whole.splitlines(keepends=True) if _stays(x, step))
    if not whole.startswith(kept):
        atomic_write(file, kept)
    elif whole != kept:
        os.truncate(file, len(kept))  # needs no space


def _stays(line: bytes, step: int) -> bool:
    values = _parsed(line)
    if values.get("kind") == "rollback":
        return True
    return bool(values) and values["step"] <= step and step > 0


def _parsed(line: bytes) -> dict[str, Any]:
    """The values of a line, empty unless it is whole and has a step."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    has_step = isinstance(values, dict) and type(values.get("step")) is int
    return values if has_step and line.endswith(b"\n") else {}


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(x) for name, x in value.items()}
    if isinstance(value, list):
        return [_finite(x) for x in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

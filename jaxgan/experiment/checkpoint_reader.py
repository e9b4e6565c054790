"""Reads one checkpoint, and finds what is damaged in it."""

import json
import math
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from jaxgan.errors import UsageError
from jaxgan.experiment import digests
from jaxgan.types import Tree


def read(path: Path, template: Tree, partial: bool) -> tuple[Tree, dict[str, Any]]:
    """Reads the state, or a part of it, and the history of the checkpoint at `path`.

    Raises UsageError when the checkpoint is of another network. Any other error says
    that it is damaged, or that it cannot be read.
    """
    for file in path.rglob("*"):
        if not (file.is_file() or file.is_dir()):  # a pipe would never end
            raise ValueError(f"{file.relative_to(path)} is not a regular file")
    recorded = digests.read(path)
    history = json.loads((path / "history" / "metadata").read_text())
    if recorded:
        digests.check_history(recorded, history)
        _check_same(path, recorded.types, digests.leaf_types(template), partial)
    own = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=own, active_processes={own}, barrier_sync_key_prefix=f"own{own}"
    )
    handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=alone)
    with ocp.Checkpointer(handler, multiprocessing_options=alone) as reader:
        where: Any = path / "state"  # Orbax's own type of path is not imported for it
        stored = digests.leaf_types(handler.metadata(where).tree)
        if not recorded:
            _check_same(path, stored, digests.leaf_types(template), partial)
        elif stored != recorded.types:
            raise ValueError("the names or shapes are not as they were saved")
        state = reader.restore(
            where,
            args=ocp.args.PyTreeRestore(
                item=template,
                restore_args=jax.tree.map(_as_numpy, template),
                partial_restore=partial,
            ),
        )
    if recorded:
        digests.check_leaves(recorded, state)
    return state, history


def _as_numpy(leaf: Any) -> ocp.RestoreArgs:
    return ocp.RestoreArgs(restore_type=np.ndarray, dtype=leaf.dtype)


def _check_same(
    path: Path, stored: dict[str, str], wanted: dict[str, str], partial: bool
) -> None:
    names = wanted if partial else {**wanted, **stored}
    for name in names:
        there, here = stored.get(name, "absent"), wanted.get(name, "absent")
        if there != here:
            raise UsageError(
                f"checkpoint {path.name} is of another network: {name} is {there} in "
                f"the checkpoint and {here} here; use the flags in config.json, or "
                "another --workdir"
            )


def metrics_file(path: Path) -> Path:
    """The file in which Orbax keeps the score of the checkpoint at `path`."""
    return path / "metrics" / "metrics"


def score_of(path: Path) -> float:
    """The distance saved with a checkpoint; infinite where it cannot be known."""
    file = metrics_file(path)
    if not file.is_file():
        return math.inf
    try:
        score = float(json.loads(file.read_text())["score"])
        recorded = digests.read(path)
    except (OSError, ValueError, KeyError, TypeError):
        return math.inf
    return math.inf if recorded and recorded.score != score else score


def is_being_removed(path: Path) -> bool:
    """Returns True if the checkpoint at `path` is being removed.

    Its files then change from look to look until it is gone.
    """
    seen: list[Path] | None = None
    while path.is_dir():
        try:
            files = sorted(path.rglob("*"))
        except FileNotFoundError:
            continue
        if files == seen:
            return False
        seen = files
        time.sleep(0.1)
    return True

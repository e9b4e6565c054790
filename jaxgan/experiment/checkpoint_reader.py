"""Reads a single checkpoint and detects damage in it."""

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp

from jaxgan.errors import UsageError
from jaxgan.experiment import digests
from jaxgan.types import Tree


def read(path: Path, template: Tree, partial: bool) -> tuple[Tree, dict[str, Any]]:
    """Reads the state, or a part of it, and the history of the checkpoint at `path`.

    Args:
      path: the folder of the checkpoint.
      template: arrays or `jax.ShapeDtypeStruct`s.
      partial: True if `template` is a part of the state.

    Returns:
      The state, as NumPy arrays, and the history.

    Raises:
      UsageError: if the checkpoint belongs to a different network.
      Exception: any other, if the checkpoint is damaged or cannot be read.
    """
    recorded, history = _read_history(path)
    # Compare names, dtypes and shapes before arrays are read.
    if recorded:
        _check_same(path, recorded.types, digests.leaf_types(template), partial)
    with _open_state(path) as stored:
        types = digests.leaf_types(stored.tree)
        if not recorded:
            # An older version saved no digests, so compare with the metadata of Orbax.
            _check_same(path, types, digests.leaf_types(template), partial)
        elif types != recorded.types:
            # The recorded ones fit the template, so the stored ones are damaged.
            raise ValueError("the names or shapes differ from the recorded ones")
        state = stored.restore(template, partial)
    # Checksums find flipped bits, which Orbax may not notice.
    if recorded:
        digests.check_leaves(recorded, state)
    return state, history


def read_fields(path: Path, names: Sequence[str]) -> dict[str, Tree]:
    """Reads fields of the state of the checkpoint at `path`, whatever its networks.

    Args:
      path: the folder of the checkpoint.
      names: of fields of `TrainState`.

    Returns:
      The fields by name, as NumPy arrays in nested dicts and lists.

    Raises:
      Exception: any, if the checkpoint is damaged or cannot be read.
    """
    recorded, _ = _read_history(path)
    with _open_state(path) as stored:
        if recorded and digests.leaf_types(stored.tree) != recorded.types:
            raise ValueError("the names or shapes differ from the recorded ones")
        # The template is what is stored.
        fields = stored.restore({name: stored.tree[name] for name in names}, True)
    if recorded:
        digests.check_leaves(recorded, fields)
    return fields


class _Stored(NamedTuple):
    """The state in an open checkpoint."""

    tree: Tree
    """Its shapes and dtypes, in nested dicts and lists."""
    restore: Callable[[Tree, bool], Tree]
    """(template, partial) to NumPy arrays."""


def _read_history(path: Path) -> tuple[digests.Digests | None, dict[str, Any]]:
    """Returns the digests, None in older checkpoints, and the checked history."""
    # A path in a bucket is no `Path`, and has only files.
    for file in path.rglob("*") if isinstance(path, Path) else ():
        if not (file.is_file() or file.is_dir()):  # reading a pipe would never end
            raise ValueError(f"{file.relative_to(path)} is not a regular file")
    recorded = digests.read(path)
    history = json.loads((path / "history" / "metadata").read_text())
    if recorded:
        digests.check_history(recorded, history)
    return recorded, history


@contextmanager
def _open_state(path: Path) -> Iterator[_Stored]:
    """Opens the state of the checkpoint at `path`."""
    # Each process reads alone. By default Orbax waits for the others.
    process = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=process,
        active_processes={process},
        barrier_sync_key_prefix=f"own{process}",
    )
    handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=alone)
    with ocp.Checkpointer(handler, multiprocessing_options=alone) as reader:
        state_path: Any = path / "state"  # Orbax annotates its own path type

        def restore(template, partial):
            arguments = ocp.args.PyTreeRestore(
                item=template,
                restore_args=jax.tree.map(_as_numpy, template),
                partial_restore=partial,
            )
            return reader.restore(state_path, args=arguments)

        shapes = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype),
            handler.metadata(state_path).tree,
        )
        yield _Stored(shapes, restore)


def _as_numpy(leaf: Any) -> ocp.RestoreArgs:
    return ocp.RestoreArgs(restore_type=np.ndarray, dtype=leaf.dtype)


def _check_same(
    path: Path, stored: dict[str, str], expected: dict[str, str], partial: bool
) -> None:
    """Raises UsageError, naming a leaf, if names, dtypes or shapes differ."""
    # Leaves that a part of the state leaves out are not compared.
    names = expected if partial else {**expected, **stored}
    for name in names:
        there, here = stored.get(name, "absent"), expected.get(name, "absent")
        if there != here:
            raise UsageError(
                f"checkpoint {path.name} belongs to a different network: {name} is "
                f"{there} in the checkpoint and {here} here; use the flags in "
                "config.json, or another --workdir"
            )


def metrics_file(path: Path) -> Path:
    """Returns the file in which Orbax keeps the score of the checkpoint at `path`."""
    return path / "metrics" / "metrics"


def score_of(path: Path) -> float:
    """Returns the score of a checkpoint, infinity if it has none or it is damaged."""
    file = metrics_file(path)
    if not file.is_file():
        return math.inf
    try:
        score = float(json.loads(file.read_text())["score"])
        recorded = digests.read(path)
    except (OSError, ValueError, KeyError, TypeError):
        return math.inf
    # A flipped bit may leave valid JSON with a different number.
    return math.inf if recorded and recorded.score != score else score


def is_being_removed(path: Path) -> bool:
    """Returns True if the checkpoint at `path` is being removed.

    Lists its files until two listings are equal, or the checkpoint is gone.
    """
    previous: list[Path] | None = None
    while path.is_dir():
        try:
            files = sorted(path.rglob("*"))
        except FileNotFoundError:
            # A file was removed during the listing.
            continue
        if files == previous:
            return False
        previous = files
        # Time for a removal in progress to get on.
        time.sleep(0.1)
    return True

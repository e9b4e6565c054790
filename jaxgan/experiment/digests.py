"""Checksums of a checkpoint, to detect changed bits when it is restored.

Each process records a CRC-32 of every part of the state that it saves, so that sharded
leaves need no communication. The checksums are of the host copies that Orbax writes.
Process 0 also records the history and the score. Each file of digests has a CRC-32 of
its content.
"""

import dataclasses
import json
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.tree_util import keystr, tree_flatten_with_path
from orbax.checkpoint import future

from jaxgan import storage
from jaxgan.types import Tree

FOLDER = "history"
"""The folder of digests_*.json in a checkpoint. Older versions wrote none."""


class Part(NamedTuple):
    """A part of a leaf, copied to the host of this process."""

    index: list[list[int]]
    """`[start, stop]` per axis."""
    values: np.ndarray


class Digests(NamedTuple):
    """The digests of a checkpoint, from all processes."""

    types: dict[str, str]
    """Dtype and shape of each leaf, from `leaf_types`."""
    parts: dict[str, list[tuple[list[list[int]], int]]]
    """(index, CRC-32) of each part of each leaf, by its path."""
    history: int
    """CRC-32 of the history as JSON."""
    score: float | None
    """The distance of samples from the data, or None if it is unknown."""


def crc32(values: np.ndarray) -> int:
    """Returns the CRC-32 of an array's bytes in C order, whatever its dtype and shape.

    >>> crc32(np.float32(1.0)) == crc32(np.array([0, 0, 128, 63], np.uint8))
    True
    """
    # As bytes, since a dtype such as bfloat16 has no buffer format.
    return zlib.crc32(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)


def crc32_of_json(content: Any) -> int:
    """Returns the CRC-32 of `content` as JSON, where a tuple is a list.

    >>> crc32_of_json({"a": (1, 2), "b": 0.1}) == crc32_of_json({"b": 0.1, "a": [1, 2]})
    True
    """
    # The round trip turns keys into strings, which sort differently from numbers.
    decoded = json.loads(json.dumps(content))
    return zlib.crc32(json.dumps(decoded, sort_keys=True).encode())


def leaf_types(tree: Tree) -> dict[str, str]:
    """Returns dtypes and shapes by path, such as `{"ema/kernel": "float32[3, 4]"}`."""
    return {
        keystr(path, simple=True, separator="/"): f"{leaf.dtype}{list(leaf.shape)}"
        for path, leaf in tree_flatten_with_path(tree)[0]
    }


def local_parts(leaf: Any) -> list[Part]:
    """Returns host copies of the parts of a leaf that this process saves.

    Only the first of several replicas is saved, as by Orbax. On CPU the copies are
    views, which JAX does not overwrite while they are referenced.
    """
    if isinstance(leaf, jax.Array):
        shards = _saved_shards(leaf)
        return [Part(_bounds(x.index, leaf.shape), np.asarray(x.data)) for x in shards]
    # NumPy arrays are equal on all processes, and saved by the first.
    if jax.process_index() > 0:
        return []
    leaf = np.asarray(leaf)
    return [Part([[0, n] for n in leaf.shape], leaf)]


def _saved_shards(leaf: jax.Array) -> list[Any]:
    """Returns the shards that this process saves."""
    # Of equal copies on several devices exactly one has replica 0.
    return [x for x in leaf.addressable_shards if x.replica_id == 0]


def _bounds(index: tuple[slice, ...], shape: tuple[int, ...]) -> list[list[int]]:
    """Returns `[start, stop]` per axis."""
    # `indices` replaces None by the bounds of the axis.
    return [list(s.indices(n)[:2]) for s, n in zip(index, shape, strict=True)]


@dataclasses.dataclass
class HistorySave(ocp.args.CheckpointArgs):
    """Arguments of `manager.save` for the history and the digests."""

    history: dict[str, Any]
    state: Tree
    score: float | None


class HistoryHandler(ocp.JsonCheckpointHandler):
    """Writes the history as JSON and the digests beside it, in the background.

    A separate item for the digests would cost more time than their computation.
    """

    async def async_save(
        self, directory: Any, item: Any = None, args: Any = None
    ) -> list[Any]:
        """Copies the state to the host, and returns futures of the writes."""
        types = leaf_types(args.state)
        leaves = jax.tree.leaves(args.state)
        for leaf in leaves:
            for shard in _saved_shards(leaf) if isinstance(leaf, jax.Array) else ():
                shard.data.copy_to_host_async()  # start all before waiting for one
        # Wait for the copies, as the next step may overwrite the state.
        parts = dict(zip(types, map(local_parts, leaves), strict=True))
        # Checksums are computed in the background, while Orbax writes.
        record = _record(directory, types, parts, args)
        return [
            *(await super().async_save(directory, args.history) or []),
            future.CommitFutureAwaitingContractedSignals(record, name="digests"),
        ]


async def _record(
    directory: Any,
    types: dict[str, str],
    parts: dict[str, list[Part]],
    args: HistorySave,
) -> None:
    """Writes the digests of this process to its file."""
    checksums = {
        name: [[part.index, crc32(part.values)] for part in parts[name]]
        for name in types
    }
    content: dict[str, Any] = {"parts": checksums}
    # What all processes share is recorded once.
    if jax.process_index() == 0:
        history = crc32_of_json(args.history)
        content |= {"types": types, "history": history, "score": args.score}
    text = json.dumps({"crc32": crc32_of_json(content), "content": content})
    (directory / f"digests_{jax.process_index()}.json").write_text(text)
    # The bucket of a run has all rows of metrics before a checkpoint is complete.
    storage.flush()


# Orbax requires arguments for restoring too, although `checkpoint_reader` uses none.
_register = ocp.args.register_with_handler
_register(HistoryHandler, for_save=True, for_restore=True)(HistorySave)


def read(checkpoint: Path) -> Digests | None:
    """Reads the digests of a checkpoint, None if an older version saved it.

    Raises:
      OSError: if they cannot be read.
      ValueError: if they are damaged.
    """
    folder = checkpoint / FOLDER
    if not (folder / "digests_0.json").exists():
        return None
    first = _content(folder / "digests_0.json")
    # Process 0 recorded the names, and each process its own parts.
    parts: dict[str, list] = {name: [] for name in first["types"]}
    for file in sorted(folder.glob("digests_*.json")):
        for name, checksums in _content(file)["parts"].items():
            parts[name] += [(index, crc) for index, crc in checksums]
    return Digests(first["types"], parts, first["history"], first["score"])


def _content(file: Path) -> dict[str, Any]:
    """Reads a file of digests; raises ValueError if it is damaged."""
    stored = json.loads(file.read_text())
    if crc32_of_json(stored["content"]) != stored["crc32"]:
        raise ValueError(f"{file.name} does not match its checksum")
    return stored["content"]


def check_history(digests: Digests, history: dict[str, Any]) -> None:
    """Raises ValueError if the history does not match its checksum."""
    if crc32_of_json(history) != digests.history:
        raise ValueError("the history does not match its checksum")


def check_leaves(digests: Digests, tree: Tree) -> None:
    """Raises ValueError, naming a leaf, if one does not match its checksums.

    Args:
      digests: of the checkpoint, which any number of processes may have saved.
      tree: NumPy arrays: the state, or a part of it.
    """
    leaves = jax.tree.leaves(tree)
    for name, leaf in zip(leaf_types(tree), leaves, strict=True):
        # Elements that have a checksum.
        size = 0
        for bounds, crc in digests.parts[name]:
            part = leaf[tuple(slice(*bound) for bound in bounds)]
            size += part.size
            if crc32(part) != crc:
                raise ValueError(f"the values of {name} do not match their checksum")
        # The file of a process may be missing.
        if size != leaf.size:
            raise ValueError(f"the digests of {name} are incomplete")

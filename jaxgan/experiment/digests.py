"""Digests of a checkpoint, which tell whether its bits are those that were saved.

Each process records a CRC-32 of every part of the state that it saves, so a sharded
leaf needs no communication; the host copies are those that Orbax writes. Process 0
also records the history and the score. A file has a CRC-32 of its own content.
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

from jaxgan.types import Tree

FOLDER = "history"
"""The folder of a checkpoint that has digests_*.json, unless an older version saved."""


class Part(NamedTuple):
    """A part of a leaf that lies on the host of this process."""

    index: list[list[int]]
    """[start, stop] per axis."""
    values: np.ndarray


class Digests(NamedTuple):
    """The records of all processes for a checkpoint."""

    types: dict[str, str]
    """Dtype and shape of each leaf by its path, as `leaf_types` has them."""
    parts: dict[str, list[tuple[list[list[int]], int]]]
    """(index, CRC-32) of each part of each leaf."""
    history: int
    """CRC-32 of the history as JSON."""
    score: float | None


def crc32(values: np.ndarray) -> int:
    """The CRC-32 of an array's bytes in C order; dtype and shape do not count.

    >>> crc32(np.float32(1.0)) == crc32(np.array([0, 0, 128, 63], np.uint8))
    True
    """
    return zlib.crc32(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)


def crc32_of_json(content: Any) -> int:
    """The CRC-32 of what JSON keeps of `content`.

    >>> crc32_of_json({"a": (1, 2), "b": 0.1}) == crc32_of_json({"b": 0.1, "a": [1, 2]})
    True
    """
    kept = json.loads(json.dumps(content))
    return zlib.crc32(json.dumps(kept, sort_keys=True).encode())


def leaf_types(tree: Tree) -> dict[str, str]:
    """Dtype and shape of each leaf by its path: `{"ema/kernel": "float32[3, 4]"}`."""
    return {
        keystr(path, simple=True, separator="/"): f"{leaf.dtype}{list(leaf.shape)}"
        for path, leaf in tree_flatten_with_path(tree)[0]
    }


def local_parts(leaf: Any) -> list[Part]:
    """Host copies of the parts of `leaf` that this process saves.

    Of equal parts on several devices the first counts, as for Orbax. On CPU the copies
    are views, which jax does not overwrite while they are held.
    """
    if isinstance(leaf, jax.Array):
        shards = _own_shards(leaf)
        return [Part(_bounds(x.index, leaf.shape), np.asarray(x.data)) for x in shards]
    if jax.process_index() > 0:
        return []
    leaf = np.asarray(leaf)
    return [Part([[0, n] for n in leaf.shape], leaf)]


def _own_shards(leaf: jax.Array) -> list[Any]:
    return [x for x in leaf.addressable_shards if x.replica_id == 0]


def _bounds(index: tuple[slice, ...], shape: tuple[int, ...]) -> list[list[int]]:
    return [list(s.indices(n)[:2]) for s, n in zip(index, shape, strict=True)]


@dataclasses.dataclass
class HistorySave(ocp.args.CheckpointArgs):
    """The arguments of `manager.save` for the history, with the digests beside it."""

    history: dict[str, Any]
    state: Tree
    score: float | None


class HistoryHandler(ocp.JsonCheckpointHandler):
    """Writes the history as JSON, and the digests beside it in the background.

    The digests are no item of their own: each costs a save more than their computation.
    """

    async def async_save(
        self, directory: Any, item: Any = None, args: Any = None
    ) -> list[Any]:
        """Fetches the host copies, and returns the futures that read and write."""
        types = leaf_types(args.state)
        leaves = jax.tree.leaves(args.state)
        for leaf in leaves:
            for shard in _own_shards(leaf) if isinstance(leaf, jax.Array) else ():
                shard.data.copy_to_host_async()  # all of them, before any is awaited
        parts = dict(zip(types, map(local_parts, leaves), strict=True))
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
    own = {
        name: [[part.index, crc32(part.values)] for part in parts[name]]
        for name in types
    }
    content: dict[str, Any] = {"parts": own}
    if jax.process_index() == 0:
        history = crc32_of_json(args.history)
        content |= {"types": types, "history": history, "score": args.score}
    text = json.dumps({"crc32": crc32_of_json(content), "content": content})
    (directory / f"digests_{jax.process_index()}.json").write_text(text)


# Orbax wants arguments of both kinds, though `read` is what restores.
_register = ocp.args.register_with_handler
_register(HistoryHandler, for_save=True, for_restore=True)(HistorySave)


def read(checkpoint: Path) -> Digests | None:
    """Reads the digests of a checkpoint; None if its version recorded none.

    Raises:
      OSError, ValueError: if they are damaged.
    """
    folder = checkpoint / FOLDER
    if not (folder / "digests_0.json").exists():
        return None
    first = _content(folder / "digests_0.json")
    parts: dict[str, list] = {name: [] for name in first["types"]}
    for file in sorted(folder.glob("digests_*.json")):
        for name, own in _content(file)["parts"].items():
            parts[name] += [(index, crc) for index, crc in own]
    return Digests(first["types"], parts, first["history"], first["score"])


def _content(file: Path) -> dict[str, Any]:
    stored = json.loads(file.read_text())
    if crc32_of_json(stored["content"]) != stored["crc32"]:
        raise ValueError(f"{file.name} is not as it was saved")
    return stored["content"]


def check_history(digests: Digests, history: dict[str, Any]) -> None:
    """Raises ValueError if the history is not as it was saved."""
    if crc32_of_json(history) != digests.history:
        raise ValueError("the history is not as it was saved")


def check_leaves(digests: Digests, tree: Tree) -> None:
    """Raises ValueError, naming a leaf, if one is not as it was saved.

    Args:
      digests: of the checkpoint; its processes need not be those of now.
      tree: NumPy arrays, all leaves of the state or a part of them.
    """
    leaves = jax.tree.leaves(tree)
    for name, leaf in zip(leaf_types(tree), leaves, strict=True):
        seen = 0
        for bounds, crc in digests.parts[name]:
            part = leaf[tuple(slice(*bound) for bound in bounds)]
            seen += part.size
            if crc32(part) != crc:
                raise ValueError(f"the values of {name} are not as they were saved")
        if seen != leaf.size:
            raise ValueError(f"the digests of {name} are incomplete")

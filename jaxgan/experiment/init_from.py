"""Starts a new run from the weights of another run, as far as they fit."""

import logging
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import keystr, tree_flatten_with_path

from jaxgan import storage, workdir
from jaxgan.distributed.consensus import all_succeed, is_main_process, run_on_main
from jaxgan.errors import UsageError, printable, short_repr
from jaxgan.experiment import checkpoint
from jaxgan.experiment.data_facts import read_example
from jaxgan.experiment.digests import leaf_types
from jaxgan.types import ExampleSpec, TrainState, Tree

log = logging.getLogger("jaxgan")

WEIGHTS = ("params", "stats", "ema")
"""The fields of a state that are copied; the step and the terms' state start anew."""

KINDS = (jnp.floating, jnp.signedinteger, jnp.unsignedinteger, jnp.complexfloating)
"""Kinds of dtypes. A dtype is cast to another one of its kind."""


HUB = "hf:"
"""Before the folder of an export, in `--init_from`."""

HUB_STATE = "training_state"
"""The folder of an export that holds a workdir with one checkpoint."""


class Source(NamedTuple):
    """The checkpoint to start from, as its flags name it."""

    text: str
    """The value of `--init_from`."""
    folder: Path
    """The workdir of the other run."""
    which: checkpoint.Which
    optimizer: bool
    """True to copy the optimizer states too."""


class Mismatch(NamedTuple):
    """An array that only one side has, or whose shape or kind of dtype differs."""

    path: str
    here: str
    """Dtype and shape in the new run, such as `float32[3, 4]`, or `missing`."""
    there: str
    """Dtype and shape in the other run, or `missing`."""


def copy_fitting(target_tree: Tree, source_tree: Tree) -> tuple[Tree, list[Mismatch]]:
    """Replaces the leaves of a tree by those of another one with their path and shape.

    Dtypes of the same kind, such as bfloat16 and float32, are cast.

    Args:
      target_tree: arrays or `jax.ShapeDtypeStruct`s.
      source_tree: NumPy arrays. A tuple may be a list, and a NamedTuple a dict.

    Returns:
      `target_tree` with NumPy arrays in place of the leaves that fit, and the others of
      both trees by path.

    >>> target = {"a": np.zeros(2), "b": np.zeros(3)}
    >>> tree, mismatches = copy_fitting(target, {"a": np.ones(2), "b": np.ones(4)})
    >>> tree["a"].tolist(), tree["b"].tolist()
    ([1.0, 1.0], [0.0, 0.0, 0.0])
    >>> mismatches
    [Mismatch(path='b', here='float64[3]', there='float64[4]')]
    """
    here, there = leaf_types(target_tree), leaf_types(source_tree)
    found = _by_path(source_tree)

    def copy(path, leaf):
        path = _name(path)
        if path in found and _fits(leaf, found[path]):
            # Leaves that fit are in neither table.
            del here[path], there[path]
            return np.asarray(found[path]).astype(leaf.dtype, copy=False)
        return leaf

    tree = jax.tree_util.tree_map_with_path(copy, target_tree)
    return tree, [
        Mismatch(path, here.get(path, "missing"), there.get(path, "missing"))
        for path in sorted({*here, *there})
    ]


def _name(path: Any) -> str:
    """Returns a path as text, in the format of `leaf_types`."""
    return keystr(path, simple=True, separator="/")


def _by_path(tree: Tree) -> dict[str, Any]:
    return {_name(path): leaf for path, leaf in tree_flatten_with_path(tree)[0]}


def _fits(here: Any, there: Any) -> bool:
    """Returns True if the shapes are equal, and the dtypes are of one kind."""
    types = here.dtype, there.dtype
    same_kind = any(all(jnp.issubdtype(x, kind) for x in types) for kind in KINDS)
    return here.shape == there.shape and (same_kind or types[0] == types[1])


def copy_state(state: TrainState, weights: dict[str, Tree]) -> tuple[TrainState, list]:
    """Copies the arrays of another run that fit into a state.

    The optimizer state of a player is copied as a whole or not at all: Adam's count
    would be wrong for moments that start at zero.

    Args:
      state: arrays or `jax.ShapeDtypeStruct`s.
      weights: fields of the other run's state by name, with NumPy arrays.

    Returns:
      The state with NumPy arrays in place of those that fit, and the mismatches.
    """
    fields = {name: getattr(state, name) for name in weights}
    copied, mismatches = copy_fitting(fields, weights)
    if "opt_state" in weights:
        opt_state = state.opt_state
        # The players with a mismatch keep their new optimizer state.
        new = {x.path.split("/")[1] for x in mismatches if x.path.startswith("opt_")}
        kept = {name: getattr(opt_state, name) for name in new}
        copied["opt_state"] = copied["opt_state"]._replace(**kept)
    return state.replace(**copied), mismatches


def count_copied(old: TrainState, new: TrainState) -> int:
    """Returns the number of arrays that `copy_state` has replaced."""
    pairs = zip(jax.tree.leaves(old), jax.tree.leaves(new), strict=True)
    return sum(a is not b for a, b in pairs)


def source_of(text: str, optimizer: bool) -> Source | None:
    """Returns the source that the flags name, None for an empty text.

    Raises:
      UsageError: if the path is impossible, or there is nothing to take the optimizer
        state from.

    >>> source_of("runs/64:best", False)[1:]
    (PosixPath('runs/64'), 'best', False)
    >>> source_of("C:/runs/64", False)[1:]
    (PosixPath('C:/runs/64'), 'last', False)
    >>> source_of("hf:digits", False).folder
    PosixPath('digits/training_state')
    """
    if not text:
        if optimizer:
            raise UsageError("--init_optimizer needs a run, as in --init_from=runs/1")
        return None
    prefix = HUB if text.startswith(HUB) else ""
    rest = text.removeprefix(prefix)
    # A colon may be a part of the path.
    match = re.fullmatch(r"(.+):([0-9]{1,18}|best|last)", rest, re.DOTALL)
    path, name = match.groups() if match else (rest, "last")
    which: Any = int(name) if name.isdigit() else name
    folder = storage.run_folder("--init_from", path, prefix)
    return Source(text, folder / HUB_STATE if prefix else folder, which, optimizer)


def recorded_flags(folder: str | Path) -> dict[str, Any] | None:
    """Returns the flags of `Source` in a workdir with checkpoints, None in a new one.

    Raises:
      UsageError: if the workdir cannot be read.
    """
    folder = storage.run_folder("--workdir", folder)
    if not checkpoint.available(folder / "checkpoints"):
        return None
    config = workdir.read_config(folder)
    # An earlier version has no such flags.
    return {
        "init_from": str(config.get("init_from", "")),
        "init_optimizer": config.get("init_optimizer") is True,
    }


def check_other(source: Source, folder: str | Path) -> None:
    """Raises UsageError if the source is the workdir of the new run itself."""
    # Of a bucket, both are the same copy.
    here = storage.run_folder("--workdir", folder)
    if os.path.realpath(source.folder) == os.path.realpath(here):
        raise UsageError(
            f"{_shown(source)} is the --workdir of this run; use the folder of another "
            "run, or leave out --init_from to resume this one"
        )


def check_source(source: Source, runs: int) -> None:
    """Checks that there is such a checkpoint, of as many runs or of one.

    Args:
      source: the checkpoint.
      runs: the number of runs to start.

    Raises:
      UsageError: naming the flag.
    """
    if source.text.startswith(HUB) and not source.folder.is_dir():
        raise UsageError(
            f"{_shown(source)} has no folder {HUB_STATE}: export the run with "
            "--format=safetensors --with=training_state, or download all files"
        )
    with _errors_name_flag(source):
        _check_runs(source, runs)
        checkpoint.candidates(source.folder / "checkpoints", source.which)


def check_fits(
    source: Source, shapes: TrainState, runs: int, *, report: bool = False
) -> None:
    """Checks that the checkpoint is intact, and that something fits.

    The checkpoint is read here and again when the state is initialized, so that damage
    is found before anything is compiled or written, and no copy is kept.

    Args:
      source: the checkpoint, which `check_source` has checked.
      shapes: a state of `jax.ShapeDtypeStruct`s.
      runs: the number of runs to start.
      report: True to log what fits.

    Raises:
      UsageError: naming the flag.
    """
    step, weights = _read(source, runs)
    copied, mismatches = copy_state(shapes, weights)
    count = count_copied(shapes, copied)
    if not count:
        networks = workdir.read_config(source.folder).get("networks")
        raise UsageError(
            f"{_shown(source)}: no array of step {step} fits these networks; use that "
            f"run's --networks={short_repr(networks)}, or leave out --init_from"
        )
    if report:
        _log(source, step, count, mismatches)


def check_vocabulary(source: Source, example: ExampleSpec) -> None:
    """Raises UsageError if tokens of the same numbers are other ones in the source."""
    here = example[example.generated]
    theirs = read_example(source.folder)
    there = theirs[theirs.generated]
    if here.kind != "tokens" or there.kind != "tokens":
        return
    if here.names != there.names:
        raise UsageError(
            f"{_shown(source)}: its {len(there.names)} tokens are others than the "
            f"{len(here.names)} of this data set, or in another order; use the data "
            "set, --tokens and --vocabulary of that run, or leave out --init_from"
        )


def start_from(state: TrainState, source: Source | None, runs: int) -> TrainState:
    """Copies the arrays of the source that fit into a new state, and logs the others.

    All processes call it. The main process chooses the checkpoint.

    Args:
      state: on the devices, stacked for several runs.
      source: the checkpoint, None to copy nothing.
      runs: number of runs in the state.

    Returns:
      The state, with the sharding that it had.

    Raises:
      UsageError: in all processes, if the source cannot be read any more.
    """
    if source is None:
        return state
    found: list[tuple[int, dict[str, Tree]]] = []

    def read(which):
        found.append(_read(source._replace(which=which), runs))
        return found[0][0]

    step = run_on_main(lambda: read(source.which))
    # The same step, even if there is a newer one by now.
    all_succeed(lambda: None if is_main_process() else read(step))
    copied, mismatches = copy_state(state, found[0][1])
    _log(source, step, count_copied(state, copied), mismatches)
    return jax.tree.map(_place_like, state, copied)


def _place_like(old: jax.Array, new: Any) -> jax.Array:
    """Puts a NumPy array on the devices that hold `old`, with its sharding."""
    if new is old:
        return old
    # Each process copies only to its own devices.
    return jax.make_array_from_callback(
        old.shape, old.sharding, lambda part: np.asarray(new[part])
    )


def _read(source: Source, runs: int) -> tuple[int, dict[str, Tree]]:
    """Returns the step of a checkpoint, and the fields to copy to a number of runs.

    Raises:
      UsageError: naming the flag.
    """
    names = ("step", *WEIGHTS, *(["opt_state"] if source.optimizer else []))
    with _errors_name_flag(source):
        there = _check_runs(source, runs)
        checkpoints = source.folder / "checkpoints"
        fields = checkpoint.restore_fields(checkpoints, names, which=source.which)
    step = int(fields.pop("step"))
    if runs > there:
        # All runs start from the same one. The axis of the runs takes no memory.
        fields = jax.tree.map(lambda x: np.broadcast_to(x, (runs, *x.shape)), fields)
    return step, fields


def _check_runs(source: Source, runs: int) -> int:
    """Returns the number of runs in the source.

    Raises:
      UsageError: if the source is not the folder of a run, or if it has several runs
        and not as many as the new one.
    """
    there = workdir.read_config(source.folder).get("runs", 1)
    if there not in (1, runs):
        raise UsageError(
            f"{_shown(source)} has {printable(str(there))} runs, and --runs={runs}: "
            f"use --runs={printable(str(there))}, or the folder of a single run"
        )
    return there


@contextmanager
def _errors_name_flag(source: Source) -> Iterator[None]:
    """Lets the errors of a run's folder name `--init_from` in place of `--workdir`."""
    try:
        yield
    except UsageError as error:
        message = str(error).replace("--workdir=", "--init_from=")
        message = message.replace("another --workdir", "another --init_from")
        if not message.startswith("--init_from="):
            message = f"{_shown(source)}: {message}"
        raise UsageError(message) from error


def _shown(source: Source) -> str:
    return f"--init_from={printable(source.text)}"


def _log(source: Source, step: int, count: int, mismatches: Sequence[Mismatch]) -> None:
    """Logs the number of arrays that fit, and a table of the others."""
    if not mismatches:
        log.info("all %d arrays of %s from step %d", count, source.folder, step)
        return
    log.info(
        "%d arrays of %s from step %d; these do not fit:", count, source.folder, step
    )
    rows = [("array", "here", "there"), *mismatches]
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    for path, here, there in rows:
        log.info("  %s  %s  %s", path.ljust(widths[0]), here.ljust(widths[1]), there)

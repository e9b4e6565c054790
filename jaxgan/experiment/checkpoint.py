"""Saves and restores checkpoints: a `TrainState` with its config, history and score.

Orbax writes checkpoints in the background and renames the folder of each one at the
end. A folder named after a step is therefore complete, even if the program was killed.
"""

import gc
import logging
import math
import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

import jax
import orbax.checkpoint as ocp
from jax.experimental.multihost_utils import sync_global_devices
from orbax.checkpoint import checkpoint_managers

from jaxgan import storage
from jaxgan.distributed.consensus import run_on_main
from jaxgan.errors import UsageError
from jaxgan.experiment import digests
from jaxgan.experiment.checkpoint_reader import (
    is_being_removed,
    metrics_file,
    read,
    read_fields,
    score_of,
)
from jaxgan.experiment.storage_errors import (
    explain_save_errors,
    quiet_orbax,
    raise_unless_damage,
    reason,
)
from jaxgan.types import TrainState, Tree

log = logging.getLogger("jaxgan")

T = TypeVar("T")

_STEP = re.compile("0|[1-9][0-9]*")

Which = Literal["last", "best"] | int
"""Selects a checkpoint: the newest, the one with the lowest score, or a step."""


@contextmanager
def open_checkpoints(
    folder: str | Path, *, keep: int, resume_step: int | None = None
) -> Iterator[ocp.CheckpointManager]:
    """Opens the checkpoints of a run for saving. Closing waits for the last save.

    Files of an interrupted save are removed. Checkpoints after `resume_step` are
    renamed to `set-aside-<step>`: they are damaged, or were saved after a step to which
    the run has rolled back. Only one process group may have a folder open. `restore`
    does not need an open folder.

    Args:
      folder: of the checkpoints.
      keep: number of newest checkpoints to keep, besides the best one.
      resume_step: the step from which the run continues, or None to rename nothing.

    Yields:
      The manager to pass to `save`.

    Raises:
      UsageError: if `keep` is less than 1, or the folder cannot be read or written.
    """
    if keep < 1:
        raise UsageError(f"--keep={keep} keeps no checkpoint; use --keep=3")
    folder = storage.checkpoints_in(folder)
    if storage.is_uploaded(folder) and jax.process_count() > 1:
        raise UsageError(
            "--workdir: several processes save to a folder that all of them see, or to "
            "a bucket that TensorStore writes, such as --workdir=gs://bucket/run"
        )
    with explain_save_errors(folder, available):
        # Process 0 tidies the folder, and the others wait for it.
        if jax.process_index() == 0:
            _tidy(folder, resume_step)
    if jax.process_count() > 1:
        sync_global_devices("checkpoints are tidy")
    with quiet_orbax():
        with explain_save_errors(folder, available):
            manager = ocp.CheckpointManager(folder, options=_options(keep))
        try:
            yield manager
            # Wait within the block, so that a save that failed raises.
            with explain_save_errors(folder, available):
                manager.wait_until_finished()
        finally:
            try:
                manager.close()
            except Exception as error:  # logged, as the first error is raised
                log.warning("the last checkpoint was not saved: %s", reason(error))


def save(
    manager: ocp.CheckpointManager,
    state: TrainState,
    *,
    history: dict[str, Any],
    config: dict[str, Any],
    score: float | None = None,
    wait: bool = False,
) -> None:
    """Saves a state in the background, unless its step was saved before.

    The values have left the device when this returns, so the caller may donate `state`
    to the next step.

    Args:
      manager: from `open_checkpoints`.
      state: arrays, on the devices or on the host.
      history: JSON values to restore with the state.
      config: the flags of the run, as JSON values.
      score: a distance, where lower is better. None or not finite if it is unknown.
      wait: True to return after the checkpoint is written.

    Raises:
      UsageError: if this checkpoint or the previous one could not be written.
    """
    step = int(state.step)
    # A score that is NaN or infinite is never the best.
    known = float(score) if score is not None and math.isfinite(score) else None
    folder = storage.checkpoints_in(manager.directory)
    if storage.is_remote(folder) and not _is_ready(manager, wait):
        return
    with explain_save_errors(folder, available):
        if step not in manager.all_steps():
            manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(state),
                    history=digests.HistorySave(history, state, known),
                    config=ocp.args.JsonSave(config),
                ),
                metrics=None if known is None else {"score": known},
                # Save at this step, whatever interval Orbax has.
                force=True,
            )
        if wait:
            manager.wait_until_finished()
            storage.flush()


def _is_ready(manager: ocp.CheckpointManager, wait: bool) -> bool:
    """Returns True if a bucket takes a checkpoint; logs why it does not.

    It may be out of reach for minutes. Checkpoints that are complete stay, and the next
    one is tried.

    Raises:
      UsageError: if another run has taken the bucket over, or with `wait`, if a
        checkpoint cannot be saved.
    """
    run_on_main(storage.check)
    try:
        with explain_save_errors(manager.directory, available):
            manager.wait_until_finished()
    except UsageError as error:
        log.warning("%s; the run goes on", error)
        # Forget the step that failed, so that no good one is removed for it.
        with explain_save_errors(manager.directory, available):
            manager.reload()
    try:
        run_on_main(storage.probe)
    except UsageError as error:
        if wait:
            raise
        log.warning("no checkpoint is saved now: %s; the run goes on", error)
        return False
    return True


def available(folder: str | Path) -> list[int]:
    """Returns the steps of the complete checkpoints in a folder, in order.

    Other names, such as that of a copy, are ignored. A folder that does not exist has
    no checkpoints.

    Raises:
      UsageError: if `folder` is not a folder, or cannot be read.
    """
    place = storage.checkpoints_in(folder)
    try:
        # A missing folder is empty, but a dangling link is an error.
        if not place.is_dir() and (place.exists() or os.path.islink(place)):
            raise UsageError(
                f"{place} is not a folder; remove it, or use another --workdir"
            )
        paths = ocp.path.step.checkpoint_steps_paths(place)
    except OSError as error:
        raise UsageError(f"{place} cannot be read ({error.strerror})") from error
    # Names as Orbax writes them, without leading zeros.
    return sorted(int(path.name) for path in paths if _STEP.fullmatch(path.name))


def restore(
    folder: str | Path,
    template: Tree,
    *,
    which: Which = "last",
    partial: bool = False,
    before: float = math.inf,
) -> tuple[Tree, dict[str, Any]]:
    """Reads the state and the history of a checkpoint.

    A checkpoint does not depend on the number of devices or processes. Each process
    reads it independently, without waiting for others.

    A damaged checkpoint is logged, and the next older one ("last") or the next best one
    ("best") is read instead. The same holds for a checkpoint that a running program
    removes in the meantime.

    Args:
      folder: of the checkpoints.
      template: arrays or `jax.ShapeDtypeStruct`s.
      which: the checkpoint to read.
      partial: True if `template` is a part of the state, such as
        `{"step": ..., "ema": ...}`. Only this part is read.
      before: only checkpoints of earlier steps are read.

    Returns:
      The state, with the structure of `template` and NumPy arrays as leaves, and the
      history.

    Raises:
      UsageError: if there is no such checkpoint, if it is damaged and `which` is a
        step, if it belongs to a different network, or if its files cannot be read or do
        not fit into memory.
    """

    def read_state(path):
        return read(path, template, partial)

    return _read_intact(folder, read_state, which, before)


def restore_fields(
    folder: str | Path, names: Sequence[str], *, which: Which = "last"
) -> dict[str, Tree]:
    """Reads fields of the state of a checkpoint without a template, like `restore`.

    Args:
      folder: of the checkpoints, of any network.
      names: of fields of `TrainState`.
      which: the checkpoint to read.

    Returns:
      The fields by name, as NumPy arrays in nested dicts and lists.

    Raises:
      UsageError: if there is no such checkpoint, if it is damaged and `which` is a
        step, or if its files cannot be read or do not fit into memory.
    """
    return _read_intact(folder, lambda path: read_fields(path, names), which)


def _read_intact(
    folder: str | Path,
    read_one: Callable[[Path], T],
    which: Which,
    before: float = math.inf,
) -> T:
    """Returns what `read_one` reads from the first checkpoint that is not damaged."""
    place, damaged = storage.checkpoints_in(folder), set()
    # A running program may save and remove checkpoints meanwhile: list them again.
    # Each turn reads the best candidate that is left.
    while steps := [x for x in candidates(place, which, before) if x not in damaged]:
        path = place / str(steps[0])
        try:
            with quiet_orbax():
                return read_one(storage.fetched(path))
        except UsageError:
            raise
        except Exception as error:  # a damaged file may raise anything
            raise_unless_damage(path, error)
            if is_being_removed(path):
                log.warning("checkpoint %s was removed while it was read", path.name)
            else:
                damaged.add(steps[0])
                log.warning("checkpoint %s is damaged: %s", path.name, reason(error))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "coroutine .* was never awaited")
            gc.collect()  # frees the reads that Orbax has not awaited
    if which in ("last", "best"):
        raise UsageError(f"no checkpoint in {place} is intact; use another --workdir")
    # A certain step was requested, so name the others.
    others = [step for step in available(place) if step != which]
    raise UsageError(f"checkpoint {which} is damaged; {place} also has {others}")


def candidates(folder: str | Path, which: Which, before: float = math.inf) -> list[int]:
    """Returns the steps of the checkpoints that `restore` tries, in order.

    Args:
      folder: of the checkpoints.
      which: the checkpoint to read.
      before: only checkpoints of earlier steps are read.

    Raises:
      UsageError: if there are none.
    """
    place = storage.checkpoints_in(folder)
    steps = [step for step in available(place) if step < before]
    if not steps:
        raise UsageError(
            f"there is no checkpoint in {place}; use the --workdir of another run"
        )
    if which == "last":
        return steps[::-1]
    if which == "best":
        scores = {step: score_of(place / str(step)) for step in steps}
        if all(math.isinf(score) for score in scores.values()):
            log.warning("no checkpoint has a score: using the last one as the best")
        # Of equal scores the newest is the best.
        return sorted(steps, key=lambda step: (scores[step], -step))
    if which not in steps:
        raise UsageError(
            f"there is no checkpoint {which} in {place}; choose from {steps}"
        )
    return [which]


def _options(keep: int) -> ocp.CheckpointManagerOptions:
    """Returns options that keep the newest `keep` checkpoints and the best one."""

    def distance(metrics: dict[str, float]) -> float:
        return metrics["score"]

    return ocp.CheckpointManagerOptions(
        best_fn=distance,
        best_mode="min",
        cleanup_tmp_directories=True,
        preservation_policy=checkpoint_managers.AnyPreservationPolicy(
            [
                checkpoint_managers.LatestN(keep),
                checkpoint_managers.BestN(
                    get_metric_fn=distance,
                    # A lower distance is better.
                    reverse=True,
                    n=1,
                    # A step without a score is kept only while it is among the newest.
                    keep_checkpoints_without_metrics=False,
                ),
            ]
        ),
    )


def _tidy(folder: Any, resume_step: int | None) -> None:
    """Removes damaged scores, and renames checkpoints after `resume_step`."""
    for step in available(folder):
        if resume_step is not None and step > resume_step:
            aside = folder / f"set-aside-{step}"
            # An earlier rollback may have left a folder of this name.
            storage.remove_tree(aside)
            storage.move(folder / str(step), aside)
            log.warning("renamed checkpoint %d to %s", step, aside.name)
        elif math.isinf(score_of(folder / str(step))):
            # A damaged score must neither stop Orbax nor be the best.
            _remove(metrics_file(folder / str(step)))


def _remove(file: Path) -> None:
    """Removes a file, or whatever is in its place or in that of its folder."""
    if not file.parent.is_dir():
        file.parent.unlink(missing_ok=True)
    elif file.is_dir():
        shutil.rmtree(file)
    else:
        file.unlink(missing_ok=True)

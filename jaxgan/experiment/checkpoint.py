"""Checkpoints: the whole `TrainState`, with its config, history and score.

Orbax writes them in the background and finishes each with a rename, so a folder
named after a step is a whole checkpoint, whatever killed the program.
"""

import gc
import logging
import math
import re
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import jax
import orbax.checkpoint as ocp
from jax.experimental.multihost_utils import sync_global_devices
from orbax.checkpoint import checkpoint_managers

from jaxgan.errors import UsageError
from jaxgan.experiment import digests
from jaxgan.experiment.checkpoint_reader import (
    is_being_removed,
    metrics_file,
    read,
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

_STEP = re.compile("0|[1-9][0-9]*")

Which = Literal["last", "best"] | int
"""The checkpoint meant: the newest, the one of the lowest score, or a step."""


@contextmanager
def open_checkpoints(
    folder: str | Path, *, keep: int, resume_step: int | None = None
) -> Iterator[ocp.CheckpointManager]:
    """Opens the folder that a run saves into; closing waits for the last save.

    The newest `keep` checkpoints stay, and the best one. What a killed save left is
    removed. Checkpoints after `resume_step` are renamed to `set-aside-<step>`: they
    could not be restored, or belong to a continuation that is now given up.
    Only one process group may have a folder open; `restore` needs no open folder.
    """
    if keep < 1:
        raise UsageError(f"--keep={keep} keeps no checkpoint; use --keep=3")
    folder = Path(folder).absolute()
    with explain_save_errors(folder, available):
        if jax.process_index() == 0:
            _tidy(folder, resume_step)
    if jax.process_count() > 1:
        sync_global_devices("checkpoints are tidy")
    with quiet_orbax():
        with explain_save_errors(folder, available):
            manager = ocp.CheckpointManager(folder, options=_options(keep))
        try:
            yield manager
            with explain_save_errors(folder, available):
                manager.wait_until_finished()
        finally:
            try:
                manager.close()
            except Exception as error:  # the first failure is the one to tell
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
    """Saves `state` under its step, in the background; a step saved before is left.

    The values are off the device when this returns, so the caller may donate `state`
    to the next step. The `score` is a distance: the lowest is the best.

    Raises `UsageError` when this save, or the one before, could not be written.
    """
    step = int(state.step)
    known = float(score) if score is not None and math.isfinite(score) else None
    with explain_save_errors(Path(manager.directory), available):
        if step not in manager.all_steps():
            manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(state),
                    history=digests.HistorySave(history, state, known),
                    config=ocp.args.JsonSave(config),
                ),
                metrics=None if known is None else {"score": known},
                force=True,
            )
        if wait:
            manager.wait_until_finished()


def available(folder: str | Path) -> list[int]:
    """The steps of the finished checkpoints in `folder`, in order.

    Names that are no step, such as a copy's, are left out.

    Raises `UsageError` when `folder` is there and no folder, or cannot be read.
    """
    folder = Path(folder)
    try:
        if not folder.is_dir() and (folder.exists() or folder.is_symlink()):
            raise UsageError(
                f"{folder} is not a folder; remove it, or use another --workdir"
            )
        found = ocp.path.step.checkpoint_steps_paths(folder)
    except OSError as error:
        raise UsageError(f"{folder} cannot be read ({error.strerror})") from error
    return sorted(int(path.name) for path in found if _STEP.fullmatch(path.name))


def restore(
    folder: str | Path,
    template: Tree,
    *,
    which: Which = "last",
    partial: bool = False,
    before: float = math.inf,
) -> tuple[Tree, dict[str, Any]]:
    """Reads a checkpoint: the state in the classes of `template`, and the history.

    Of "last" and "best", only those of steps less than `before` count.

    `template` has arrays or `jax.ShapeDtypeStruct`s as leaves, and gets NumPy arrays:
    a checkpoint is of no number of devices or processes. With `partial` it may be a
    part, such as `{"step": ..., "ema": ...}`, and only this part is read. Of several
    processes each reads for itself, and waits for none.

    A damaged checkpoint is reported, and the next older one is taken ("last"), or the
    next best ("best"); so is one that a running training removes meanwhile. Raises
    `UsageError` when there is none, when `which` is a step that is not there or is
    damaged, when the checkpoint is of another network, and when its files may not be
    read or do not fit into memory.
    """
    folder, damaged = Path(folder).absolute(), set()
    while steps := [x for x in _candidates(folder, which, before) if x not in damaged]:
        path = folder / str(steps[0])
        try:
            with quiet_orbax():
                return read(path, template, partial)
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
            gc.collect()  # ends the reads that Orbax did not wait for
    if which in ("last", "best"):
        raise UsageError(f"no checkpoint in {folder} is whole; use another --workdir")
    others = [step for step in available(folder) if step != which]
    raise UsageError(f"checkpoint {which} is damaged; {folder} also has {others}")


def _candidates(folder: Path, which: Which, before: float = math.inf) -> list[int]:
    """The steps to try, the one meant first."""
    steps = [step for step in available(folder) if step < before]
    if not steps:
        raise UsageError(
            f"there is no checkpoint in {folder}; use the --workdir of another run"
        )
    if which == "last":
        return steps[::-1]
    if which == "best":
        scores = {step: score_of(folder / str(step)) for step in steps}
        if all(math.isinf(score) for score in scores.values()):
            log.warning("no checkpoint has a score: taking the last as the best")
        return sorted(steps, key=lambda step: (scores[step], -step))
    if which not in steps:
        raise UsageError(
            f"there is no checkpoint {which} in {folder}; choose of {steps}"
        )
    return [which]


def _options(keep: int) -> ocp.CheckpointManagerOptions:
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
                    reverse=True,
                    n=1,
                    keep_checkpoints_without_metrics=False,
                ),
            ]
        ),
    )


def _tidy(folder: Path, resume_step: int | None) -> None:
    """Leaves only what Orbax can open and the run continues from."""
    for step in available(folder):
        if resume_step is not None and step > resume_step:
            aside = folder / f"set-aside-{step}"
            shutil.rmtree(aside, ignore_errors=True)
            (folder / str(step)).rename(aside)
            log.warning("checkpoint %d is set aside as %s", step, aside.name)
        elif math.isinf(score_of(folder / str(step))):
            _remove(metrics_file(folder / str(step)))


def _remove(file: Path) -> None:
    """Removes a file, or what is wrongly in its place or in its folder's."""
    if not file.parent.is_dir():
        file.parent.unlink(missing_ok=True)
    elif file.is_dir():
        shutil.rmtree(file)
    else:
        file.unlink(missing_ok=True)

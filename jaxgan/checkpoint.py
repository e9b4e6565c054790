"""Checkpoints: the whole `TrainState`, with its config, history and score.

Orbax writes them in the background and finishes each with a rename, so a folder
named after a step is a whole checkpoint, whatever killed the program.
"""

import gc
import json
import logging
import math
import os
import re
import shutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental.multihost_utils import sync_global_devices
from orbax.checkpoint import checkpoint_managers

from jaxgan import digests
from jaxgan.core import TrainState, Tree
from jaxgan.errors import UsageError

log = logging.getLogger("jaxgan")

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
    if jax.process_index() == 0:
        _tidy(folder, resume_step)
    if jax.process_count() > 1:
        sync_global_devices("checkpoints are tidy")
    with _quiet():
        manager = ocp.CheckpointManager(folder, options=_options(keep))
        try:
            yield manager
            with _one_line(folder):
                manager.wait_until_finished()
        finally:
            try:
                manager.close()
            except Exception as error:  # the first failure is the one to tell
                log.warning("the last checkpoint was not saved: %s", _reason(error))


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
    with _one_line(Path(manager.directory)):
        if step not in manager.all_steps():
            manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(state),
                    history=ocp.args.JsonSave(history),
                    config=ocp.args.JsonSave(config),
                    digests=digests.DigestSave(state, history, known),
                ),
                metrics=None if known is None else {"score": known},
                force=True,
            )
        if wait:
            manager.wait_until_finished()


def available(folder: str | Path) -> list[int]:
    """The steps of the finished checkpoints in `folder`, in order."""
    folder = Path(folder)
    return sorted(ocp.utils.checkpoint_steps(folder)) if folder.is_dir() else []


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
    next best ("best"). Raises `UsageError` when there is none, when `which` is a step
    that is not there or is damaged, and when the checkpoint is of another network.
    """
    folder = Path(folder).absolute()
    for step in _candidates(folder, which, before):
        try:
            with _quiet():
                return _read(folder / str(step), template, partial)
        except UsageError:
            raise
        except Exception as error:  # a damaged file may raise anything
            log.warning("checkpoint %d is damaged: %s", step, _reason(error))
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
        scores = {step: _score(folder / str(step)) for step in steps}
        if all(math.isinf(score) for score in scores.values()):
            log.warning("no checkpoint has a score: taking the last as the best")
        return sorted(steps, key=lambda step: (scores[step], -step))
    if which not in steps:
        raise UsageError(
            f"there is no checkpoint {which} in {folder}; choose of {steps}"
        )
    return [which]


def _metrics_file(path: Path) -> Path:
    return path / "metrics" / "metrics"


def _score(path: Path) -> float:
    """The distance saved with a checkpoint; infinite where it cannot be known."""
    try:
        score = float(json.loads(_metrics_file(path).read_text())["score"])
        recorded = digests.read(path)
    except (OSError, ValueError, KeyError, TypeError):
        return math.inf
    return math.inf if recorded and recorded.score != score else score


def _read(path: Path, template: Tree, partial: bool) -> tuple[Tree, dict[str, Any]]:
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
        elif math.isinf(_score(folder / str(step))):
            _metrics_file(folder / str(step)).unlink(missing_ok=True)


_LOOSE_ENDS = ("Event loop is closed", "array index", "was never awaited")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps Orbax from telling what it also raises, and from telling it in pieces.

    After a failure its other reads and writes end later, on a loop that is closed: then
    the hook for what cannot be raised stays, and passes on all that is not theirs.
    """

    def loose_end(unraisable: Any) -> None:
        text = str(unraisable.exc_value)
        if not any(words in text for words in _LOOSE_ENDS):
            hook(unraisable)

    def not_orbax(record: logging.LogRecord) -> bool:
        return "orbax" not in record.pathname

    hook, sys.unraisablehook = sys.unraisablehook, loose_end
    logging.getLogger("absl").addFilter(not_orbax)
    try:
        yield
        sys.unraisablehook = hook
    finally:
        logging.getLogger("absl").removeFilter(not_orbax)


@contextmanager
def _one_line(folder: Path) -> Iterator[None]:
    """Says in one line that a disk did not take a checkpoint, and which one stays."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = _system_error(error)
        if not reason:
            raise
        steps = available(folder)
        stays = f"the last good one (step {steps[-1]}) stays" if steps else "none stays"
        raise UsageError(
            f"a checkpoint could not be saved in {folder} ({reason}); {stays}; "
            "free some space, or use a --workdir on another disk"
        ) from error


def _system_error(error: Exception) -> str:
    """What the system said, such as "No space left on device"; empty if it did not."""
    if isinstance(error, OSError):
        return error.strerror or _reason(error)
    code = re.search(r"os_error_code='(\d+)'", str(error))  # TensorStore's ValueError
    return os.strerror(int(code[1])) if code else ""


def _reason(error: BaseException) -> str:
    """The first words of what Orbax raises, which may be a page."""
    line = (str(error).splitlines() or [""])[0].split(" See full")[0]
    return line[:120] or type(error).__name__

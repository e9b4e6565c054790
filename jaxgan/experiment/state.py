"""Initializes the train state of a run, or restores it from a checkpoint."""

import logging
import math
from pathlib import Path
from typing import Any

import jax

from jaxgan import parallel
from jaxgan.distributed.consensus import is_main_process, run_on_main
from jaxgan.experiment import checkpoint, init_from
from jaxgan.experiment.experiment import Experiment
from jaxgan.types import TrainState

log = logging.getLogger("jaxgan")


def restore_or_init(
    experiment: Experiment,
    folder: Path,
    *,
    rollbacks: int,
    before: float = math.inf,
    which: checkpoint.Which = "last",
) -> tuple[TrainState, dict[str, Any]]:
    """Restores a checkpoint, or initializes the state if there is none.

    Args:
      experiment: the experiment.
      folder: of the run.
      rollbacks: number of rollbacks so far, which changes the noise of a new state.
      before: only checkpoints of earlier steps are restored.
      which: the newest or the best of them.

    Returns:
      The state on the devices, and its history.

    Raises:
      UsageError: if all checkpoints are damaged, or belong to a different network, or
        if the run of `--init_from` cannot be read.
    """
    checkpoints = folder / "checkpoints"
    steps = run_on_main(lambda: checkpoint.available(checkpoints))
    # There is no checkpoint to restore: a new state, or the weights of another run.
    if not any(step < before for step in steps):
        config = experiment.config
        source = init_from.source_of(config.init_from, config.init_optimizer)
        state = experiment.init_state(rollbacks)
        state = init_from.start_from(state, source, config.runs)
        # XLA for CPU hangs when values are read after it ran out of memory. Waiting
        # raises instead.
        return jax.block_until_ready(state), {"seconds": 0.0}
    template, restored = experiment.state_shapes(), []

    def read(which: checkpoint.Which) -> int:
        restored.extend(
            checkpoint.restore(checkpoints, template, which=which, before=before)
        )
        return int(restored[0].step)

    # The main process chooses the checkpoint.
    step = run_on_main(lambda: read(which))
    if not is_main_process():
        read(step)  # the same step, even if an older one is intact here
    log.info("resumed at step %d", step)
    state, history = restored
    # From the host to the devices, sharded if the layout says so.
    state = parallel.place(state, experiment.layout)
    return jax.block_until_ready(state), history

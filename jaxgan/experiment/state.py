"""Initializes or restores the train state of a run, and derives its PRNG keys."""

import logging
import math
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgan import parallel
from jaxgan.distributed.consensus import is_main_process, run_on_main
from jaxgan.experiment import checkpoint, init_from
from jaxgan.experiment.setup import Experiment, seeds_of, state_shapes
from jaxgan.parallel import multi_seed
from jaxgan.types import TrainState

log = logging.getLogger("jaxgan")


class Keys(NamedTuple):
    """The PRNG keys of a run, one per purpose."""

    init: jax.Array
    run: jax.Array
    previews: jax.Array
    """For previews and the probe."""


def seed_keys(seed: int, rollbacks: int = 0) -> Keys:
    """Returns the keys of a seed. A rollback changes all keys but that of previews."""
    # One key per field, in order.
    keys = Keys(*jax.random.split(multi_seed.key_of(seed), len(Keys._fields)))
    if rollbacks == 0:
        return keys
    # The same noise could lead to the same collapse.
    init, run = (jax.random.fold_in(key, rollbacks) for key in (keys.init, keys.run))
    return Keys(init, run, keys.previews)


def run_keys(experiment: Experiment, rollbacks: int) -> jax.Array:
    """Returns the key of all steps, on the devices; `[runs]` keys for several runs."""
    keys = [seed_keys(seed, rollbacks).run for seed in seeds_of(experiment.config)]
    if len(keys) == 1:
        return parallel.put(keys[0], experiment.layout)
    # Each run has its own key, on the device that trains it.
    return parallel.put(jnp.stack(keys), experiment.layout, 0)


def init_state(experiment: Experiment, rollbacks: int) -> TrainState:
    """Initializes the state on the devices, stacked for several runs."""
    keys = [seed_keys(seed, rollbacks).init for seed in seeds_of(experiment.config)]
    return parallel.init_on_devices(experiment.gan.init, keys, experiment.layout)


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
        state = init_state(experiment, rollbacks)
        state = init_from.start_from(state, source, config.runs)
        # XLA for CPU hangs when values are read after it ran out of memory. Waiting
        # raises instead.
        return jax.block_until_ready(state), {"seconds": 0.0}
    template, restored = state_shapes(experiment), []

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

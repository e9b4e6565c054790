"""The seeds of an experiment, and the PRNG keys derived from them."""

from typing import NamedTuple

import jax

from jaxgan import parallel
from jaxgan.config.training import Config
from jaxgan.parallel import multi_seed


class Keys(NamedTuple):
    """The PRNG keys of a seed, one per purpose."""

    init: jax.Array
    run: jax.Array
    previews: jax.Array
    """For previews and the probe."""


class RunKeys(NamedTuple):
    """The PRNG keys that a run uses after its initialization."""

    run: jax.Array
    """The key of all steps, on the devices; one per seed if there are several."""
    previews: jax.Array
    """For previews and the probe: that of the first seed."""


def seeds_of(config: Config) -> range:
    """Returns the seeds to train, one per run."""
    return range(config.seed, config.seed + config.runs)


def seed_keys(seed: int, rollbacks: int = 0) -> Keys:
    """Returns the keys of a seed. A rollback changes all keys but that of previews."""
    # One key per field, in order.
    keys = Keys(*jax.random.split(multi_seed.key_of(seed), len(Keys._fields)))
    if rollbacks == 0:
        return keys
    # The same noise could lead to the same collapse.
    init, run = (jax.random.fold_in(key, rollbacks) for key in (keys.init, keys.run))
    return Keys(init, run, keys.previews)


def run_keys(seeds: range, layout: parallel.Layout, rollbacks: int) -> RunKeys:
    """Returns the keys of a run after some rollbacks."""
    keys = [seed_keys(seed, rollbacks) for seed in seeds]
    # Each seed's key is on the device that trains it.
    run = multi_seed.join_seeds([key.run for key in keys], len(seeds))
    run = parallel.put(run, layout, multi_seed.seed_axis(len(seeds)))
    return RunKeys(run, keys[0].previews)
